"""What every question of a capacity planner is answered with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from drs.frame import DataFrame, frame


@dataclass(frozen=True)
class Answer:
    """One answer.

    question : which. figure, unit : the answer as a number; None where there is none. sentence : in words.
    proof : why it is so, or how sure it is. proven : whether it is proven. binding : what decides it, in words.
    rows : the table behind it, which the chart shows. notes : what was not counted, estimated or left out.
    """

    question: str
    figure: float | None
    unit: str
    sentence: str
    proof: str
    proven: bool
    binding: str
    rows: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> DataFrame:
        """The rows as a data frame."""
        return frame([dict(row) for row in self.rows])

    def sentences(self) -> list[str]:
        """In words."""
        lines = [self.sentence, f"proof: {self.proof}", f"binding: {self.binding}"]
        return [*lines, *(f"note: {note}" for note in self.notes)]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "question": self.question, "figure": self.figure, "unit": self.unit, "sentence": self.sentence,
            "proof": self.proof, "proven": self.proven, "binding": self.binding,
            "rows": [{key: _plain(value) for key, value in row.items()} for row in self.rows],
            "notes": list(self.notes), **self.more,
        }  # fmt: skip


def _plain(value: Any) -> Any:
    import math

    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def worst(values: Mapping[str, float]) -> tuple[str, float]:
    """The largest of some figures, with its name."""
    name = max(values, key=lambda each: values[each])
    return name, values[name]


def listed(names: Sequence[str], most: int = 5) -> str:
    """Names in words."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
