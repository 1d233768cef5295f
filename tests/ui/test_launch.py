"""`drs ui`: what is run, and with which snapshot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import drs.ui
from drs.errors import InputError


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """What would have been run."""
    made: list[tuple[list[str], dict[str, str]]] = []

    def call(command: list[str], env: dict[str, str]) -> int:
        made.append((command, env))
        return 0

    monkeypatch.setattr(subprocess, "call", call)
    return made


def test_launch_runs_the_packaged_app(calls: list[tuple[list[str], dict[str, str]]]) -> None:
    assert drs.ui.launch(None) == 0
    command, environment = calls[0]
    assert command[:4] == [sys.executable, "-m", "streamlit", "run"]
    assert Path(command[4]).is_file()
    assert drs.ui.SNAPSHOT_VARIABLE not in environment


def test_launch_passes_a_dataset_or_a_folder(
    calls: list[tuple[list[str], dict[str, str]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from drs import datasets, io

    io.write_folder(datasets.make_cluster(2, 3, 1), tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    drs.ui.launch("mine")
    drs.ui.launch("small")
    assert [env[drs.ui.SNAPSHOT_VARIABLE] for _, env in calls] == [str(tmp_path / "mine"), "small"]


def test_launch_refuses_a_bad_snapshot(calls: list[Any]) -> None:
    with pytest.raises(InputError):
        drs.ui.launch("no-such-cluster")
    assert not calls


def test_importing_the_launcher_does_not_load_streamlit() -> None:
    code = "import sys, drs.ui; sys.exit('streamlit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_module_outside_loads_streamlit() -> None:
    package = Path(drs.ui.__file__).parents[1]
    users = {
        path.relative_to(package).parts[0]
        for path in package.rglob("*.py")
        if any(
            line.startswith(("import streamlit", "from streamlit")) for line in path.read_text().splitlines()
        )
    }
    assert users == {"ui"}
