"""Results made by hand, so that the figures are tested without solver and planner."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from drs import datasets
from drs.model import Placement, Snapshot
from drs.planning import KINDS, Move, Plan, Stranded
from drs.problem import Problem
from drs.result import GoalScore, Immovable, Result
from drs.rules import Violation

HOSTILE = "<script>alert('x')</script>&\"'"


def renamed(snapshot: Snapshot, vm: str | None = None, host: str | None = None) -> Snapshot:
    """The snapshot with its first VM and first host renamed."""
    vms, hosts = snapshot.vms, snapshot.hosts
    if vm is not None:
        vms = dataclasses.replace(vms, name=np.array([vm, *vms.name[1:].tolist()]))
    if host is not None:
        hosts = dataclasses.replace(hosts, name=np.array([host, *hosts.name[1:].tolist()]))
    return dataclasses.replace(snapshot, vms=vms, hosts=hosts)


def without_hosts(snapshot: Snapshot) -> Snapshot:
    """The snapshot with neither hosts nor VMs."""

    def cut(table: Any) -> Any:
        return dataclasses.replace(
            table,
            **{
                f.name: getattr(table, f.name)[:0]
                for f in dataclasses.fields(table)
                if isinstance(getattr(table, f.name), np.ndarray)
            },
        )

    return dataclasses.replace(
        snapshot,
        hosts=cut(snapshot.hosts),
        vms=cut(snapshot.vms),
        disks=cut(snapshot.disks),
        loads=None,
        mounts=snapshot.mounts[:0],
        portgroups=snapshot.portgroups[:0],
        links=cut(snapshot.links),
        nic_vm_idx=snapshot.nic_vm_idx[:0],
        nic_network_idx=snapshot.nic_network_idx[:0],
    )


def hand_made(snapshot: Snapshot, n_moves: int = 12, seed: int = 1, with_plan: bool = True) -> Result:
    """Some VMs sent to other hosts, in waves of four, with made-up prices."""
    rng = np.random.default_rng(seed)
    problem = Problem(snapshot)
    host_idx = snapshot.vms.host_idx.copy()
    n_moves = min(n_moves, snapshot.n_vms) if snapshot.n_hosts > 1 else 0
    chosen = (
        [0, *(1 + rng.choice(snapshot.n_vms - 1, n_moves - 1, replace=False)).tolist()] if n_moves else []
    )
    moves = []
    for step, vm in enumerate(chosen, start=1):
        host = int(snapshot.vms.host_idx[vm])
        to = int((host + 1 + rng.integers(snapshot.n_hosts - 1)) % snapshot.n_hosts)
        host_idx[vm] = to
        wave = (step - 1) // 4 + 1
        kind = KINDS[step % len(KINDS)]
        total_s = float(rng.uniform(6, 40))
        disks = kind in ("storage", "cross_vcenter")
        moves.append(
            Move(
                step,
                wave,
                str(snapshot.vms.name[vm]),
                kind,
                str(snapshot.hosts.name[host]),
                str(snapshot.hosts.name[to]),
                ("ds-a",),
                ("ds-b",) if disks else ("ds-a",),
                reason=f"brings the CPU load of {snapshot.hosts.name[host]} from 91 % to 74 %",
                after_steps=(step - 4,) if step > 4 else (),
                start_s=(wave - 1) * 42.0 + float(rng.uniform(0, 3)),
                precopy_s=0.0 if kind == "cold" else total_s * 0.95,
                total_s=total_s,
                downtime_ms=0.0 if kind == "cold" else float(rng.uniform(40, 700)),
                downtime_low_ms=30.0,
                downtime_high_ms=900.0,
                transferred_mib=float(rng.uniform(2e3, 4e4)),
                rounds=4,
                converged=step != 3,
                parking=step == 5,
            )
        )
    placement = Placement(host_idx, snapshot.disks.datastore_idx)
    plan = Plan(
        snapshot,
        placement,
        placement,
        tuple(moves),
        (Stranded("app-7", "esx-1", "esx-2", "waits for db-1", ("app-7", "db-1")),) if moves else (),
        makespan_s=max((m.end_s for m in moves), default=0.0),
        makespan_bound_s=70.0 if moves else 0.0,
    )
    name = str(snapshot.hosts.name[0]) if snapshot.n_hosts else "none"
    broken = Violation("capacity", (), (name,), 2000.0, "MHz", f"{name} has 2,000 MHz more demand than CPU")
    apart = Violation("web-ha", ("web-1", "web-2"), (name,), 1.0, "VM", f"web-1 and web-2 are both on {name}")
    return Result(
        problem,
        "feasible",
        placement,
        (
            GoalScore("not_worse", "broken", 2.0, 0.0, 0.0),
            GoalScore("balance", "load spread above target", 0.31, 0.021, 0.018),
            GoalScore("moves", "GiB", 0.0, 96.0, float("-inf")),
        ),
        (broken, apart) if moves else (),
        (apart,) if moves else (),
        "auto",
        0,
        3.2,
        plan=plan if with_plan else None,
        immovable=(Immovable("gpu-1", "has a local device (1 GPU)"),) if moves else (),
        warnings=("live migration may not converge: db-3",) if moves else (),
    )


@pytest.fixture(scope="session")
def cluster() -> Snapshot:
    """Ten hosts with a leaf-spine network and two days of history."""
    return datasets.make_cluster(10, 60, 3, topology="leaf-spine", history_days=1.0, skew=0.5, name="lab")


@pytest.fixture(scope="session")
def empty(cluster: Snapshot) -> Snapshot:
    """A cluster of hosts without any VM."""
    return datasets.make_cluster(3, 0, 1)


@pytest.fixture(scope="session")
def nothing(cluster: Snapshot) -> Snapshot:
    """A snapshot without hosts."""
    return without_hosts(cluster)


@pytest.fixture(scope="session")
def make() -> Callable[..., Result]:
    """`hand_made`."""
    return hand_made


@pytest.fixture(scope="session")
def result(cluster: Snapshot) -> Result:
    """Twelve moves of every kind on `cluster`."""
    return hand_made(cluster)


@pytest.fixture(scope="session")
def hostile(cluster: Snapshot) -> Result:
    """A VM and a host whose names are HTML."""
    return hand_made(renamed(cluster, HOSTILE, "<img src=x onerror=alert(1)>"))
