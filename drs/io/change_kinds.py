"""The kinds of changes to a cluster, its rules and its policy: small records, readable from TOML by their `do`.

`drs.io.changes.apply` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Names = str | tuple[str, ...]
Ratio = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Part(BaseModel):
    """A record that refuses unknown fields and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Columns = dict[str, bool | int | float | str]
"""Cells of one row, by column."""

Percent = Annotated[float, Field(gt=-100, le=10_000, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]


class Selecting(Part):
    """A change of rows that are meant by name, by pattern, by label (`rack:r1*`) or by a condition.

    where : an expression over the columns of the table, as pandas' `query` reads it, such as
        `evc_max == 'intel-broadwell' and memory_mib < 262144`. With names and a condition both must hold.
    """

    where: str = ""


class AddHosts(Selecting):
    """`count` hosts: copies of each host that `like` names, with its mounts, networks and links.

    like : which; where not given, the first host of `cluster`, or of the snapshot. columns : cells that differ from
    it, such as those of a new model. cluster : where the new hosts stand. name : what they are called, with a number.
    """

    do: Literal["add-hosts"] = "add-hosts"
    like: Names = ()
    count: Annotated[int, Field(ge=0, le=10_000)] = 1
    cluster: str = ""
    name: str = ""
    columns: Columns = Field(default_factory=dict)


class AddVms(Selecting):
    """`count` VMs, which have no host yet: copies of each VM that `like` names, with disks, NICs and load history, or
    VMs of a template.

    columns : cells that differ, or where `like` is not given all that are not at their default; `memory_mib` and
    `cpu_demand_mhz` are then needed. disks : the size in GiB of each disk of a template, and `datastore` where they
    lie. networks : those of a template.
    """

    do: Literal["add-vms"] = "add-vms"
    like: Names = ()
    count: Annotated[int, Field(ge=0, le=10_000)] = 1
    name: str = ""
    columns: Columns = Field(default_factory=dict)
    disks: tuple[Annotated[float, Field(gt=0)], ...] = ()
    datastore: str = ""
    networks: tuple[str, ...] = ()


class DropHosts(Selecting):
    """Hosts that are there no more; their VMs have to be placed elsewhere."""

    do: Literal["drop-hosts"] = "drop-hosts"
    hosts: Names = ()


class ReplaceHosts(Selecting):
    """Hosts that become others: cells of a new model, in the same place, with the same name and VMs."""

    do: Literal["replace-hosts"] = "replace-hosts"
    hosts: Names = ()
    columns: Columns


class OnlyClusters(Part):
    """These clusters alone; what the disks of the others take on shared datastores stays taken."""

    do: Literal["only-clusters"] = "only-clusters"
    clusters: Names


class DropVms(Selecting):
    """VMs that are there no more, with their disks."""

    do: Literal["drop-vms"] = "drop-vms"
    vms: Names = ()


class ScaleVms(Selecting):
    """Factors on the demand and size of some VMs.

    cpu_ratio : CPU demand, now and in the load history. memory_ratio : configured, active and consumed memory,
        working set, and the load history. dirty_rate_ratio, vcpu_ratio : these alone. disk_ratio : size and
        used space of the disks. cpu_reservation_ratio, memory_reservation_ratio : what is reserved, which
        stays as it is where nothing is said.
    """

    do: Literal["scale-vms"] = "scale-vms"
    vms: Names = "*"
    cpu_ratio: Ratio = 1.0
    memory_ratio: Ratio = 1.0
    dirty_rate_ratio: Ratio = 1.0
    vcpu_ratio: Ratio = 1.0
    disk_ratio: Ratio = 1.0
    cpu_reservation_ratio: Ratio = 1.0
    memory_reservation_ratio: Ratio = 1.0


SCALED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "cpu_ratio": {"vms": ("cpu_demand_mhz",), "loads": ("cpu_mhz",)},
    "memory_ratio": {
        "vms": ("memory_mib", "memory_active_mib", "memory_consumed_mib", "working_set_mib"),
        "loads": ("memory_active_mib",),
    },
    "dirty_rate_ratio": {"vms": ("dirty_rate_mibps",)},
    "vcpu_ratio": {"vms": ("vcpus",)},
    "disk_ratio": {"disks": ("size_gib", "used_gib")},
    "cpu_reservation_ratio": {"vms": ("cpu_reservation_mhz",)},
    "memory_reservation_ratio": {"vms": ("memory_reservation_mib",)},
}
"""The columns that each factor of `ScaleVms` multiplies, by table."""


class Grow(Selecting):
    """Growth of some VMs: a rate for each period, over a time.

    cpu_percent : CPU demand, now and in the load history, and its reservation. memory_percent : configured, active and
    consumed memory, working set, history and reservation. disk_percent : size and used space of the disks.
    dirty_rate_percent, vcpu_percent : these alone.
    per, months, years, periods : so many percent each `month` (or `week`, `quarter`, `year`), for so long.
    compound : whether each period's growth counts from the period before; else from today.
    reservations : whether they grow too.
    """

    do: Literal["grow"] = "grow"
    vms: Names = "*"
    cpu_percent: Percent = 0.0
    memory_percent: Percent = 0.0
    disk_percent: Percent = 0.0
    dirty_rate_percent: Percent = 0.0
    vcpu_percent: Percent = 0.0
    per: Literal["week", "month", "quarter", "year"] = "month"
    months: Annotated[float, Field(ge=0, le=1200)] | None = None
    years: Annotated[float, Field(ge=0, le=100)] | None = None
    periods: Annotated[float, Field(ge=0, le=1200)] | None = None
    compound: bool = True
    reservations: bool = True

    @model_validator(mode="after")
    def _one_time(self) -> Grow:
        if sum(given is not None for given in (self.months, self.years, self.periods)) != 1:
            raise ValueError("one of months, years, periods, which says for how long")
        return self

    def ratio(self, percent: float) -> float:
        """What a quantity is multiplied by."""
        if self.periods is not None:
            n = self.periods
        else:
            months = 12.0 * self.years if self.years is not None else self.months or 0.0
            n = months / {"week": 12.0 / 52.1775, "month": 1.0, "quarter": 3.0, "year": 12.0}[self.per]
        rate = percent / 100.0
        return float((1.0 + rate) ** n) if self.compound else max(1.0 + rate * n, 0.0)

    def scaled(self) -> ScaleVms:
        """The same as factors."""
        cpu, memory = self.ratio(self.cpu_percent), self.ratio(self.memory_percent)
        return ScaleVms(
            vms=self.vms, where=self.where, cpu_ratio=cpu, memory_ratio=memory,
            dirty_rate_ratio=self.ratio(self.dirty_rate_percent), vcpu_ratio=self.ratio(self.vcpu_percent),
            disk_ratio=self.ratio(self.disk_percent),
            cpu_reservation_ratio=cpu if self.reservations else 1.0,
            memory_reservation_ratio=memory if self.reservations else 1.0,
        )  # fmt: skip


class Noise(Selecting):
    """Uncertain load: each VM's demand times a factor of mean 1 that is drawn for it, never negative.

    cpu_std, memory_std, dirty_rate_std : standard deviation of the factor of CPU demand (and its history), of active
        and consumed memory (at most what is configured), of the dirty rate.
    dist : `lognormal`, or `gamma` with the same mean and standard deviation.
    correlation : of the VMs of one application, in the normal scores that the factors are drawn from (a Gaussian
        copula); 0 for none, 1 where they rise and fall together.
    by : a regular expression whose first group is the application in a VM's name; where not given, the name without
        the number at its end. seed : of the draw.
    """

    do: Literal["noise"] = "noise"
    vms: Names = "*"
    cpu_std: Share = 0.0
    memory_std: Share = 0.0
    dirty_rate_std: Share = 0.0
    dist: Literal["lognormal", "gamma"] = "lognormal"
    correlation: Annotated[float, Field(ge=0, le=1)] = 0.0
    by: str = ""
    seed: Annotated[int, Field(ge=0)] = 0


class SetColumn(Selecting):
    """One value for a column of some rows.

    rows : names or patterns in the first key column of the table, such as VMs for `vms` and `disks`.
    value : "" for an empty cell, which means the column's default.
    """

    do: Literal["set"] = "set"
    table: str
    rows: Names = ()
    column: str
    value: bool | int | float | str


class SetLink(Part):
    """New figures for the link between two nodes; one that is not there is added.

    bandwidth_ratio : factor on what it has today, instead of `bandwidth_mbps`.
    new_node : whether one end may be a switch that nothing names yet.
    """

    do: Literal["link"] = "link"
    a: str
    b: str
    bandwidth_mbps: Ratio | None = None
    bandwidth_ratio: Ratio | None = None
    latency_ms: Annotated[float, Field(ge=0)] | None = None
    loss_ratio: Annotated[float, Field(ge=0, lt=1)] | None = None
    shared_mbps: Annotated[float, Field(ge=0)] | None = None
    new_node: bool = False


class CutLink(Part):
    """A link that is there no more."""

    do: Literal["cut-link"] = "cut-link"
    a: str
    b: str


class AddRule(Part):
    """One more rule, with the fields of a [[rule]] table in rules.toml."""

    do: Literal["add-rule"] = "add-rule"
    rule: dict[str, Any]


class DropRules(Part):
    """Rules that do not hold any more, by name (by type where they have none)."""

    do: Literal["drop-rules"] = "drop-rules"
    rules: Names


class SetRules(Part):
    """Other values for fields of some rules, by name (by type where they have none)."""

    do: Literal["set-rules"] = "set-rules"
    rules: Names
    fields: dict[str, Any]


class SetPolicy(Part):
    """Parts of a policy, as in policy.toml, that take the place of what is there; the rest stays."""

    do: Literal["policy"] = "policy"
    policy: dict[str, Any]


Change = Annotated[
    AddHosts | AddVms | DropHosts | ReplaceHosts | DropVms | OnlyClusters | ScaleVms | Grow | Noise | SetColumn
    | SetLink | CutLink | AddRule | SetRules | DropRules | SetPolicy,
    Field(discriminator="do"),
]  # fmt: skip
"""Any change, told apart by `do`."""

KINDS: Mapping[str, type[Part]] = {
    kind.model_fields["do"].default: kind
    for kind in (AddHosts, AddVms, DropHosts, ReplaceHosts, DropVms, OnlyClusters, ScaleVms, Grow, Noise, SetColumn,
                 SetLink, CutLink, AddRule, SetRules, DropRules, SetPolicy)
}  # fmt: skip
"""The kinds of changes by their `do`."""
