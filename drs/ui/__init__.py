"""The app. `launch` opens it in the browser; streamlit is imported in the process that it starts."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drs.errors import Fault, InputError

SNAPSHOT_VARIABLE = "DRS_UI_SNAPSHOT"
"""How `launch` tells the app which snapshot to open."""
APP_FILE = Path(__file__).with_name("app.py")
STREAMLIT = (sys.executable, "-m", "streamlit", "run", str(APP_FILE))


HOST = "127.0.0.1"
"""This machine alone: the app has no login."""
INSTALL = "pip install 'drs-optimizer[app]'"


def command(host: str = HOST, port: int | None = None, *, browser: bool = True) -> list[str]:
    """What runs the app.

    Parameters
    ----------
    host : the address on which it listens.
    port : streamlit's choice from 8501 on where not given.
    browser : whether it opens a window of the browser.
    """
    # With an address to tell, streamlit asks no service of the internet for one.
    told = socket.gethostname() if is_open(host) else host
    return [
        *STREAMLIT,
        f"--server.address={host}",
        f"--browser.serverAddress={told}",
        *([] if port is None else [f"--server.port={port}"]),
        *([] if browser else ["--server.headless=true"]),
        "--server.showEmailPrompt=false",
        "--browser.gatherUsageStats=false",
    ]


def is_open(host: str) -> bool:
    """Whether an address is no single one: every interface of the machine."""
    return host in ("0.0.0.0", "::", "")


def is_local(host: str) -> bool:
    """Whether only this machine reaches an address."""
    return host in ("localhost", "::1") or host.startswith("127.")


def launch(
    snapshot: str | None = None, *, host: str = HOST, port: int | None = None, browser: bool = True
) -> int:
    """Run the app until it is closed; returns the exit code.

    Parameters
    ----------
    snapshot : str, optional
        A folder or the name of a bundled dataset to open at the start. It is read before the app starts.
    host, port, browser
        See `command`.

    Raises
    ------
    InputError
        With every fault of the snapshot, or where the app's libraries are not installed.
    """
    if importlib.util.find_spec("streamlit") is None:
        raise InputError(Fault("drs ui", "streamlit is not installed", INSTALL))
    environment = dict(os.environ)
    environment.pop(SNAPSHOT_VARIABLE, None)
    if snapshot is not None:
        from drs.api import read

        read(snapshot)
        folder = Path(snapshot)
        environment[SNAPSHOT_VARIABLE] = str(folder.resolve()) if folder.exists() else snapshot
    try:
        return subprocess.call(command(host, port, browser=browser), env=environment)
    except KeyboardInterrupt:
        return 0


@contextmanager
def serving() -> Iterator[str]:
    """The address of the app on a free port of this machine, without a browser: for tests and pictures."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        command(port=port, browser=False), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(150):
            try:
                with urllib.request.urlopen(f"http://{HOST}:{port}/_stcore/health", timeout=2):
                    break
            except OSError:
                time.sleep(0.2)
        yield f"http://{HOST}:{port}"
    finally:
        server.terminate()
        server.wait(20)


__all__ = [
    "APP_FILE",
    "HOST",
    "INSTALL",
    "SNAPSHOT_VARIABLE",
    "command",
    "is_local",
    "is_open",
    "launch",
    "serving",
]
