"""What one plan does otherwise than another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drs.planning import Plan
from drs.words import mebibytes, milliseconds, number, seconds

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class MoveChange:
    """A VM that both plans move, and what differs."""

    vm: str
    what: tuple[str, ...]


@dataclass(frozen=True)
class PlanDiff:
    """How plan b differs from plan a.

    only_a, only_b : VMs that one of them moves and the other leaves alone, with the way they go.
    changed : VMs that both move, otherwise.
    figures : name to (a, b): number of moves, makespan, longest downtime, MiB over the network.
    """

    only_a: tuple[tuple[str, str], ...]
    only_b: tuple[tuple[str, str], ...]
    changed: tuple[MoveChange, ...]
    n_same: int
    figures: Mapping[str, tuple[float, float]]

    @property
    def is_empty(self) -> bool:
        """Whether both make the same moves at the same times."""
        return not (self.only_a or self.only_b or self.changed)

    def sentences(self) -> list[str]:
        """The difference in words, the figures first."""
        lines = [
            f"{name}: {_figure(name, a)} → {_figure(name, b)}"
            for name, (a, b) in self.figures.items()
            if abs(a - b) > 1e-9 * max(1.0, abs(a))
        ]
        lines += [f"no longer moved: {vm} ({way})" for vm, way in self.only_a]
        lines += [f"now moved: {vm} ({way})" for vm, way in self.only_b]
        lines += [f"{change.vm}: {'; '.join(change.what)}" for change in self.changed]
        if not lines:
            return [f"the same plan: {self.n_same} moves"]
        return [*lines, f"{self.n_same} moves are the same"]


def diff(a: Plan | Mapping[str, Any], b: Plan | Mapping[str, Any]) -> PlanDiff:
    """How plan b differs from plan a.

    Parameters
    ----------
    a, b : plans, or the documents of `drs advise --json` (`plan.json`). A VM that a plan moves twice (parked
        to make room) counts from its first host to its last.
    """
    first, second = _journeys(_rows(a)), _journeys(_rows(b))
    changed, n_same = [], 0
    for vm in first:
        if vm not in second:
            continue
        what = tuple(_changes(first[vm], second[vm]))
        if what:
            changed.append(MoveChange(vm, what))
        else:
            n_same += 1
    return PlanDiff(
        tuple((vm, _way(row)) for vm, row in first.items() if vm not in second),
        tuple((vm, _way(row)) for vm, row in second.items() if vm not in first),
        tuple(changed),
        n_same,
        {name: (x, y) for (name, x), y in zip(_figures(a).items(), _figures(b).values(), strict=True)},
    )


def _rows(plan: Plan | Mapping[str, Any]) -> Rows:
    if not isinstance(plan, Plan):
        rows: Rows = plan.get("moves", ())
        return rows
    return [
        {name: getattr(move, name) for name in ("step", "vm", "kind", "from_host", "to_host",
                                                "to_datastores", "from_datastores", "start_s", "total_s",
                                                "parking")}
        for move in plan.moves
    ]  # fmt: skip


def _journeys(rows: Rows) -> dict[str, dict[str, Any]]:
    """Per VM its way through the plan, in the order in which the VMs start."""
    found: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["step"]):
        if row["vm"] in found:
            journey = found[row["vm"]]
            journey["via"] = (*journey["via"], journey["to_host"])
            journey |= {"to_host": row["to_host"], "to_datastores": row["to_datastores"]}
        else:
            found[row["vm"]] = {**row, "via": ()}
    return found


def _way(row: Mapping[str, Any]) -> str:
    if row["from_host"] == row["to_host"]:
        return f"{row['kind']} to {', '.join(dict.fromkeys(row['to_datastores']))} on {row['to_host']}"
    return " → ".join((row["from_host"], *row["via"], row["to_host"]))


def _changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    what = []
    if (a["from_host"], a["via"], a["to_host"]) != (b["from_host"], b["via"], b["to_host"]):
        what.append(f"{_way(a)}, now {_way(b)}")
    if list(a["to_datastores"]) != list(b["to_datastores"]):
        what.append(f"disks to {', '.join(a['to_datastores'])}, now to {', '.join(b['to_datastores'])}")
    if a["kind"] != b["kind"]:
        what.append(f"{a['kind']}, now {b['kind']}")
    if abs((a["start_s"] or 0.0) - (b["start_s"] or 0.0)) >= 1.0:
        what.append(f"starts at {seconds(a['start_s'] or 0.0)}, now at {seconds(b['start_s'] or 0.0)}")
    return what


def _figures(plan: Plan | Mapping[str, Any]) -> dict[str, float]:
    if isinstance(plan, Plan):
        values = [plan.makespan_s, plan.max_downtime_ms, plan.total_transferred_mib]
    else:
        schedule = plan.get("schedule", {})
        fields = ("makespan_s", "max_downtime_ms", "total_transferred_mib")
        values = [float(schedule.get(name) or 0.0) for name in fields]
    return {
        "moves": float(len(_rows(plan))),
        "makespan": values[0],
        "longest downtime": values[1],
        "over the network": values[2],
    }


def _figure(name: str, value: float) -> str:
    told = {"makespan": seconds, "longest downtime": milliseconds, "over the network": mebibytes}
    return told.get(name, number)(value)
