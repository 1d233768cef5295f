"""The replay is causal: what is planned at t meets the load that comes, and migrations take time and cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from drs import automatic, io
from drs.automatic.contenders import NAMES, Contender, Wish
from drs.automatic.history import SLOWDOWN_RATIO, at_time
from drs.errors import InputError
from drs.model import Snapshot
from drs.planning import Move


def cluster(loads: list[list[float | None]], minutes: int = 60) -> Snapshot:
    """Two hosts of 10 GHz; VM k of the history begins on host `a`."""
    hosts = pd.DataFrame({"host": ["a", "b"], "cpu_mhz": 10_000.0, "memory_mib": 65_536.0})
    n = len(loads[0])
    vms = pd.DataFrame(
        {"vm": [f"v{k}" for k in range(n)], "host": "a", "memory_mib": 4096.0, "cpu_demand_mhz": 77.0}
    )
    times = pd.date_range("2026-03-02", periods=len(loads), freq=f"{minutes}min")
    rows = [{"vm": f"v{k}", "time": time.isoformat(), "cpu_mhz": value}
            for time, row in zip(times, loads, strict=True) for k, value in enumerate(row)
            if value is not None]  # fmt: skip
    return io.from_frames({"hosts": hosts, "vms": vms, "loads": pd.DataFrame(rows)})


class Scripted(Contender):
    """Moves by a script: {step: moves}."""

    def __init__(self, script: dict[int, tuple[Move, ...]]) -> None:
        self.script, self.step = script, -1
        self.seen: list[float] = []

    def wish(self, now: Snapshot, rules: Any, cluster: Any, state: Any, budget: Any) -> Wish:
        self.step += 1
        self.seen.append(float(now.vms.cpu_demand_mhz[0]))
        return Wish(self.script.get(self.step, ()), "script", True)


def move(vm: str, a: str, b: str, total_s: float, start_s: float = 0.0, downtime_ms: float = 0.0) -> Move:
    return Move(
        1,
        1,
        vm,
        "vmotion",
        a,
        b,
        start_s=start_s,
        precopy_s=total_s,
        total_s=total_s,
        downtime_ms=downtime_ms,
    )


def test_a_plan_meets_the_load_that_comes_after_it() -> None:
    snapshot = cluster([[4000.0, 4000.0], [4000.0, 4000.0], [9000.0, 4000.0], [9000.0, 4000.0]])
    watcher = Scripted({})
    table = automatic.compare(snapshot, {"s": watcher})
    assert watcher.seen == [4000.0, 4000.0, 9000.0, 9000.0]
    assert table["undelivered_mhz"].tolist() == [0.0, 3000.0, 3000.0, 3000.0]


def test_a_migration_takes_its_time() -> None:
    snapshot = cluster([[6000.0, 6000.0]] * 3)
    table = automatic.compare(snapshot, {"s": Scripted({0: (move("v0", "a", "b", 1800.0),)})})
    # For half of the hour both VMs are on host a, with what sending takes on top: 2,000 + 600 MHz too much.
    assert table["undelivered_mhz"].iloc[0] == pytest.approx(0.5 * 2600)
    assert table["undelivered_mhz_s"].iloc[0] == pytest.approx(
        1800 * 2600 * 12000 / 12600 + 1800 * SLOWDOWN_RATIO * 6000
    )  # what is over is shared out among all that use the host
    assert table["undelivered_mhz"].iloc[1] == 0.0


def test_the_standstill_of_a_vm_counts() -> None:
    snapshot = cluster([[1000.0, 1000.0]] * 2)
    table = automatic.compare(
        snapshot, {"s": Scripted({0: (move("v0", "a", "b", 0.0, downtime_ms=5000.0),)})}
    )
    assert table["undelivered_mhz_s"].iloc[0] == pytest.approx(5000.0)
    assert table["worst_vm"].iloc[0] == "v0"


def test_a_move_goes_on_in_the_next_interval_and_no_plan_begins_before() -> None:
    snapshot = cluster([[6000.0, 6000.0]] * 4)
    script = Scripted({0: (move("v0", "a", "b", 5400.0),), 1: (move("v1", "a", "b", 1.0),)})
    table = automatic.compare(snapshot, {"s": script})
    assert table["n_running"].tolist() == [1, 0, 0, 0]
    assert table["reason"].iloc[1] == "the last plan is under way"
    assert table["undelivered_mhz"].iloc[0] == pytest.approx(2600)
    assert table["undelivered_mhz"].iloc[1] == pytest.approx(1300)


def test_a_vm_that_comes_back_within_an_hour_is_counted() -> None:
    snapshot = cluster([[1000.0, 1000.0]] * 4, minutes=20)
    table = automatic.compare(
        snapshot, {"s": Scripted({0: (move("v0", "a", "b", 1.0),), 1: (move("v0", "b", "a", 1.0),)})}
    )
    assert table["n_returns"].tolist() == [0, 1, 0, 0]


def test_the_last_sample_holds_up_to_an_age() -> None:
    snapshot = cluster([[1000.0, 5.0], [None, 5.0], [None, 5.0]], minutes=40)
    assert at_time(snapshot, 1).vms.cpu_demand_mhz[0] == 1000.0
    assert at_time(snapshot, 2).vms.cpu_demand_mhz[0] == 77.0
    assert at_time(snapshot, 2, max_age_s=7200).vms.cpu_demand_mhz[0] == 1000.0


def test_policies_side_by_side_with_intervals_over_seeds() -> None:
    snapshot = cluster([[4000.0, 4000.0, 4000.0, 100.0]] * 6)
    sides = {name: automatic.contender(name) for name in NAMES}
    table = automatic.compare(snapshot, sides, seeds=(0, 1), time_s=None, iterations=200)
    told = automatic.summary(table).set_index("policy")
    assert set(told.index) == set(NAMES) and len(table) == len(NAMES) * 2 * 6
    assert told.loc["never", "n_moves"] == 0
    for name in ("greedy", "drs", "cloudstack"):
        assert told.loc[name, "n_moves"] > 0, name
        assert told.loc[name, "undelivered_mhz_s"] < told.loc["never", "undelivered_mhz_s"]
    assert np.isfinite(told.loc["drs", "undelivered_mhz_s_ci95"])


def test_a_policy_that_is_not_there() -> None:
    with pytest.raises(InputError, match="did you mean proxmox"):
        automatic.contender("proxmx")
