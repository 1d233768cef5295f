"""The command line as a script relies on it: streams, exit codes, JSON keys, nothing half-written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from drs.cli import app

RUN = CliRunner()

MOVE_KEYS = {
    "step", "wave", "vm", "kind", "from_host", "to_host", "from_datastores", "to_datastores", "reason",
    "after_steps", "start_s", "precopy_s", "total_s", "downtime_ms", "transferred_mib", "rounds", "converged",
}  # fmt: skip


def drs(*words: object) -> Result:
    return RUN.invoke(app, [str(word) for word in words])


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Two hosts, one of them overloaded."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "hosts.csv").write_text("host,cpu_mhz,memory_mib\nesx-1,10000,65536\nesx-2,10000,65536\n")
    rows = [f"vm-{i},esx-1,4096,3000" for i in range(4)]
    (folder / "vms.csv").write_text("vm,host,memory_mib,cpu_demand_mhz\n" + "\n".join(rows) + "\n")
    return folder


def test_check_as_json_is_json_alone(tiny: Path) -> None:
    done = drs("check", tiny, "--json")
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert document["snapshot"]["n_hosts"] == 2
    assert document["metrics"]["cpu"]["max"] == pytest.approx(1.2)
    assert [v["amount"] for v in document["violations"]] == [2000]


def test_check_shows_pools_with_what_they_are_due(tiny: Path) -> None:
    (tiny / "pools.csv").write_text("pool,cpu_limit_mhz\ntest,3000\n")
    vms = (tiny / "vms.csv").read_text().splitlines()
    (tiny / "vms.csv").write_text("\n".join([vms[0] + ",pool", *(row + ",test" for row in vms[1:])]) + "\n")
    (pool,) = json.loads(drs("check", tiny, "--json").stdout)["pools"]
    assert pool["name"] == "test" and pool["memory"]["limit"] is None
    assert pool["cpu"]["limit"] == pool["cpu"]["demand"] == pool["cpu"]["entitlement"] == 3000
    said = drs("check", tiny).stdout
    assert "VM score 100.0 of 100" in said and "test" in said and "3,000" in said


@pytest.mark.filterwarnings("default")
def test_an_unknown_column_is_a_warning_in_one_line(tiny: Path) -> None:
    hosts = tiny / "hosts.csv"
    hosts.write_text(
        hosts.read_text().replace("memory_mib", "memory_mib,vmotion_mbpz").replace("65536", "65536,1")
    )
    done = drs("check", tiny, "--json")
    assert done.exit_code == 0
    assert done.stderr.startswith("warning: hosts.csv") and "did you mean vmotion_mbps?" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_check_strict_exits_with_1_only_when_something_is_broken(tiny: Path) -> None:
    assert drs("check", tiny, "--strict").exit_code == 1
    hosts = tiny / "hosts.csv"
    hosts.write_text(hosts.read_text().replace("10000", "20000"))
    assert drs("check", tiny, "--strict").exit_code == 0


def test_advise_as_json(tiny: Path) -> None:
    done = drs("advise", tiny, "--time-s", 2, "--seed", 3, "--json")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["status"] in ("optimal", "feasible")
    assert document["seed"] == 3
    assert {"before", "after", "during"} == set(document["violations"])
    assert document["violations"]["before"] and not document["violations"]["after"]
    assert set(document["moves"][0]) >= MOVE_KEYS
    assert document["schedule"]["makespan_s"] >= document["schedule"]["makespan_bound_s"] > 0
    for goal in document["goals"]:
        assert {"name", "before", "after", "bound", "gap_ratio"} <= set(goal)
        assert goal["bound"] is None or goal["bound"] <= goal["after"] + 1e-9
    assert document["metrics"]["after"]["cpu"]["max"] <= 1.0


def test_advise_writes_the_folder(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = drs("advise", tiny, "--time-s", 2, "--out", out)
    assert done.exit_code == 0, done.stderr
    document = json.loads((out / "plan.json").read_text())
    moves = pd.read_csv(out / "moves.csv")
    assert moves["vm"].tolist() == [move["vm"] for move in document["moves"]]
    page = (out / "report.html").read_text()
    assert all(vm in page for vm in moves["vm"])
    assert "https://cdn" not in page
    again = json.loads(drs("check", out / "snapshot", "--json").stdout)
    assert again["violations"] == []


def test_a_second_run_on_the_result_moves_nothing(tiny: Path, tmp_path: Path) -> None:
    drs("advise", tiny, "--time-s", 2, "--out", tmp_path / "out")
    second = json.loads(drs("advise", tmp_path / "out" / "snapshot", "--time-s", 2, "--json").stdout)
    assert second["moves"] == []


def test_time_and_iterations_together_end_with_whichever_comes_first(tiny: Path) -> None:
    assert drs("advise", tiny, "--iterations", 500, "--json").exit_code == 0  # the kernel loads
    for words in (("--time-s", 300, "--iterations", 500), ("--time-s", 0.5, "--iterations", 10**12)):
        began = time.monotonic()
        document = json.loads(drs("advise", tiny, "--solver", "localsearch", *words, "--json").stdout)
        assert time.monotonic() - began < 30 and document["elapsed_s"] < 30


def test_the_same_seed_and_iterations_give_the_same_plan(tiny: Path) -> None:
    runs = [drs("advise", tiny, "--iterations", 2000, "--seed", 5, "--json") for _ in range(2)]
    plans = [json.loads(run.stdout) for run in runs]
    assert plans[0]["moves"] == plans[1]["moves"]


def test_max_moves_is_kept(tiny: Path) -> None:
    document = json.loads(drs("advise", tiny, "--time-s", 2, "--max-moves", 1, "--json").stdout)
    assert len(document["moves"]) == 1


def test_zero_seconds_still_answers(tiny: Path) -> None:
    done = drs("advise", tiny, "--time-s", 0, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["status"] in ("optimal", "feasible")


def test_evacuate(tiny: Path) -> None:
    hosts = tiny / "hosts.csv"
    hosts.write_text(hosts.read_text().replace("10000", "20000"))
    document = json.loads(drs("advise", tiny, "--evacuate", "esx-1", "--time-s", 2, "--json").stdout)
    assert {move["to_host"] for move in document["moves"]} == {"esx-2"}
    assert len(document["moves"]) == 4
    assert document["mode"] == "evacuate"


@pytest.mark.filterwarnings("ignore::drs.io.InputWarning")  # the contradiction is told beforehand
def test_an_infeasible_hard_rule_exits_with_3(tiny: Path) -> None:
    rule = '[[rule]]\ntype = "keep-apart"\nname = "apart"\nvms = "vm-*"\npolicy = "hard"\n'
    (tiny / "rules.toml").write_text(rule)
    done = drs("advise", tiny, "--time-s", 5, "--json")
    assert done.exit_code == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "smal"], "did you mean small?"),
        (["advise", "small", "--solver", "cpsta"], "did you mean cpsat?"),
        (["advise", "small", "--mode", "balanced"], "did you mean balance?"),
        (["advise", "small", "--evacuate", "esx-a-99"], "did you mean esx-a-"),
        (["advise", "small", "--rules", "no-such.toml"], "no-such.toml"),
        (["explain", "small", "--vm", "web-shop-0l"], "did you mean web-shop-0"),
        (["datasets", "smal"], "did you mean small?"),
        (["estimate", "small", "--moves", "no-such.csv"], "no such file"),
        (["check", "small", "--scope", "rack"], "--failures, which it is for"),
        (["check", __file__], "is a file; expected a snapshot folder"),
        (["advise", "small", "--rules", str(Path(__file__).parent)], "is a folder; expected a TOML file"),
        (["advise", "small", "--out", f"{__file__}/sub/plan"], "test_cli.py is a file"),
    ],
)  # fmt: skip
def test_bad_words_exit_with_2_and_one_clear_message(words: list[str], said: str) -> None:
    done = drs(*words)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["advise"], ["nonsense"], ["advise", "small", "--time-s", "-1"],
                                   ["advise", "small", "--max-moves", "few"]])  # fmt: skip
def test_usage_errors_exit_with_2(words: list[str]) -> None:
    assert drs(*words).exit_code == 2


def test_a_fault_leaves_nothing_half_written(tiny: Path, tmp_path: Path) -> None:
    (tiny / "vms.csv").write_text("vm,host,memory_mib,cpu_demand_mhz\nweb,esx-9,lots,-1\n")
    done = drs("advise", tiny, "--out", tmp_path / "out", "--save-problem", tmp_path / "p.zip")
    assert done.exit_code == 2
    assert len(done.stderr.strip().splitlines()) == 3
    assert not (tmp_path / "out").exists() and not (tmp_path / "p.zip").exists()


def test_the_faults_of_all_files_are_told_together(tiny: Path) -> None:
    (tiny / "vms.csv").write_text("vm,host,memory_mib,cpu_demand_mhz\nweb,esx-9,4096,1\n")
    (tiny / "rules.toml").write_text('[[rule]]\ntype = "keep-appart"\n')
    (tiny / "policy.toml").write_text("[limits]\nmax_moves = -1\n")
    done = drs("advise", tiny)
    assert done.exit_code == 2
    said = done.stderr.strip().splitlines()
    assert [line.split(",")[0] for line in said] == [
        "error: vms.csv", "error: rules.toml", "error: policy.toml",
    ]  # fmt: skip
    for line, place in zip(said, ("field host", "field type", "field max_moves"), strict=True):
        assert place in line


@pytest.mark.parametrize("option", ["--out", "--save-problem"])
def test_a_place_that_cannot_be_written_to_is_found_before_the_search(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    monkeypatch.setattr("drs.api.advise", None)
    done = drs("advise", tiny, option, tmp_path / "new.zip")
    assert done.exit_code == 2
    assert f"nothing can be written in {tmp_path}" in done.stderr


def test_a_full_disk_is_an_error_in_one_line(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "vms.csv"))

    monkeypatch.setattr("drs.io.folder.write_tables", full)
    done = drs("advise", tiny, "--iterations", 10, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert done.stderr.strip().splitlines()[-1] == f"error: {tmp_path / 'vms.csv'}: No space left on device"
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_a_reader_that_goes_away_is_no_error_of_ours(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(document: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("drs.cli.base.print_json", gone)
    assert drs("check", tiny, "--json").stderr == ""


@pytest.mark.parametrize("text", ["", "[]", '{"moves": []}', '{"moves": [1], "schedule": {}}',
                                  '{"moves": [{"vm": "a"}], "schedule": {}}'])  # fmt: skip
def test_diff_refuses_what_is_no_plan(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    done = drs("diff", tmp_path, tmp_path)
    assert done.exit_code == 2
    assert "expected a plan.json" in done.stderr


def test_diff_reads_what_advise_wrote(tiny: Path, tmp_path: Path) -> None:
    assert drs("advise", tiny, "--iterations", 500, "--out", tmp_path / "out").exit_code == 0
    done = drs("diff", tmp_path / "out", tmp_path / "out" / "plan.json")
    assert done.exit_code == 0 and "the same plan: " in done.stdout


def test_out_refuses_a_folder_that_is_not_ours(tiny: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    done = drs("advise", tiny, "--time-s", 1, "--out", precious)
    assert done.exit_code == 2
    assert (precious / "thesis.txt").read_text() == "years of work"


def test_a_saved_problem_is_the_problem(tiny: Path, tmp_path: Path) -> None:
    (tiny / "rules.toml").write_text('[[rule]]\ntype = "keep-apart"\nvms = ["vm-0", "vm-1"]\n')
    saved = tmp_path / "p.zip"
    first = json.loads(drs("advise", tiny, "--iterations", 500, "--save-problem", saved, "--json").stdout)
    second = json.loads(drs("advise", saved, "--iterations", 500, "--json").stdout)
    assert first["snapshot"]["digest"] == second["snapshot"]["digest"]
    assert first["moves"] == second["moves"]


def test_estimate_prices_the_five_kinds(tmp_path: Path) -> None:
    moves = tmp_path / "moves.csv"
    moves.write_text("vm,to_host,to_datastore,kind\n" "vm-a,esx-2,,\n" "vm-a,,ds-2,\n" "vm-off,esx-2,,\n"
                     "vm-a,far-1,ds-3,\nvm-a,other-1,ds-4,\n")  # fmt: skip
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / "hosts.csv").write_text(
        "host,cpu_mhz,memory_mib,site,vcenter,cluster\nesx-1,9000,65536,a,v1,c1\nesx-2,9000,65536,a,v1,c1\n"
        "far-1,9000,65536,b,v1,c2\nother-1,9000,65536,a,v2,c3\n"
    )
    (folder / "vms.csv").write_text(
        "vm,host,memory_mib,cpu_demand_mhz,power\nvm-a,esx-1,4096,100,on\nvm-off,esx-1,4096,0,off\n"
    )
    stores = [f"ds-{i},500" for i in range(1, 5)]
    (folder / "datastores.csv").write_text("datastore,capacity_gib\n" + "\n".join(stores) + "\n")
    (folder / "disks.csv").write_text("vm,disk,datastore,size_gib\nvm-a,0,ds-1,40\n")
    (folder / "links.csv").write_text("a,b,bandwidth_mbps,latency_ms\na,b,1000,20\n")
    done = drs("estimate", folder, "--moves", moves, "--json")
    assert done.exit_code == 0, done.stderr
    priced = json.loads(done.stdout)["moves"]
    assert [move["kind"] for move in priced] == [
        "vmotion",
        "storage",
        "cold",
        "long_distance",
        "cross_vcenter",
    ]
    assert all(move["total_s"] > 0 for move in priced)
    assert priced[3]["total_s"] > priced[0]["total_s"]
    assert priced[1]["transferred_mib"] >= 40 * 1024 * 0.99


def test_estimate_strict_fails_for_what_no_one_should_do(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / "hosts.csv").write_text(
        "host,cpu_mhz,memory_mib,cpu_vendor,state\namd-1,9000,65536,amd,connected\n"
        "intel-1,9000,65536,intel,connected\nintel-2,9000,65536,intel,maintenance\n"
    )
    (folder / "vms.csv").write_text(
        "vm,host,memory_mib,cpu_demand_mhz\na,amd-1,4096,100\ni,intel-1,4096,100\n"
    )
    moves = tmp_path / "moves.csv"

    def asked(row: str) -> tuple[int, dict[str, Any]]:
        moves.write_text(f"vm,to_host,kind\n{row}\n")
        done = drs("estimate", folder, "--moves", moves, "--strict", "--json")
        return done.exit_code, json.loads(done.stdout)

    code, told = asked("a,intel-1,")
    assert code == 1
    assert [(each["about"], each["when"]) for each in told["audit"]] == [("evc", 1)]
    code, told = asked("i,intel-2,")
    assert code == 1
    assert told["audit"][0]["about"] == "host-state"
    # A cold migration of a running VM is a restart: no CPU feature is carried, and it stands still throughout.
    code, told = asked("a,intel-1,cold")
    assert code == 0
    assert told["moves"][0]["downtime_ms"] == pytest.approx(1e3 * told["moves"][0]["total_s"])
    assert "shut down" in told["moves"][0]["reason"]
    (tmp_path / "rules.toml").write_text('[[rule]]\ntype = "pinned"\nvms = "a"\n')
    done = drs("estimate", folder, "--moves", moves, "--strict", "--rules", tmp_path / "rules.toml")
    assert done.exit_code == 1
    assert "pinned" in done.stdout


def test_explain_names_every_rule_in_the_way(tiny: Path) -> None:
    (tiny / "rules.toml").write_text(
        '[[rule]]\ntype = "not-run-on"\nname = "licence"\nvms = "vm-1"\nhosts = "esx-2"\npolicy = "hard"\n'
    )
    answers = json.loads(drs("explain", tiny, "--vm", "vm-1", "--json").stdout)["hosts"]
    by_host = {answer["host"]: answer for answer in answers}
    assert by_host["esx-1"]["is_current"]
    assert not by_host["esx-2"]["allowed"]
    assert [obstacle["rule"] for obstacle in by_host["esx-2"]["obstacles"]] == ["licence"]
    assert json.loads(drs("explain", tiny, "--vm", "vm-0", "--host", "esx-2", "--json").stdout)["hosts"][0][
        "allowed"
    ]


def test_explain_tells_that_the_network_is_cut(tiny: Path) -> None:
    (tiny / "links.csv").write_text("a,b,bandwidth_mbps\nesx-1,left,10000\nesx-2,right,10000\n")
    here, there = json.loads(drs("explain", tiny, "--vm", "vm-0", "--json").stdout)["hosts"]
    assert here["is_current"] and not here["obstacles"]
    (way,) = there["obstacles"]
    assert not there["allowed"] and way["rule"] == "migration-scope"
    assert "no route from esx-1 to esx-2" in way["sentence"]
    with (tiny / "links.csv").open("a") as links:
        links.write("left,right,1000\n")
    assert "esx-2: may go" in drs("explain", tiny, "--vm", "vm-0").stdout


def test_what_if(tiny: Path, tmp_path: Path) -> None:
    scenarios = tmp_path / "scenarios.toml"
    scenarios.write_text(
        '[[scenario]]\nname = "as it is"\ntime_s = 1\n'
        '[[scenario]]\nname = "one more host"\ntime_s = 1\nadd_hosts = [{like = "esx-1", count = 1}]\n'
        '[[scenario]]\nname = "no such host"\ndrop_hosts = "esx-9"\n'
    )
    out = tmp_path / "results.csv"
    done = drs("what-if", tiny, scenarios, "--out", out)
    assert done.exit_code == 4 and "1 without an answer" in done.stderr
    table = pd.read_csv(out)
    assert table["scenario"].tolist() == ["as it is", "one more host", "no such host"]
    assert table["n_hosts"].tolist()[:2] == [2, 3]
    assert table["cpu_max_after"][1] <= table["cpu_max_after"][0]
    assert "esx-9" in table["error"][2]


def test_datasets_can_be_listed_shown_and_copied(tmp_path: Path) -> None:
    assert "small" in drs("datasets").stdout and "medium" in drs("datasets").stdout
    assert "licence" in drs("datasets", "small").stdout.lower()
    assert drs("datasets", "small", tmp_path / "copy").exit_code == 0
    assert drs("check", tmp_path / "copy").exit_code == 0


def test_ctrl_c_ends_the_search_with_the_best_plan_so_far() -> None:
    words = [sys.executable, "-m", "drs.cli", "advise", "medium", "--time-s", "300", "--json"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "COLUMNS": "100"})  # fmt: skip
    time.sleep(12)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    document = json.loads(out)
    assert document["interrupted"] and document["status"] == "feasible"
    assert document["elapsed_s"] < 100
    assert "best plan so far" in err


def test_ctrl_c_while_the_plan_is_written_does_not_lose_it(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from drs.report import html as report

    render = report.render_report

    def interrupted(result: Any) -> str:
        signal.raise_signal(signal.SIGINT)
        return render(result)

    monkeypatch.setattr(report, "render_report", interrupted)
    done = drs("advise", tiny, "--iterations", 500, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "Ctrl-C again to quit" in done.stderr
    assert json.loads((tmp_path / "out" / "plan.json").read_text())["moves"]


def test_a_second_ctrl_c_leaves_nothing_half_written(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("drs.io.write_folder", interrupted, raising=False)
    done = drs("advise", tiny, "--iterations", 500, "--out", tmp_path / "out")
    assert done.exit_code == 4
    assert done.stderr.strip().splitlines()[-1] == "interrupted"
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_ctrl_c_while_the_libraries_are_loaded_is_one_word(monkeypatch: pytest.MonkeyPatch,
                                                           capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    from drs import __main__, cli

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "main", interrupted)
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 4 and capsys.readouterr().err == "interrupted\n"


def test_python_m_drs_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "drs", "datasets"], capture_output=True, text=True, check=True
    )
    assert "small" in done.stdout


def test_rolling_writes_a_folder_for_each_step(tiny: Path, tmp_path: Path) -> None:
    hosts = tiny / "hosts.csv"
    hosts.write_text(hosts.read_text().replace("10000", "30000"))
    out = tmp_path / "out"
    done = drs("rolling", tiny, "--time-s", 4, "--out", out, "--json")
    assert done.exit_code == 0, done.stderr
    document = json.loads((out / "rolling.json").read_text())
    assert document["steps"] == json.loads(done.stdout)["steps"] and len(document["steps"]) == 2
    for step in ("step-01", "step-02"):
        plan = json.loads((out / step / "plan.json").read_text())
        assert plan["status"] in ("optimal", "feasible")
        assert (out / step / "snapshot" / "vms.csv").exists() and (out / step / "moves.csv").exists()
    assert drs("rolling", tiny, "--time-s", 2, "--out", out).exit_code == 0


def test_a_datastore_above_its_capacity_is_told_today_and_by_who_fills_it(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / "hosts.csv").write_text("host,cpu_mhz,memory_mib\na,9000,65536\nb,9000,65536\n")
    (folder / "datastores.csv").write_text("datastore,capacity_gib\nd1,100\nd2,100\n")
    (folder / "disks.csv").write_text("vm,disk,datastore,size_gib\nold,0,d1,70\nnew,0,d1,50\n")
    for host, broken in (("", False), ("b", True)):
        (folder / "vms.csv").write_text(
            f"vm,host,memory_mib,cpu_demand_mhz\nold,a,4096,100\nnew,{host},4096,100\n"
        )
        done = drs("check", folder, "--strict", "--json")
        assert done.exit_code == int(broken)
        told = json.loads(done.stdout)["datastores_above_capacity"]
        assert told == ([{"datastore": "d1", "used_gib": 120.0, "capacity_gib": 100.0}] if broken else [])
        assert ("above capacity d1: 120 GiB are used of 100" in drs("check", folder).stdout) is broken


def test_check_tells_contradictory_rules_without_solving(tiny: Path) -> None:
    (tiny / "rules.toml").write_text(
        '[[rule]]\ntype = "keep-apart"\nname = "apart"\nvms = "vm-*"\npolicy = "hard"\n'
    )
    done = drs("check", tiny, "--json", "--strict")
    assert done.exit_code == 1
    (found,) = json.loads(done.stdout)["contradictions"]
    assert found["rules"] == ["apart"] and "4 VMs are to be kept apart" in found["sentence"]
    assert "impossible 'apart'" in drs("check", tiny).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["advise", "--evacuate", "esx-9"], "--evacuate: unknown host 'esx-9'"),
        (["advise", "--lost", "esx-9"], "--lost: unknown host 'esx-9'"),
        (["advise", "--evacuate-datastore", "ds"], "--evacuate-datastore: unknown datastore"),
        (["advise", "--mode", "recover"], "--lost: no host is lost"),
        (["advise", "--mode", "place"], "--new: nothing to place"),
        (["advise", "--mode", "storage", "--max-moves", "1"], "--max-moves: a limit that mode storage"),
        (["advise", "--deadline-s", "0"], "--deadline-s: 0; expected seconds, above 0"),
        (["advise", "--mode", "place", "--lost", "esx-1"], "--lost: an option that mode place does not know"),
        (["advise", "--solver", "cpsta"], "--solver: unknown solver"),
        (["rolling", "--evacuate", "esx-[89]"], "--evacuate: 'esx-[89]' is no host of"),
        (["rolling", "--at-once", "2"], "--at-once: 2; expected 1 to 1"),
        (["rolling", "--baseline", "x"], "--baseline: unknown EVC baseline"),
        (["rolling", "--service-s", "-1"], "--service-s: -1; expected seconds, 0 or more"),
        (["explain", "--vm", "vm-9"], "--vm: unknown VM"),
        (["explain", "--vm", "vm-*"], "--vm: 'vm-*' means vm-0, vm-1, vm-2, vm-3; expected one VM"),
        (["explain", "--vm", "vm-1", "--host", "x*"], "--host: unknown host"),
        (["explain", "--host", "esx-1", "--why-infeasible"], "--host: esx-1; expected --vm with it"),
    ],
)
def test_faults_name_the_flag_as_it_was_typed(words: list[str], said: str, tiny: Path) -> None:
    done = drs(words[0], tiny, *words[1:])
    assert done.exit_code == 2, done.output
    assert f"error: {said}" in done.stderr


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (["advise", "--mode", "place", "--deadline-s", "-1", "--solver", "cpsta"],
         ["--deadline-s: an option that", "--deadline-s: -1", "--solver: "]),
        (["advise", "--mode", "nonsense", "--out", f"{__file__}/plan"], ["--mode: unknown mode", "--out: "]),
        (["rolling", "--at-once", "0", "--baseline", "x"], ["--at-once: 0", "--baseline: unknown"]),
        (["check", "--scope", "rack"], ["--scope: rack without --failures"]),
        (["explain", "--host", "esx-1", "--why-infeasible"], ["--host: esx-1"]),
    ],
)  # fmt: skip
def test_faults_of_options_are_told_with_those_of_the_files(
    words: list[str], flags: list[str], tiny: Path
) -> None:
    (tiny / "vms.csv").write_text("vm,host,memory_mib,cpu_demand_mhz\nweb,esx-9,4096,1\n")
    (tiny / "rules.toml").write_text('[[rule]]\ntype = "nonsense"\n')
    (tiny / "policy.toml").write_text("[limits]\nmax_moves = -1\n")
    done = drs(words[0], tiny, *words[1:])
    assert done.exit_code == 2
    files = ["vms.csv, row 1", "rules.toml"] + ([] if words[0] in ("check",) else ["policy.toml"])
    for said in [*flags, *files]:
        assert said in done.stderr, done.stderr


def test_an_option_is_checked_against_the_cluster_although_the_rules_cannot_be_read(tiny: Path) -> None:
    (tiny / "rules.toml").write_text('[[rule]]\ntype = "nonsense"\n')
    done = drs("advise", tiny, "--evacuate", "esx-9")
    assert done.exit_code == 2
    assert "--evacuate: unknown host" in done.stderr and "rules.toml" in done.stderr


@pytest.fixture
def two_clusters(tmp_path: Path) -> Path:
    """Two clusters of three hosts, with room."""
    folder = tmp_path / "two"
    folder.mkdir()
    hosts = [f"{c}-esx{i},30000,65536,{c}" for c in ("c01", "c02") for i in (1, 2, 3)]
    (folder / "hosts.csv").write_text("host,cpu_mhz,memory_mib,cluster\n" + "\n".join(hosts) + "\n")
    vms = [f"{c}-vm{i},{c}-esx{i},4096,300" for c in ("c01", "c02") for i in (1, 2, 3)]
    (folder / "vms.csv").write_text("vm,host,memory_mib,cpu_demand_mhz\n" + "\n".join(vms) + "\n")
    return folder


@pytest.mark.parametrize(
    ("words", "cluster", "hosts"),
    [
        (["--evacuate", "c01-esx[12]"], "c01", {"c01-esx1", "c01-esx2"}),
        (["--evacuate", "*-esx3", "--cluster", "c02"], "c02", {"c02-esx3"}),
        (["--cluster", "*2", "--evacuate", "c02-esx1", "--evacuate", "c02-esx1"], "c02", {"c02-esx1"}),
    ],
)
def test_rolling_takes_patterns_and_finds_the_cluster(
    words: list[str], cluster: str, hosts: set[str], two_clusters: Path
) -> None:
    done = drs("rolling", two_clusters, *words, "--iterations", 200, "--json")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["cluster"] == cluster
    assert {host for step in document["steps"] for host in step["hosts"]} == hosts


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--cluster: 2 clusters; expected one of c01, c02"),
        (["--evacuate", "*-esx1"], "--evacuate: hosts of c01, c02; expected hosts of one cluster"),
        (["--cluster", "c0*"], "--cluster: 'c0*' means c01, c02; expected one cluster"),
        (["--cluster", "c01", "--evacuate", "c02-esx1"], "--evacuate: 'c02-esx1' is no host of c01"),
    ],
)
def test_rolling_refuses_what_means_no_one_cluster(words: list[str], said: str, two_clusters: Path) -> None:
    done = drs("rolling", two_clusters, *words)
    assert done.exit_code == 2 and said in done.stderr


def test_rolling_is_no_option_of_advise(tiny: Path) -> None:
    assert drs("advise", tiny, "--rolling").exit_code == 2


def test_a_pattern_names_several_hosts_to_empty_and_several_vms_to_copy(two_clusters: Path) -> None:
    done = drs("advise", two_clusters, "--evacuate", "c01-esx[12]", "--iterations", 500, "--json")
    document = json.loads(done.stdout)
    assert done.exit_code == 0 and {move["from_host"] for move in document["moves"]} >= {
        "c01-esx1",
        "c01-esx2",
    }
    done = drs("advise", two_clusters, "--new", "c0[12]-vm1=2", "--iterations", 500, "--json")
    placed = json.loads(done.stdout)["report"]["placed"]
    assert {each["vm"] for each in placed} == {
        "c01-vm1-copy-1", "c01-vm1-copy-2", "c02-vm1-copy-1", "c02-vm1-copy-2",
    }  # fmt: skip


def test_seconds_and_iterations_together_mean_what_comes_first(tiny: Path) -> None:
    began = time.monotonic()
    assert (
        drs("advise", "small", "--time-s", 1, "--iterations", 10**9, "--solver", "localsearch").exit_code == 0
    )
    assert time.monotonic() - began < 60
