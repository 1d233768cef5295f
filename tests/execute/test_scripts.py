"""Plans as scripts: order, limits, checked by the tools that are here, and names that are data and never code."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml
from pretend import cluster, saved_plan
from typer.testing import CliRunner

import drs
from drs.cli import app
from drs.errors import InputError, PlanError
from drs.execute.scripts import SCRIPTS, export, rounds
from drs.io.plan_file import SavedPlan
from drs.planning import Concurrency

NASTY = """it's "$(touch boom)"; `touch boom` {{ x }} \\ ’é"""

GOVC = """#!/bin/sh
printf '%s|' "$@" >> calls; echo >> calls
if [ "$1" = vm.info ]; then echo "  Host:  esx-1"; fi
"""


def nasty(folder: Path) -> SavedPlan:
    """One VM with a name that every language could stumble over."""
    snapshot = drs.read(
        {
            "hosts": pd.DataFrame({"host": ["esx-1", "esx-2"], "cpu_mhz": 20000, "memory_mib": 65536}),
            "vms": pd.DataFrame(
                {"vm": [NASTY], "host": ["esx-1"], "memory_mib": 4096, "cpu_demand_mhz": 500}
            ),
        }
    )
    return saved_plan(folder, snapshot, {NASTY: "esx-2"})


def test_rounds_keep_order_and_limits(tmp_path: Path) -> None:
    tight = cluster(n_hosts=3, n_vms=5, memory_mib=20000, room_mib=45000)
    saved = saved_plan(tmp_path / "a", tight, {"vm-1": "esx-3", "vm-2": "esx-1"})
    assert [[move.vm for move in moves] for moves in rounds(saved)] == [["vm-1"], ["vm-2"]]
    many = {f"vm-{i}": f"esx-{i % 3 + 1}" for i in range(1, 7)}
    one = saved_plan(tmp_path / "b", cluster(), many, concurrency=Concurrency(total=2))
    assert [len(moves) for moves in rounds(one)] == [2, 2, 2]


@pytest.mark.parametrize("kind", ["govc", "virsh", "proxmox"])
def test_shell_scripts_are_shell(kind: str, tmp_path: Path) -> None:
    text = export(nasty(tmp_path / "plan"), kind)
    file = tmp_path / "plan.sh"
    file.write_text(text, encoding="utf-8")
    subprocess.run(["sh", "-n", str(file)], check=True)
    shown = subprocess.run(["sh", str(file)], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert f"{NASTY}: esx-1 -> esx-2" in shown.stdout and not (tmp_path / "boom").exists()


def test_the_govc_script_moves_only_when_told(tmp_path: Path) -> None:
    file, tool = tmp_path / "plan.sh", tmp_path / "bin" / "govc"
    file.write_text(export(nasty(tmp_path / "plan"), "govc"), encoding="utf-8")
    tool.parent.mkdir()
    tool.write_text(GOVC)
    tool.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tool.parent}:{os.environ['PATH']}"}
    subprocess.run(["sh", str(file)], cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert not (tmp_path / "calls").exists()
    subprocess.run(
        ["sh", str(file), "--move"], cwd=tmp_path, env=environment, check=True, capture_output=True
    )
    calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    assert calls == [f"vm.info|{NASTY}|", f"vm.migrate|-host|esx-2|{NASTY}|"]
    tool.write_text(GOVC.replace("esx-1", "esx-9"))
    moved = subprocess.run(
        ["sh", str(file), "--move"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert moved.returncode == 1 and "is on esx-9, not on esx-1" in moved.stderr


def test_the_playbook_is_yaml_and_its_names_are_no_templates(tmp_path: Path) -> None:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!unsafe", lambda loader, node: ("unsafe", loader.construct_scalar(node)))
    (play,) = yaml.load(export(nasty(tmp_path / "plan"), "ansible"), Loader)
    (task,) = play["tasks"]
    asked = task["community.vmware.vmware_vmotion"]
    assert asked["vm_name"] == ("unsafe", NASTY) and asked["destination_host"] == ("unsafe", "esx-2")
    assert play["any_errors_fatal"] is True
    if (lint := shutil.which("ansible-playbook")) is not None:
        file = tmp_path / "plan.yml"
        file.write_text(export(nasty(tmp_path / "other"), "ansible"), encoding="utf-8")
        subprocess.run([lint, "--syntax-check", str(file)], check=True)


def test_the_python_script_is_python_and_holds_the_plan(tmp_path: Path) -> None:
    text = export(nasty(tmp_path / "plan"), "pyvmomi")
    compiled = compile(text, "plan.py", "exec")
    assert compiled
    body = text[text.index("PLAN = ") : text.index('""")\n') + 4]
    held: dict[str, object] = {}
    exec(f"import json\n{body}", held)
    assert held["PLAN"][0][0]["vm"] == NASTY  # type: ignore[index]


def test_powershell_quotes_every_name(tmp_path: Path) -> None:
    text = export(nasty(tmp_path / "plan"), "powercli")
    assert "'it''s \"$(touch boom)\"; `touch boom` {{ x }} \\ ’’é'" in text
    if (pwsh := shutil.which("pwsh")) is not None:
        file = tmp_path / "plan.ps1"
        file.write_text(text, encoding="utf-8")
        check = f"[scriptblock]::Create((Get-Content -Raw {file})) | Out-Null"
        subprocess.run([pwsh, "-NoProfile", "-Command", check], check=True)


def test_the_list_for_people_has_the_disks(tmp_path: Path) -> None:
    saved = saved_plan(tmp_path / "plan", cluster(), {"vm-1": "esx-2"}, stores={"vm-1": "ds-2"})
    (row,) = csv.DictReader(export(saved, "csv").splitlines())
    assert (row["vm"], row["to_host"], row["disks"]) == ("vm-1", "esx-2", "disk 1 -> ds-2")
    for kind in ("govc", "virsh", "proxmox", "ansible"):
        with pytest.raises(InputError, match="cannot move the disks of vm-1"):
            export(saved, kind)
    for kind in ("powercli", "pyvmomi"):
        assert "ds-2" in export(saved, kind)


def test_the_command(tmp_path: Path) -> None:
    from dataclasses import replace

    saved = saved_plan(tmp_path / "plan", cluster(), {"vm-1": "esx-2"})
    run = CliRunner()
    for kind, script in SCRIPTS.items():
        out = tmp_path / f"script{script.suffix}"
        done = run.invoke(app, ["export", str(saved.folder), "--as", kind, "--out", str(out)])
        assert done.exit_code == 0 and script.needs in done.stderr and "vm-1" in out.read_text()
    wrong = run.invoke(app, ["export", str(saved.folder), "--as", "powercl"])
    assert wrong.exit_code == 2 and "did you mean powercli?" in wrong.stderr
    with pytest.raises(PlanError, match="place"):
        export(replace(saved, mode="place"), "csv")
