"""What an administrator wants besides the rules: goals in order, limits, the cost model, the trigger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from drs.goals import Balance, Goal, Moves
from drs.model import Snapshot
from drs.planning.limits import Concurrency
from drs.rules.base import Selector, select_vms

MigrationScope = Literal["cluster", "vcenter", "any"]


@dataclass(frozen=True)
class Limits:
    """What a plan may cost.

    max_moves : VMs that may move, None for no limit.
    max_migration_s : a VM whose migration is estimated to last longer stays where it is.
    max_downtime_ms : the same for its downtime; a VM's own `downtime_budget_ms` counts as well.
    """

    max_moves: int | None = None
    max_migration_s: float | None = None
    max_downtime_ms: float | None = None


@dataclass(frozen=True)
class Trigger:
    """When the automatic mode acts (`drs.automatic.trigger`).

    imbalance_ratio : act when a cluster's imbalance exceeds its target by this factor.
    host_load_ratio : act when a host's load over capacity exceeds this.
    hold_n : for so many snapshots in a row; cool_down_s : not sooner than this after the last plan.
    release_ratio : once alarmed, stay so until the figure is below this share of its threshold (hysteresis).
    stable_s : how long the load is taken to stay as it is, at most: a plan must gain more than it costs
        within it.
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
    disabled : VMs that are not restarted at all.
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

    max_load_ratio : load of a host's cpu and memory above which it needs help, so a host is woken. DPM's
        default range is 63 % with 18 % on either side.
    reserve_hosts : host failures that the hosts left on must survive; a cluster's `ha_failover_hosts` where
        not given.
    """

    max_load_ratio: float = 0.81
    reserve_hosts: int | None = None


@dataclass(frozen=True)
class StorageBalance:
    """When disks move between datastores; the defaults are those of Storage DRS.

    space_ratio : use of a datastore above which disks leave it. min_difference_ratio : how much fuller than
        the destination the source must be. latency_ms : latency above which load leaves a datastore.
    together : a VM's disks that share a datastore stay on one.
    """

    space_ratio: float = 0.8
    min_difference_ratio: float = 0.05
    latency_ms: float = 15.0
    together: bool = True


@dataclass(frozen=True)
class Policy:
    """Goals in order (repair and `soft` rules always come before them) and what bounds the plan.

    migration_scope : how far a VM may move; `cluster` is where DRS works.
    storage_moves : whether a VM may go where its datastores are not visible, its disks moving along.
    profile : cost-model profile of `drs.precopy`.
    """

    goals: Sequence[Goal] = (Balance(), Moves())
    limits: Limits = field(default_factory=Limits)
    concurrency: Concurrency = field(default_factory=Concurrency)
    trigger: Trigger = field(default_factory=Trigger)
    restart: Restart = field(default_factory=Restart)
    power: Power = field(default_factory=Power)
    storage: StorageBalance = field(default_factory=StorageBalance)
    profile: str = "vmware"
    migration_scope: MigrationScope = "cluster"
    storage_moves: bool = False
