"""Hints: each is given where its reason is planted, and none where it is not."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import drs
from drs import io
from drs.cli import app
from drs.explain.hints import hints
from drs.model import Snapshot
from drs.model.pools import entitled, own_shares, pools
from drs.problem import Problem
from drs.rules import Pinned


def cluster(n: int = 12, hosts: dict[str, Any] | None = None, **vms: Any) -> Snapshot:
    """Three hosts of 10 cores at 2,000 MHz; `n` VMs of 4 vCPUs, dealt out in turn unless said otherwise."""
    tables = {
        "hosts": pd.DataFrame(
            {"host": list("abc"), "cluster": "one", "cpu_mhz": 20_000.0, "cpu_cores": 10, "memory_mib": 131_072.0,
             **(hosts or {})}
        ),
        "vms": pd.DataFrame(
            {"vm": [f"vm-{i:02d}" for i in range(n)], "host": [list("abc")[i % 3] for i in range(n)],
             "memory_mib": 4096.0, "cpu_demand_mhz": 1000.0, "vcpus": 4, **vms}
        ),
    }  # fmt: skip
    return drs.read(tables)


def told(snapshot: Snapshot, *rules: Any) -> dict[str, str]:
    return {hint.kind: hint.sentence for hint in hints(Problem(snapshot, rules))}


def test_nothing_is_said_of_an_ordinary_cluster() -> None:
    assert told(cluster()) == {}


def test_idle_vms_that_pile_up_on_one_host() -> None:
    where = ["a"] * 10 + ["b", "c"]
    said = told(cluster(host=where, cpu_demand_mhz=20.0))
    assert list(said) == ["idle-pile-up"]
    assert "a holds 10 of the 12 idle VMs of its cluster" in said["idle-pile-up"]
    assert "80,000 MHz, and it has 20,000" in said["idle-pile-up"]
    assert told(cluster(host=where, cpu_demand_mhz=1000.0)) == {}  # busy, hence seen by every balancer
    assert told(cluster(host=where, cpu_demand_mhz=20.0, vcpus=1)) == {}  # 10 x 2,000 MHz: all could wake up


def test_a_pool_with_more_shares_and_less_for_each_vm() -> None:
    pool = pd.DataFrame({"pool": ["prod", "test"], "cpu_shares": [8000, 4000]})
    member = ["prod"] * 10 + ["test"] * 2
    said = told(_with_pools(pool, member))
    assert list(said) == ["pool-upside-down"]
    assert "pool prod has more shares than test" in said["pool-upside-down"]
    assert "cpu 8,000 against 4,000 shares, for each vCPU 200 against 500" in said["pool-upside-down"]
    assert told(_with_pools(pool, ["prod"] * 6 + ["test"] * 6)) == {}
    # Scalable shares put it right: a VM at level high has twice those of one at level normal.
    scalable = _with_pools(pool.assign(scalable_shares="yes"), member)
    assert told(scalable) == {}
    shares = own_shares(scalable, "cpu")
    assert shares.tolist() == [2 * 10 * 4000, 2 * 4000]


def _with_pools(pool: pd.DataFrame, member: list[str], mhz: float = 1000.0) -> Snapshot:
    hosts = pd.DataFrame({"host": list("abc"), "cpu_mhz": 20_000.0, "cpu_cores": 10, "memory_mib": 131_072.0})
    vms = pd.DataFrame(
        {"vm": [f"vm-{i:02d}" for i in range(12)], "host": [list("abc")[i % 3] for i in range(12)],
         "memory_mib": 4096.0, "cpu_demand_mhz": mhz, "vcpus": 4, "pool": member}
    )  # fmt: skip
    return drs.read({"hosts": hosts, "vms": vms, "pools": pool})


def test_scalable_shares_decide_what_vms_are_due() -> None:
    """10 VMs at level high and 2 at normal want 8,000 MHz each of 60,000: per VM 2 : 1, by hand."""
    pool = pd.DataFrame({"pool": ["prod", "test"], "cpu_shares": [8000, 4000], "scalable_shares": "yes"})
    snapshot = _with_pools(pool, ["prod"] * 10 + ["test"] * 2, 8000.0)
    due = entitled(snapshot, "cpu")
    assert due[0] / due[11] == pytest.approx(2.0)
    assert due.sum() == pytest.approx(60_000)
    assert {each.name: each.cpu.shares for each in pools(snapshot)} == {"prod": 80_000, "test": 8_000}
    plain = _with_pools(pool.drop(columns="scalable_shares"), ["prod"] * 10 + ["test"] * 2, 8000.0)
    assert entitled(plain, "cpu")[11] == 8000.0  # the two of test get all they want, prod's ten go short
    assert entitled(plain, "cpu")[0] < due[0]


def test_vms_with_one_possible_host_are_named_with_the_rule() -> None:
    said = told(cluster(), Pinned(["vm-00", "vm-03"], name="licence"))
    assert said == {
        "one-host": "one: 2 VMs have one possible host, vm-00, vm-03: licence leaves it no other host"
    }


def test_vms_wider_than_a_numa_node_and_gpus_without_a_count() -> None:
    vcpus = [4] * 11 + [6]
    said = told(cluster(hosts={"numa_nodes": 2}, vcpus=vcpus))
    assert list(said) == ["wider-than-numa-node"]
    assert "c has 2 NUMA nodes, and 1 VM is wider than one of them: vm-11" in said["wider-than-numa-node"]
    assert told(cluster(hosts={"numa_nodes": 1}, vcpus=vcpus)) == {}
    assert told(cluster(vcpus=vcpus)) == {}
    gpus = [1.0] + [0.0] * 11
    assert "hosts.csv has no gpus_capacity" in told(cluster(gpus=gpus))["vgpu"]
    assert "vgpu" not in told(cluster(gpus=gpus, hosts={"gpus_capacity": 2}))


def test_check_tells_overcommitment_and_all_hints(tmp_path) -> None:
    snapshot = cluster(memory_mib=50_000.0, memory_consumed_mib=20_000.0)
    assert np.unique(snapshot.vms.memory_mib).tolist() == [50_000.0]
    io.write_folder(snapshot, tmp_path / "s")
    run = CliRunner()
    done = run.invoke(app, ["check", str(tmp_path / "s"), "--json", "--strict"])
    assert done.exit_code == 0, done.output
    (hint,) = json.loads(done.stdout)["hints"]
    assert hint["kind"] == "overcommitted"
    assert "up to 153 % of a host" in hint["sentence"]
    assert "hint one over-commits memory" in run.invoke(app, ["check", str(tmp_path / "s")]).stdout
