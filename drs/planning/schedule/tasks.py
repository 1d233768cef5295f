"""Legs as the rows of numbers that schedulers work on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drs.model import Snapshot
from drs.model.network import Network
from drs.planning.limits import Concurrency
from drs.planning.order import fits
from drs.planning.pricing import Leg, Priced, units
from drs.planning.rooms import Amounts
from drs.planning.windows import IN_TIME_S, Hours, Times

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]


class Rows(NamedTuple):
    """Sparse rows of each task as CSR: `row[start[i]:start[i + 1]]` with the amounts beside."""

    start: Ints
    row: Ints
    amount: Floats


class Users(NamedTuple):
    """Rows the other way round: `task[start[r]:start[r + 1]]` are those that use row r."""

    start: NDArray[np.int64]
    task: NDArray[np.int64]


def users_of(rows: Rows, n_rows: int) -> Users:
    """Who uses each of so many rows."""
    by_row = np.argsort(rows.row, kind="stable")
    start = np.searchsorted(rows.row[by_row], np.arange(n_rows + 1))
    return Users(start, owners(rows)[by_row])


def owners(rows: Rows) -> NDArray[np.int64]:
    """The task of each entry."""
    return np.repeat(np.arange(len(rows.start) - 1), np.diff(rows.start))


def rows_of(entries: Sequence[Sequence[tuple[int, float]]]) -> Rows:
    """CSR of one list of (row, amount) for each task."""
    start = np.zeros(len(entries) + 1, dtype=np.int32)
    np.cumsum([len(entry) for entry in entries], out=start[1:])
    flat = [pair for entry in entries for pair in entry]
    return Rows(
        start,
        np.array([row for row, _ in flat], dtype=np.int32),
        np.array([amount for _, amount in flat], dtype=np.float64),
    )


@dataclass(frozen=True, eq=False)
class Tasks:
    """What a scheduler knows of the legs.

    Rows that can never bind, however many legs run at once, are left out.

    Attributes
    ----------
    free, take, give : room that is free today, taken by starts, given back by ends
    slots, run : capacities of what a running migration occupies (cost units, user limits), and how much
    before : legs that must have ended, CSR
    hours : spans in which a leg may not run, CSR by pairs
    link_mbps, link : payload capacity of the directed links, and which each leg loads
    path_mbps : payload rate of each leg's whole path
    setup_s, after_s : time at the start and at the end in which a leg uses no link
    """

    legs: tuple[Leg, ...]
    free: Floats
    take: Rows
    give: Rows
    slots: Floats
    run: Rows
    before: Rows
    hours: Rows
    link_mbps: Floats
    link_idx: Ints
    """Positions of the links in `Network.capacity_mbps`."""
    link: Rows
    path_mbps: Floats
    setup_s: Floats
    after_s: Floats
    priority: Floats
    end_by_s: Floats
    """When each leg must have ended, inf for no matter when: it does not go else."""
    due_s: Floats
    """When each leg should have ended, inf for no matter when: it goes all the same."""
    pause_s: float = 0.0
    take_raw: tuple[Amounts, ...] = field(default=(), repr=False)
    give_raw: tuple[Amounts, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.legs)

    @property
    def timely(self) -> bool:
        """Whether any leg may run at some times only."""
        return bool(len(self.hours.row)) or bool(np.isfinite(self.end_by_s).any())

    def late(self, start_s: Floats, end_s: Floats) -> tuple[int, int]:
        """How many legs run when they may not, and how many end after they should."""
        wrong = ~(end_s <= self.end_by_s + IN_TIME_S)
        of = owners(self.hours)[::2]
        begin, end = self.hours.amount[::2], self.hours.amount[1::2]
        inside = (start_s[of] < end - IN_TIME_S) & (end_s[of] > begin + IN_TIME_S)
        wrong[of[inside]] = True
        return int(wrong.sum()), int((end_s > self.due_s + IN_TIME_S).sum())


def build_tasks(
    snapshot: Snapshot,
    network: Network,
    legs: Sequence[Leg],
    priced: Priced,
    free: Floats,
    take: Sequence[Amounts],
    give: Sequence[Amounts],
    before: Sequence[Sequence[int]],
    concurrency: Concurrency,
    link_ratio: float,
    beside_s: tuple[Floats, Floats],
    *,
    times: Times | None = None,
    priorities: Mapping[int, float] | None = None,
) -> Tasks:
    """The tasks of some legs; `link_ratio`: payload share of a link; `beside_s`: setup_s and after_s."""
    n = len(legs)
    demand: dict[int, float] = {}
    for entry in take:
        for row, amount in entry:
            demand[row] = demand.get(row, 0.0) + amount
    contested = [row for row, amount in demand.items() if not fits(amount, float(free[row]))]
    new = {row: k for k, row in enumerate(contested)}

    def kept(entries: Sequence[Amounts]) -> Rows:
        return rows_of([[(new[row], amount) for row, amount in entry if row in new] for entry in entries])

    slots, run = _slots(snapshot, network, legs, priced, concurrency)
    src = np.array([leg.src for leg in legs], dtype=np.int32)
    dst = np.array([leg.dst for leg in legs], dtype=np.int32)
    ptr, loaded = network.link_incidence(src, dst)
    silent = [
        kind == "cold" and not disks for kind, disks in zip(priced.kind, priced.moves_disks, strict=True)
    ]
    per_leg = [[] if silent[i] else loaded[ptr[i] : ptr[i + 1]].tolist() for i in range(n)]
    used = sorted({link for links in per_leg for link in links})
    at = {link: k for k, link in enumerate(used)}
    ahead = {} if priorities is None else priorities
    when = Times() if times is None else times
    return Tasks(
        legs=tuple(legs),
        free=np.array([free[row] for row in contested], dtype=np.float64),
        take=kept(take),
        give=kept(give),
        slots=slots,
        run=run,
        before=rows_of([[(j, 1.0) for j in entry] for entry in before]),
        hours=_hours([when.forbidden(leg) for leg in legs]),
        link_mbps=network.capacity_mbps[used] * link_ratio if used else np.zeros(0),
        link_idx=np.array(used, dtype=np.int32),
        link=rows_of([[(at[link], 1.0) for link in links] for links in per_leg]),
        path_mbps=np.nan_to_num(priced.path_mbps),
        setup_s=beside_s[0],
        after_s=beside_s[1],
        priority=np.array([ahead.get(leg.vm, 0.0) for leg in legs], dtype=np.float64),
        end_by_s=np.full(n, when.within_s),
        due_s=np.array([when.due_s.get(leg.src, np.inf) for leg in legs], dtype=np.float64),
        pause_s=concurrency.pause_s,
        take_raw=tuple(take),
        give_raw=tuple(give),
    )


def _hours(spans: Sequence[Hours]) -> Rows:
    """Spans as CSR: the start (s) stands in `amount` of the even entries, the end in the odd ones."""
    return rows_of([[(0, x) for span in entry for x in span] for entry in spans])


def slots_of(
    snapshot: Snapshot, network: Network, leg: Leg, kind: str, moves_disks: bool, concurrency: Concurrency
) -> dict[tuple[str, int], int]:
    """What one running migration occupies: {(limit, place): how much}."""
    hosts = snapshot.hosts
    host_units, network_units, datastore_units = units(concurrency, kind, moves_disks)  # type: ignore[arg-type]
    ends = {leg.src, leg.dst}
    use: dict[tuple[str, int], int] = {}
    for host in ends:
        use["host", host] = host_units
        use["per_host", host] = 1
        if len(ends) == 2 and network_units:
            use["network", host] = network_units
        if hosts.rack[host]:
            use["per_rack", int(np.flatnonzero(hosts.rack == hosts.rack[host])[0])] = 1
        if hosts.cluster_idx[host] >= 0:
            use["per_cluster", int(hosts.cluster_idx[host])] = 1
    first, order = snapshot.disks_of_vm
    store_of = snapshot.disks.datastore_idx
    goes = dict(zip(leg.disks, leg.to_datastores, strict=True))
    was = dict(zip(leg.disks, leg.is_on(snapshot), strict=True))
    still = 1 if len(ends) == 2 and kind != "cold" else 0
    for disk in order[first[leg.vm] : first[leg.vm + 1]].tolist():
        here = was.get(disk, int(store_of[disk]))
        for store in {here, goes.get(disk, here)}:
            amount = datastore_units if disk in goes else min(still, datastore_units)
            if store >= 0 and amount:
                use["datastore", store] = max(use.get(("datastore", store), 0), amount)
    use["total", 0] = 1
    if concurrency.per_link is not None:
        for link in network.path(leg.src, leg.dst).links:
            use["per_link", link] = 1
    return use


def slot_limit(snapshot: Snapshot, concurrency: Concurrency, limit: str, place: int) -> float:
    """The capacity of one of the limits that `slots_of` names; inf for none."""
    if limit == "host":
        return concurrency.host_units
    if limit == "network":
        fast = snapshot.hosts.vmotion_mbps[place] >= 10_000
        return concurrency.network_units_10gbe if fast else concurrency.network_units_1gbe
    if limit == "datastore":
        return concurrency.datastore_units
    value = getattr(concurrency, limit)
    return float("inf") if value is None else float(value)


def _slots(
    snapshot: Snapshot, network: Network, legs: Sequence[Leg], priced: Priced, concurrency: Concurrency
) -> tuple[Floats, Rows]:
    racks: dict[str, int] = {}
    for host, rack in enumerate(snapshot.hosts.rack.tolist()):
        racks.setdefault(rack, host)
    uses = [
        slots_of(snapshot, network, leg, kind, bool(disks), concurrency)
        for leg, kind, disks in zip(legs, priced.kind, priced.moves_disks, strict=True)
    ]
    total: dict[tuple[str, int], int] = {}
    for use in uses:
        for key, amount in use.items():
            total[key] = total.get(key, 0) + amount
    limits = {key: slot_limit(snapshot, concurrency, *key) for key in total}
    binding = [key for key, amount in total.items() if amount > limits[key]]
    new = {key: k for k, key in enumerate(binding)}
    return (
        np.array([limits[key] for key in binding], dtype=np.float64),
        rows_of([[(new[key], float(a)) for key, a in use.items() if key in new] for use in uses]),
    )


def backwards(tasks: Tasks) -> Tasks:
    """The same legs with time running backwards: from the target to today, giving what they took, at any hour."""
    n = len(tasks)
    free = tasks.free.copy()
    np.subtract.at(free, tasks.take.row, tasks.take.amount)
    np.add.at(free, tasks.give.row, tasks.give.amount)
    after: list[list[tuple[int, float]]] = [[] for _ in range(n)]
    for i in range(n):
        for j in tasks.before.row[tasks.before.start[i] : tasks.before.start[i + 1]].tolist():
            after[j].append((i, 1.0))
    return replace(
        tasks, free=np.maximum(free, 0.0), take=tasks.give, give=tasks.take, before=rows_of(after),
        hours=rows_of([[] for _ in range(n)]),
    )  # fmt: skip


def amounts_by_row(rows: Rows) -> dict[int, tuple[NDArray[np.int64], Floats]]:
    """For each row that is used, who uses it and how much."""
    owner, order = owners(rows), np.argsort(rows.row, kind="stable")
    cuts = np.flatnonzero(np.diff(rows.row[order])) + 1
    return {
        int(rows.row[part[0]]): (owner[part], rows.amount[part])
        for part in np.split(order, cuts)
        if len(part)
    }
