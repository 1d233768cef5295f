"""The `during` limits as room that arrivals take and departures give back.

A VM in flight counts on both hosts: it takes room on the new one when it starts and gives back the old one's
when it ends. A capacity, an at-most and the free space of a datastore become rows of room, each with what is
free today (never less than 0: a limit that is broken today may not become worse). What is no sum (at-least,
together, near) is kept as logic: its moves run one after the other in an order that was checked, unless no
mixture of old and new places could break it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from drs.model import Snapshot
from drs.planning.pricing import Leg
from drs.terms import Allowed, AtMost, Capacity, During, Limit
from drs.terms.limits import domains

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]

Amounts = tuple[tuple[int, float], ...]
"""Rows of room and how much of each."""


@dataclass(frozen=True)
class Logic:
    """A limit that is no sum, with the VMs that it is about."""

    term: Limit
    origin: str
    vms: frozenset[int]
    today: float

    def holds(self, here: Ints, there: Ints, start: Ints) -> bool:
        """Whether it is no worse than today wherever the VMs in flight are (here: old host, there: new)."""
        return self.term.worst_cost(here, there, start) <= self.today + 1e-6


def _limit(entry: During) -> Limit:
    """The limit of an entry. Raises TypeError for a term that does not say what it costs on the way."""
    if not isinstance(entry.term, Limit):
        raise TypeError(
            f"{entry.origin} holds during the plan, but its term {type(entry.term).__name__} has no "
            "`worst_cost(here, there, start)`: how far it is broken while VMs are on their way is not known"
        )
    return entry.term


@dataclass(frozen=True)
class Rooms:
    """Rows of room and the amounts that each VM takes where.

    free : f8[n_rows], what is free with everything where it is today.
    """

    snapshot: Snapshot
    free: Floats
    label: tuple[tuple[str, int, int], ...]
    """(origin, first row, number of rows) of each block, in order."""
    _capacity: tuple[tuple[int, Capacity], ...]
    _at_most: tuple[tuple[int, AtMost], ...]
    _groups_of_vm: Mapping[int, tuple[int, ...]]
    _datastore_row: int
    logic: tuple[Logic, ...]
    allowed: tuple[tuple[str, Allowed], ...]
    logic_of_vm: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    _memo: dict[Leg, tuple[Amounts, Amounts]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, snapshot: Snapshot, during: Sequence[During], moving: Iterable[int]) -> Rooms:
        """The room of today's placement."""
        start = np.asarray(snapshot.vms.host_idx, dtype=np.int32)
        blocks: list[Floats] = []
        label: list[tuple[str, int, int]] = []
        capacity: list[tuple[int, Capacity]] = []
        at_most: list[tuple[int, AtMost]] = []
        logic: list[Logic] = []
        allowed: list[tuple[str, Allowed]] = []
        n = 0

        def block(origin: str, free: Floats) -> int:
            nonlocal n
            first, n = n, n + len(free)
            blocks.append(np.asarray(free, dtype=float))
            label.append((origin, first, len(free)))
            return first

        movers = set(moving)
        for entry in during:
            term = _limit(entry)
            if isinstance(term, Capacity):
                use = np.bincount(
                    start[start >= 0], weights=term.demand[start >= 0], minlength=len(term.limit)
                )
                capacity.append((block(entry.origin, np.maximum(term.limit, use) - use), term))
            elif isinstance(term, AtMost):
                where = domains(term.domain, start[term.items])
                use = np.bincount(where[where >= 0], minlength=len(term.limit)).astype(float)
                at_most.append((block(entry.origin, np.maximum(term.limit, use) - use), term))
            elif isinstance(term, Allowed):
                allowed.append((entry.origin, term))
            else:
                about = term.about()
                vms = frozenset(range(len(start)) if about is None else about.tolist())
                if movers & vms:
                    logic.append(Logic(term, entry.origin, vms, float(term.cost(start, start))))
        stores = snapshot.datastores
        datastore_row = block("datastore space", np.maximum(np.nan_to_num(stores.free_gib), 0.0))
        groups: dict[int, list[int]] = {}
        for k, (_, group) in enumerate(at_most):
            for vm in group.items.tolist():
                groups.setdefault(vm, []).append(k)
        logic_of: dict[int, list[int]] = {}
        for k, rule in enumerate(logic):
            for vm in rule.vms:
                logic_of.setdefault(vm, []).append(k)
        return cls(
            snapshot, np.concatenate(blocks), tuple(label), tuple(capacity), tuple(at_most),
            {vm: tuple(ks) for vm, ks in groups.items()}, datastore_row, tuple(logic), tuple(allowed),
            {vm: tuple(ks) for vm, ks in logic_of.items()},
        )  # fmt: skip

    def taken(self, leg: Leg) -> tuple[Amounts, Amounts]:
        """What a leg takes when it starts, and what it gives back when it ends."""
        known = self._memo.get(leg)
        if known is None:
            known = self._memo[leg] = self._taken(leg)
        return known

    def _taken(self, leg: Leg) -> tuple[Amounts, Amounts]:
        take: dict[int, float] = {}
        give: dict[int, float] = {}
        vm, src, dst = leg.vm, leg.src, leg.dst
        if src != dst:
            for first, capacity in self._capacity:
                amount = float(capacity.demand[vm])
                if amount > 0:
                    take[first + dst] = amount
                    give[first + src] = amount
            for k in self._groups_of_vm.get(vm, ()):
                first, group = self._at_most[k]
                here, there = int(group.domain[src]), int(group.domain[dst])
                if here != there:
                    if there >= 0:
                        take[first + there] = 1.0
                    if here >= 0:
                        give[first + here] = 1.0
        used_gib = self.snapshot.disks.used_gib
        for disk, store, old in zip(leg.disks, leg.to_datastores, leg.is_on(self.snapshot), strict=True):
            if store >= 0:
                row = self._datastore_row + store
                take[row] = take.get(row, 0.0) + float(used_gib[disk])
            if old >= 0:
                row = self._datastore_row + old
                give[row] = give.get(row, 0.0) + float(used_gib[disk])
        return tuple(take.items()), tuple(give.items())

    def holds(self, vm: int, free: Floats) -> NDArray[np.bool_]:
        """The hosts whose capacities have room for a VM, bool[n_hosts], where so much is free: f8[n_rows]."""
        fit = np.ones(self.snapshot.n_hosts, dtype=np.bool_)
        for first, capacity in self._capacity:
            amount = float(capacity.demand[vm])
            if amount > 0:
                fit &= free[first : first + len(fit)] >= amount - 1e-7 * (1.0 + amount)
        return fit

    def forbids(self, vm: int, host: int) -> str:
        """The limit that keeps a VM off a host at every instant, "" for none. Today's host always counts."""
        if self.snapshot.vms.host_idx[vm] == host:
            return ""
        for origin, term in self.allowed:
            if not term.mask[term.class_idx[vm], host] and (term.stay is None or term.stay[vm] != host):
                return origin
        return ""

    def name(self, row: int) -> tuple[str, str]:
        """(limit, place) of a row, in words."""
        for k, (origin, first, n) in enumerate(self.label):
            if first <= row < first + n:
                place = row - first
                if first == self._datastore_row and k == len(self.label) - 1:
                    return origin, str(self.snapshot.datastores.name[place])
                if n == self.snapshot.n_hosts:
                    return origin, str(self.snapshot.hosts.name[place])
                return origin, self._domain_name(first, place)
        raise IndexError(row)

    def _domain_name(self, first: int, place: int) -> str:
        for at, term in self._at_most:
            if at == first:
                hosts = np.flatnonzero(term.domain == place)
                if len(hosts):
                    table = self.snapshot.hosts
                    for column in (table.rack, table.site):
                        names = set(column[hosts].tolist())
                        if len(names) == 1 and names != {""}:
                            return str(names.pop())
                    return f"the hosts with {table.name[hosts[0]]}"
        return f"domain {place}"

    def always_hold(self, legs: Sequence[Leg]) -> list[bool]:
        """For each logic limit, whether no mixture of old and new places of these legs can break it."""
        start = np.asarray(self.snapshot.vms.host_idx, dtype=np.int32)
        there = start.copy()
        twice = set()
        for leg in legs:
            if there[leg.vm] != start[leg.vm]:
                twice.add(leg.vm)
            there[leg.vm] = leg.dst
        return [not rule.vms & twice and rule.holds(start, there, start) for rule in self.logic]
