"""What every solver takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from drs.stop import Run
from drs.terms.base import Floats, Ints, Lowered

Status = Literal["optimal", "feasible", "infeasible", "no_solution"]


@dataclass(frozen=True)
class Answer:
    """A solver's answer.

    status : `optimal` every level proven (within its slack), `feasible` a solution with a bound,
        `infeasible` proven that no assignment satisfies the hard rules, `no_solution` none found in time.
    assign : i4[n_items]; for `infeasible` and `no_solution` the best that was found all the same.
    scores, bounds : f8[n_levels]; bounds[k] is a valid lower bound of level k given that the levels before
        it are no worse than their score within slack.
    """

    status: Status
    assign: Ints
    scores: Floats
    bounds: Floats
    solver: str
    elapsed_s: float
    iterations: int = 0
    interrupted: bool = False
    stats: Mapping[str, float | int | str] = field(default_factory=dict)


class Solver(Protocol):
    """`start` is a complete assignment that crosses no wall; the answer is never worse than it.

    `run` holds the budget, the seed and who is told of progress.
    """

    def __call__(self, lowered: Lowered, start: Ints, run: Run) -> Answer: ...
