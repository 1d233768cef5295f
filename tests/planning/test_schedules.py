"""Serial schedules, the local search over them, what is forced, and the bounds: against all orders of small cases."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_clusters import cluster, hosts, tasks_of

from drs.planning.schedule.bounds import earliest_starts, makespan_bound, one_machine
from drs.planning.schedule.forced import forced
from drs.planning.schedule.local_search import LocalSearch
from drs.planning.schedule.serial import Serial
from drs.planning.schedule.shares import with_links
from drs.stop import Stop


@st.composite
def full_clusters(draw):
    """Moves among nearly full hosts: tasks, planned shares, prices."""
    n_hosts, n_vms = draw(st.integers(3, 5)), draw(st.integers(3, 6))
    vm_host = draw(st.lists(st.integers(0, n_hosts - 1), min_size=n_vms, max_size=n_vms))
    to = draw(st.lists(st.integers(0, n_hosts - 1), min_size=n_vms, max_size=n_vms))
    sizes = draw(st.lists(st.sampled_from([1024, 2048, 4096, 8192]), min_size=n_vms, max_size=n_vms))
    slack = draw(st.lists(st.sampled_from([0, 1024, 4096]), min_size=n_hosts, max_size=n_hosts))
    held = np.bincount(vm_host, weights=sizes, minlength=n_hosts)
    coming = np.bincount(to, weights=sizes, minlength=n_hosts)
    snapshot = cluster(np.maximum(held, coming) + slack, vm_host, sizes)
    tasks, priced = tasks_of(snapshot, hosts(snapshot, to))
    return tasks, with_links(tasks, np.ones(len(tasks)), priced.total_s), priced


def holds(tasks, start, total_s) -> bool:
    """Whether every row of room holds at every start, and predecessors have ended."""
    end = start + total_s
    for i, at in enumerate(start):
        free = tasks.free.copy()
        for j in range(len(tasks)):
            take = slice(tasks.take.start[j], tasks.take.start[j + 1])
            give = slice(tasks.give.start[j], tasks.give.start[j + 1])
            if start[j] <= at + 1e-9:
                np.subtract.at(free, tasks.take.row[take], tasks.take.amount[take])
            if end[j] <= at + 1e-9:
                np.add.at(free, tasks.give.row[give], tasks.give.amount[give])
        if (free < -1e-3).any():
            return False
        own = tasks.before.row[tasks.before.start[i] : tasks.before.start[i + 1]]
        if (end[own] > at + 1e-6).any():
            return False
    return True


@settings(max_examples=40)
@given(full_clusters(), st.integers(0, 99))
def test_every_order_wished_for_becomes_a_safe_schedule(case, seed):
    tasks, shares, _ = case
    n = len(tasks)
    serial = Serial(tasks, shares)
    order = serial.safe_order(np.random.default_rng(seed).permutation(n), np.arange(n))
    assert sorted(order) == list(range(n))
    start = serial.starts(order)
    assert not np.isnan(start).any() and holds(tasks, start, shares.total_s)


@settings(max_examples=25)
@given(full_clusters())
def test_bounds_and_what_is_forced_hold_for_every_schedule(case):
    tasks, shares, priced = case
    n = len(tasks)
    if not 0 < n <= 6:
        return
    serial = Serial(tasks, shares)
    before = forced(tasks)
    head = earliest_starts(tasks, priced.total_s, before)
    shortest = np.inf
    for order in itertools.permutations(range(n)):
        start = serial.starts(np.array(order))
        if np.isnan(start).any():
            continue
        end = start + priced.total_s
        assert all(end[j] <= start[i] + 1e-6 for j, i in np.argwhere(before))
        assert (start >= head - 1e-6).all()
        shortest = min(shortest, serial.makespan(start))
    assert makespan_bound(tasks, priced.total_s, priced.transferred_mib).makespan_s <= shortest + 1e-6
    local = LocalSearch(tasks, shares, np.zeros(n))
    first = local.begin([-priced.total_s])
    found = local.shorten(first, 0.0, 100, Stop(), seed=0)
    assert holds(tasks, first, priced.total_s) and holds(tasks, found, priced.total_s)
    assert shortest - 1e-6 <= local.makespan(found) <= local.makespan(first) + 1e-6


def test_a_swap_through_the_only_hole_is_forced():
    # vm-000 must leave esx-0 before vm-001 can come, and vm-001 esx-1 before vm-002.
    snapshot = cluster([4096, 4096, 4096, 4096], [0, 1, 2], [4096] * 3)
    tasks, priced = tasks_of(snapshot, hosts(snapshot, [3, 0, 1]))
    at = {leg.vm: i for i, leg in enumerate(tasks.legs)}
    before = forced(tasks)
    assert before[at[0], at[1]] and before[at[1], at[2]] and before[at[0], at[2]]
    assert before.sum() == 3
    bound = makespan_bound(tasks, priced.total_s, priced.transferred_mib)
    assert abs(bound.makespan_s - priced.total_s.sum()) < 1e-6


def test_one_machine_by_hand():
    # J. Carlier's example (1982): seven jobs, heads, times and tails; the preemptive optimum is 49.
    head = np.array([10.0, 13.0, 11.0, 20.0, 30.0, 0.0, 30.0])
    busy = np.array([5.0, 6.0, 7.0, 4.0, 3.0, 6.0, 2.0])
    tail = np.array([7.0, 26.0, 24.0, 21.0, 8.0, 17.0, 0.0])
    best = max(
        head[list(some)].min() + busy[list(some)].sum() + tail[list(some)].min()
        for k in range(1, 8)
        for some in itertools.combinations(range(7), k)
    )
    assert one_machine(head, busy, tail) == best == 49.0
