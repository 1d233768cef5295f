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

The keys `add_hosts`, `add_vms`, `drop_vms`, `drop_hosts`, `replace_hosts`, `scale_vms`, `grow`, `noise`, `cut_links`
and `links` are short for changes of these kinds and are made in this order, before those of `change`. A host that is
lost (`lost`, mode `recover`) is still there and answers for its VMs; one that is dropped (`drop_hosts`) was never
there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from drs.errors import Fault
from drs.io.change_kinds import (
    KINDS,
    AddHosts,
    AddVms,
    Change,
    CutLink,
    DropHosts,
    DropVms,
    Grow,
    Names,
    Noise,
    Part,
    ReplaceHosts,
    ScaleVms,
    SetLink,
)
from drs.io.changes import Edited, apply
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
    """One variation and how to ask about it.

    bounds : whether Lagrangian bounds are found, which say what a plan leaves; they take most of the time.
    plan : whether the moves are ordered, priced and timed; else the row is of the end state alone.
    failures : so many host failures are looked at after the plan, N+k (0: not looked at).
    at : where it stands on the axes of its grid, or what was drawn for it; columns `at_NAME` of its row.
    """

    name: str
    add_hosts: tuple[AddHosts, ...] = ()
    add_vms: tuple[AddVms, ...] = ()
    drop_vms: Names = ()
    drop_hosts: Names = ()
    replace_hosts: tuple[ReplaceHosts, ...] = ()
    scale_vms: tuple[ScaleVms, ...] = ()
    grow: tuple[Grow, ...] = ()
    noise: tuple[Noise, ...] = ()
    cut_links: tuple[CutLink, ...] = ()
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
    bounds: bool = False
    plan: bool = True
    failures: Annotated[int, Field(ge=0, le=8)] = 0
    at: dict[str, bool | int | float | str] = Field(default_factory=dict)

    @property
    def changes(self) -> tuple[Part, ...]:
        """All changes in the order in which they are made."""
        dropped: list[Part] = []
        if self.drop_vms:
            dropped.append(DropVms(vms=self.drop_vms))
        if self.drop_hosts:
            dropped.append(DropHosts(hosts=self.drop_hosts))
        return (
            *self.add_hosts, *self.add_vms, *dropped, *self.replace_hosts, *self.scale_vms, *self.grow, *self.noise,
            *self.cut_links, *self.links, *self.change,
        )  # fmt: skip

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


ROLLING_TAKES = ("cluster", "shut_down", "baseline")


def contradictions(scenario: Scenario, where: str) -> list[Fault]:
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


def fields_at(loc: Sequence[Any]) -> list[str]:
    """Fields of the record that an error of pydantic is in."""
    short: dict[str, type[Part]] = {
        "add_hosts": AddHosts,
        "add_vms": AddVms,
        "replace_hosts": ReplaceHosts,
        "scale_vms": ScaleVms,
        "grow": Grow,
        "noise": Noise,
        "cut_links": CutLink,
        "links": SetLink,
        "rolling": RollingOptions,
    }
    if len(loc) > 2 and loc[0] == "change" and loc[2] in KINDS:
        return list(KINDS[loc[2]].model_fields)
    fields = list(short.get(str(loc[0]), Scenario).model_fields)
    return [field for field in fields if field != "do"]
