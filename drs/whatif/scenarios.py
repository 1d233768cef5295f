"""What-if scenarios: a list of changes to a cluster, and all options of the mode that answers.

::

    [[scenario]]
    name = "two more hosts, web grows by half"
    add_hosts = [{ like = "esx-01", count = 2 }]
    scale_vms = [{ vms = "web-*", cpu_ratio = 1.5, memory_ratio = 1.2 }]

    [[scenario]]
    name = "the databases get more shares, and rack 2 burns"
    change = [{ do = "set", table = "vms", rows = "db-*", column = "cpu_shares", value = 8000 }]
    mode = "recover"
    lost = ["esx-05", "esx-06"]

The keys `add_hosts`, `add_vms`, `drop_vms`, `drop_hosts`, `scale_vms` and `links` are short for changes of
these kinds and are made in this order, before those of `change`. A host that is lost (`lost`, mode `recover`)
is still there and answers for its VMs; one that is dropped (`drop_hosts`) was never there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from drs.errors import Fault, InputError, did_you_mean
from drs.io.changes import (
    KINDS,
    AddHosts,
    AddVms,
    Change,
    DropHosts,
    DropVms,
    Edited,
    Names,
    Part,
    ScaleVms,
    SetLink,
    apply,
    fault_of,
)
from drs.model import Snapshot
from drs.options import Options
from drs.problem.policy import Policy
from drs.rules import Rule


class RollingOptions(Part):
    """A rolling campaign instead of one plan: the options of `drs.modes.rolling`."""

    hosts: tuple[str, ...] = ()
    at_once: Annotated[int, Field(ge=1)] | None = None
    service_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    also: tuple[str, ...] = ()


class Scenario(Part):
    """One variation and how to ask about it."""

    name: str
    add_hosts: tuple[AddHosts, ...] = ()
    add_vms: tuple[AddVms, ...] = ()
    drop_vms: Names = ()
    drop_hosts: Names = ()
    scale_vms: tuple[ScaleVms, ...] = ()
    links: tuple[SetLink, ...] = ()
    change: tuple[Change, ...] = ()
    mode: str = "balance"
    evacuate: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    site: str = ""
    deadline_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    to_hosts: tuple[str, ...] = ()
    to_clusters: tuple[str, ...] = ()
    shut_down: tuple[str, ...] = ()
    datastores: tuple[str, ...] = ()
    to_datastores: tuple[str, ...] = ()
    move: tuple[str, ...] = ()
    moves: str = ""
    to: str = ""
    new: tuple[str, ...] = ()
    flavours: tuple[str, ...] = ()
    baseline: str = ""
    cluster: Names = ()
    also: tuple[str, ...] = ()
    within_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    between: str = ""
    stage: str = ""
    start: str = ""
    rolling: RollingOptions | None = None
    max_moves: Annotated[int, Field(ge=0)] | None = None
    solver: str = "auto"
    time_s: Annotated[float, Field(ge=0)] | None = None
    iterations: Annotated[int, Field(ge=0)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0

    @property
    def changes(self) -> tuple[Part, ...]:
        """All changes in the order in which they are made."""
        dropped: list[Part] = []
        if self.drop_vms:
            dropped.append(DropVms(vms=self.drop_vms))
        if self.drop_hosts:
            dropped.append(DropHosts(hosts=self.drop_hosts))
        return (*self.add_hosts, *self.add_vms, *dropped, *self.scale_vms, *self.links, *self.change)

    @property
    def options(self) -> Options:
        """What the mode is asked for besides."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(Options)}
        return Options(**{**given, "cluster": self.clusters})

    @property
    def clusters(self) -> tuple[str, ...]:
        """The clusters that take part, by names or patterns."""
        return (self.cluster,) if isinstance(self.cluster, str) else self.cluster

    def edit(self, snapshot: Snapshot, rules: Sequence[Rule] = (), policy: Policy | None = None) -> Edited:
        """The cluster, rules and policy of the scenario; see `drs.io.changes.apply`."""
        edited = apply(snapshot, self.changes, rules, policy, where=f"scenario {self.name!r}")
        named = dataclasses.replace(edited.snapshot, name=f"{snapshot.name}: {self.name}")
        return dataclasses.replace(edited, snapshot=named)


def read_scenarios(path: Path) -> list[Scenario]:
    """The scenarios of a file, in order.

    Raises
    ------
    InputError : with all faults of the file: which scenario, which field, what was expected.
    """
    from drs import io, modes, solvers

    known = {"mode": tuple(modes.MODES), "solver": tuple(solvers.names())}
    document = io.read_toml(path)
    faults = [
        Fault(str(path), f"unknown table {key!r}", "[[scenario]] tables", did_you_mean(key, ["scenario"]))
        for key in document
        if key != "scenario"
    ]
    tables = document.get("scenario", [])
    if not isinstance(tables, list) or not tables:
        faults.append(Fault(str(path), "no scenario", "at least one [[scenario]] table"))
        tables = []
    scenarios: list[Scenario] = []
    for number, table in enumerate(tables, 1):
        where = f"{path}, [[scenario]] {number}"
        try:
            scenario = Scenario.model_validate(table)
        except ValidationError as error:
            faults.extend(fault_of(each, where, _fields_at(each["loc"])) for each in error.errors())
            continue
        scenarios.append(scenario)
        for field, choices in known.items():
            value = getattr(scenario, field)
            if value not in choices:
                faults.append(Fault(f"{where}, field {field}", repr(value), f"one of {', '.join(choices)}",
                                    did_you_mean(value, choices)))  # fmt: skip
        faults.extend(_contradictions(scenario, where))
    names = [scenario.name for scenario in scenarios]
    for name in sorted({name for name in names if names.count(name) > 1}):
        faults.append(Fault(f"{path}, field name", f"{name!r} stands twice", "one name for each scenario"))
    if faults:
        raise InputError(faults)
    return scenarios


ROLLING_TAKES = ("cluster", "shut_down", "baseline")


def _contradictions(scenario: Scenario, where: str) -> list[Fault]:
    """Options that say nothing in the way that the scenario asks."""
    if scenario.rolling is None:
        return []
    faults = [
        Fault(f"{where}, field {given}", "an option that a rolling campaign does not know",
              f"only {', '.join(ROLLING_TAKES)} beside rolling")
        for given in scenario.options.given() if given not in ROLLING_TAKES
    ]  # fmt: skip
    if scenario.mode != "balance":
        faults.append(Fault(f"{where}, field mode", f"{scenario.mode!r} beside rolling", "one of the two"))
    if scenario.max_moves is not None:
        faults.append(Fault(f"{where}, field max_moves", "a limit beside rolling", "one of the two"))
    return faults


def _fields_at(loc: Sequence[Any]) -> list[str]:
    """Fields of the record that an error of pydantic is in."""
    short: dict[str, type[Part]] = {
        "add_hosts": AddHosts,
        "add_vms": AddVms,
        "scale_vms": ScaleVms,
        "links": SetLink,
        "rolling": RollingOptions,
    }
    if len(loc) > 2 and loc[0] == "change" and loc[2] in KINDS:
        return list(KINDS[loc[2]].model_fields)
    fields = list(short.get(str(loc[0]), Scenario).model_fields)
    return [field for field in fields if field != "do"]
