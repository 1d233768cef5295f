"""What an administrator wants besides the rules: goals in order, limits, the cost model, the trigger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from drs.goals import Balance, Goal, Moves
from drs.model import Snapshot
from drs.model.demand import Memory
from drs.model.selector import Selector
from drs.planning.limits import Concurrency
from drs.precopy import Profile, profile
from drs.rules.selecting import select_vms

CongestionControl = Literal["reno", "cubic", "bbr"]
MigrationScope = Literal["cluster", "vcenter", "any"]


@dataclass(frozen=True)
class Limits:
    """What a plan may cost.

    max_moves : so many VMs move at most; no limit where not given.
    max_migration_s : a VM whose migration is estimated to last longer stays where it is.
    max_downtime_ms : a VM whose downtime is estimated to be longer stays where it is; the VM's own
        `downtime_budget_ms` counts as well.
    """

    max_moves: int | None = None
    max_migration_s: float | None = None
    max_downtime_ms: float | None = None


@dataclass(frozen=True)
class Trigger:
    """When the automatic mode acts (`drs.automatic.trigger`).

    imbalance_ratio : drs acts when a cluster's imbalance exceeds its target by this factor.
    host_load_ratio : drs acts when a host's load over capacity exceeds this.
    hold_n : the threshold must be exceeded in so many snapshots in a row.
    cool_down_s : drs does not act sooner than this after the last plan.
    release_ratio : the alarm ends when the figure is below this share of its threshold (hysteresis).
    stable_s : the load is taken to stay as it is for so long at most; a plan must gain more than it costs
        within this time.
    """

    imbalance_ratio: float = 1.0
    host_load_ratio: float = 0.9
    hold_n: int = 2
    cool_down_s: float = 900.0
    stable_s: float = 3600.0
    release_ratio: float = 0.9


@dataclass(frozen=True)
class Restart:
    """In which order VMs come up again when hosts are lost; the classes are those of vSphere HA.

    A VM that no class names is `medium`; one that several name belongs to the first of them.

    highest : VMs that restart first.
    high : VMs that restart after them.
    medium : VMs that restart in the middle, with all that no class names.
    low : VMs that restart after those.
    lowest : VMs that restart last.
    disabled : VMs that do not restart at all.
    """

    NAMES: ClassVar[tuple[str, ...]] = ("highest", "high", "medium", "low", "lowest")
    highest: Selector = ()
    high: Selector = ()
    medium: Selector = ()
    low: Selector = ()
    lowest: Selector = ()
    disabled: Selector = ()

    def rank(self, snapshot: Snapshot) -> NDArray[np.int32]:
        """The class of each VM, i4[n_vms]: a position in `NAMES`."""
        rank = np.full(snapshot.n_vms, -1, dtype=np.int32)
        for position, name in enumerate(self.NAMES):
            named = select_vms(getattr(self, name), snapshot)
            rank[named[rank[named] < 0]] = position
        return np.where(rank < 0, self.NAMES.index("medium"), rank).astype(np.int32)

    def disabled_vms(self, snapshot: Snapshot) -> NDArray[np.bool_]:
        """The VMs that are not restarted, bool[n_vms]."""
        off = np.zeros(snapshot.n_vms, dtype=np.bool_)
        off[select_vms(self.disabled, snapshot)] = True
        return off


@dataclass(frozen=True)
class Power:
    """How mode `consolidate` saves power.

    max_load_ratio : a host whose load of cpu or memory is above this needs help, so another host is woken.
        DPM's default range is 63 % with 18 % on either side.
    reserve_hosts : host failures tolerated by the hosts that stay on; a cluster's `ha_failover_hosts` where
        not given.
    """

    max_load_ratio: float = 0.81
    reserve_hosts: int | None = None


@dataclass(frozen=True)
class StorageBalance:
    """When disks move between datastores; the defaults are those of Storage DRS.

    space_ratio : disks leave a datastore that is fuller than this.
    min_difference_ratio : the source must be fuller than the destination by this share of their capacity.
    latency_ms : load leaves a datastore whose latency is above this.
    together : the disks of a VM that share a datastore today stay together.
    """

    space_ratio: float = 0.8
    min_difference_ratio: float = 0.05
    latency_ms: float = 15.0
    together: bool = True


@dataclass(frozen=True)
class Freeze:
    """Hours in which some VMs do not migrate, or nothing leaves or reaches some hosts; all VMs where none is named.

    between : the hours of the day, such as `08:00-18:00` or `22:00-06:00`, in the time of the start of the plan.
    vms : the VMs that do not migrate then, by name, pattern or list.
    hosts : the hosts that nothing leaves or reaches then, by name, pattern or list.
    days : the days of the week on which these hours begin, such as `mon-fri` or `sat, sun`; every day where
        not given.
    """

    between: str
    vms: Selector = ()
    hosts: Selector = ()
    days: str = ""


@dataclass(frozen=True)
class Windows:
    """When nothing may migrate. No migration starts that cannot end before such hours begin.

    freeze : tables `[[windows.freeze]]`, one for each span of hours.
    """

    freeze: Sequence[Freeze] = ()


@dataclass(frozen=True)
class Path:
    """What the cost model takes every path to be; what is not given is as its profile says.

    mtu_bytes : largest packet; the smallest of the links on the way where `links` has it.
    congestion_control : of the senders: reno, cubic or bbr; a link's own where `links` has it.
    streams : TCP streams of one migration.
    window_mib : socket buffer of one stream.
    """

    mtu_bytes: float | None = None
    congestion_control: CongestionControl | None = None
    streams: int | None = None
    window_mib: float | None = None


@dataclass(frozen=True)
class Policy:
    """Goals in order (repair and `soft` rules always come before them) and what bounds the plan.

    goals : the goals, the most important first.
    limits, concurrency, trigger, restart, power, storage, windows, path : the parts, each with its defaults.
    profile : the profile of the pre-copy model: a built-in name, or a fitted one. In `policy.toml` that is the
        name of a TOML file beside it, or a table `[profile.NAME]` with what such a file holds.
    migration_scope : how far a VM may move; DRS works within a `cluster`.
    storage_moves : whether a VM may go to a host that does not see its datastores; its disks then move too.
    memory : which memory of a VM counts for capacity, goals, the trigger and tables, where they say nothing else:
        `configured`, `active` (with 25 % of the idle consumed memory, as DRS taxes it) or `consumed`.
    """

    goals: Sequence[Goal] = (Balance(), Moves())
    limits: Limits = field(default_factory=Limits)
    concurrency: Concurrency = field(default_factory=Concurrency)
    trigger: Trigger = field(default_factory=Trigger)
    restart: Restart = field(default_factory=Restart)
    power: Power = field(default_factory=Power)
    storage: StorageBalance = field(default_factory=StorageBalance)
    windows: Windows = field(default_factory=Windows)
    path: Path = field(default_factory=Path)
    profile: str | Profile = "vmware"
    migration_scope: MigrationScope = "cluster"
    storage_moves: bool = False
    memory: Memory = "configured"

    @property
    def cost_profile(self) -> Profile:
        """The profile of the pre-copy model with what `path` changes.

        Raises
        ------
        InputError
            For a profile that cannot be read.
        """
        given = {name: value for name, value in vars(self.path).items() if value is not None}
        if "streams" in given:  # as many as are asked for, whatever the NIC
            given["fill_mbps"] = 0.0
        base = profile(self.profile)
        return base.with_(**given) if given else base
