"""The replay finds nothing in any plan, and finds every fault that is planted in one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ortools.sat.python import cp_model
from planning_clusters import cluster, hosts, memory

from drs.planning import Concurrency, make_plan, replay
from drs.planning.replay import max_min
from drs.terms import AtMost, During


@st.composite
def cases(draw):
    n_hosts = draw(st.integers(2, 6))
    n_vms = draw(st.integers(1, 16))
    vm_host = draw(st.lists(st.integers(0, n_hosts - 1), min_size=n_vms, max_size=n_vms))
    to = draw(st.lists(st.integers(0, n_hosts - 1), min_size=n_vms, max_size=n_vms))
    sizes = draw(st.lists(st.sampled_from([512, 1024, 2048, 4096]), min_size=n_vms, max_size=n_vms))
    slack = draw(st.sampled_from([0, 512, 4096]))
    mbps = draw(st.lists(st.sampled_from([1_000.0, 10_000.0, 25_000.0]), min_size=n_hosts, max_size=n_hosts))
    held = np.bincount(vm_host, weights=sizes, minlength=n_hosts)
    coming = np.bincount(to, weights=sizes, minlength=n_hosts)
    fair = draw(st.booleans())
    room = np.maximum(held, coming) + slack if fair else held + slack
    rate = draw(st.lists(st.sampled_from([0.0, 5.0, 40.0, 90.0]), min_size=n_vms, max_size=n_vms))
    links = []
    if draw(st.booleans()):
        core = draw(st.sampled_from([1_000.0, 10_000.0]))
        links = [(f"esx-{i:02d}", f"tor-{i % 2}", 10_000.0, 0.05) for i in range(n_hosts)]
        links.append(("tor-0", "tor-1", core, 0.1))
    snapshot = cluster(room, vm_host, sizes, mbps=mbps, rate=rate, links=links)
    during = memory(snapshot)
    apart = draw(st.lists(st.integers(0, n_vms - 1), max_size=4, unique=True))
    if len(apart) > 1:
        domain = np.arange(n_hosts, dtype=np.int32)
        during.append(During(AtMost(np.array(sorted(apart), np.int32), domain, np.ones(n_hosts)), "apart"))
    units = draw(st.sampled_from([Concurrency(), Concurrency(per_host=1), Concurrency(total=2)]))
    return snapshot, hosts(snapshot, to), during, units


@settings(max_examples=60)
@given(cases())
def test_no_plan_differs_from_its_replay(case):
    snapshot, target, during, concurrency = case
    plan = make_plan(snapshot, target, during, concurrency=concurrency, method="list")
    assert replay(plan, during, concurrency=concurrency).differences == ()
    assert plan.makespan_s >= plan.makespan_bound_s - 1e-6
    asked = {str(snapshot.vms.name[i]) for i in np.flatnonzero(target.host_idx != snapshot.vms.host_idx)}
    assert asked == {m.vm for m in plan.moves if m.vm in asked and not m.parking} | {
        s.vm for s in plan.stranded
    }
    reached = plan.placement.host_idx
    for i in range(snapshot.n_vms):
        name = str(snapshot.vms.name[i])
        wanted = snapshot.vms.host_idx[i] if name in {s.vm for s in plan.stranded} else target.host_idx[i]
        assert reached[i] == wanted


@settings(max_examples=15)
@given(cases())
def test_cpsat_plans_are_safe_too(case):
    snapshot, target, during, concurrency = case
    plan = make_plan(snapshot, target, during, concurrency=concurrency, method="cpsat")
    assert replay(plan, during, concurrency=concurrency).differences == ()


def test_cpsat_leaves_ctrl_c_to_the_program(monkeypatch):
    """Once it has caught it, the system's own way stands: the next Ctrl-C ends the process without a word."""
    caught = []
    solve = cp_model.CpSolver.solve

    def spy(self, *words, **more):
        caught.append(self.parameters.catch_sigint_signal)
        return solve(self, *words, **more)

    monkeypatch.setattr(cp_model.CpSolver, "solve", spy)
    home, to = [3, 2, 2, 1, 1, 0, 0, 0, 0, 3], [2, 3, 2, 2, 3, 2, 2, 2, 2, 3]
    sizes = [2048, 8192, 4096, 1024, 2048, 8192, 4096, 1024, 8192, 4096]
    snapshot = cluster([22_016, 3584, 29_184, 14_848], home, sizes)
    target, during = hosts(snapshot, to), memory(snapshot)
    make_plan(snapshot, target, during, concurrency=Concurrency(total=2), method="cpsat")
    assert caught and not any(caught)


def plain():
    snapshot = cluster([20_480] * 3, [0, 0, 1, 1], [8192] * 4)
    during = memory(snapshot)
    return make_plan(snapshot, hosts(snapshot, [2, 1, 0, 2]), during), during


def changed(plan, step, **values):
    moves = tuple(dataclasses.replace(move, **values) if move.step == step else move for move in plan.moves)
    return dataclasses.replace(plan, moves=moves)


def test_planted_faults_are_found():
    plan, during = plain()
    assert replay(plan, during).differences == ()
    waiting = next(move for move in plan.moves if move.after_steps)
    early = replay(changed(plan, waiting.step, start_s=0.0), during)
    assert {"order", "safety"} <= {difference.kind for difference in early.differences}
    first = plan.moves[0]
    short = replay(changed(plan, first.step, total_s=first.total_s / 2), during)
    assert "time" in {difference.kind for difference in short.differences}
    wrong = replay(changed(plan, first.step, from_host="esx-02", to_host="esx-01"), during)
    assert not wrong.safe
    tight = replay(plan, during, concurrency=Concurrency(host_units=0))
    assert "concurrency" in {difference.kind for difference in tight.differences}


def test_link_use_adds_up_to_the_bytes():
    snapshot = cluster([64_000] * 2, [0, 0, 0], [4096] * 3)
    plan = make_plan(snapshot, hosts(snapshot, [1, 1, 1]), memory(snapshot))
    report = replay(plan, memory(snapshot))
    sent = report.link_use_mbps["NICs of esx-00, sending"].sum() * 125_000 / 2**20
    assert sent == pytest.approx(plan.total_transferred_mib, rel=0.01)
    assert max(report.link_use_mbps["NICs of esx-01, receiving"]) <= 9_700 + 1e-6
    assert report.peaks["memory capacity"].max() <= 1.0


def test_max_min_by_hand():
    # Two flows over link 0 (10), one of them over link 1 (4) too, a third over link 1 alone.
    rates = max_min({0: [0], 1: [0, 1], 2: [1]}, {0: 99.0, 1: 99.0, 2: 99.0}, {0: 10.0, 1: 4.0})
    assert rates == {0: 8.0, 1: 2.0, 2: 2.0}
    assert max_min({0: [0], 1: [0]}, {0: 1.0, 1: 99.0}, {0: 10.0}) == {0: 1.0, 1: 9.0}
