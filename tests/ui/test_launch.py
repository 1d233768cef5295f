"""`drs ui`: what is run, and with which snapshot."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import drs.ui
from drs.errors import InputError


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """What would have been run."""
    made: list[tuple[list[str], dict[str, str]]] = []

    def run(command: list[str], env: dict[str, str], link: str, *, browser: bool) -> int:
        made.append((command, {**env, "LINK": link, "BROWSER": str(browser)}))
        return 0

    monkeypatch.setattr(drs.ui, "run", run)
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
    link = calls[0][1]["LINK"]
    assert link.startswith(f"http://127.0.0.1:{option(command, 'server.port')}/?desk=")
    assert calls[0][1]["BROWSER"] == "True"


def test_host_port_and_no_browser(
    calls: list[tuple[list[str], dict[str, str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    from typer.testing import CliRunner

    from drs.cli import app

    done = CliRunner().invoke(app, ["ui", "--host", "0.0.0.0", "--port", "9000", "--no-browser"])
    assert done.exit_code == 0 and "no login" in done.stderr
    command, _ = calls[0]
    assert option(command, "server.address") == "0.0.0.0" and option(command, "server.port") == "9000"
    assert option(command, "server.headless") == "true" and calls[0][1]["BROWSER"] == "False"
    # Streamlit asks a service of the internet for this machine's address where none is given.
    assert option(command, "browser.serverAddress") not in (None, "", "0.0.0.0")
    assert "no login" not in CliRunner().invoke(app, ["ui", "--host", "localhost"]).stderr


def test_the_store_is_where_it_is_said_and_its_link_stays_the_same(
    calls: list[tuple[list[str], dict[str, str]]], tmp_path: Path
) -> None:
    for _ in range(2):
        drs.ui.launch(None, store=tmp_path / "kept")
    links = {env["LINK"].partition("desk=")[2] for _, env in calls}
    assert len(links) == 1 and len(links.pop()) >= 8
    assert all(env["DRS_UI_STORE"] == str(tmp_path / "kept") for _, env in calls)
    assert (tmp_path / "kept").stat().st_mode & 0o077 == 0, "nobody else reads it"


def test_a_store_that_cannot_be_written_is_one_fault(calls: list[Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a folder that this user can write"):
        drs.ui.launch(None, store=tmp_path / "file" / "below")
    assert not calls


def test_a_port_that_is_taken_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert drs.ui.free_port("127.0.0.1", port) > port


def test_sigterm_ends_the_server_too(tmp_path: Path) -> None:
    server = tmp_path / "server.py"
    server.write_text(
        "import pathlib, sys, time\npathlib.Path(sys.argv[1]).write_text('up')\ntime.sleep(60)\n"
    )
    code = (
        f"import os, sys, drs.ui\nsys.exit(drs.ui.run([sys.executable, {str(server)!r}, {str(tmp_path / 'up')!r}], "
        "dict(os.environ), 'http://127.0.0.1:1/?desk=x', browser=False))"
    )
    launcher = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not (tmp_path / "up").exists() and time.monotonic() < end:
        time.sleep(0.05)
    launcher.send_signal(signal.SIGTERM)
    # The launcher waits for its server, so that it ends says that the server has.
    assert launcher.wait(30) == 128 + signal.SIGTERM


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
