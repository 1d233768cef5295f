"""Several goals as one, each with a weight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

from drs.errors import Fault, UnknownNameError
from drs.goals import checks
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
        made = []
        for part in self.parts:
            if not isinstance(part, Goal):
                kind = part.get("type")
                if kind not in GOALS:
                    raise UnknownNameError.of("goal sum, field parts", str(kind), GOALS, "goal")
                part = GOALS[kind](**{key: value for key, value in part.items() if key != "type"})
            made.append(part)
        object.__setattr__(self, "parts", tuple(made))
        object.__setattr__(self, "weights", tuple(self.weights) or (1.0,) * len(made))

    def misfits(self, snapshot: Snapshot, field: str) -> Iterator[Fault]:
        yield from checks.as_many(f"{field}weights", self.weights, len(self.parts), "of the parts")
        for weight in self.weights:
            yield from checks.at_least(f"{field}weights", weight)
        for number, part in enumerate(self.parts, start=1):
            yield from part.faults(snapshot, f"{field}parts, {number} ({part.type})")

    def notes(self, snapshot: Snapshot) -> Iterator[str]:
        for part in self.parts:
            yield from part.notes(snapshot)

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
