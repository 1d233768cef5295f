"""The app. `launch` opens it in the browser; streamlit is imported in the process that it starts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SNAPSHOT_VARIABLE = "DRS_UI_SNAPSHOT"
"""How `launch` tells the app which snapshot to open."""
APP_FILE = Path(__file__).with_name("app.py")
STREAMLIT = (sys.executable, "-m", "streamlit", "run", str(APP_FILE))


def launch(snapshot: str | None = None) -> int:
    """Run the app until it is closed; returns the exit code.

    Parameters
    ----------
    snapshot : str, optional
        A folder or the name of a bundled dataset to open at the start. It is read before the app starts.

    Raises
    ------
    InputError
        With every fault of the snapshot.
    """
    environment = dict(os.environ)
    environment.pop(SNAPSHOT_VARIABLE, None)
    if snapshot is not None:
        from drs.api import read

        read(snapshot)
        folder = Path(snapshot)
        environment[SNAPSHOT_VARIABLE] = str(folder.resolve()) if folder.exists() else snapshot
    command = [*STREAMLIT, "--server.showEmailPrompt=false", "--browser.gatherUsageStats=false"]
    try:
        return subprocess.call(command, env=environment)
    except KeyboardInterrupt:
        return 0


@contextmanager
def serving() -> Iterator[str]:
    """The address of the app on a free port of this machine, without a browser: for tests and pictures."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*STREAMLIT, "--server.headless=true", f"--server.port={port}", "--server.address=127.0.0.1"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(150):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2):
                    break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


__all__ = ["APP_FILE", "SNAPSHOT_VARIABLE", "launch", "serving"]
