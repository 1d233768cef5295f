"""Google's ROADEF/EURO challenge 2012 (machine reassignment) as a placement problem.

A process is a VM, a machine a host, a neighbourhood a rack and a location a site. The challenge's constraints
and costs are rules and goals that any cluster may have:

=========================  ==================================================================
capacity                   `capacity`, with `when="at_once"` for a transient resource
conflict                   `keep-apart` of a service's processes
spread                     `spread` over sites
dependency                 `dependency` within a rack
load cost                  `over-target`
balance cost               `free-balance`
process move cost          `moves`
service move cost          `group-moves`
machine move cost          `move-distance`
=========================  ==================================================================

The goals are the parts of one `sum`, whose value is the challenge's cost. No solver has code of its own for it.

Format: https://www.roadef.org/challenge/2012/files/problem_definition_v1.pdf
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drs.errors import Fault, InputError
from drs.goals import FreeBalance, Goal, GroupMoves, MoveDistance, Moves, OverTarget, Sum
from drs.model.snapshot import (
    ClusterTable,
    DatastoreTable,
    DiskTable,
    HostTable,
    LinkTable,
    Names,
    Snapshot,
    VmTable,
)
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.rules import Dependency, HostCapacity, KeepApart, Rule, Spread

Longs = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Instance:
    """An instance of the challenge, as its files have it; m machines, p processes, r resources, s services."""

    transient: NDArray[np.bool_]
    """bool[r]"""
    load_weight: Longs
    """i8[r]"""
    neighbourhood: Longs
    """i8[m]"""
    location: Longs
    """i8[m]"""
    capacity: Longs
    """i8[m, r]"""
    safety: Longs
    """i8[m, r]"""
    machine_move_cost: Longs
    """i8[m, m], from row to column"""
    spread: Longs
    """i8[s]: least number of locations"""
    depends_on: tuple[tuple[int, ...], ...]
    """services that each service needs in its neighbourhood"""
    service: Longs
    """i8[p]"""
    requirement: Longs
    """i8[p, r]"""
    process_move_cost: Longs
    """i8[p]"""
    balance: tuple[tuple[int, int, int, int], ...]
    """(resource a, resource b, target, weight)"""
    process_move_weight: int
    service_move_weight: int
    machine_move_weight: int
    start: NDArray[np.int32]
    """i4[p]: the machine of each process at first"""


class _Numbers:
    """The numbers of a file, taken in their order; knows the line of each."""

    def __init__(self, path: str | Path, what: str) -> None:
        self.path = Path(path)
        try:
            self.text = self.path.read_bytes()
        except OSError as error:
            given = "no such file" if isinstance(error, FileNotFoundError) else str(error.strerror)
            raise InputError(Fault(str(path), given, f"{what} of the ROADEF/EURO challenge 2012")) from None
        tokens = self.text.split()
        try:
            self.values: Longs = np.array(tokens, dtype=np.int64)
        except (ValueError, OverflowError):
            for at, token in enumerate(tokens):
                try:
                    np.int64(int(token))
                except (ValueError, OverflowError):
                    raise self.fault(at, repr(token.decode(errors="replace")), "a whole number") from None
            raise
        self.at = 0

    def fault(self, at: int, given: str, expected: str) -> InputError:
        """What is wrong with the number at a position."""
        seen = 0
        line = 0
        for line, words in enumerate(self.text.splitlines(), start=1):
            n = len(words.split())
            if seen + n > at:
                where = f"{self.path}, line {line}, number {at - seen + 1}"
                return InputError(Fault(where, given, expected))
            seen += n
        return InputError(Fault(f"{self.path}, line {max(1, line)}", given, expected))

    def take(self, n: int, what: str) -> Longs:
        """The next n numbers."""
        if self.at + n > len(self.values):
            left = len(self.values) - self.at
            raise self.fault(len(self.values), f"the file ends, {left} of {n} numbers are there", what)
        self.at += n
        return self.values[self.at - n : self.at]

    def count(self, what: str) -> int:
        """The next number, how many there are of something."""
        n = int(self.take(1, f"the number of {what}")[0])
        if n < 0:
            raise self.fault(self.at - 1, str(n), f"the number of {what}, 0 or more")
        return n

    def table(self, n: int, width: int, what: str) -> Longs:
        """The next n rows, i8[n, width]."""
        return self.take(n * width, f"{n} {what}, {width} numbers each").reshape(n, width)

    def check(self, rows: Longs, begin: int, column: slice, top: int | None, what: str) -> None:
        """Refuse a table's numbers below 0 or, where `top` is given, from there up."""
        part = rows[:, column]
        bad = part < 0 if top is None else (part < 0) | (part >= top)
        if bad.any():
            row, offset = (int(k) for k in np.argwhere(bad)[0])
            expected = f"{what}, 0 or more" if top is None else f"{what}, from 0 to {top - 1}"
            at = begin + row * rows.shape[1] + (column.start or 0) + offset
            raise self.fault(at, str(part[row, offset]), expected)

    def end(self) -> None:
        """Refuse what stands after the end."""
        if self.at < len(self.values):
            more = len(self.values) - self.at
            raise self.fault(self.at, f"{more} numbers more than the file should have", "the end of the file")


def read_instance(model: str | Path, assignment: str | Path) -> Instance:
    """Read an instance as it is.

    Raises InputError where a file is not in the challenge's format.
    """
    of = _Numbers(model, "a model file")
    r = of.count("resources")
    begin = of.at
    resources = of.table(r, 2, "resources")
    of.check(resources, begin, slice(0, 1), 2, "whether a resource is transient")
    of.check(resources, begin, slice(1, 2), None, "a weight of load cost")
    m = of.count("machines")
    begin = of.at
    machines = of.table(m, 2 + 2 * r + m, "machines")
    of.check(machines, begin, slice(0, 2), None, "a neighbourhood and a location")
    of.check(machines, begin, slice(2, 2 + 2 * r), None, "a capacity or safety capacity")
    of.check(machines, begin, slice(2 + 2 * r, None), None, "a cost of moving between machines")
    s = of.count("services")
    spread, depends_on = np.zeros(s, dtype=np.int64), []
    for k in range(s):
        begin = of.at
        row = of.take(2, f"service {k}: its spread and its number of dependencies")
        of.check(row.reshape(1, 2), begin, slice(0, 2), None, "a spread and a number of dependencies")
        spread[k], n = row
        begin = of.at
        needs = of.table(int(n), 1, f"dependencies of service {k}")
        of.check(needs, begin, slice(0, 1), s, "a service")
        depends_on.append(tuple(needs[:, 0].tolist()))
    p = of.count("processes")
    begin = of.at
    processes = of.table(p, 2 + r, "processes")
    of.check(processes, begin, slice(0, 1), s, "a service")
    of.check(processes, begin, slice(1, None), None, "a requirement or a cost of moving a process")
    n_balance = of.count("balance costs")
    begin = of.at
    balance = of.table(n_balance, 4, "balance costs")
    of.check(balance, begin, slice(0, 2), r, "a resource")
    of.check(balance, begin, slice(2, 4), None, "a target and a weight")
    begin = of.at
    weights = of.table(1, 3, "set of weights of process, service and machine moves")
    of.check(weights, begin, slice(0, 3), None, "a weight")
    of.end()
    where = _Numbers(assignment, "an assignment file")
    start = where.table(p, 1, "machines of the processes")
    where.check(start, 0, slice(0, 1), m, "a machine")
    where.end()
    return Instance(
        transient=resources[:, 0] != 0,
        load_weight=resources[:, 1],
        neighbourhood=machines[:, 0],
        location=machines[:, 1],
        capacity=machines[:, 2 : 2 + r],
        safety=machines[:, 2 + r : 2 + 2 * r],
        machine_move_cost=machines[:, 2 + 2 * r :],
        spread=spread,
        depends_on=tuple(depends_on),
        service=processes[:, 0],
        requirement=processes[:, 1 : 1 + r],
        process_move_cost=processes[:, 1 + r],
        balance=tuple((a, b, target, weight) for a, b, target, weight in balance.tolist()),
        process_move_weight=int(weights[0, 0]),
        service_move_weight=int(weights[0, 1]),
        machine_move_weight=int(weights[0, 2]),
        start=start[:, 0].astype(np.int32),
    )


def read(model: str | Path, assignment: str | Path) -> Problem:
    """Read an instance as a problem: processes `p0`, `p1`, ... on machines `m0`, `m1`, ...

    Raises
    ------
    InputError
        Where a file is not in the challenge's format, or a service cannot be spread as it has to be.
    """
    instance = read_instance(model, assignment)
    return Problem(
        snapshot_of(instance, Path(model).stem),
        rules_of(instance),
        Policy(goals=[goal_of(instance)]),
        built_in=False,
    )


def write_assignment(path: str | Path, host_idx: ArrayLike) -> None:
    """Write the machine of each process, i4[p], in the challenge's format."""
    from drs.io.atomic import write_text_atomic

    write_text_atomic(path, " ".join(map(str, np.asarray(host_idx).tolist())) + "\n")


def _names(prefix: str, n: int) -> Names:
    return np.array([f"{prefix}{k}" for k in range(n)], dtype=np.str_)


def _labels(prefix: str, numbers: Longs) -> Names:
    return np.array([f"{prefix}{k}" for k in numbers.tolist()], dtype=np.str_)


def snapshot_of(instance: Instance, name: str) -> Snapshot:
    """Hosts and VMs. The resources are `r0`, `r1`, ...; of CPU and memory the challenge knows nothing."""
    (m, r), p = instance.capacity.shape, len(instance.start)
    none, no_bools, no_ints = np.zeros(0, np.str_), np.zeros((m, 0), np.bool_), np.zeros(0, np.int32)
    nothing = np.zeros(0)
    hosts = HostTable(
        name=_names("m", m), cluster_idx=np.zeros(m, np.int32), cpu_mhz=np.ones(m),
        memory_mib=np.full(m, float(max(1, p))), cpu_reserved_mhz=np.zeros(m),
        memory_reserved_mib=np.zeros(m), cpu_cores=np.ones(m), cpu_vendor=np.full(m, ""),
        evc_max=np.full(m, ""), state=np.full(m, "connected"), rack=_labels("n", instance.neighbourhood),
        site=_labels("l", instance.location), vcenter=np.full(m, "roadef"), vmotion_mbps=np.full(m, 10_000.0),
        hypervisor=np.full(m, "vsphere-8.0"), power_idle_w=np.zeros(m), power_max_w=np.zeros(m),
        capacity={f"r{k}": instance.capacity[:, k].astype(np.float64) for k in range(r)},
    )  # fmt: skip
    vms = VmTable(
        name=_names("p", p), host_idx=instance.start, memory_mib=np.ones(p), cpu_demand_mhz=np.zeros(p),
        vcpus=np.ones(p), memory_active_mib=np.full(p, np.nan), memory_consumed_mib=np.full(p, np.nan),
        cpu_reservation_mhz=np.zeros(p), cpu_limit_mhz=np.full(p, np.inf), cpu_shares=np.full(p, 1000.0),
        memory_reservation_mib=np.zeros(p), memory_limit_mib=np.full(p, np.inf),
        memory_shares=np.full(p, 10.0), evc_mode=np.full(p, ""), power=np.full(p, "on"),
        automation=np.full(p, ""), dirty_rate_mibps=np.full(p, np.nan), working_set_mib=np.full(p, np.nan),
        downtime_budget_ms=np.full(p, np.nan), gpus=np.zeros(p),
        demand={f"r{k}": instance.requirement[:, k].astype(np.float64) for k in range(r)},
    )  # fmt: skip
    cluster = ClusterTable(
        np.array(["machines"]), np.array([""]), np.array(["roadef"]), np.array([""]), np.zeros(1, np.int32),
        np.ones(1), np.array(["full"]), np.full(1, 3, np.int32),
    )  # fmt: skip
    return Snapshot(
        hosts, vms, cluster,
        disks=DiskTable(none, no_ints, no_ints, nothing, nothing, nothing, nothing),
        datastores=DatastoreTable(none, nothing, nothing, none, nothing, nothing, none),
        links=LinkTable(none, none, nothing, nothing, nothing, nothing),
        mounts=no_bools, networks=none, portgroups=no_bools, nic_vm_idx=no_ints, nic_network_idx=no_ints,
        name=name, source="ROADEF/EURO challenge 2012",
    )  # fmt: skip


def _services(instance: Instance) -> list[tuple[str, ...]]:
    """Names of each service's processes."""
    members: list[list[str]] = [[] for _ in instance.spread]
    for process, service in enumerate(instance.service.tolist()):
        members[service].append(f"p{process}")
    return [tuple(names) for names in members]


def rules_of(instance: Instance) -> list[Rule]:
    """The challenge's constraints."""
    rules: list[Rule] = [
        HostCapacity(f"r{k}", when="at_once" if transient else "after", policy="hard")
        for k, transient in enumerate(instance.transient.tolist())
    ]
    services = _services(instance)
    for k, vms in enumerate(services):
        if len(vms) > 1:
            rules.append(KeepApart(vms, policy="hard", name=f"conflict of service {k}"))
        if vms and instance.spread[k] > 1:
            at_least = int(instance.spread[k])
            rules.append(Spread(vms, at_least=at_least, policy="hard", name=f"spread of service {k}"))
        for other in dict.fromkeys(instance.depends_on[k]):
            if vms and other != k:
                name = f"dependency of service {k} on {other}"
                rules.append(Dependency(vms, services[other], scope="rack", policy="hard", name=name))
    return rules


def goal_of(instance: Instance) -> Goal:
    """The challenge's cost."""
    parts: list[tuple[float, Goal]] = []
    for k, weight in enumerate(instance.load_weight.tolist()):
        target = instance.safety[:, k].astype(np.float64)
        parts.append((weight, OverTarget(resource=f"r{k}", target=target)))  # type: ignore[arg-type]
    for a, b, ratio, weight in instance.balance:
        parts.append((weight, FreeBalance(first=f"r{a}", second=f"r{b}", ratio=float(ratio))))
    price = instance.process_move_cost.astype(np.float64)
    pair = instance.machine_move_cost.astype(np.float64)
    parts.append((instance.process_move_weight, Moves(prices=price)))  # type: ignore[arg-type]
    parts.append((instance.service_move_weight, GroupMoves(groups=_services(instance))))
    parts.append((instance.machine_move_weight, MoveDistance(pair=pair)))  # type: ignore[arg-type]
    parts = [(weight, part) for weight, part in parts if weight]
    return Sum(parts=[part for _, part in parts], weights=[float(weight) for weight, _ in parts])
