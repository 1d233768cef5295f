"""The app. `launch` opens it in the browser; streamlit is imported in the process that it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SNAPSHOT_VARIABLE = "DRS_UI_SNAPSHOT"
"""How `launch` tells the app which snapshot to open."""
APP_FILE = Path(__file__).with_name("app.py")


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
    command = [sys.executable, "-m", "streamlit", "run", str(APP_FILE)]
    command += ["--server.showEmailPrompt=false", "--browser.gatherUsageStats=false"]
    try:
        return subprocess.call(command, env=environment)
    except KeyboardInterrupt:
        return 0


__all__ = ["APP_FILE", "SNAPSHOT_VARIABLE", "launch"]
