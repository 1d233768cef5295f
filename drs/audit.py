"""What a proposed state makes worse than today, whoever proposes it: nothing leaves without it.

A solver is asked for one thing and keeps the rules; the audit asks what nobody asked for. It compares the end,
and each state on the way, with today: rules, configured memory and CPU demand of hosts, space of datastores,
the host failures that a cluster is to tolerate (`ha_failover_hosts`), reservations, CPU compatibility, and
VMs that no other host could take any more. Only what becomes worse is told. It reads facts and the rules' own
checks, never a solver's terms or its answer; the failures alone are proven by `drs.modes.admission`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from drs.model import Placement, Snapshot, cpu
from drs.model.changes import in_state
from drs.model.pools import reserved
from drs.model.space import used_gib
from drs.modes.admission import Admission, admission
from drs.planning import Move
from drs.problem import Problem
from drs.result import Finding, FindingKind
from drs.rules import Rule, Violation
from drs.rules.base import HostFilter
from drs.rules.capacity import HostCapacity
from drs.stop import Run, Stop
from drs.terms import Allowed, Capacity
from drs.terms.base import Bools, Floats, Ints
from drs.terms.limits import all_of, usage
from drs.words import some

FAILURES_S = 2.0
"""Time to prove which host failures are survived, for all clusters that a plan touches."""
WAY_S = 2.0
"""Time for the rules on groups of VMs, on the way of one plan."""
UNITS = {"cpu": "MHz", "memory": "MiB"}
RESERVED = {"cpu": "cpu_reservation_mhz", "memory": "memory_reservation_mib"}


def audit(
    problem: Problem,
    placement: Placement,
    *,
    today: Snapshot | None = None,
    rules: Sequence[Rule] | None = None,
    host_states: Mapping[str, str] | None = None,
    moves: Sequence[Move] = (),
    stop: Stop | None = None,
) -> tuple[Finding, ...]:
    """What differs from today for the worse, at the end and on the way.

    Parameters
    ----------
    problem : what was posed; its snapshot may hold other host states than today's, and other VMs.
    placement : where everything is at the end.
    today : the cluster as it is, the problem's snapshot where not given. Where the problem has VMs that it has
        not (new ones), the problem's snapshot stands for it.
    rules : those the user wrote, without what a mode added to the problem; all of them where not given.
    host_states : hosts that have another state at the end than in the problem.
    moves : the way there, in order.
    stop : the budget that the one for the proof of failures is a part of.
    """
    posed = problem.snapshot
    if today is None or today.n_vms != posed.n_vms or today.n_hosts != posed.n_hosts:
        today = posed
    case = _Case(problem, _in_force(problem, rules), today, placement, host_states or {})
    if case.unchanged:
        return ()
    at_end = [
        *case.rules_broken(),
        *case.overfull_hosts(),
        *case.overfull_datastores(),
        *case.reservations(),
        *case.stuck(),
        *case.failures(rules, stop),
    ]
    told = {(each.kind, each.about) for each in at_end}
    on_the_way = []
    for each in on_way(posed, case.rules, moves):
        if (each.kind, each.about) not in told:
            told.add((each.kind, each.about))
            on_the_way.append(each)
    return (*at_end, *on_the_way)


def _in_force(problem: Problem, rules: Sequence[Rule] | None) -> list[Rule]:
    """The user's rules and the built-in ones, but capacity, which is looked at here itself."""
    own = problem.rules if rules is None else rules
    added = [rule for rule in problem.rules if not any(rule is each for each in own)]
    return [
        rule
        for rule in problem.rules_in_force
        if not any(rule is each for each in added)
        and (rule.type != "capacity" or any(rule is each for each in own))
    ]


def _amounts(violations: Iterable[Violation]) -> float:
    return sum(violation.amount for violation in violations)


def audit_moves(problem: Problem, moves: Sequence[Move]) -> tuple[Finding, ...]:
    """What moves chosen by hand make worse than today, one after the other."""
    return tuple(on_way(problem.snapshot, _in_force(problem, None), moves))


class _Case:
    """Today beside the end."""

    def __init__(
        self,
        problem: Problem,
        rules: Sequence[Rule],
        today: Snapshot,
        placement: Placement,
        host_states: Mapping[str, str],
    ) -> None:
        self.problem, self.rules, self.today, self.placement = problem, rules, today, placement
        posed = problem.snapshot
        for state in set(host_states.values()):
            posed = in_state(posed, [host for host, each in host_states.items() if each == state], state)
        self.posed = posed
        """Hosts as they are at the end, VMs where they are today."""
        self.before = Placement.of(today)
        moved = placement.host_idx != today.vms.host_idx
        self.turned: Bools = posed.hosts.state != today.hosts.state
        copied = len(placement.datastore_idx) != len(today.disks) or bool(
            (placement.datastore_idx != today.disks.datastore_idx).any()
        )
        self.unchanged = not (moved.any() or self.turned.any() or copied)
        ends = np.concatenate([today.vms.host_idx[moved], placement.host_idx[moved]])
        self.touched: Bools = self.turned.copy()
        """Hosts that VMs leave or come to, or whose state changes."""
        self.touched[ends[ends >= 0]] = True

    def rules_broken(self) -> Iterator[Finding]:
        """Rules that are broken by more than today."""
        for rule in self.rules:
            after = list(rule.check(self.problem.snapshot, self.placement))
            if not after:
                continue
            was = list(rule.check(self.today, self.before))
            old, new = _amounts(was), _amounts(after)
            if new > old + 1e-3:
                known = {violation.sentence for violation in was}
                fresh = [v.sentence for v in after if v.sentence not in known] or [after[0].sentence]
                more = f" (and {len(fresh) - 1} more)" if len(fresh) > 1 else ""
                yield Finding("rule", rule.label, f"{rule.label}: {fresh[0]}{more}", None, old, new,
                              after[0].unit)  # fmt: skip

    def overfull_hosts(self) -> Iterator[Finding]:
        """Hosts whose VMs need more above their capacity than today."""
        names, n = self.posed.hosts.name, self.posed.n_hosts
        for resource in self.posed.resources:
            old = usage(self.before.host_idx, self.today.demand(resource), n)
            new = usage(self.placement.host_idx, self.posed.demand(resource), n)
            limit = _limit(self.posed, resource)
            for h in _risen(old, new, limit, _limit(self.today, resource)):
                yield _overfull(resource, str(names[h]), old[h], new[h], limit[h], None)

    def overfull_datastores(self) -> Iterator[Finding]:
        """Datastores with more above their capacity than today."""
        stores = self.posed.datastores
        old = used_gib(self.today, self.before)
        new = used_gib(self.posed, self.placement)
        for d in _risen(old, new, stores.capacity_gib, stores.capacity_gib):
            yield _no_space(str(stores.name[d]), old[d], new[d], stores.capacity_gib[d], None)

    def reservations(self) -> Iterator[Finding]:
        """Hosts and clusters in which more is reserved than there is, and more so than today."""
        end = self.placement.apply(self.posed)
        for resource, unit in UNITS.items():
            for reads, names in (
                (_reserved_on_hosts, self.posed.hosts.name),
                (_reserved_in_clusters, self.posed.clusters.name),
            ):
                old, there = reads(self.today, resource)
                new, limit = reads(end, resource)
                for i in _risen(old, new, limit, there):
                    yield Finding(
                        "reservation",
                        str(names[i]),
                        f"{names[i]}: {new[i]:,.0f} {unit} of {resource} are reserved and {limit[i]:,.0f} are there "
                        f"(today {old[i]:,.0f} of {there[i]:,.0f})",
                        None,
                        float(old[i]),
                        float(new[i]),
                        unit,
                    )

    def stuck(self) -> Iterator[Finding]:
        """VMs that another host could take today, and none at the end: by their CPU alone, or by all rules."""
        end = self.placement.apply(cpu.frozen(self.posed))
        today = cpu.frozen(self.today)
        filters = [rule for rule in self.rules if isinstance(rule, HostFilter) and rule.type != "pinned"]
        filters = [rule for rule in filters if rule.policy != "soft"]
        alone = end.vms.on & today.vms.on & (_elsewhere_by_cpu(today) > 0) & (_elsewhere_by_cpu(end) == 0)
        yield from self._stuck("evc", alone, "no other host of the cluster offers the CPU features of")
        held = end.vms.on & today.vms.on & ~alone
        if held.any():
            held &= (_elsewhere(end, filters) == 0) & (_elsewhere(today, filters) > 0)
        yield from self._stuck("immovable", held, "no other connected host could take")

    def _stuck(self, kind: FindingKind, which: Bools, what: str) -> Iterator[Finding]:
        """One finding for each cluster."""
        snapshot, host = self.posed, self.placement.host_idx
        which = which & (host >= 0)
        cluster = np.where(host >= 0, snapshot.hosts.cluster_idx[np.maximum(host, 0)], -1)
        for c in np.unique(cluster[which]).tolist():
            names = [str(name) for name in snapshot.vms.name[which & (cluster == c)]]
            about = str(snapshot.clusters.name[c])
            yield Finding(kind, about, f"{about}: {what} {some(names)}", None, 0.0, float(len(names)), "VMs")

    def failures(self, rules: Sequence[Rule] | None, stop: Stop | None) -> Iterator[Finding]:
        """Clusters that survive fewer of the host failures that they are to tolerate than today."""
        wanted = self.posed.clusters.ha_failover_hosts
        touched = np.unique(self.posed.hosts.cluster_idx[self.touched])
        clusters = [c for c in touched.tolist() if c >= 0 and wanted[c] > 0]
        if not clusters:
            return
        own = self.problem.rules if rules is None else tuple(rules)
        plain = self.problem
        if len(own) != len(plain.rules):  # without what a mode added
            plain = Problem(plain.snapshot, own, plain.policy)
        budget = (stop or Run().stop).followed_by(FAILURES_S)
        for k in np.unique(wanted[clusters]).tolist():
            names = [str(self.posed.clusters.name[c]) for c in clusters if wanted[c] == k]
            short = [each for each in self._survive(plain, k, names, True, budget) if each.survives < k]
            if not short:
                continue
            before = self._survive(
                plain, k, [each.cluster for each in short], False, budget.followed_by(FAILURES_S)
            )
            today = {each.cluster: each.survives for each in before}
            for each in short:
                name, then, now = each.cluster, each.survives, today.get(each.cluster, 0)
                if then >= now:
                    continue
                sentence = f"{name}: survives the loss of any {then} hosts, {k} wanted, today {now}"
                if not each.complete:
                    sentence = f"{name}: it was not proven in time that it survives the loss of any {k} hosts"
                elif each.worst is not None:
                    sentence += (
                        f"; without {some(each.worst.failed)} there is no room for {some(each.worst.vms)}"
                    )
                yield Finding("failures", name, sentence, None, float(now), float(then), "host failures")

    def _survive(
        self, problem: Problem, k: int, names: Sequence[str], end: bool, stop: Stop
    ) -> tuple[Admission, ...]:
        """The verdict on clusters, at the end or today."""
        snapshot, placement = (self.posed, self.placement) if end else (self.today, self.before)
        return admission(
            problem, k, cluster=names, host_idx=placement.host_idx, usable=snapshot.hosts.state == "connected",
            stop=stop,
        ).clusters  # fmt: skip


def on_way(snapshot: Snapshot, rules: Sequence[Rule], moves: Sequence[Move]) -> Iterator[Finding]:
    """What each move makes worse than today, in the state after it; only what the move touches is looked at.

    A rule that is kept again later is told too: the plan may end in between.
    """
    way = _Way(snapshot, rules)
    for move in moves:
        yield from way.take(move)
    if way.unseen:
        names = some(sorted({label for label, _ in way.unseen}))
        first = min(step for _, step in way.unseen)
        yield Finding(
            "rule", "", f"from step {first} on there was no time to look at every state for {names}", first, 0.0,
            0.0, "",
        )  # fmt: skip


class _Way:
    """The state after the moves so far, by sums that each move changes."""

    def __init__(self, snapshot: Snapshot, rules: Sequence[Rule]) -> None:
        self.snapshot = snapshot
        self.host = np.array(snapshot.vms.host_idx)
        self.store = np.array(snapshot.disks.datastore_idx)
        self.left_s = WAY_S
        self.unseen: list[tuple[str, int]] = []
        self.space = used_gib(snapshot)
        self.space_today = self.space.copy()
        self.limits = [
            _Load("capacity", r, UNITS.get(r, r), snapshot.demand(r), _limit(snapshot, r), self.host)
            for r in snapshot.resources
        ]
        self.judges = [
            (rule, rule.judge(snapshot))
            for rule in rules
            if isinstance(rule, HostFilter) and rule.type != "datastore-visibility"
        ]
        self.groups: dict[int, list[Rule]] = {}
        self.for_all: list[Rule] = []
        self.amount: dict[int, float] = {}
        for rule in rules:
            if isinstance(rule, HostFilter) or rule.items != "vms":
                continue
            terms = rule.lower(snapshot)
            if terms and all(isinstance(term, Capacity) for term in terms):
                self.limits += [
                    _Load("rule", rule.label, term.resource, term.demand, term.limit, self.host)
                    for term in terms
                    if isinstance(term, Capacity)
                ]
                continue
            members = [getattr(term, "items", None) for term in terms]
            if any(each is None for each in members):
                self.for_all.append(rule)
                continue
            for vm in {int(vm) for each in members if each is not None for vm in each}:
                self.groups.setdefault(vm, []).append(rule)

    def take(self, move: Move) -> Iterator[Finding]:
        """The state after one more move."""
        snapshot, step = self.snapshot, move.step
        vm, new = snapshot.vms.position[move.vm], snapshot.hosts.position[move.to_host]
        old, home = int(self.host[vm]), int(snapshot.vms.host_idx[vm])
        self.host[vm] = new
        if new != old:
            where = str(snapshot.hosts.name[new])
            for load in self.limits:
                yield from load.move(vm, old, new, where, step)
            # A cold move of a running VM is a restart: it reads the CPU of its new host.
            restarts = move.kind == "cold"
            for rule, judge in self.judges:
                reason = "" if restarts and not rule.binds_cold_moves else judge(vm, new)
                if reason and (new == home or not (home >= 0 and judge(vm, home))):
                    yield Finding(
                        "rule",
                        rule.label,
                        f"{rule.label}: {move.vm} on {where}: {reason}",
                        step,
                        0.0,
                        1.0,
                        "VMs",
                    )
            for rule in (*self.groups.get(vm, ()), *self.for_all):
                yield from self._group(rule, step)
        yield from self._disks(move, vm, new)

    def _group(self, rule: Rule, step: int) -> Iterator[Finding]:
        if self.left_s <= 0:
            self.unseen.append((rule.label, step))
            return
        began = time.monotonic()
        if id(rule) not in self.amount:
            self.amount[id(rule)] = _amounts(rule.check(self.snapshot, Placement.of(self.snapshot)))
        broken = list(rule.check(self.snapshot, Placement(self.host, self.store)))
        self.left_s -= time.monotonic() - began
        old, new = self.amount[id(rule)], _amounts(broken)
        if new > old + 1e-3:
            yield Finding("rule", rule.label, f"{rule.label}: {broken[0].sentence}", step, old, new,
                          broken[0].unit)  # fmt: skip

    def _disks(self, move: Move, vm: int, host: int) -> Iterator[Finding]:
        """Where its disks are after the move: whether there is room, and whether the host sees them."""
        snapshot = self.snapshot
        stores = snapshot.datastores
        first, order = snapshot.disks_of_vm
        mine = order[first[vm] : first[vm + 1]].tolist()
        filled: dict[int, None] = {}
        for disk, name in zip(mine, move.to_datastores, strict=False):
            store, old = stores.position.get(name, -1), int(self.store[disk])
            if store < 0 or store == old:
                continue
            gib = float(snapshot.disks.used_gib[disk])
            self.space[store] += gib
            if old >= 0:
                self.space[old] -= gib
            self.store[disk] = store
            filled[store] = None
        for d in filled:
            name = str(stores.name[d])
            if not stores.usable[d]:
                yield Finding("space", name, f"{name} is in {stores.state[d]} and takes no disks of {move.vm}",
                              move.step, 0.0, 1.0, "VMs")  # fmt: skip
            limit = float(stores.capacity_gib[d])
            if _above(self.space_today[d], self.space[d], limit, limit):
                yield _no_space(name, self.space_today[d], self.space[d], limit, move.step)
        for disk in mine:
            store = int(self.store[disk])
            if store >= 0 and not snapshot.mounts[host, store]:
                name = str(stores.name[store])
                yield Finding(
                    "datastore", name, f"{move.vm} on {move.to_host}: the host does not see {name}", move.step,
                    0.0, 1.0, "VMs",
                )  # fmt: skip
                return


class _Load:
    """What the hosts hold of one limit on the way."""

    def __init__(
        self, kind: FindingKind, about: str, unit: str, demand: Floats, limit: Floats, host: Ints
    ) -> None:
        self.kind, self.about, self.unit, self.demand, self.limit = kind, about, unit, demand, limit
        self.use = usage(host, demand, len(limit)).astype(np.float64)
        self.today = self.use.copy()

    def move(self, vm: int, old: int, new: int, where: str, step: int) -> Iterator[Finding]:
        amount = float(self.demand[vm])
        if old >= 0:
            self.use[old] -= amount
        self.use[new] += amount
        before, after, limit = float(self.today[new]), float(self.use[new]), float(self.limit[new])
        if amount <= 0 or not _above(before, after, limit, limit):
            return
        if self.kind == "capacity":
            yield _overfull(self.about, where, before, after, limit, step)
        else:
            yield Finding(
                "rule", self.about, f"{self.about}: {where} holds {after:,.0f} {self.unit}, at most {limit:,.0f}",
                step, before, after, self.unit,
            )  # fmt: skip


def _limit(snapshot: Snapshot, resource: str) -> Floats:
    """What each host has, f8[n_hosts]; of memory, where a cluster is over-committed today, so much as that."""
    if resource != "memory":
        return snapshot.capacity(resource)
    return HostCapacity(resource, tolerates_overcommit=True).limit(snapshot)


def _above(old: float, new: float, limit: float, before: float) -> bool:
    """Whether something is above its limit, and more so than it was above the limit `before`."""
    return new - limit > max(0.0, old - before) + 1e-6 * max(1.0, abs(limit))


def _risen(old: Floats, new: Floats, limit: Floats, before: Floats) -> list[int]:
    """Positions of what `_above` holds of."""
    excess = np.maximum(0.0, old - before) + 1e-6 * np.maximum(1.0, np.abs(limit))
    return [int(i) for i in np.flatnonzero(new - limit > excess)]


def _overfull(resource: str, host: str, old: float, new: float, limit: float, step: int | None) -> Finding:
    unit = UNITS.get(resource, resource)
    what = f"{host}: its VMs need {new:,.0f} {unit} of {resource} and {limit:,.0f} are there"
    return Finding("capacity", host, f"{what} (today {old:,.0f})", step, float(old), float(new), unit)


def _no_space(name: str, old: float, new: float, limit: float, step: int | None) -> Finding:
    what = f"{name}: {new:,.0f} GiB are used of {limit:,.0f} (today {old:,.0f})"
    return Finding("space", name, what, step, float(old), float(new), "GiB")


def _reserved(snapshot: Snapshot, resource: str) -> Floats:
    """What is reserved for each running VM that has a host, f8[n_vms]."""
    vms = snapshot.vms
    return np.where(vms.on & (vms.host_idx >= 0), getattr(vms, RESERVED[resource]), 0.0)


def _reserved_on_hosts(snapshot: Snapshot, resource: str) -> tuple[Floats, Floats]:
    """What the VMs of each host reserve, and what it has, f8[n_hosts]."""
    use = usage(snapshot.vms.host_idx, _reserved(snapshot, resource), snapshot.n_hosts)
    return use, snapshot.capacity(resource)


def _reserved_in_clusters(snapshot: Snapshot, resource: str) -> tuple[Floats, Floats]:
    """What pools and VMs reserve in each cluster, and what its connected hosts have, f8[n_clusters]."""
    pools, vms, hosts, n = snapshot.pools, snapshot.vms, snapshot.hosts, len(snapshot.clusters)
    asked = _reserved(snapshot, resource)
    loose = (vms.pool_idx < 0) & (vms.host_idx >= 0)
    use = np.bincount(hosts.cluster_idx[vms.host_idx[loose]], weights=asked[loose], minlength=n)
    if len(pools):
        _, takes = reserved(pools, resource, vms.pool_idx, asked)
        top = (pools.parent_idx < 0) & (pools.cluster_idx >= 0)
        use = use + np.bincount(pools.cluster_idx[top], weights=takes[top], minlength=n)
    up = hosts.state == "connected"
    there = np.bincount(hosts.cluster_idx[up], weights=snapshot.capacity(resource)[up], minlength=n)
    return use.astype(np.float64), there.astype(np.float64)


def _elsewhere(snapshot: Snapshot, rules: Sequence[HostFilter]) -> Ints:
    """How many connected hosts besides its own could take each VM, as far as rules on single VMs go."""
    up = snapshot.hosts.state == "connected"
    limits = [term for rule in rules if (term := rule.allowed(snapshot)) is not None]
    limits.append(Allowed(np.zeros(snapshot.n_vms, dtype=np.int32), up[None, :]))
    return _besides(snapshot, *all_of(limits, snapshot.n_vms, snapshot.n_hosts))


def _elsewhere_by_cpu(snapshot: Snapshot) -> Ints:
    """How many hosts of its cluster besides its own offer the CPU features that each VM carries."""
    class_idx, mask = cpu.evc_classes(snapshot)
    n = len(snapshot.clusters)
    member = np.zeros((snapshot.n_hosts, n), dtype=np.int64)
    member[np.arange(snapshot.n_hosts), snapshot.hosts.cluster_idx] = 1
    per_cluster = mask.astype(np.int64) @ member
    home = np.maximum(snapshot.vms.host_idx, 0)
    count = per_cluster[class_idx, snapshot.hosts.cluster_idx[home]] - mask[class_idx, home]
    return np.asarray(np.where(snapshot.vms.host_idx >= 0, count, 0))


def _besides(snapshot: Snapshot, class_idx: Ints, mask: Bools) -> Ints:
    home = snapshot.vms.host_idx
    own = mask[class_idx, np.maximum(home, 0)] & (home >= 0)
    return np.asarray(mask.sum(axis=1)[class_idx] - own)
