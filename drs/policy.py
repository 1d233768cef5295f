"""What an administrator wants besides the rules: goals in order, limits, the cost model, the trigger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from drs.goals import Balance, Goal, Moves
from drs.planning.limits import Concurrency

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
    """When the automatic mode acts (`drs.trigger`).

    imbalance_ratio : act when a cluster's imbalance exceeds its target by this factor.
    host_load_ratio : act when a host's load over capacity exceeds this.
    hold_n : for so many snapshots in a row; cool_down_s : not sooner than this after the last plan.
    stable_s : how long the load is taken to stay as it is: a plan must gain more than it costs within it.
    """

    imbalance_ratio: float = 1.0
    host_load_ratio: float = 0.9
    hold_n: int = 2
    cool_down_s: float = 900.0
    stable_s: float = 3600.0


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
    profile: str = "vmware"
    migration_scope: MigrationScope = "cluster"
    storage_moves: bool = False
