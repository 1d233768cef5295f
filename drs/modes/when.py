"""When the migrations of a plan may run: the time that is asked for, and the hours that the policy freezes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from drs.errors import Fault
from drs.model import Snapshot
from drs.model.selector import entries
from drs.options import Options
from drs.planning.pricing import Leg
from drs.planning.windows import Floats, Hours, Times, daily, opening
from drs.problem.policy import Policy
from drs.rules.selecting import select_hosts, select_vms, selector_faults
from drs.words import days_of_week, hours_of_day, seconds

FROZEN_DAYS = 35
"""So many days ahead frozen hours are known; no plan is that long."""


@dataclass(frozen=True)
class When:
    """The time of a plan; positions of VMs and hosts are the keys, spans are seconds from its start.

    begins : when it starts, None for whenever it is approved. within_s : it ends by then, inf for no matter when.
    """

    begins: datetime | None = None
    within_s: float = math.inf
    forbidden: Mapping[int, Hours] = field(default_factory=dict)
    forbidden_hosts: Mapping[int, Hours] = field(default_factory=dict)
    deadline_s: float | None = None
    priorities: Mapping[int, float] = field(default_factory=dict)
    """The higher restart priority first, where time is short and the policy has classes."""

    @property
    def limited(self) -> bool:
        """Whether there is no time for every plan."""
        return math.isfinite(self.within_s) or bool(self.forbidden) or bool(self.forbidden_hosts)

    def never(self, price_s: Floats) -> list[int]:
        """The VMs that find no time for a migration as long as its price, f8[n_vms], wherever they go."""
        times = Times(self.within_s, self.forbidden)
        return [
            vm
            for vm in range(len(price_s))
            if (vm in self.forbidden or price_s[vm] > self.within_s)
            and math.isinf(times.starts_at(Leg(vm, -1, -1), float(price_s[vm])))
        ]

    def sentence(self) -> str:
        """The time in words, empty where there is nothing to say."""
        if self.begins is None:
            return f"The plan has {seconds(self.within_s)}." if math.isfinite(self.within_s) else ""
        said = f"The plan starts at {self.begins:%Y-%m-%d %H:%M}"
        if not math.isfinite(self.within_s):
            return f"{said}."
        end = self.begins + timedelta(seconds=self.within_s)
        return f"{said} and ends by {end:%Y-%m-%d %H:%M}, {seconds(self.within_s)} later."


NOT_FROZEN = "recover"
"""The mode in which no hour is frozen: hosts are lost, and their VMs wait for room."""


def when(snapshot: Snapshot, policy: Policy, options: Options, mode: str = "") -> When:
    """The time of a plan that is asked for; `mode` as of `drs.advise`."""
    frozen = () if mode == NOT_FROZEN else policy.windows.freeze
    within_s = math.inf if options.within_s is None else options.within_s
    if not (options.between or options.start or frozen):
        hurry = math.isfinite(within_s) or options.deadline_s is not None
        first = _by_restart(snapshot, policy) if hurry else {}
        return When(None, within_s, deadline_s=options.deadline_s, priorities=first)
    begins = datetime.fromisoformat(options.start) if options.start else datetime.now().replace(microsecond=0)
    if options.between:
        wait_s, open_s = opening(begins, *hours_of_day(options.between))
        begins += timedelta(seconds=wait_s)
        within_s = min(within_s, open_s)
    of_vms: dict[int, list[tuple[float, float]]] = {}
    of_hosts: dict[int, list[tuple[float, float]]] = {}
    for each in frozen:
        spans = daily(begins, *hours_of_day(each.between), FROZEN_DAYS, days_of_week(each.days))
        named = bool(entries(each.vms)) or bool(entries(each.hosts))
        for vm in select_vms(each.vms, snapshot) if named else range(snapshot.n_vms):
            of_vms.setdefault(int(vm), []).extend(spans)
        for host in select_hosts(each.hosts, snapshot):
            of_hosts.setdefault(int(host), []).extend(spans)
    return When(begins, within_s, of_vms, of_hosts, options.deadline_s, _by_restart(snapshot, policy))


def _by_restart(snapshot: Snapshot, policy: Policy) -> dict[int, float]:
    """The restart class of each VM as a priority, higher first; empty where all are of one class."""
    rank = policy.restart.rank(snapshot)
    return {vm: float(-which) for vm, which in enumerate(rank.tolist())} if np.ptp(rank) > 0 else {}


def when_faults(snapshot: Snapshot, policy: Policy) -> Iterator[Fault]:
    """A fault for each name of the frozen hours that is not there."""
    for number, each in enumerate(policy.windows.freeze, start=1):
        where = f"policy, [[windows.freeze]] {number}, field"
        if entries(each.vms):
            yield from selector_faults(f"{where} vms", each.vms, snapshot.vms, "VM")
        if entries(each.hosts):
            yield from selector_faults(f"{where} hosts", each.hosts, snapshot.hosts, "host")
