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


def option(command: list[str], name: str) -> str | None:
    """The value of one of streamlit's options."""
    return next((word.partition("=")[2] for word in command if word.startswith(f"--{name}=")), None)


def test_only_this_machine_reaches_the_app(calls: list[tuple[list[str], dict[str, str]]]) -> None:
    drs.ui.launch(None)
    command, _ = calls[0]
    assert option(command, "server.address") == "127.0.0.1"
    assert option(command, "browser.serverAddress") == "127.0.0.1"
    assert option(command, "server.port") is None and option(command, "server.headless") is None


def test_host_port_and_no_browser(
    calls: list[tuple[list[str], dict[str, str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    from typer.testing import CliRunner

    from drs.cli import app

    done = CliRunner().invoke(app, ["ui", "--host", "0.0.0.0", "--port", "9000", "--no-browser"])
    assert done.exit_code == 0 and "no login" in done.stderr
    command, _ = calls[0]
    assert option(command, "server.address") == "0.0.0.0" and option(command, "server.port") == "9000"
    assert option(command, "server.headless") == "true"
    # Streamlit asks a service of the internet for this machine's address where none is given.
    assert option(command, "browser.serverAddress") not in (None, "", "0.0.0.0")
    assert "no login" not in CliRunner().invoke(app, ["ui", "--host", "localhost"]).stderr


def test_without_streamlit_one_line_says_what_to_install(
    calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    from typer.testing import CliRunner

    from drs.cli import app

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    done = CliRunner().invoke(app, ["ui"])
    assert done.exit_code == 2 and not calls
    assert done.stderr == (
        "error: drs ui: streamlit is not installed; expected pip install 'drs-optimizer[app]'\n"
    )


def test_streamlit_is_an_extra() -> None:
    import tomllib

    project = tomllib.loads((Path(drs.ui.__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert not any(name.startswith("streamlit") for name in project["dependencies"])
    extras = project["optional-dependencies"]
    assert any(name.startswith("streamlit") for name in extras["app"])
    assert any("[app" in name for name in extras["test"])
