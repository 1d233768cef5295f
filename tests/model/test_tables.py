"""A snapshot is immutable: nobody changes a table behind its digest; each noun is one line."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

import drs
from drs import datasets
from drs.model import Placement, Snapshot
from drs.model.changes import in_state
from drs.model.load import metrics
from drs.planning import Plan
from drs.problem import Problem


@pytest.fixture
def snapshot() -> Snapshot:
    return (
        datasets.load("two-hosts") if "two-hosts" in datasets.names() else datasets.load(datasets.names()[0])
    )


def test_a_table_copies_what_it_is_given(snapshot: Snapshot) -> None:
    mine = snapshot.vms.memory_mib.copy()
    more = {"vgpu": np.ones(snapshot.n_vms)}
    mounts = snapshot.mounts.copy()
    vms = dataclasses.replace(snapshot.vms, memory_mib=mine, demand=more)
    changed = dataclasses.replace(snapshot, vms=vms, mounts=mounts)
    digest = dataclasses.replace(changed).digest
    mine[:] = 1.0
    more["vgpu"][:] = 7.0
    more["other"] = np.ones(snapshot.n_vms)
    mounts[:] = ~mounts
    assert dataclasses.replace(changed).digest == digest
    assert changed.vms.memory_mib.tolist() == snapshot.vms.memory_mib.tolist()
    assert set(changed.vms.demand) == {"vgpu"}


def test_a_read_only_view_of_a_vector_that_others_can_write_is_copied(snapshot: Snapshot) -> None:
    mine = snapshot.vms.memory_mib.copy()
    view = mine.view()
    view.flags.writeable = False
    vms = dataclasses.replace(snapshot.vms, memory_mib=view)
    mine[:] = 1.0
    assert vms.memory_mib.tolist() == snapshot.vms.memory_mib.tolist()


def test_what_a_table_holds_cannot_be_written_even_after_a_trip_to_a_worker(snapshot: Snapshot) -> None:
    for each in (snapshot, pickle.loads(pickle.dumps(snapshot))):
        for _, vector in each.vms.columns():
            assert not vector.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            each.vms.memory_mib[0] = 1.0
        with pytest.raises(ValueError, match="read-only"):
            each.mounts[:] = False


def test_the_vectors_of_one_table_are_not_copied_for_the_next(snapshot: Snapshot) -> None:
    again = dataclasses.replace(snapshot.vms)
    assert again.memory_mib is snapshot.vms.memory_mib


def test_nouns_are_one_line(snapshot: Snapshot) -> None:
    problem = Problem(snapshot)
    result = drs.solve(problem, iterations=10)
    plan = Plan(snapshot, problem.today, problem.today, ())
    for noun in (snapshot, problem, result, plan, snapshot.hosts, snapshot.vms, snapshot.links):
        assert "\n" not in repr(noun)
        assert len(repr(noun)) < 250
    assert f"{snapshot.n_hosts} hosts, {snapshot.n_vms} VMs" in repr(snapshot)
    assert snapshot.digest in repr(problem)
    assert result.status in repr(result)


def test_a_state_longer_than_all_there_are_is_kept_whole(snapshot: Snapshot) -> None:
    host = str(snapshot.hosts.name[0])
    for state in ("maintenance", "disconnected"):
        assert in_state(snapshot, [host], state).hosts.state[0] == state
    assert snapshot.hosts.state[0] == "connected"
    loads = metrics(in_state(snapshot, [host], "maintenance"), Placement.of(snapshot))
    assert loads["cpu"]["mean"] != pytest.approx(metrics(snapshot, Placement.of(snapshot))["cpu"]["mean"])
