"""Several goals as one, each with a weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

from drs.goals.base import GOALS, Goal, Prices, goal
from drs.model import Placement, Snapshot
from drs.terms import Weighted


@goal("sum")
@dataclass(frozen=True)
class Sum(Goal):
    """The weighted sum of goals that are of one rank.

    parts : goals, or tables with a `type` and its fields, as in `policy.toml`.
    weights : one for each part; all 1 where not given.
    """

    unit: ClassVar[str] = "weighted sum"
    _: KW_ONLY
    parts: Sequence[Any] = ()
    weights: Sequence[float] = ()

    def __post_init__(self) -> None:
        made = [
            part
            if isinstance(part, Goal)
            else GOALS[part["type"]](**{k: v for k, v in part.items() if k != "type"})
            for part in self.parts
        ]
        object.__setattr__(self, "parts", tuple(made))
        object.__setattr__(self, "weights", tuple(self.weights) or (1.0,) * len(made))

    def measure(self, snapshot: Snapshot, placement: Placement, prices: Prices) -> float:
        return float(
            sum(
                weight * part.measure(snapshot, placement, prices)
                for part, weight in zip(self.parts, self.weights, strict=True)
            )
        )

    def lower(self, snapshot: Snapshot, prices: Prices) -> Sequence[Weighted]:
        return [
            replace(entry, weight=weight * entry.weight)
            for part, weight in zip(self.parts, self.weights, strict=True)
            for entry in part.lower(snapshot, prices)
        ]
