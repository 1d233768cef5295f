"""The columns of each table, defined once: the command line, the HTML report and the app show the same ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from drs import words
from drs.frame import DataFrame
from drs.frame import frame as as_frame
from drs.planning import Move, Stranded
from drs.report.summary import ClusterMoves
from drs.result import GoalScore, Immovable
from drs.rules import Violation

if TYPE_CHECKING:
    from rich.table import Table

    from drs.result import Reason, Result

Row = TypeVar("Row")


def _nothing(_: Any) -> str:
    return ""


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column of a table.

    name : the machine's key: of a move it is the column of `moves.csv`, `to_frame` and `drs advise --json`.
    value : what a table is sorted by, with the unit that `name` says.
    show : the same for people, from `drs.words`.
    more : what stands below it in the report and in brackets behind it elsewhere; "" for nothing.
    is_number : sorted as a number, and set to the right.
    wide : a sentence, which may be broken into lines.
    is_count : a whole number that is shown as it is, so that the app can sort by it.
    """

    name: str
    title: str
    value: Callable[[Row], Any]
    show: Callable[[Row], str]
    more: Callable[[Row], str] = _nothing
    is_number: bool = False
    wide: bool = False
    is_count: bool = False

    def line(self, row: Row) -> str:
        """What is shown of a row where a cell has one line."""
        more = self.more(row)
        return f"{self.show(row)} ({more})" if more else self.show(row)


def _column(
    name: str,
    title: str,
    value: Callable[[Any], Any],
    shown: Callable[[Any], str] = str,
    *,
    more: Callable[[Any], str] = _nothing,
    is_number: bool = False,
    wide: bool = False,
    is_count: bool = False,
) -> Column[Any]:
    """A column whose words are made from its value alone."""
    return Column(
        name, title, value, lambda row: shown(value(row)), more, is_number or is_count, wide, is_count
    )


@dataclass(frozen=True, slots=True)
class ToldMove:
    """A move, with why it is made where that is known."""

    move: Move
    reason: Reason | None = None

    @property
    def possible(self) -> bool:
        """Whether it has a price at all."""
        return self.move.total_s == self.move.total_s

    @property
    def disks_move(self) -> bool:
        """Whether a disk of the VM changes its datastore."""
        return self.move.from_datastores != self.move.to_datastores


def told(moves: Iterable[Move], reasons: Sequence[Reason]) -> list[ToldMove]:
    """The moves with their reasons."""
    by_vm = {reason.vm: reason for reason in reasons}
    return [ToldMove(move, by_vm.get(move.vm)) for move in moves]


def _flags(row: ToldMove) -> str:
    flags = (
        ("parking", row.move.parking),
        ("may not converge", not row.move.converged),
        ("waits for approval", bool(row.reason and row.reason.approval)),
    )
    return ", ".join(word for word, holds in flags if holds)


def _stores(row: ToldMove, names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names)) if row.disks_move else ""


def _downtime(row: ToldMove) -> str:
    return words.milliseconds(row.move.downtime_ms) if row.possible else "not possible"


def _downtime_range(row: ToldMove) -> str:
    low, high = row.move.downtime_low_ms, row.move.downtime_high_ms
    return f"{words.milliseconds(low)} to {words.milliseconds(high)}" if high > 0 else ""


def _lasts(row: ToldMove) -> str:
    low, high = row.move.total_low_s, row.move.total_high_s
    return words.seconds_range(low, high) if high > 0 else ""


def _why(row: ToldMove) -> str:
    parts = [row.reason.without] if row.reason and row.reason.without else []
    if row.move.after_steps:
        parts.append(f"after step {', '.join(map(str, row.move.after_steps))}")
    return "; ".join(parts)


def _priority(row: ToldMove) -> int | None:
    return row.reason.priority if row.reason else None


MOVES: tuple[Column[ToldMove], ...] = (
    _column("step", "Step", lambda row: row.move.step, is_count=True),
    _column("wave", "Wave", lambda row: row.move.wave, is_count=True),
    _column("priority", "Priority", _priority, lambda n: "" if n is None else str(n), is_count=True),
    _column("vm", "VM", lambda row: row.move.vm, more=_flags),
    _column("kind", "Kind", lambda row: row.move.kind, lambda kind: words.KIND_TITLES[kind]),
    _column("from_host", "From", lambda row: row.move.from_host, lambda name: name or "not placed",
            more=lambda row: _stores(row, row.move.from_datastores)),
    _column("to_host", "To", lambda row: row.move.to_host,
            more=lambda row: _stores(row, row.move.to_datastores)),
    _column("start_s", "Start", lambda row: row.move.start_s, words.seconds, is_number=True),
    _column("total_s", "Lasts", lambda row: row.move.total_s, words.seconds, is_number=True, more=_lasts),
    Column("downtime_ms", "Downtime", lambda row: row.move.downtime_ms, _downtime, _downtime_range,
           is_number=True),
    _column("transferred_mib", "Data", lambda row: row.move.transferred_mib, words.mebibytes, is_number=True,
            more=lambda row: words.count(row.move.rounds, "round") if row.move.rounds else ""),
    _column("reason", "Why", lambda row: row.move.reason, more=_why, wide=True),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Start:
    """A VM that is powered on, after the moves that make its room. `step` goes on from those of the moves."""

    step: int
    vm: str
    host: str
    priority: str
    after_steps: tuple[int, ...]


def starts(result: Result) -> list[Start]:
    """The VMs that modes `recover` and `place` power on, in order."""
    found = getattr(result.report, "restarts", None) or getattr(result.report, "placed", None) or ()
    first = max((move.step for move in result.plan.moves), default=0) if result.plan else 0
    return [Start(first + each.order, each.vm, each.host, each.priority, each.after_steps) for each in found]


STARTS: tuple[Column[Start], ...] = (
    _column("step", "Step", lambda row: row.step, is_count=True),
    _column("priority", "Restart priority", lambda row: row.priority),
    _column("vm", "VM to power on", lambda row: row.vm),
    _column("to_host", "On", lambda row: row.host),
    _column("after_steps", "Waits for", lambda row: row.after_steps,
            lambda steps: f"step {', '.join(map(str, steps))}" if steps else "nothing"),
)  # fmt: skip

GOALS: tuple[Column[GoalScore], ...] = (
    _column("name", "Goal", lambda goal: goal.name, words.goal_title),
    _column("unit", "Unit", lambda goal: goal.unit),
    _column("before", "Before", lambda goal: goal.before, words.number, is_number=True),
    _column("after", "After", lambda goal: goal.after, words.number, is_number=True),
    _column("bound", "Bound", lambda goal: goal.bound, words.number, is_number=True),
    _column("gap_ratio", "Gap", lambda goal: goal.gap_ratio,
            lambda gap: "proven best" if gap == 0 else words.percent(gap, 1), is_number=True),
)  # fmt: skip

VIOLATIONS: tuple[Column[Violation], ...] = (
    _column("rule", "Rule", lambda broken: broken.rule),
    _column("sentence", "What is broken", lambda broken: broken.sentence, wide=True),
    _column("hosts", "Hosts", lambda broken: broken.hosts, words.some),
    _column("vms", "VMs", lambda broken: broken.vms, words.some),
)

STRANDED: tuple[Column[Stranded], ...] = (
    _column("vm", "VM", lambda move: move.vm),
    _column("from_host", "Stays on", lambda move: move.from_host),
    _column("to_host", "Was to go to", lambda move: move.to_host),
    _column("reason", "Why", lambda move: move.reason, wide=True),
)

CLUSTERS: tuple[Column[ClusterMoves], ...] = (
    _column("cluster", "Cluster", lambda row: row.cluster),
    _column("n_moves", "Moves", lambda row: row.n_moves, lambda n: f"{n:,}", is_count=True),
    _column("transferred_mib", "Data", lambda row: row.transferred_mib, words.mebibytes, is_number=True),
    _column("duration_s", "Lasts", lambda row: row.duration_s, words.seconds, is_number=True),
)

IMMOVABLE: tuple[Column[Immovable], ...] = (
    _column("vm", "VM", lambda vm: vm.vm),
    _column("reason", "Why", lambda vm: vm.reason, wide=True),
)


def frame(columns: Sequence[Column[Row]], rows: Sequence[Row]) -> DataFrame:
    """The table for the app: a row each, titles above."""
    return as_frame(
        {
            column.title: [column.value(row) if column.is_count else column.line(row) for row in rows]
            for column in columns
        }
    )


def rich_table(columns: Sequence[Column[Row]], rows: Iterable[Row]) -> Table:
    """The table for a terminal; sentences without what `more` adds, for a terminal is narrow."""
    from rich.box import SIMPLE
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=SIMPLE)
    for column in columns:
        table.add_column(
            column.title, justify="right" if column.is_number else "left", no_wrap=not column.wide
        )
    for row in rows:
        cells = (column.show(row) if column.wide else column.line(row) for column in columns)
        table.add_row(*(escape(cell) for cell in cells))
    return table
