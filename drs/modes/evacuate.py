"""Empty hosts, or a whole site, as before maintenance; other VMs move only where room has to be made.

The hosts count as in maintenance, and that no VM stays there is a hard rule: where a VM cannot leave, the
answer is `infeasible`, the blocking rules are named (`drs.explain.conflicts`), and the moves that are
possible all the same are in the plan. What else is in maintenance already is no part of the request and only reported.

With a target (hosts, clusters) VMs go there or stay; they may leave their cluster for it, and their disks move along
where no host of the target sees their datastores. VMs that are shut down with their host stay on it.

With a deadline the VMs of higher restart priority go first, as many as make it, and the report says which. A site
is left over the WAN: VMs may leave their cluster, their disks move along.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from drs.errors import Fault
from drs.model import Snapshot
from drs.model.changes import in_state
from drs.modes.base import Mode, hosts_meant, named, scope_of, site_faults, unknown
from drs.modes.targets import Target, among, crossing
from drs.options import Options
from drs.problem import Problem, Request
from drs.problem.policy import Policy
from drs.result import Result
from drs.rules import NotRunOn, Rule
from drs.rules.base import Judge
from drs.rules.host_state import HostState
from drs.terms import Allowed
from drs.terms.base import Bools
from drs.words import seconds, some

NAME = "evacuation"


@dataclass(frozen=True)
class StateElsewhere(HostState):
    """The built-in rule on host states, except that the rule `evacuation` speaks for some hosts.

    hosts : those; their VMs do not break this rule by being there.
    """

    hosts: tuple[str, ...] = ()

    def allowed(self, snapshot: Snapshot) -> Allowed | None:
        term = HostState.allowed(self, snapshot)
        if term is None:
            return None
        stay = np.array(term.stay if term.stay is not None else np.full(snapshot.n_vms, -1))
        mine = self._homes(snapshot)
        stay[mine] = snapshot.vms.host_idx[mine]
        return dataclasses.replace(term, stay=stay.astype(np.int32))

    def judge(self, snapshot: Snapshot) -> Judge:
        inner, mine = HostState.judge(self, snapshot), self._homes(snapshot)
        home = snapshot.vms.host_idx

        def why_not(vm: int, host: int) -> str:
            return "" if mine[vm] and home[vm] == host else inner(vm, host)

        return why_not

    def _homes(self, snapshot: Snapshot) -> np.ndarray:
        named = np.isin(snapshot.hosts.name, list(self.hosts))
        home = snapshot.vms.host_idx
        return (home >= 0) & named[np.maximum(home, 0)]


@dataclass(frozen=True)
class Evacuation:
    """What became of an evacuation.

    emptied : hosts that are empty after the plan. left : VM and host for those that stay.
    shut_down : VM and host for those that are shut down instead of moving, by the column `on_maintenance` or the
        option. done_s : when the last VM has left each host. deadline_s, in_time, too_late : with a deadline, which VMs
        have left by then.
    """

    hosts: tuple[str, ...]
    emptied: tuple[str, ...]
    left: tuple[tuple[str, str], ...]
    n_vms: int
    done_s: dict[str, float]
    deadline_s: float | None = None
    in_time: tuple[str, ...] = ()
    too_late: tuple[str, ...] = ()
    shut_down: tuple[tuple[str, str], ...] = ()

    def sentences(self) -> list[str]:
        """In words."""
        lines = [
            f"{host} is empty after {seconds(self.done_s.get(host, 0.0))} and can enter maintenance"
            for host in self.emptied[:20]
        ]
        if len(self.emptied) > 20:
            lines.append(f"and {len(self.emptied) - 20} more hosts")
        for host in self.hosts:
            down = [vm for vm, where in self.shut_down if where == host]
            if down:
                lines.append(f"to be shut down with {host}: {some(down, 20)}")
            stay = [vm for vm, where in self.left if where == host]
            if stay:
                lines.append(f"{host} cannot empty: {some(stay, 20)} of {self.n_vms} VMs stay")
        if self.deadline_s is not None:
            lines.append(
                f"by the deadline of {seconds(self.deadline_s)} {len(self.in_time)} of {self.n_vms} VMs are away"
            )
            if self.too_late:
                lines.append(f"too late, to be shut down or lost: {some(self.too_late, 20)}")
        return lines


def check(snapshot: Snapshot, policy: Policy, options: Options) -> Iterator[Fault]:
    """Names that mean nothing, no host or all of them, hosts of two sites, hosts that nothing can leave."""
    wrong = [*unknown("evacuate", options.evacuate, snapshot.hosts.position, "host"),
             *unknown("to_hosts", options.to_hosts, snapshot.hosts.position, "host"),
             *unknown("to_clusters", options.to_clusters, snapshot.clusters.position, "cluster"),
             *unknown("shut_down", options.shut_down, snapshot.vms.position, "VM"),
             *site_faults(snapshot, options.site)]  # fmt: skip
    if wrong:
        yield from wrong
        return
    there = set(hosts_meant(snapshot, (), options.site))
    beside = [host for host in hosts_meant(snapshot, options.evacuate) if host not in there]
    if there and beside:
        yield Fault("evacuate", f"{some(beside)} beside the site {options.site}", "hosts, or a site")
    hosts = _hosts(snapshot, options)
    if not hosts:
        yield Fault("evacuate", "no host", "the name of at least one host to empty")
    going, leaving = _going(snapshot, hosts)
    if leaving.any() and not ((snapshot.hosts.state == "connected") & ~going).any():
        yield Fault(
            "evacuate", f"all {int(going.sum())} usable hosts", "at least one connected host that stays"
        )
    to = among(snapshot, _target(snapshot, options))
    if _has_target(options) and not (to & (snapshot.hosts.state == "connected")).any():
        yield Fault("to_clusters" if options.to_clusters else "to_hosts", "no connected host that stays",
                    "at least one host that is not emptied")  # fmt: skip
    lost = going & (snapshot.hosts.state == "disconnected")
    if (leaving & lost[np.maximum(snapshot.vms.host_idx, 0)]).any():
        names = [str(name) for name in snapshot.hosts.name[lost]]
        yield Fault("evacuate", f"{some(names)}: disconnected", "hosts that can be reached",
                    "mode recover restarts VMs")  # fmt: skip


def _hosts(snapshot: Snapshot, options: Options) -> list[str]:
    """The hosts to empty: those asked for, else those in maintenance."""
    asked = hosts_meant(snapshot, options.evacuate, options.site)
    return asked or [str(name) for name in snapshot.hosts.name[snapshot.hosts.state == "maintenance"]]


def _going(snapshot: Snapshot, hosts: Sequence[str]) -> tuple[Bools, Bools]:
    """Which hosts empty, and which VMs are on them."""
    going = np.isin(snapshot.hosts.name, hosts)
    home = snapshot.vms.host_idx
    return going, (home >= 0) & going[np.maximum(home, 0)]


def _has_target(options: Options) -> bool:
    return bool(options.to_hosts or options.to_clusters)


def _target(snapshot: Snapshot, options: Options) -> list[str]:
    """The hosts that VMs are to go to, of those that are asked for: all that do not empty themselves."""
    clusters = [
        snapshot.clusters.position[name] for name in named(options.to_clusters, snapshot.clusters.position)
    ]
    inside = np.isin(snapshot.hosts.cluster_idx, clusters)
    found = named(options.to_hosts, snapshot.hosts.position)
    found += [str(name) for name in snapshot.hosts.name[inside]]
    emptied = set(_hosts(snapshot, options))
    return [host for host in dict.fromkeys(found) if host not in emptied]


def _shut_down(snapshot: Snapshot, options: Options, leaving: Bools) -> Bools:
    """Which of the VMs on these hosts are shut down with them, bool[n_vms]."""
    said = np.isin(snapshot.vms.name, named(options.shut_down, snapshot.vms.position))
    return np.asarray(leaving & snapshot.vms.on & (said | (snapshot.vms.on_maintenance == "shut-down")))


def pose(snapshot: Snapshot, rules: Sequence[Rule], policy: Policy, options: Options) -> Problem:
    """These hosts in maintenance, and no VM left on them as a hard rule."""
    hosts = _hosts(snapshot, options)
    going, leaving = _going(snapshot, hosts)
    taking = going.copy()
    if options.site:
        policy = dataclasses.replace(policy, migration_scope="any", storage_moves=True)
    asked: list[Rule] = []
    besides: list[Rule] = []
    vms = [str(name) for name in snapshot.vms.name[leaving & ~_shut_down(snapshot, options, leaving)]]
    if vms and _has_target(options):
        to = tuple(_target(snapshot, options))
        places = dict.fromkeys(vms, to)
        taking |= among(snapshot, to)
        asked.append(Target(name=NAME, policy="hard", places=places))
        crossed, policy = crossing(snapshot, rules, policy, places)
        besides += crossed
    elif vms:
        asked.append(NotRunOn(vms, hosts, name=NAME, policy="hard"))
    if leaving.any() and not any(rule.replaces == "host-state" for rule in rules):
        besides.append(StateElsewhere(hosts=tuple(hosts)))
    return Problem(
        in_state(snapshot, hosts, "maintenance"), rules, policy, Request(asked, besides, options.also),
        scope_of(snapshot, policy, options, taking),
    )  # fmt: skip


def report(result: Result, options: Options) -> Evacuation:
    """Which hosts are empty, which VMs stay, and who makes the deadline."""
    snapshot = result.snapshot
    hosts = _hosts(snapshot, options)
    _, leaving = _going(snapshot, hosts)
    home, after = snapshot.vms.host_idx, result.placement.host_idx
    if result.plan is not None:
        after = result.plan.placement.host_idx
    down = _shut_down(snapshot, options, leaving)
    stay = leaving & (after == home) & ~down
    left = tuple(
        (str(snapshot.vms.name[vm]), str(snapshot.hosts.name[home[vm]])) for vm in np.flatnonzero(stay)
    )
    blocked = {host for _, host in left}
    done: dict[str, float] = {}
    first_end: dict[str, float] = {}
    for move in result.plan.moves if result.plan else ():
        if move.from_host in hosts and move.from_host != move.to_host:
            done[move.from_host] = max(done.get(move.from_host, 0.0), move.end_s)
            first_end[move.vm] = max(first_end.get(move.vm, 0.0), move.end_s)
    in_time: tuple[str, ...] = ()
    too_late: tuple[str, ...] = ()
    if options.deadline_s is not None:
        in_time = tuple(vm for vm, end in first_end.items() if end <= options.deadline_s)
        late = [vm for vm, end in first_end.items() if end > options.deadline_s]
        too_late = (*late, *(vm for vm, _ in left))
    return Evacuation(
        tuple(hosts), tuple(host for host in hosts if host not in blocked), left, int(leaving.sum()), done,
        options.deadline_s, in_time, too_late,
        tuple((str(snapshot.vms.name[vm]), str(snapshot.hosts.name[home[vm]])) for vm in np.flatnonzero(down)),
    )  # fmt: skip


MODE = Mode(pose, check, report=report)
