"""What a mode writes has the rules and the policy that were given: it reads back, and nothing is left to do."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import drs
from drs import api, io
from drs.goals import Moves
from drs.model import Snapshot
from drs.modes import Options, rolling
from drs.problem import Limits, Policy
from drs.report.document import write, write_rolling
from drs.rules import KeepApart

RULES = (KeepApart(("vm00", "vm01"), name="pair"),)
POLICY = Policy(goals=(Moves(),), limits=Limits(max_moves=50))


def farm(**vms: Any) -> Snapshot:
    """Four hosts of two sites with a datastore that all see; host `d` is empty."""
    n = 9
    return io.from_frames(
        {
            "hosts": pd.DataFrame(
                {"host": list("abcd"), "site": ["A", "A", "B", "B"], "cpu_mhz": 40_000.0, "memory_mib": 65_536.0,
                 "evc_max": "intel-skylake", "cpu_vendor": "intel", "power_idle_w": 100.0, "power_max_w": 300.0}
            ),
            "vms": pd.DataFrame(
                {"vm": [f"vm{k:02d}" for k in range(n)], "host": ["abc"[k % 3] for k in range(n)],
                 "memory_mib": 4096.0, "cpu_demand_mhz": 1000.0, **vms}
            ),
            "disks": pd.DataFrame(
                {"vm": [f"vm{k:02d}" for k in range(n)], "disk": "d0", "datastore": ["one", "two"] * 4 + ["one"],
                 "size_gib": 20.0}
            ),
            "links": pd.DataFrame({"a": ["A"], "b": ["B"], "bandwidth_mbps": [10_000.0], "latency_ms": [1.0]}),
            "datastores": pd.DataFrame(
                {"datastore": ["one", "two"], "capacity_gib": 1000.0, "datastore_cluster": "pod"}
            ),
        }
    )  # fmt: skip


ASKED: dict[str, dict[str, Any]] = {
    "balance": {},
    "evacuate": {"evacuate": ["a"]},
    "site": {"mode": "evacuate", "options": Options(site="A")},
    "consolidate": {"mode": "consolidate"},
    "recover": {"options": Options(lost=("a",))},
    "place": {"mode": "place", "options": Options(new=("vm03=2",))},
    "upgrade-evc": {"mode": "upgrade-evc"},
    "defragment": {"options": Options(flavours=("4000mhz/4g",))},
    "storage": {"mode": "storage", "policy": Policy(goals=(Moves(),)), "options": Options(datastores=("one",))},
}  # fmt: skip


@pytest.mark.parametrize("asked", ASKED)
def test_a_plain_advise_on_the_output_proposes_nothing(asked: str, tmp_path: Path) -> None:
    more = {"policy": POLICY, **ASKED[asked]}
    result = drs.advise(farm(), rules=RULES, iterations=300, **more)
    assert result.status in ("optimal", "feasible")
    write(result, tmp_path / "out", "<html></html>")
    there = tmp_path / "out" / "snapshot"
    assert api.read_rules(there) == RULES
    assert api.read_policy(there) == more["policy"]
    assert drs.check(there) == ()
    again = drs.advise(there, iterations=300)
    assert again.plan is not None and again.plan.moves == ()
    assert not again.plan.stranded


def test_each_step_of_a_campaign_reads_back(tmp_path: Path) -> None:
    campaign = rolling(drs.advise, farm(), rules=RULES, policy=POLICY, iterations=200)
    assert campaign.complete and len(campaign.steps) == 4
    write_rolling(campaign, tmp_path / "out", lambda result: "<html></html>")
    for number in range(1, 5):
        there = tmp_path / "out" / f"step-{number:02d}" / "snapshot"
        assert api.read_rules(there) == RULES and api.read_policy(there) == POLICY
        assert drs.check(there) == ()
        again = drs.advise(there, iterations=200)
        assert again.plan is not None and again.plan.moves == ()


def test_a_limit_of_the_request_ends_with_it(tmp_path: Path) -> None:
    result = drs.advise(farm(), rules=RULES, policy=POLICY, max_moves=3, iterations=100)
    write(result, tmp_path / "out", "<html></html>")
    assert api.read_policy(tmp_path / "out" / "snapshot").limits.max_moves == 50


def test_a_restart_is_a_power_on() -> None:
    """VMs of a lost host come up on an older CPU, and the proof of N+k says the same."""
    from drs.modes import admission
    from drs.problem import Problem

    snapshot = farm(evc_mode="intel-skylake")
    baselines = np.array(["intel-skylake", *["intel-haswell"] * 3])
    older = dataclasses.replace(
        snapshot,
        hosts=dataclasses.replace(snapshot.hosts, evc_max=baselines),
        vms=dataclasses.replace(snapshot.vms, host_idx=np.zeros(snapshot.n_vms, dtype=np.int32)),
    )
    result = drs.advise(older, options=Options(lost=("a",)), iterations=300)
    assert result.status in ("optimal", "feasible") and (result.placement.host_idx > 0).all()
    report = admission(Problem(older), 1)
    assert report.clusters[0].survives >= 1
