"""The command line when something goes wrong: exit codes, signals, full disks, names that mean harm."""

from __future__ import annotations

import errno
import json
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from drs.cli import app

RUN = CliRunner()


def drs(*words: object) -> Result:
    return RUN.invoke(app, [str(word) for word in words])


def folder(path: Path, vms: str, **files: str) -> Path:
    """A snapshot of two hosts."""
    path.mkdir()
    (path / "hosts.csv").write_text("host,cpu_mhz,memory_mib\nesx-1,10000,65536\nesx-2,10000,65536\n")
    (path / "vms.csv").write_text(f"vm,host,memory_mib,cpu_demand_mhz\n{vms}", encoding="utf-8")
    for name, text in files.items():
        (path / name.replace("_", ".")).write_text(text)
    return path


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return folder(tmp_path / "tiny", "".join(f"vm-{i},esx-1,4096,3000\n" for i in range(4)))


def test_a_bug_has_an_exit_code_of_its_own(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from drs.errors import InternalError

    for error in (ZeroDivisionError("oops"), InternalError("oops")):

        def broken(*_: Any, error: Exception = error, **__: Any) -> None:
            raise error

        monkeypatch.setattr("drs.api.advise", broken)
        done = drs("advise", tiny, "--json")
        assert done.exit_code == 70 and done.stdout == ""
        assert (
            done.stderr.strip().splitlines()[-1].startswith("error: this is a bug in drs, please report it")
        )


def test_a_library_that_cannot_be_loaded_is_no_broken_rule(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from drs import __main__, cli

    def broken() -> None:
        raise ImportError("libfoo.so")

    monkeypatch.setattr(cli, "main", broken)
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 70 and "libfoo.so" in capsys.readouterr().err


def test_sigterm_keeps_the_plan_as_ctrl_c_does(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from drs.report import html

    render = html.render_report

    def interrupted(result: Any) -> str:
        signal.raise_signal(signal.SIGTERM)
        return render(result)

    monkeypatch.setattr(html, "render_report", interrupted)
    before = signal.getsignal(signal.SIGTERM)
    done = drs("advise", tiny, "--iterations", 500, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "best plan so far" in done.stderr
    assert json.loads((tmp_path / "out" / "plan.json").read_text())["moves"]
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("verb", ["advise", "rolling"])
def test_a_full_disk_does_not_lose_the_answer(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, as_json: bool
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "out"))

    (tiny / "hosts.csv").write_text((tiny / "hosts.csv").read_text().replace("10000", "30000"))
    monkeypatch.setattr("drs.io.write_folder", full, raising=False)
    words = [verb, tiny, "--iterations", 300, "--out", tmp_path / "out", *(["--json"] if as_json else [])]
    done = drs(*words)
    assert done.exit_code == 2
    assert done.stderr.strip().splitlines()[-1].endswith("No space left on device")
    assert not (tmp_path / "out").exists() and "written to" not in done.stdout
    if as_json:
        assert {"goals", "steps"} & set(json.loads(done.stdout))
    else:
        assert "esx-1" in done.stdout or "Balance" in done.stdout


def test_out_leaves_a_folder_of_others_alone(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / ".git").mkdir(parents=True)
    (out / "plan.json").write_text("{}")
    done = drs("advise", tiny, "--iterations", 300, "--out", out)
    assert done.exit_code == 2 and "did not write" in done.stderr
    assert (out / "plan.json").read_text() == "{}" and (out / ".git").is_dir()
    out = tmp_path / "ours"
    assert drs("advise", tiny, "--iterations", 300, "--out", out).exit_code == 0
    (out / "notes.txt").write_text("mine")
    assert drs("advise", tiny, "--iterations", 300, "--out", out).exit_code == 0
    assert (out / "notes.txt").read_text() == "mine" and (out / "plan.json").exists()


EVIL = "\x1b]0;pwned\x07\x1b[31mred"


@pytest.mark.parametrize("verb", ["check", "advise"])
@pytest.mark.parametrize("sign", ["\x1b", "\x9b", "\u202e"])
def test_no_name_steers_the_terminal(tmp_path: Path, verb: str, sign: str) -> None:
    rule = f'[[rule]]\ntype = "keep-apart"\nname = "{sign}[31mevil"\nvms = "*"\npolicy = "hard"\n'
    rule = rule.replace("\x1b", "\\u001b")
    budget = ["--iterations", 100] if verb == "advise" else []
    for path in (
        folder(tmp_path / "rule", "a,esx-1,4096,3000\nb,esx-1,4096,3000\nc,esx-1,1,1\n", rules_toml=rule),
        folder(tmp_path / "vm", f"{sign}[31mevil,esx-1,4096,6000\nb,esx-1,4096,6000\n"),
        folder(tmp_path / "name", "a,esx-1,1,1\n", snapshot_toml='name = "x\\u001b[31m"\n'),
    ):
        done = drs(verb, path, *budget)
        assert sign not in done.output, path


def test_json_holds_no_raw_control_character(tmp_path: Path) -> None:
    path = folder(tmp_path / "vm", "\x9b1,esx-1,4096,6000\n\x9b2,esx-1,4096,6000\n")
    done = drs("advise", path, "--iterations", 100, "--json")
    assert "\x9b" not in done.stdout
    assert json.loads(done.stdout)["moves"][0]["vm"] in ("\x9b1", "\x9b2")


def test_names_that_a_spreadsheet_would_compute(tmp_path: Path) -> None:
    names = ["=1+2", "+a", "-b", "@c", "'=d", "'e", "plain", '=HYPERLINK("x";"y")']
    rows = "".join('"{}",esx-1,4096,3000\n'.format(name.replace('"', '""')) for name in names)
    path = folder(tmp_path / "vms", rows)
    assert drs("advise", path, "--iterations", 500, "--out", tmp_path / "out").exit_code == 0
    table = pd.read_csv(tmp_path / "out" / "moves.csv", dtype=str, keep_default_na=False)
    assert len(table)
    assert not any(cell.startswith(("=", "+", "@", "-")) for cell in [*table["vm"], *table["reason"]])
    done = drs("estimate", path, "--moves", tmp_path / "out" / "moves.csv", "--json")
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert [move["vm"] for move in json.loads(done.stdout)["moves"]] == [m["vm"] for m in plan["moves"]]
    assert {move["vm"] for move in plan["moves"]} <= set(names)


def test_a_datastore_with_a_blank_in_its_name_reads_back(tmp_path: Path) -> None:
    path = folder(
        tmp_path / "in",
        "".join(f"vm-{i},esx-1,4096,4000\n" for i in range(4)),
        datastores_csv='datastore,capacity_gib\nSAN 01,1000\n"odd ""one""",1000\n',
        disks_csv="vm,disk,datastore,size_gib\n"
        + "".join(f'vm-{i},{d},{s},10\n' for i in range(4) for d, s in ((0, "SAN 01"), (1, '"odd ""one"""'))),
    )  # fmt: skip
    assert drs("advise", path, "--iterations", 500, "--out", tmp_path / "out").exit_code == 0
    done = drs("estimate", path, "--moves", tmp_path / "out" / "moves.csv", "--json")
    assert done.exit_code == 0, done.output
    for move in json.loads(done.stdout)["moves"]:
        assert move["to_datastores"] == ["SAN 01", 'odd "one"']
    (tmp_path / "hand.csv").write_text("vm,to_datastore\nvm-0,SAN 01\n")
    done = drs("estimate", path, "--moves", tmp_path / "hand.csv", "--json")
    assert json.loads(done.stdout)["moves"][0]["to_datastores"] == ["SAN 01", "SAN 01"]


@pytest.mark.parametrize("cell", ["8_192", "true", "True"])
def test_what_only_python_takes_for_a_number(tmp_path: Path, cell: str) -> None:
    path = folder(tmp_path / "in", f"vm-0,esx-1,{cell},3000\n")
    done = drs("check", path)
    assert done.exit_code == 2 and "field memory_mib" in done.stderr and cell in done.stderr


def test_a_boolean_of_a_frame_is_no_number() -> None:
    from drs.errors import InputError
    from drs.io import from_frames

    hosts = pd.DataFrame({"host": ["a"], "cpu_mhz": [1000], "memory_mib": [1000]})
    vms = pd.DataFrame({"vm": ["v"], "host": ["a"], "memory_mib": [True], "cpu_demand_mhz": [1]})
    with pytest.raises(InputError, match="field memory_mib: True"):
        from_frames({"hosts": hosts, "vms": vms})
