"""What an exact engine takes and gives."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from drs.solvers.exact.linear_model import Linear
from drs.stop import Stop
from drs.terms.base import Ints


@dataclass
class Proof:
    """What one exact solve of one level says: assignments found (best last) and a lower bound."""

    found: list[Ints] = field(default_factory=list)
    bound: float = -math.inf
    complete: bool = False
    """Solved to the end, so the bound is the model's optimum."""
    impossible: bool = False
    iterations: int = 0
    info: str = ""


class Engine(Protocol):
    """An exact engine on one `ExactModel`, which may grow rows and columns between calls."""

    name: str

    def minimise(
        self, expr: Linear, hint: Ints, stop: Stop, seed: int, on_bound: Callable[[float], None] | None
    ) -> Proof:
        """Minimise an expression; `hint` satisfies every row."""
        ...

    def close(self) -> None:
        """Free what the engine holds outside of this process."""
        ...
