"""How many host failures a cluster survives, proven by looking at every combination that matters.

A combination of failed hosts is survived when every running VM of those hosts can be restarted on the hosts
that remain: each where the rules on single VMs allow it, within the capacity rules, and without two VMs of a
hard keep-apart group on one host. The VMs that still run stay where they are: this is what vSphere HA can do
by itself, without waiting for DRS to make room.

Proof without looking at each combination: whatever survives the failure of more hosts survives the failure of
some of them, for a restart plan of the larger failure restarts the VMs of the smaller one too, on hosts that
both leave alone. So hosts are put in blocks; if the cluster survives the loss of whole blocks, all
combinations within them are proven at once, and only blocks that are too much to lose are split. A restart
plan is sought greedily, the hardest VMs first; where that fails on a single combination, the exact solver
has the last word.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from drs import solvers
from drs.errors import Fault, InputError, UnknownNameError
from drs.problem import Problem
from drs.rules import Rule
from drs.rules.local_devices import irreplaceable
from drs.stop import Run, Stop
from drs.terms import Allowed, AtMost, Capacity, Level, Lowered, Term, Unplaced, Wall, Weighted
from drs.terms.base import Bools, Floats, Ints
from drs.words import some

FailureScope = Literal["host", "rack", "site"]
EXACT_S = 2.0
"""Time for the exact solver on one combination."""


@dataclass(frozen=True)
class Stranding:
    """A combination of failures that is not survived, and the VMs that cannot restart."""

    failed: tuple[str, ...]
    hosts: tuple[str, ...]
    vms: tuple[str, ...]
    n_vms: int
    proven: bool
    """Whether the exact solver proved that no restart plan exists."""


@dataclass(frozen=True)
class Admission:
    """The failures that one cluster survives.

    survives : this many failures, any of them. wanted : `ha_failover_hosts`. asked : how many were looked at.
    worst : the smallest combination that is not survived. n_combinations : of the sizes looked at; n_tests :
        restart plans that the proof needed. complete : False when the time was up; `survives` is then what
        was proven so far. unprotected : VMs with local devices, which restart nowhere and are not counted.
    """

    cluster: str
    scope: FailureScope
    n_hosts: int
    survives: int
    wanted: int
    asked: int
    worst: Stranding | None
    n_combinations: int
    n_tests: int
    complete: bool = True
    unprotected: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the failures that the cluster is to tolerate are survived."""
        return self.survives >= min(self.wanted, self.asked)

    def sentences(self) -> list[str]:
        """In words."""
        what = self.scope + ("s" if self.survives != 1 else "")
        line = f"{self.cluster}: survives the loss of any {self.survives} {what} of {self.n_hosts}"
        line += f" ({self.n_combinations:,} combinations proven with {self.n_tests:,} restart plans)"
        if self.wanted and self.scope == "host":
            line += f"; {self.wanted} wanted" + ("" if self.holds else ", NOT met")
        lines = [line]
        if self.worst is not None:
            verb = "cannot" if self.worst.proven else "found no way to"
            lines.append(
                f"{self.cluster}: when {some(self.worst.failed)} fail{'s' * (len(self.worst.failed) == 1)}, "
                f"{len(self.worst.vms)} of {self.worst.n_vms} VMs {verb} restart: {some(self.worst.vms, 12)}"
            )
        if self.unprotected:
            lines.append(
                f"{self.cluster}: not protected, for they need their host's devices: {some(self.unprotected)}"
            )
        if not self.complete:
            lines.append(
                f"{self.cluster}: not all combinations of {self.survives + 1} were looked at in time"
            )
        return lines


@dataclass(frozen=True)
class AdmissionReport:
    """The verdict on every cluster."""

    clusters: tuple[Admission, ...]

    @property
    def holds(self) -> bool:
        """Whether every cluster survives what it is to tolerate."""
        return all(each.holds for each in self.clusters)

    def sentences(self) -> list[str]:
        """In words."""
        return [line for each in self.clusters for line in each.sentences()]


def admission(
    problem: Problem,
    failures: int | None = None,
    *,
    cluster: str | Collection[str] = "",
    scope: FailureScope = "host",
    time_s: float = 30.0,
    host_idx: Ints | None = None,
    usable: Bools | None = None,
    stop: Stop | None = None,
) -> AdmissionReport:
    """How many failures each cluster survives, looking at up to `failures` of them.

    Parameters
    ----------
    failures : combinations of up to so many; where not given, one more than each cluster's
        `ha_failover_hosts` (at least 1, at most 3).
    cluster : only this one, or these.
    scope : what fails at once: a host, all hosts of a rack, all of a site.
    host_idx : another placement than today's, i4[n_vms].
    usable : the hosts that are on, bool[n_hosts]; the connected ones where not given.
    stop : a budget of the caller's in place of `time_s`.

    Raises
    ------
    UnknownNameError : for a cluster that is not there.
    """
    snapshot = problem.snapshot
    names = [cluster] if isinstance(cluster, str) and cluster else list(cluster)
    for name in names:
        if name not in snapshot.clusters.position:
            raise UnknownNameError.of("cluster", name, snapshot.clusters.position, "cluster")
    if failures is not None and not 1 <= failures <= 8:
        raise InputError(Fault("failures", str(failures), "a number of failures from 1 to 8"))
    if scope not in ("host", "rack", "site"):
        raise UnknownNameError.of("scope", scope, ("host", "rack", "site"), "scope")
    found = []
    whole = Run.begin(time_s, None, 0, stop).stop
    wanted = [
        c for c in range(len(snapshot.clusters)) if not names or str(snapshot.clusters.name[c]) in names
    ]
    limits = _limits(problem) if wanted else []
    for number, which in enumerate(wanted):
        case = _Case(problem, limits, which, scope, host_idx, usable)
        # From here on: what was made ready counts for all that follows.
        least_s = 0.5 if stop is None else 0.0
        case.stop = whole.followed_by(max(least_s, whole.remaining_s / (len(wanted) - number)))
        if case.units:
            k = int(snapshot.clusters.ha_failover_hosts[which])
            asked = min(3, k + 1) if failures is None else failures
            found.append(case.admission(asked, k))
    return AdmissionReport(tuple(found))


def _limits(problem: Problem) -> list[tuple[Rule, Term]]:
    """The limits that a restart has to keep."""
    rules = [rule for rule in problem.rules_in_force if rule.policy != "soft" and rule.items == "vms"]
    return [(rule, term) for rule in rules if rule.binds_restarts for term in rule.lower(problem.snapshot)]


class _Case:
    """One cluster, ready to be asked about failures."""

    def __init__(
        self, problem: Problem, limits: Sequence[tuple[Rule, Term]], cluster: int, scope: FailureScope,
        host_idx: Ints | None, usable: Bools | None,
    ) -> None:  # fmt: skip
        self.problem, self.scope = problem, scope
        snapshot = self.snapshot = problem.snapshot
        self.cluster = str(snapshot.clusters.name[cluster])
        self.home: Ints = np.asarray(snapshot.vms.host_idx if host_idx is None else host_idx)
        on = (snapshot.hosts.state == "connected") if usable is None else np.asarray(usable)
        inside = on & (snapshot.hosts.cluster_idx == cluster)
        self.inside = inside
        labels = snapshot.hosts.name if scope == "host" else getattr(snapshot.hosts, scope)
        self.units = [
            (str(label), np.flatnonzero(inside & (labels == label)))
            for label in sorted(set(labels[inside].tolist()) - {""})
        ]
        # Restarted VMs do not leave their cluster, whatever the policy says of migrations.
        self.reach = inside
        self.capacities: list[tuple[str, Floats, Floats]] = []
        masks: list[Allowed] = []
        groups: list[tuple[Ints, Floats]] = []
        every_host = np.arange(snapshot.n_hosts)
        for rule, term in limits:
            if isinstance(term, Allowed):
                masks.append(term)
            elif isinstance(term, Capacity) and term.when != "at_once":
                use = np.bincount(
                    self.home[self.home >= 0],
                    weights=term.demand[self.home >= 0],
                    minlength=snapshot.n_hosts,
                )
                self.capacities.append((rule.label, term.demand, term.limit - use))
            elif (
                isinstance(term, AtMost) and rule.policy == "hard" and np.array_equal(term.domain, every_host)
            ):
                groups.append((term.items, term.limit))
        self.masks, self.groups = masks, groups
        self.groups_of: dict[int, list[int]] = {}
        for g, (items, _) in enumerate(groups):
            for vm in items.tolist():
                self.groups_of.setdefault(vm, []).append(g)
        self.count = [
            np.bincount(self.home[items][self.home[items] >= 0], minlength=snapshot.n_hosts)
            for items, _ in groups
        ]
        # Devices are lost with their host: where nobody says how many others have, such VMs are not protected.
        self.tied = irreplaceable(snapshot)
        mine = self.tied & snapshot.vms.on & (self.home >= 0) & inside[np.maximum(self.home, 0)]
        self.unprotected = tuple(str(name) for name in snapshot.vms.name[mine])
        self.n_tests = 0
        self.timed_out = False
        self.stop = Run().stop
        self._rows: dict[int, Bools] = {}

    def row(self, vm: int) -> Bools:
        """Hosts of the cluster where a VM may start, bool[n_hosts]."""
        if vm not in self._rows:
            row = self.reach.copy()
            for term in self.masks:
                row &= term.mask[term.class_idx[vm]]
            self._rows[vm] = row
        return self._rows[vm]

    def lost_vms(self, hosts: NDArray[np.intp]) -> list[int]:
        """The running VMs of some hosts that can be restarted at all, the hardest first."""
        vms = np.flatnonzero(np.isin(self.home, hosts) & self.snapshot.vms.on & ~self.tied)
        size = np.zeros(len(vms))
        for _, demand, free in self.capacities:
            room = float(np.maximum(free[self.reach], 0.0).mean()) if self.reach.any() else 0.0
            size = np.maximum(size, demand[vms] / max(room, 1e-9))
        grouped = np.array([vm in self.groups_of for vm in vms.tolist()], dtype=bool)
        options = np.array([int(self.row(int(vm)).sum()) for vm in vms.tolist()])
        return [int(vm) for vm in vms[np.lexsort((vms, -size, ~grouped, options))]]

    def greedy(self, hosts: NDArray[np.intp]) -> list[int]:
        """The VMs that a greedy restart plan leaves out; [] proves that the loss is survived."""
        self.n_tests += 1
        vms = self.lost_vms(hosts)
        alive = self.reach.copy()
        alive[hosts] = False
        if not alive.any():
            return vms
        for _, demand, free in self.capacities:
            if demand[vms].sum() > np.maximum(free[alive], 0.0).sum() * (1 + 1e-9):
                return vms
        free_now = [free.copy() for _, _, free in self.capacities]
        count = [each.copy() for each in self.count]
        scale = [max(float(np.maximum(free[alive], 0).max()), 1e-9) for free in free_now]
        left = []
        for vm in vms:
            fits = self.row(vm) & alive
            for (_, demand, _), free in zip(self.capacities, free_now, strict=True):
                if demand[vm] > 0:
                    fits &= free >= demand[vm] * (1 - 1e-9)
            for g in self.groups_of.get(vm, ()):
                fits &= count[g] < self.groups[g][1]
            at = np.flatnonzero(fits)
            if not len(at):
                left.append(vm)
                continue
            # The host that is left with most room in its scarcest resource.
            room = np.full(len(at), np.inf)
            for (_, demand, _), free, unit in zip(self.capacities, free_now, scale, strict=True):
                room = np.minimum(room, (free[at] - demand[vm]) / unit)
            host = int(at[np.argmax(room)])
            for (_, demand, _), free in zip(self.capacities, free_now, strict=True):
                free[host] -= demand[vm]
            for g in self.groups_of.get(vm, ()):
                count[g][host] += 1
        return left

    def exact(self, hosts: NDArray[np.intp]) -> tuple[bool | None, list[int]]:
        """The exact solver's word on one combination: survived or not (None: not known), and who is left."""
        vms = np.array(self.lost_vms(hosts), dtype=np.int32)
        alive = self.reach.copy()
        alive[hosts] = False
        bins = np.flatnonzero(alive)
        if not len(bins):
            return False, vms.tolist()
        none = [int(vm) for vm in vms if not (self.row(int(vm)) & alive).any()]
        walls: list[Wall] = []
        rows = np.array([self.row(int(vm))[bins] for vm in vms], dtype=bool).reshape(len(vms), len(bins))
        walls.append(Wall(Allowed(np.arange(len(vms), dtype=np.int32), rows), "allowed"))
        for label, demand, free in self.capacities:
            walls.append(Wall(Capacity(label, demand[vms], np.maximum(0.0, free[bins])), label))
        at = {int(vm): i for i, vm in enumerate(vms.tolist())}
        every = np.arange(len(bins), dtype=np.int32)
        for (items, limit), count in zip(self.groups, self.count, strict=True):
            mine = np.array([at[vm] for vm in items.tolist() if vm in at], dtype=np.int32)
            if len(mine):
                walls.append(Wall(AtMost(mine, every, np.maximum(0.0, limit[bins] - count[bins])), "apart"))
        start = np.full(len(vms), -1, dtype=np.int32)
        placed = Level("placed", (Weighted(Unplaced(np.ones(len(vms)))),), unit="VMs", role="placed")
        lowered = Lowered(len(vms), len(bins), start, tuple(walls), (placed,))
        part = self.stop.followed_by(max(0.2, min(EXACT_S, self.stop.remaining_s)))
        answer = solvers.find("cpsat")(lowered, start, Run(part))
        left = [int(vms[i]) for i in np.flatnonzero(answer.assign < 0)]
        if not left:
            return True, []
        proven = bool(none) or float(answer.bounds[0]) > 1e-6
        return (False if proven else None), left

    def admission(self, asked: int, wanted: int) -> Admission:
        """Failures of 1, 2, ... units, until one combination is not survived."""
        n, survives, worst, total = len(self.units), 0, None, 0
        complete = True
        for k in range(1, min(asked, n) + 1):
            failing = self.search(k)
            total += math.comb(n, k)
            if failing is not None:
                worst = failing
                break
            if self.timed_out:
                complete = False
                break
            survives = k
        return Admission(
            self.cluster,
            self.scope,
            n,
            survives,
            wanted,
            asked,
            worst,
            total,
            self.n_tests,
            complete,
            self.unprotected,
        )

    def search(self, k: int) -> Stranding | None:
        """A combination of k units that is not survived; None when all are (or the time is up)."""
        # Full hosts first: the worst combination is found early, and blocks hold hosts that are alike.
        weight = [len(self.lost_vms(hosts)) for _, hosts in self.units]
        order = sorted(range(len(self.units)), key=lambda u: (-weight[u], u))
        doubtful: Stranding | None = None
        stack: list[tuple[tuple[tuple[int, ...], int], ...]] = [((tuple(order), k),)]
        while stack:
            if self.stop.remaining_s <= 0:
                self.timed_out = True
                return doubtful
            node = stack.pop()
            chosen = [unit for block, _ in node for unit in block]
            hosts = np.concatenate([self.units[unit][1] for unit in chosen])
            single = len(chosen) == k
            if single or len(hosts) <= 0.7 * self.reach.sum():
                left = self.greedy(hosts)
                if not left:
                    continue
                if single:
                    survived, stranded = self.exact(hosts)
                    if survived:
                        continue
                    found = self._stranding(chosen, hosts, stranded, survived is False)
                    if found.proven:
                        return found
                    doubtful = doubtful or found
                    continue
            stack.extend(reversed(list(_split(node))))
        return doubtful

    def _stranding(
        self, units: Sequence[int], hosts: NDArray[np.intp], left: Sequence[int], proven: bool
    ) -> Stranding:
        names = self.snapshot.vms.name
        return Stranding(
            tuple(sorted(self.units[unit][0] for unit in units)),
            tuple(str(self.snapshot.hosts.name[host]) for host in hosts),
            tuple(sorted(str(names[vm]) for vm in left)),
            len(self.lost_vms(hosts)),
            proven,
        )


def _split(
    node: tuple[tuple[tuple[int, ...], int], ...],
) -> Iterator[tuple[tuple[tuple[int, ...], int], ...]]:
    """A node halved at its largest block of which not all units fail, the failures dealt out in all ways."""
    open_ = [i for i, (block, k) in enumerate(node) if len(block) > k]
    which = max(open_, key=lambda i: len(node[i][0]))
    block, k = node[which]
    half = (len(block) + 1) // 2
    first, second = block[:half], block[half:]
    rest = node[:which] + node[which + 1 :]
    for in_first in range(min(k, len(first)), -1, -1):
        in_second = k - in_first
        if in_second > len(second):
            continue
        parts = tuple(part for part in ((first, in_first), (second, in_second)) if part[1] > 0)
        yield (*rest, *parts)
