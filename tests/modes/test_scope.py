"""`--cluster` narrows every verb: what is outside is read and counted, and stays as it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import cluster
from typer.testing import CliRunner

import drs
from drs import automatic, io, modes, whatif
from drs.cli import app
from drs.errors import InputError
from drs.rules import KeepApart
from drs.whatif import Scenario

HOSTS = {
    f"{c}-{h}": {"cluster": f"c{c}", "power_idle_w": 100, "power_max_w": 200}
    for c in range(3)
    for h in range(3)
}
SHARED = 100.0
"""GiB on one datastore that all clusters see, 10 for each VM's disk."""


def inventory(memory_mib: int = 1024, **tables: pd.DataFrame) -> drs.Snapshot:
    """Three clusters, each with all its VMs on its first host, and one datastore for all."""
    vms = {f"vm-{c}-{k}": (f"{c}-0", 1000, memory_mib) for c in range(3) for k in range(3)}
    disks = pd.DataFrame(
        [{"vm": vm, "disk": "d", "datastore": "shared", "size_gib": 10, "used_gib": 10} for vm in vms]
    )
    stores = pd.DataFrame(
        [{"datastore": name, "capacity_gib": SHARED, "free_gib": free, "datastore_cluster": "pod"}
         for name, free in (("shared", SHARED - 90), ("spare", SHARED))]
    )  # fmt: skip
    return cluster(HOSTS, vms, **{"disks": disks, "datastores": stores, **tables})


RULES = [KeepApart(f"vm-{c}-*", name=f"apart-{c}") for c in range(3)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    io.write_folder(inventory(), tmp_path / "snapshot")
    (tmp_path / "snapshot" / "rules.toml").write_text(io.write_rules(RULES), encoding="utf-8")
    return tmp_path / "snapshot"


def ran(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    return done.exit_code, done.output


@pytest.mark.parametrize("mode", ["balance", "consolidate", "storage"])
def test_only_vms_of_the_clusters_named_move(mode: str) -> None:
    result = drs.advise(inventory(), mode=mode, rules=RULES, cluster="c[12]", time_s=4)
    moved = {move.vm for move in result.plan.moves}
    assert moved
    assert not {vm for vm in moved if vm.startswith("vm-0-")}


def test_consolidation_leaves_the_hosts_of_other_clusters_on() -> None:
    whole = drs.advise(inventory(), mode="consolidate", time_s=4).report
    part = drs.advise(inventory(), mode="consolidate", cluster="c1", time_s=4).report
    assert {host[0] for host in whole.power_off} == {"0", "1", "2"}
    assert {host[0] for host in part.power_off} == {"1"}
    assert (part.n_on_before, whole.n_on_before) == (3, 9)
    assert part.watts_before < whole.watts_before
    assert set(part.reserve) == {"c1"}


def test_a_datastore_keeps_the_disks_of_clusters_that_take_no_part() -> None:
    result = drs.advise(
        inventory(), options=modes.Options(datastores=("shared",), cluster=("c0",)), mode="storage", time_s=4
    )
    assert {move.vm for move in result.plan.moves} <= {"vm-0-0", "vm-0-1", "vm-0-2"}
    assert result.status == "infeasible"
    told = [sentence for sentence in result.report.sentences() if "takes no part" in sentence]
    assert len(told) == 6


def test_check_tells_of_the_cluster_and_counts_the_rest(folder: Path) -> None:
    assert {each.rule for each in drs.check(folder, cluster="c2")} == {"apart-2"}
    assert {each.rule for each in drs.check(folder)} == {"apart-0", "apart-1", "apart-2"}
    code, out = ran("check", folder, "--cluster", "c2", "--json", "--strict")
    document = json.loads(out)
    assert code == 1 and document["clusters"] == ["c2"]
    assert {each["rule"] for each in document["violations"]} == {"apart-2"}
    assert document["violations_elsewhere"] == 2
    # 3 of 3 hosts, one of them with all the load: the mean is that of the cluster alone
    whole = json.loads(ran("check", folder, "--json")[1])
    assert document["metrics"]["cpu"]["over_capacity"] == whole["metrics"]["cpu"]["over_capacity"] == 0
    _, out = ran("check", folder, "--cluster", "c2", "--failures", "1")
    assert "c2" in out and "c0" not in out
    assert "2 rules are broken in other clusters." in out


def test_a_rule_that_reaches_across_counts_in_both() -> None:
    across = [KeepApart(["vm-0-0", "vm-1-0"], name="two-sites", scope="site")]
    sites = {name: {**host, "site": "s"} for name, host in HOSTS.items()}
    snapshot = cluster(sites, {f"vm-{c}-0": (f"{c}-0", 1000, 1024) for c in range(3)})
    for name, n in (("c0", 1), ("c1", 1), ("c2", 0)):
        assert len(drs.check(snapshot, across, cluster=name)) == n


def test_explain_names_the_cluster_that_takes_no_part(folder: Path) -> None:
    code, out = ran("explain", folder, "--vm", "vm-0-0", "--host", "0-1", "--cluster", "c1", "--json")
    (answer,) = json.loads(out)["hosts"]
    assert code == 0 and not answer["allowed"]
    assert "c0, the cluster of 0-0, takes no part" in answer["obstacles"][0]["sentence"]


def test_estimate_looks_at_the_moves_of_the_cluster(folder: Path, tmp_path: Path) -> None:
    moves = tmp_path / "moves.csv"
    moves.write_text("vm,to_host\nvm-0-0,0-1\nvm-1-0,1-1\nvm-2-0,2-1\n", encoding="utf-8")
    priced = drs.estimate(folder, moves, cluster="c1")
    assert [move.vm for move in priced] == ["vm-1-0"] and priced.left_out == 2
    _, out = ran("estimate", folder, "--moves", moves, "--cluster", "c1")
    assert "2 moves are in other clusters and not looked at." in out


def test_what_if_scenarios_take_the_clusters_that_they_do_not_name() -> None:
    scenarios = [Scenario(name="plain"), Scenario(name="own", cluster="c2")]
    table = whatif.run(inventory(), scenarios, rules=RULES, cluster="c0")
    assert table["error"].tolist() == ["", ""]
    # two of three VMs leave the full host, in one cluster
    assert table["n_moves"].tolist() == [2, 2]
    assert table["violations_before"].tolist() == [1, 1] and table["violations_after"].tolist() == [0, 0]


def test_a_replay_watches_and_moves_the_cluster_alone() -> None:
    vms = [f"vm-{c}-{k}" for c in range(3) for k in range(3)]
    loads = pd.DataFrame(
        [{"vm": vm, "time": f"2026-01-01T{hour:02d}:00:00", "cpu_mhz": 3300 if vm.startswith("vm-1") else 300}
         for hour in range(4) for vm in vms]
    )  # fmt: skip
    busy = automatic.replay(inventory(64, loads=loads), cluster="c1", iterations=2000, time_s=None)
    calm = automatic.replay(inventory(64, loads=loads), cluster="c0", iterations=2000, time_s=None)
    assert busy["n_moves"].sum() > 0
    assert calm["n_moves"].sum() == 0
    assert busy["cpu_max_idle"].max() > 0.9 > calm["cpu_max_idle"].max()


def test_convert_keeps_the_clusters_and_what_the_others_take_on_shared_datastores(
    folder: Path, tmp_path: Path
) -> None:
    code, _ = ran("convert", folder, tmp_path / "part", "--cluster", "c1")
    part = drs.read(tmp_path / "part")
    assert code == 0
    assert part.hosts.name.tolist() == ["1-0", "1-1", "1-2"] and part.clusters.name.tolist() == ["c1"]
    assert part.vms.name.tolist() == ["vm-1-0", "vm-1-1", "vm-1-2"]
    assert part.datastores.free_gib[part.datastores.position["shared"]] == pytest.approx(10)


@pytest.mark.parametrize("verb", [
    ("check",), ("explain", "--vm", "vm-0-0"), ("advise",), ("advise", "--mode", "storage"),
    ("advise", "--mode", "consolidate"), ("replay", "--out", "r.csv")])  # fmt: skip
def test_a_cluster_that_is_not_there_is_one_clear_error(verb: tuple[str, ...], folder: Path) -> None:
    code, out = ran(verb[0], folder, *verb[1:], "--cluster", "c11")
    assert code == 2
    assert out.splitlines() == [
        "error: --cluster: unknown cluster 'c11'; expected one of c0, c1, c2, or a pattern (did you mean c1?)"
    ]


def test_the_library_says_it_too() -> None:
    for ask in (
        lambda: drs.check(inventory(), cluster="x*"),
        lambda: drs.advise(inventory(), cluster="x*"),
        lambda: drs.estimate(inventory(), [{"vm": "vm-0-0", "to_host": "0-1"}], cluster="x*"),
        lambda: whatif.run(inventory(), [Scenario(name="a")], cluster="x*"),
    ):
        with pytest.raises(InputError, match=r"no cluster is called 'x\*'"):
            ask()


def test_figures_are_those_of_the_hosts_that_take_part() -> None:
    snapshot = inventory()
    result = drs.advise(snapshot, cluster="c0", iterations=500)
    load = snapshot.demand("cpu")[snapshot.vms.host_idx == 0].sum() / snapshot.capacity("cpu")[0]
    assert result.metrics_before["cpu"]["mean"] == pytest.approx(load / 3)
    assert result.metrics_before["cpu"]["std"] == pytest.approx(np.std([load, 0, 0]))


def test_a_host_that_a_scenario_loses_is_recovered_and_nothing_else_is_asked_for() -> None:
    lost = Scenario(name="lost", lost=("0-1",), iterations=500)
    also = Scenario(name="and balance", lost=("0-1",), also=("balance",), iterations=500)
    table = whatif.run(inventory(), [lost, also], rules=[KeepApart("vm-0-*", at_most=2)])
    assert table["error"].tolist() == ["", ""]
    assert table["n_unplaced"].tolist() == [0, 0]
    assert table["n_moves"].tolist() == [0, 1], "balancing, and what comes before it, is asked for by `also`"
