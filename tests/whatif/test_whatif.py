"""What-if: changes to a cluster, faults in a scenario file, rows in order, the same in one process or two."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drs import automatic, datasets, io, whatif
from drs.automatic.history import at_time
from drs.datasets import make_cluster
from drs.errors import InputError
from drs.model import Snapshot
from drs.whatif import Scenario, read_scenarios
from drs.whatif.row import Base
from drs.whatif.row import answer as answer_of


@pytest.fixture(scope="module")
def small() -> Snapshot:
    return datasets.load("small")


def scenario(**fields: object) -> Scenario:
    return Scenario.model_validate({"name": "s", **fields})


def answer(
    snapshot: Snapshot, asked: Scenario, rules: tuple[object, ...], policy: object
) -> dict[str, object]:
    return answer_of(Base(snapshot, rules, policy), 0, asked)  # type: ignore[arg-type]


def apply(snapshot: Snapshot, asked: Scenario) -> Snapshot:
    return asked.edit(snapshot).snapshot


def test_nothing_changed_is_the_same_cluster(small: Snapshot) -> None:
    assert apply(small, scenario()).digest == small.digest


def test_added_hosts_are_copies_with_their_mounts(small: Snapshot) -> None:
    changed = apply(small, scenario(add_hosts=[{"like": "esx-a-01", "count": 2}]))
    assert changed.n_hosts == small.n_hosts + 2
    new, old = changed.hosts.position["esx-a-01-copy-2"], changed.hosts.position["esx-a-01"]
    assert changed.hosts.cpu_mhz[new] == changed.hosts.cpu_mhz[old]
    assert (changed.mounts[new] == changed.mounts[old]).all()
    assert (changed.portgroups[new] == changed.portgroups[old]).all()


def test_vms_of_a_dropped_host_have_to_be_placed(small: Snapshot) -> None:
    on_it = small.vms.name[small.vms.host_idx == small.hosts.position["esx-a-03"]]
    changed = apply(small, scenario(drop_hosts="esx-a-03"))
    assert changed.n_hosts == small.n_hosts - 1
    waiting = changed.vms.name[changed.vms.host_idx < 0]
    assert sorted(waiting) == sorted(on_it) and len(on_it)


def test_added_vms_wait_for_a_host_with_their_disks(small: Snapshot) -> None:
    changed = apply(small, scenario(add_vms=[{"like": "web-shop-01", "count": 3}]))
    assert changed.n_vms == small.n_vms + 3
    assert (changed.vms.host_idx < 0).sum() == 3
    vm = changed.vms.position["web-shop-01-copy-3"]
    assert (changed.disks.vm_idx == vm).sum() == (
        small.disks.vm_idx == small.vms.position["web-shop-01"]
    ).sum()


def test_scaling_touches_only_the_vms_named(small: Snapshot) -> None:
    changed = apply(small, scenario(scale_vms=[{"vms": "web-*", "cpu_ratio": 2.0, "memory_ratio": 1.5}]))
    web = [str(name).startswith("web-") for name in small.vms.name]
    other = [not each for each in web]
    assert changed.vms.cpu_demand_mhz[web] == pytest.approx(2 * small.vms.cpu_demand_mhz[web])
    assert changed.vms.memory_mib[web] == pytest.approx(1.5 * small.vms.memory_mib[web])
    assert (changed.vms.cpu_demand_mhz[other] == small.vms.cpu_demand_mhz[other]).all()


def test_a_link_can_be_changed_or_added() -> None:
    medium = datasets.load("medium")
    a, b = str(medium.links.a[0]), str(medium.links.b[0])
    changed = apply(medium, scenario(links=[{"a": b, "b": a, "bandwidth_mbps": 123.0}]))
    assert changed.links.bandwidth_mbps[0] == 123.0
    more = apply(medium, scenario(links=[{"a": a, "b": "router-x", "bandwidth_mbps": 5.0, "new_node": True}]))
    assert len(more.links) == len(medium.links) + 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no scenario; expected at least one [[scenario]]"),
        ("[[scenario]]\n", "the required field name is missing"),
        ('[[scenario]]\nname = "a"\nevacuat = ["x"]\n', "did you mean evacuate?"),
        (
            '[[scenario]]\nname = "a"\nmax_moves = -1\n',
            "field max_moves: -1; expected greater than or equal to 0",
        ),
        ('[[scenario]]\nname = "a"\nadd_hosts = [{like = "x", count = -1}]\n', "field add_hosts.0.count: -1"),
        ('[[scenario]]\nname = "a"\nadd_hosts = [{lik = "x"}]\n', "did you mean like?"),
        ('[[scenario]]\nname = "a"\nscale_vms = [{cpu_ratio = inf}]\n', "scale_vms.0.cpu_ratio"),
        (
            '[[scenario]]\nname = "a"\nlinks = [{a = "x", b = "y", loss_ratio = 2.0}]\n',
            "links.0.loss_ratio: 2.0",
        ),
        ('[[scenario]]\nname = "a"\n[[scenario]]\nname = "a"\n', "'a' stands twice"),
        (
            '[[scenario]]\nname = "a"\nmode = "recovr"\n',
            "[[scenario]] 1, field mode: 'recovr'; expected one of balance",
        ),
        ('[[scenario]]\nname = "a"\nsolver = "cpsatt"\n', "did you mean cpsat?"),
        ('[[scenarios]]\nname = "a"\n', "did you mean scenario?"),
        ("[[scenario]\n", "s.toml, line 1, column 11: no valid TOML"),
    ],
)
def test_faults_in_the_file(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_scenarios(path)
    assert said in str(caught.value) and "s.toml" in str(caught.value)


def test_names_that_are_not_there_are_told_together(small: Snapshot) -> None:
    wrong = scenario(drop_hosts=["esx-a-0l", "esx-a-02"], scale_vms=[{"vms": "wbe-*"}],
                     add_vms=[{"like": "web-shop-0l"}])  # fmt: skip
    with pytest.raises(InputError) as caught:
        apply(small, wrong)
    assert len(caught.value.faults) == 3


def test_one_process_or_two_give_the_same_rows(small: Snapshot, tmp_path: Path) -> None:
    asked = [scenario(name=f"{n}", iterations=300, max_moves=n) for n in (1, 4)]
    one = whatif.run(small, asked, rules=())
    two = whatif.run(small, asked, rules=(), jobs=2, out=tmp_path / "r.parquet")
    kept = [column for column in one if column != "elapsed_s"]
    pd.testing.assert_frame_equal(one[kept], two[kept])
    written = pd.read_parquet(tmp_path / "r.parquet").sort_values("number", ignore_index=True)
    pd.testing.assert_frame_equal(written[kept], two[kept])
    assert (one["n_moves"] <= [1, 4]).all()


@pytest.mark.parametrize(
    ("name", "said"), [("r.xlsx", "ends in .parquet or .csv"), ("no/r.csv", "no folder")]
)
def test_a_bad_place_for_the_results_is_told_before_any_work(
    small: Snapshot, tmp_path: Path, name: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        whatif.run(small, [scenario()], out=tmp_path / name)


def test_an_interrupt_keeps_the_rows_that_are_done(small: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    from drs.whatif import pool

    def interrupted(*task: object) -> dict[str, object]:
        if task[2].name == "second":  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        return {"number": task[1], "scenario": task[2].name, "error": ""}  # type: ignore[attr-defined]

    monkeypatch.setattr(pool, "answer", interrupted)
    table = whatif.run(small, [scenario(name="first"), scenario(name="second")], rules=())
    assert table["scenario"].tolist() == ["first"]


def test_a_scenario_without_an_answer_says_why(small: Snapshot) -> None:
    from drs.problem.policy import Policy

    row = answer(small, scenario(mode="place"), (), Policy())
    assert "every VM has a host" in row["error"]


def test_replay_beats_doing_nothing() -> None:
    hosts = pd.DataFrame({"host": ["a", "b"], "cpu_mhz": 10_000.0, "memory_mib": 65_536.0})
    vms = pd.DataFrame(
        {"vm": [f"v{i}" for i in range(4)], "host": "a", "memory_mib": 4096.0, "cpu_demand_mhz": 1000.0}
    )
    times = pd.date_range("2026-03-02", periods=6, freq="h").strftime("%Y-%m-%dT%H:%M:%S")
    loads = pd.DataFrame([{"vm": f"v{i}", "time": time, "cpu_mhz": 1000.0 if hour < 2 else 4000.0}
                          for hour, time in enumerate(times) for i in range(4)])  # fmt: skip
    snapshot = io.from_frames({"hosts": hosts, "vms": vms, "loads": loads})
    table = automatic.replay(snapshot, time_s=1)
    assert len(table) == 6
    assert table["n_moves"].sum() == 2
    assert table["undelivered_mhz_idle"].iloc[-1] == pytest.approx(6000)
    assert table["undelivered_mhz"].iloc[-1] == 0


def test_a_moment_of_a_replay_knows_the_past_and_not_the_future() -> None:
    snapshot = make_cluster(4, 20, history_days=1)
    assert snapshot.loads is not None
    then = at_time(snapshot, 5)
    assert then.loads is not None and (then.loads.time == snapshot.loads.time[:6]).all()
    assert np.allclose(then.demand("cpu")[snapshot.vms.on], snapshot.loads.cpu_mhz[5][snapshot.vms.on])


def test_replay_needs_a_history(small: Snapshot) -> None:
    with pytest.raises(InputError, match="no load history"):
        automatic.replay(small)


def test_a_scenario_carries_all_options_of_a_mode(small: Snapshot, tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(
        '[[scenario]]\nname = "lost"\nlost = ["esx-a-01"]\n'
        'change = [{do = "set", table = "vms", rows = "*", column = "cpu_shares", value = 7}]\n'
        '[[scenario]]\nname = "dropped"\ndrop_hosts = ["esx-a-01"]\n'
        '[[scenario]]\nname = "more"\nnew = ["web-shop-01=2"]\n'
    )
    lost, dropped, more = read_scenarios(path)
    assert lost.options.lost == ("esx-a-01",) and lost.options.given() == ["lost"]
    assert lost.edit(small).snapshot.n_hosts == small.n_hosts
    assert set(lost.edit(small).snapshot.vms.cpu_shares.tolist()) == {7.0}
    assert dropped.edit(small).snapshot.n_hosts == small.n_hosts - 1
    assert more.options.new == ("web-shop-01=2",)
    rows = whatif.run(small, [each.model_copy(update={"iterations": 200}) for each in (lost, more)], rules=())
    assert rows["error"].tolist() == ["", ""]
    assert rows["n_vms"].tolist() == [small.n_vms, small.n_vms + 2]


def test_what_a_scenario_narrows_stands_in_its_row(small: Snapshot) -> None:
    from drs.problem.policy import Policy
    from drs.rules import RunOn

    rule = RunOn("web-shop-01", ["esx-a-01"], name="licence")
    row = answer(small, scenario(drop_hosts="esx-a-01", iterations=100), (rule,), Policy())
    assert row["error"] == ""
    assert "rule 'licence' is dropped" in row["notes"]


def test_a_scenario_can_be_a_rolling_campaign(small: Snapshot) -> None:
    from drs.problem.policy import Policy

    hosts = ["esx-a-01", "esx-a-02"]
    cluster = str(small.clusters.name[small.hosts.cluster_idx[small.hosts.position["esx-a-01"]]])
    asked = scenario(rolling={"hosts": hosts, "at_once": 1}, cluster=cluster, iterations=200)
    row = answer(small, asked, (), Policy())
    assert row["error"] == ""
    assert row["n_steps"] + row["n_blocked"] == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('change = [{do = "drop-host", hosts = "a"}]', "did you mean drop-hosts?"),
        ('change = [{do = "set", table = "vms", rows = "a", colum = "x", value = 1}]', "did you mean column?"),
        ('change = [{hosts = "a"}]', "expected one of add-hosts"),
        ('rolling = {at_once = 0}', "rolling.at_once: 0"),
        ('rolling = {}\nlost = ["a"]', "field lost: an option that a rolling campaign does not know"),
        ('deadline_s = -1', "field deadline_s: -1"),
    ],
)  # fmt: skip
def test_faults_of_changes_and_options(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "s.toml"
    path.write_text(f'[[scenario]]\nname = "a"\n{text}\n')
    with pytest.raises(InputError) as caught:
        read_scenarios(path)
    assert said in str(caught.value)
