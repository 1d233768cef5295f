"""A file of scenarios: those written out, grids and samples, made one at a time when their turn comes.

::

    [ask]                                   # what every scenario asks, unless it says otherwise
    iterations = 2000
    failures = 1

    [model.r760]                            # a host that is not there yet
    cpu_mhz = 166400
    memory_mib = 1048576
    price = 21000

    [[scenario]]
    name = "two new hosts"
    add_hosts = [{ model = "r760", count = 2, cluster = "prod" }]

    [[grid]]
    name = "growth $percent, without $lost"
    axes = { percent = { from = 0, to = 30, step = 10 }, lost = { hosts = "esx-*" } }
    scale_vms = [{ vms = "*", cpu_ratio = 1.1 }]
    grow = [{ vms = "*", cpu_percent = "$percent", periods = 1 }]
    drop_hosts = ["$lost"]

    [[sample]]
    name = "uncertain load"
    count = 500
    seed = 1
    draw = { growth = { dist = "normal", mean = 3, std = 1, min = -50 } }
    grow = [{ vms = "*", cpu_percent = "$growth", months = 12 }]
    noise = [{ vms = "*", cpu_std = 0.2, correlation = 0.5 }]
"""

from __future__ import annotations

import bisect
import copy
import fnmatch
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pydantic import ValidationError

from drs.errors import Fault, InputError, did_you_mean
from drs.io.changes import fault_of
from drs.model import Snapshot
from drs.whatif.axes import Draw, Grid, axis, distribution, filled, lowest, used
from drs.whatif.scenarios import Scenario, contradictions, fields_at

TABLES = ("base", "ask", "model", "template", "scenario", "grid", "sample")
ASKS = (
    "mode", "solver", "time_s", "iterations", "seed", "bounds", "plan", "failures", "max_moves", "cluster", "also",
)  # fmt: skip
"""What [ask] may say for all scenarios."""
MOST = 1_000_000
"""So many scenarios at most where nothing is said."""
COUNTED = 1000
"""Names are compared with each other up to so many scenarios that are written out."""


class Block(Protocol):
    """Scenarios of one table of the file."""

    def __len__(self) -> int: ...

    def scenario(self, number: int) -> Scenario:
        """One of them."""
        ...


@dataclass(frozen=True)
class Fixed:
    """Scenarios that are written out."""

    scenarios: tuple[Scenario, ...]

    def __len__(self) -> int:
        return len(self.scenarios)

    def scenario(self, number: int) -> Scenario:
        """One of them."""
        return self.scenarios[number]


@dataclass(frozen=True)
class OfGrid:
    """The points of a grid."""

    table: Mapping[str, Any]
    grid: Grid

    def __len__(self) -> int:
        return len(self.grid)

    def scenario(self, number: int) -> Scenario:
        """One point."""
        return _made(self.table, self.grid.at(number))


@dataclass(frozen=True)
class OfSample:
    """Random scenarios; each has a generator of its own, so that any of them can be made alone."""

    table: Mapping[str, Any]
    draws: Mapping[str, Draw]
    count: int
    seed: int

    def __len__(self) -> int:
        return self.count

    def scenario(self, number: int) -> Scenario:
        """One draw."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(number,)))
        values = {name: draw(rng) for name, draw in self.draws.items()}
        table = copy.deepcopy(dict(self.table))
        for noise in table.get("noise", []):
            noise.setdefault("seed", int(rng.integers(2**31)))
        return _made(table, {"number": number + 1, **values}, {"number"})


def _made(table: Mapping[str, Any], values: Mapping[str, Any], hidden: set[str] = frozenset()) -> Scenario:  # type: ignore[assignment]
    shown = {name: value if isinstance(value, (bool, int, float, str)) else str(value)
             for name, value in values.items() if name not in hidden}  # fmt: skip
    return Scenario.model_validate({**filled(dict(table), values, set()), "at": shown})


@dataclass(frozen=True)
class Batch:
    """Scenarios in order, each made when it is asked for: `batch.scenario(7)`; `len(batch)` is how many."""

    blocks: tuple[Block, ...]
    prices: Mapping[str, float] = field(default_factory=dict)
    starts: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "starts", tuple(itertools.accumulate((len(b) for b in self.blocks), initial=0))
        )

    def __len__(self) -> int:
        return self.starts[-1]

    def scenario(self, number: int) -> Scenario:
        """The scenario of that number, from 0."""
        which = bisect.bisect_right(self.starts, number) - 1
        return self.blocks[which].scenario(number - self.starts[which])

    def __iter__(self) -> Iterator[Scenario]:
        return (self.scenario(number) for number in range(len(self)))

    @classmethod
    def of(cls, scenarios: Sequence[Scenario]) -> Batch:
        """A batch of scenarios that are made already."""
        return cls((Fixed(tuple(scenarios)),))

    def numbers(
        self, where: str = "", sample: int | None = None, limit: int | None = None, seed: int = 0
    ) -> Iterator[int]:
        """The numbers of a part, ascending.

        Parameters
        ----------
        where : a pattern of names, or `AXIS=VALUE`. sample : so many by chance. limit : the first so many.
        """
        found: Iterator[int] = iter(range(len(self)))
        if where:
            found = (number for number in found if matches(self.scenario(number), where))
        if sample is not None:
            among = np.fromiter(found, dtype=np.int64)
            chosen = np.random.default_rng(seed).choice(among, min(sample, len(among)), replace=False)
            found = iter(np.sort(chosen).tolist())
        return itertools.islice(found, limit)


def matches(scenario: Scenario, where: str) -> bool:
    """Whether a scenario is meant by a pattern of names, or by `AXIS=VALUE`."""
    axis_name, equals, value = where.partition("=")
    if equals and axis_name.strip() in scenario.at:
        given = scenario.at[axis_name.strip()]
        try:
            return float(given) == float(value)
        except ValueError:
            return fnmatch.fnmatchcase(str(given), value.strip())
    return fnmatch.fnmatchcase(scenario.name, where)


def read_scenarios(path: Path | str) -> list[Scenario]:
    """All scenarios of a file, in order; see `read_batch`."""
    return list(read_batch(Path(path)))


def read_batch(path: Path, snapshot: Snapshot | None = None, *, most: int = MOST) -> Batch:
    """The scenarios of a file.

    Parameters
    ----------
    snapshot : where an axis speaks of its hosts, VMs or clusters.
    most : more scenarios than so many are a fault.

    Raises
    ------
    InputError : with all faults of the file: which scenario, which field, what was expected. Of a grid each value of
        each axis is looked at, of a sample the first draw.
    """
    faults: list[Fault] = []
    document = _with_base(path, faults)
    read = _Reader(path, document, snapshot, faults)
    blocks = [*read.scenarios(), *read.grids(), *read.samples()]
    if not blocks and not faults:
        expected = "at least one [[scenario]], [[grid]] or [[sample]] table"
        faults.append(Fault(str(path), "no scenario", expected))
    if faults:
        raise InputError(faults)
    batch = Batch(tuple(blocks), read.prices)
    if len(batch) > most:
        raise InputError(Fault(str(path), f"{len(batch):,} scenarios", f"at most {most:,}",
                               "max_scenarios allows more"))  # fmt: skip
    return batch


def _with_base(path: Path, faults: list[Fault], above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A file with what its base says, where it has one: its own tables come after, and its own keys first."""
    from drs import io

    document = io.read_toml(path)
    base = document.pop("base", None)
    if base is None:
        return document
    if not isinstance(base, str):
        faults.append(Fault(f"{path}, field base", repr(base), "the name of a file"))
        return document
    where = (path.parent / base).resolve()
    if where in above or where == path.resolve():
        faults.append(Fault(f"{path}, field base", repr(base), "a file that is not based on this one"))
        return document
    below = _with_base(path.parent / base, faults, (*above, path.resolve()))
    whole = dict(below)
    for key, value in document.items():
        old = below.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            whole[key] = old | value
        elif isinstance(value, list) and isinstance(old, list):
            own = {each.get("name") for each in value if isinstance(each, dict)}
            kept = [each for each in old if not (isinstance(each, dict) and each.get("name") in own)]
            whole[key] = kept + value
        else:
            whole[key] = value
    return whole


class _Reader:
    """Reads the tables of a document and gathers what is wrong."""

    def __init__(
        self, path: Path, document: Mapping[str, Any], snapshot: Snapshot | None, faults: list[Fault]
    ) -> None:
        from drs import modes, solvers

        self.path, self.document, self.snapshot, self.faults = path, document, snapshot, faults
        self.known = {"mode": tuple(modes.MODES), "solver": tuple(solvers.names())}
        self.prices: dict[str, float] = {}
        for key in document:
            if key not in TABLES:
                said = "[[scenario]], [[grid]] or [[sample]] tables, [ask], [model.NAME], [template.NAME] or base"
                faults.append(Fault(str(path), f"unknown table {key!r}", said, did_you_mean(key, TABLES)))
        self.ask = self._ask()
        self.models = self._named("model", ("price",), "hosts")
        self.templates = self._named("template", ("disks", "datastore", "networks"), "vms")

    def _table(self, key: str) -> dict[str, Any]:
        table = self.document.get(key, {})
        if isinstance(table, dict):
            return table
        self.faults.append(Fault(f"{self.path}, {key}", repr(table), f"a table [{key}]"))
        return {}

    def _ask(self) -> dict[str, Any]:
        ask = self._table("ask")
        for key in ask:
            if key not in ASKS:
                near = did_you_mean(key, ASKS)
                self.faults.append(Fault(f"{self.path}, [ask], field {key}", "an unknown field",
                                         f"one of {', '.join(ASKS)}", near))  # fmt: skip
        return {key: value for key, value in ask.items() if key in ASKS}

    def _named(self, kind: str, besides: Sequence[str], table: str) -> dict[str, dict[str, Any]]:
        """Models and templates, with a fault for each column that the table does not have."""
        from drs.io.columns import keys, open_column, tables

        known = [column for column in tables()[table] if column not in keys(table)]
        found: dict[str, dict[str, Any]] = {}
        for name, cells in self._table(kind).items():
            where = f"{self.path}, [{kind}.{name}]"
            if not isinstance(cells, dict):
                self.faults.append(Fault(where, repr(cells), f"a table of columns of {table}"))
                continue
            for column in cells:
                if column not in (*known, *besides) and open_column(table, column) is None:
                    near = did_you_mean(column, [*known, *besides])
                    self.faults.append(Fault(f"{where}, field {column}", f"no column of {table}",
                                             f"one of {', '.join((*besides, *known))}", near))  # fmt: skip
            if "price" in cells:
                self.prices[name] = float(cells["price"])
            found[name] = dict(cells)
        return found

    def _tables(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        tables = self.document.get(kind, [])
        if not isinstance(tables, list):
            self.faults.append(Fault(f"{self.path}, {kind}", "one table", f"[[{kind}]] with two brackets"))
            return
        for number, table in enumerate(tables, 1):
            where = f"{self.path}, [[{kind}]] {number}"
            if isinstance(table, dict):
                yield where, self._resolved({**self.ask, **table}, where)
            else:
                self.faults.append(Fault(where, repr(table), "a table"))

    def _resolved(self, table: dict[str, Any], where: str) -> dict[str, Any]:
        """Models and templates as the columns that they are."""
        table = copy.deepcopy(table)
        for key, field_name, named in (
            ("add_hosts", "model", self.models), ("replace_hosts", "model", self.models),
            ("add_vms", "template", self.templates), ("change", "model", self.models),
            ("change", "template", self.templates),
        ):  # fmt: skip
            parts = table.get(key)
            for number, part in enumerate(parts if isinstance(parts, list) else ()):
                if not isinstance(part, dict) or field_name not in part:
                    continue
                name = part.pop(field_name)
                if name not in named:
                    self.faults.append(Fault(f"{where}, field {key}.{number}.{field_name}", repr(name),
                                             f"the NAME of a table [{field_name}.NAME]",
                                             did_you_mean(str(name), named)))  # fmt: skip
                    continue
                cells = {column: value for column, value in named[name].items() if column != "price"}
                if field_name == "template":
                    for column in ("disks", "datastore", "networks"):
                        if column in cells:
                            part.setdefault(column, cells.pop(column))
                part["columns"] = {**cells, **part.get("columns", {})}
                if key != "replace_hosts" and part.get("do", "add-").startswith("add-"):
                    part.setdefault("name", name)
        return table

    def _one(self, table: Mapping[str, Any], where: str) -> Scenario | None:
        """A scenario of a table, or its faults."""
        try:
            scenario = Scenario.model_validate(table)
        except ValidationError as error:
            self.faults.extend(fault_of(each, where, fields_at(each["loc"])) for each in error.errors())
            return None
        for name, choices in self.known.items():
            value = getattr(scenario, name)
            if value not in choices:
                near = did_you_mean(value, choices)
                self.faults.append(
                    Fault(f"{where}, field {name}", repr(value), f"one of {', '.join(choices)}", near)
                )
        self.faults.extend(contradictions(scenario, where))
        return scenario

    def scenarios(self) -> Iterator[Block]:
        """Those that are written out."""
        found = [self._one(table, where) for where, table in self._tables("scenario")]
        scenarios = [each for each in found if each is not None]
        names = [each.name for each in scenarios]
        for name in (
            sorted({name for name in names if names.count(name) > 1}) if len(names) <= COUNTED else ()
        ):
            expected = "one name for each scenario"
            self.faults.append(Fault(f"{self.path}, field name", f"{name!r} stands twice", expected))
        if scenarios:
            yield Fixed(tuple(scenarios))

    def grids(self) -> Iterator[Block]:
        """The grids."""
        for where, table in self._tables("grid"):
            given, zipped = table.pop("axes", None), table.pop("zip", [])
            if not isinstance(given, dict) or not given:
                self.faults.append(
                    Fault(f"{where}, field axes", repr(given), "a table of axes: { NAME = [values] }")
                )
                continue
            before = len(self.faults)
            axes = {name: axis(each, self.snapshot, f"{where}, field axes.{name}", self.faults)
                    for name, each in given.items()}  # fmt: skip
            for group in zipped:
                strange = [name for name in group if name not in axes]
                for name in strange:
                    self.faults.append(Fault(f"{where}, field zip", f"{name!r} is no axis", "names of axes",
                                             did_you_mean(name, axes)))  # fmt: skip
                if not strange and len({len(axes[name]) for name in group}) > 1:
                    sizes = ", ".join(f"{name} has {len(axes[name])}" for name in group)
                    self.faults.append(
                        Fault(f"{where}, field zip", sizes, "as many values on each zipped axis")
                    )
            self._names(table, axes, where, "axis")
            if len(self.faults) > before or not all(axes.values()):
                continue
            table.setdefault("name", ", ".join(f"{name} ${name}" for name in axes))
            block = OfGrid(table, Grid(axes, zipped))
            for number in itertools.islice(block.grid.corners(), COUNTED):
                values = block.grid.at(number)
                self._one(filled(dict(table), values, set()), f"{where} at {_said(values)}")
                if len(self.faults) > before:
                    break
            else:
                yield block

    def samples(self) -> Iterator[Block]:
        """The samples."""
        for where, table in self._tables("sample"):
            before = len(self.faults)
            draw, count = table.pop("draw", {}), table.pop("count", None)
            seed = table.get("seed", 0)
            if not isinstance(count, int) or isinstance(count, bool) or count < 1:
                self.faults.append(
                    Fault(f"{where}, field count", repr(count), "a whole number of scenarios, 1 or more")
                )
            if not isinstance(draw, dict):
                self.faults.append(
                    Fault(f"{where}, field draw", repr(draw), "a table { NAME = { dist, ... } }")
                )
                continue
            draws = {
                name: distribution(each, f"{where}, field draw.{name}", self.faults)
                for name, each in draw.items()
            }
            self._names(table, {**draws, "number": None}, where, "draw")
            if len(self.faults) == before:
                self._never_negative(table, draw, where)
            if len(self.faults) > before:
                continue
            table.setdefault("name", "sample $number")
            block = OfSample(table, draws, count or 1, int(seed))
            try:
                block.scenario(0)
            except ValidationError as error:
                self.faults.extend(fault_of(each, where, fields_at(each["loc"])) for each in error.errors())
                continue
            if self._one(block.scenario(0).model_dump(exclude_unset=True), where) is not None:
                yield block

    def _names(self, table: Mapping[str, Any], known: Mapping[str, Any], where: str, what: str) -> None:
        for name in sorted(used(table) - set(known)):
            near = did_you_mean(name, known)
            self.faults.append(Fault(where, f"${name} is no {what}", f"one of {', '.join(known)}", near))

    def _never_negative(self, table: Mapping[str, Any], draw: Mapping[str, Any], where: str) -> None:
        """A fault for each draw that may make a load negative: a factor of 0 or less, growth of -100 % or less."""
        for key, parts in table.items():
            for number, part in enumerate(parts if isinstance(parts, list) else ()):
                for name, value in part.items() if isinstance(part, dict) else ():
                    source = value[1:].strip("{}") if isinstance(value, str) and value.startswith("$") else ""
                    if source not in draw:
                        continue
                    limit = 0.0 if name.endswith("_ratio") else -100.0 if name.endswith("_percent") else None
                    least = lowest(draw[source])
                    if (
                        limit is None
                        or least > limit
                        or (draw[source]["dist"] == "lognormal" and least >= limit)
                    ):
                        continue
                    self.faults.append(
                        Fault(f"{where}, field draw.{source}",
                              f"it may fall to {least:g}, and {key}.{number}.{name} then gives a negative load",
                              f"values above {limit:g}", "give it a min, or use lognormal")
                    )  # fmt: skip


def _said(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())
