"""What every term can do, and the lowered problem that a solver reads.

This floor knows items and bins. VMs on hosts and disks on datastores are the same problem to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]

Role = Literal["hard", "placed", "not_worse", "soft", "goal"]
"""What a level is for: `hard` rules that are broken today, items to be `placed` that are nowhere, broken
rules that may not become worse (`not_worse`), `soft` rules, a `goal`."""

NOWHERE = -1
"""The bin of an item that is not placed yet."""


@runtime_checkable
class Term(Protocol):
    """One summand of a cost or one limit. `cost` is the law that every faster form must agree with."""

    def cost(self, assign: Ints, start: Ints) -> float:
        """Cost of an assignment, 0 or more; for a limit, by how much it is broken (0: it holds).

        Parameters
        ----------
        assign : i4[n_items], the bin of each item, -1 for not placed
        start : i4[n_items], the bin of each item today
        """
        ...

    def relaxed(self, start: Ints) -> Term:
        """This limit widened just so far that `start` keeps it: no part may become worse than today."""
        ...

    def about(self) -> Ints | None:
        """The items that the term counts one by one, i4[n]; None for a sum over all items."""
        ...

    def grouped(self, group: Ints, n_groups: int) -> Term:
        """The same term where items move as one: every item of a group is always in the group's bin.

        Parameters
        ----------
        group : i4[n_items], the group of each item, 0 to n_groups - 1; an item that `about` names is alone
            in its group
        """
        ...


@runtime_checkable
class Limit(Term, Protocol):
    """A term that can also hold on the way, at every instant of a plan."""

    def worst_cost(self, here: Ints, there: Ints, start: Ints) -> float:
        """The most that the limit is broken while each item is in its bin of `here`, of `there`, or in both.

        Parameters
        ----------
        here, there : i4[n_items], the old and the new bin of each item, the same for one that does not move
        start : i4[n_items], the bin of each item today
        """
        ...


@dataclass(frozen=True)
class Wall:
    """A limit that no step of a search crosses. Today's assignment always keeps it (see `Term.relaxed`)."""

    term: Term
    origin: str


@dataclass(frozen=True)
class Weighted:
    """A term in a level, with its weight among the others there and the rule or goal it comes from."""

    term: Term
    weight: float = 1.0
    origin: str = ""


@dataclass(frozen=True)
class Level:
    """One rung of the lexicographic order: a weighted sum of terms, minimised before any later level.

    `slack_ratio`: later levels may worsen this one up to best x (1 + slack_ratio) + slack.
    `worth_ratio`: a solution that improves this level by less than this share of today's cost is not taken
    for this level's sake.
    """

    name: str
    terms: tuple[Weighted, ...]
    slack: float = 0.0
    slack_ratio: float = 0.0
    worth_ratio: float = 0.0
    unit: str = ""
    role: Role = "goal"

    @property
    def must_vanish(self) -> bool:
        """Whether a solution with any cost here is no solution: hard rules that are broken today."""
        return self.role == "hard"

    def cost(self, assign: Ints, start: Ints) -> float:
        """The weighted sum."""
        return float(sum(entry.weight * entry.term.cost(assign, start) for entry in self.terms))


@dataclass(frozen=True)
class During:
    """A limit that holds at every instant of the plan, when an item in flight counts in both bins."""

    term: Term
    origin: str


@dataclass(frozen=True)
class Lowered:
    """The problem as a solver sees it: items to bins, walls not to cross, levels to minimise in order."""

    n_items: int
    n_bins: int
    start: Ints
    """i4[n_items]: today's bin of each item, -1 for not placed."""
    walls: tuple[Wall, ...]
    levels: tuple[Level, ...]
    during: tuple[During, ...] = ()
    item_names: Sequence[str] = field(default=(), repr=False)
    bin_names: Sequence[str] = field(default=(), repr=False)

    def scores(self, assign: Ints) -> Floats:
        """Cost of each level, f8[n_levels], by the terms' own law."""
        return np.array([level.cost(assign, self.start) for level in self.levels])

    def broken_walls(self, assign: Ints) -> list[Wall]:
        """Walls that an assignment crosses (by more than rounding)."""
        return [wall for wall in self.walls if wall.term.cost(assign, self.start) > 1e-6]
