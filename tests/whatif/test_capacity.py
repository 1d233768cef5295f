"""A capacity planner's questions: against brute force where that is possible, and against what is known by hand."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drs import capacity, datasets, io, plotting
from drs.capacity.packing import Items, Model, pack
from drs.errors import InputError
from drs.model import Snapshot
from drs.rules import KeepApart


def cluster(n_hosts: int, memory: list[float], cpu: float = 1000.0, **host: Any) -> Snapshot:
    hosts = {"host": [f"h{k}" for k in range(n_hosts)], "cpu_mhz": 20_000.0, "memory_mib": 65_536.0, **host}
    vms = {"vm": [f"v{k}" for k in range(len(memory))], "host": [f"h{k % n_hosts}" for k in range(len(memory))],
           "memory_mib": memory, "cpu_demand_mhz": cpu}  # fmt: skip
    return io.from_frames({"hosts": pd.DataFrame(hosts), "vms": pd.DataFrame(vms)})


def fewest(demand: np.ndarray, room: np.ndarray, apart: list[tuple[tuple[int, ...], int]]) -> int:  # type: ignore[type-arg]
    """By trying all ways to put items into so many bins."""
    n = len(demand)
    for bins in range(1, n + 1):
        for of in itertools.product(range(bins), repeat=n - 1):
            places = np.array((0, *of))
            full = [(demand[places == b].sum(axis=0) <= room + 1e-9).all() for b in range(bins)]
            split = all(
                (np.bincount(places[list(group)], minlength=bins) <= most).all() for group, most in apart
            )
            if all(full) and split:
                return bins
    raise AssertionError


@pytest.mark.parametrize("seed", range(8))
def test_packing_is_the_least_and_its_bound_never_above(seed: int) -> None:
    rng = np.random.default_rng(seed)
    demand = rng.integers(1, 8, size=(6, 2)).astype(float)
    room = np.array([10.0, 10.0])
    apart = [((0, 1, 2), 1)] if seed % 2 else []
    found = pack(Items(demand, np.ones((6, 1), dtype=bool), tuple(apart)), [Model("m", room)])
    least = fewest(demand, room, apart)
    assert found.bound <= least + 1e-9 <= found.price + 2e-9
    assert len(found.hosts) == least and found.proven
    for host in range(len(found.hosts)):
        assert (demand[found.of == host].sum(axis=0) <= room + 1e-9).all()


def test_a_mix_is_cheaper_than_either_model() -> None:
    demand = np.array([[8.0], [8.0], [2.0]])
    models = [Model("big", np.array([16.0]), 100.0), Model("little", np.array([2.0]), 10.0)]
    found = pack(Items(demand, np.ones((3, 2), dtype=bool)), models)
    assert (found.price, found.bound) == (110.0, 110.0)


def test_many_different_vms_have_a_close_bound() -> None:
    rng = np.random.default_rng(3)
    demand = np.column_stack([rng.uniform(100, 4000, 400), rng.choice([4096.0, 8192.0, 16384.0], 400)])
    room = np.array([60_000.0, 524_288.0])
    found = pack(Items(demand, np.ones((400, 1), dtype=bool)), [Model("m", room)], time_s=10)
    volume = np.ceil((demand.sum(axis=0) / room).max())
    assert volume <= found.bound <= found.price <= volume + 1


def test_how_many_with_a_spare_and_the_usual_rule() -> None:
    snapshot = cluster(8, [32_768.0] * 8)
    told = capacity.how_many(snapshot, {"m": {"cpu_mhz": 20_000, "memory_mib": 65_536}})
    assert (told.figure, told.proven) == (5.0, True)  # two a host, and one spare
    assert told.rows[0]["rule_of_thumb"] == 6
    assert "N+1" in told.sentence and "memory" in told.binding
    apart = capacity.how_many(
        snapshot, {"m": {"cpu_mhz": 20_000, "memory_mib": 65_536}}, rules=[KeepApart("v*")]
    )
    assert (apart.figure, apart.proven) == (9.0, True)


def test_how_many_names_what_fits_nowhere_and_what_is_not_counted() -> None:
    from drs.rules import RunOn

    snapshot = cluster(2, [32_768.0, 60_000.0])
    told = capacity.how_many(
        snapshot, {"m": {"cpu_mhz": 20_000, "memory_mib": 40_000}}, rules=[RunOn("v0", "h0", name="r")]
    )
    assert (
        not told.proven
        and any("v1" in note for note in told.notes)
        and any("'r'" in note for note in told.notes)
    )
    with pytest.raises(InputError, match="cpu_mhz"):
        capacity.how_many(snapshot, {"m": {"memory_mib": 1}})


def test_when_full_by_a_given_growth() -> None:
    snapshot = cluster(3, [32_768.0] * 2)  # N+1 leaves two hosts of three: half is used
    told = capacity.when_full(snapshot, growth_percent=10.0)
    assert told.figure == pytest.approx(np.log(2) / np.log(1.1))
    assert "memory" in told.binding
    never = capacity.when_full(snapshot, growth_percent=0.0)
    assert never.figure is None and "no cluster is full" in never.sentence


def test_when_full_by_the_history() -> None:
    days = 28
    times = pd.date_range("2026-01-01", periods=days * 4, freq="6h")
    loads = pd.DataFrame([{"vm": f"v{k}", "time": time.isoformat(), "cpu_mhz": 1000 * (1 + 0.01 * n / 4)}
                          for n, time in enumerate(times) for k in range(4)])  # fmt: skip
    hosts = pd.DataFrame({"host": ["h0", "h1"], "cpu_mhz": 20_000.0, "memory_mib": 65_536.0})
    vms = pd.DataFrame(
        {"vm": [f"v{k}" for k in range(4)], "host": "h0", "memory_mib": 1024.0, "cpu_demand_mhz": 1270.0}
    )
    told = capacity.when_full(io.from_frames({"hosts": hosts, "vms": vms, "loads": loads}))
    assert told.rows[0]["growth_percent_month"] == pytest.approx(
        30.4 / 1.14, rel=0.05
    )  # of the mean of the history
    assert told.rows[0]["months_10"] <= told.figure <= told.rows[0]["months_90"]  # type: ignore[operator]
    with pytest.raises(InputError, match="no load history"):
        capacity.when_full(cluster(2, [1024.0]))


def test_survives_today_and_later() -> None:
    snapshot = cluster(3, [24_000.0] * 4)
    told = capacity.survives(snapshot, failures=1, growth_percent=10.0, months=6, every=3)
    assert [row["survives"] for row in told.rows] == [1, 1, 0]
    assert told.proven and "from month 6" in told.sentence


def test_buy_restores_n_plus_one_with_as_little_as_possible() -> None:
    snapshot = cluster(2, [40_000.0] * 2)
    told = capacity.buy(snapshot)
    by = {row["purchase"]: row["amount"] for row in told.rows}
    assert by["hosts"] == 1 and by["modules of 64 GiB in each host"] == 1
    assert told.proven and "cannot restart" in told.binding
    assert capacity.buy(cluster(3, [1024.0] * 2)).sentence.startswith("nothing")


@pytest.mark.filterwarnings("ignore")
def test_weekend_and_ratio_of_a_dataset() -> None:
    small = datasets.load("small")
    told = capacity.weekend(small, window_s=3600.0, service_s=1800.0, iterations=200)
    assert told.rows and not told.more["fits"] and "leave out" in told.sentence
    frontier = capacity.ratio(cluster(4, [8192.0] * 4), iterations=100)
    assert frontier.figure == 2.0  # two hosts hold all even when one of them fails
    assert [row["hosts_off"] for row in frontier.rows][:3] == [0, 1, 2]


def test_leave_with_a_swing_host() -> None:
    hosts = pd.DataFrame({"host": ["h0", "h1", "h2"], "cpu_mhz": 20_000.0, "memory_mib": 65_536.0})
    vms = pd.DataFrame({"vm": [f"v{k}" for k in range(6)], "host": [f"h{k % 3}" for k in range(6)],
                        "memory_mib": 24_000.0, "cpu_demand_mhz": 100.0})  # fmt: skip
    disks = pd.DataFrame(
        {"vm": [f"v{k}" for k in range(6)], "disk": "d", "datastore": "s", "size_gib": 100.0}
    )
    stores = pd.DataFrame({"datastore": ["s"], "capacity_gib": [1000.0]})
    snapshot = io.from_frames({"hosts": hosts, "vms": vms, "disks": disks, "datastores": stores})
    told = capacity.leave(snapshot, headroom_ratio=0.0)
    assert len(told.rows) == 3 and told.more["complete"] and told.more["conversion"] == "cold"
    copy_s = 100 * 8192 * 1.048576 / 2500
    assert {round(vm["downtime_s"]) for vm in told.more["vms"]} == {round(copy_s + 120)}
    live = capacity.leave(snapshot, to="esxi", headroom_ratio=0.0)
    assert max(vm["downtime_s"] for vm in live.more["vms"]) < 5
    assert not capacity.leave(cluster(2, [65_000.0] * 2), to="esxi", headroom_ratio=0.5).more["complete"]
    with pytest.raises(InputError, match="disks"):
        capacity.leave(cluster(2, [1024.0]))


def test_every_answer_has_a_chart() -> None:
    snapshot = cluster(3, [8192.0] * 4)
    told = [capacity.how_many(snapshot), capacity.when_full(snapshot, growth_percent=3.0), capacity.survives(snapshot),
            capacity.buy(snapshot), capacity.ratio(snapshot, iterations=50),
            capacity.leave(snapshot, to="esxi")]  # fmt: skip
    for each in told:
        assert plotting.answer(each.question, each.rows).data, each.question
        assert each.document()["sentence"] and each.proof and each.binding
