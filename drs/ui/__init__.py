"""The app. `launch` opens it in the browser; streamlit is imported in the process that it starts."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
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
    snapshot: str | None = None,
    *,
    host: str = HOST,
    port: int | None = None,
    browser: bool = True,
    store: str | Path | None = None,
) -> int:
    """Run the app until it is closed; returns the exit code. SIGTERM and Ctrl-C end it with its server.

    Parameters
    ----------
    snapshot : str, optional
        A folder or the name of a bundled dataset to open at the start. It is read before the app starts.
    host, port, browser
        See `command`; the first free port from 8501 on where none is given.
    store : where snapshots, plans and searches are kept; the user's data folder where not given.

    Raises
    ------
    InputError
        With every fault of the snapshot; where the app's libraries are not installed; where the store cannot be
        written.
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
    from drs.ui.store import STORE_VARIABLE, Store, default_folder

    place = Path(store).resolve() if store is not None else default_folder()
    environment[STORE_VARIABLE] = str(place)
    port = free_port(host) if port is None else port
    told = HOST if is_open(host) else host
    link = f"http://{f'[{told}]' if ':' in told else told}:{port}/?desk={Store(place).home}"
    return run(command(host, port, browser=False), environment, link, browser=browser)


def free_port(host: str, first: int = 8501) -> int:
    """The first port from `first` on at which nobody listens; a few hundred are tried."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in range(first, first + 300):
        with socket.socket(family) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise InputError(Fault("port", f"none is free from {first} to {first + 299}", "a free port"))


def run(words: list[str], environment: dict[str, str], link: str, *, browser: bool) -> int:
    """Run the server, say where it is, open the browser there; SIGTERM ends the server too."""
    server = subprocess.Popen(words, env=environment)

    def end(*_: object) -> None:
        server.terminate()

    before = (
        signal.signal(signal.SIGTERM, end) if threading.current_thread() is threading.main_thread() else None
    )
    try:
        sys.stderr.write(f"your plans: {link}\n")
        if browser:
            threading.Thread(target=_open_browser, args=(link, server), daemon=True).start()
        code = server.wait()
        return code if code >= 0 else 128 - code  # as a shell counts one that a signal has ended
    except KeyboardInterrupt:
        server.terminate()
        server.wait()
        return 0
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _open_browser(link: str, server: subprocess.Popen[bytes]) -> None:
    """Open the link once the server answers."""
    import webbrowser

    health = link.partition("/?")[0] + "/_stcore/health"
    for _ in range(150):
        if server.poll() is not None:
            return
        try:
            with urllib.request.urlopen(health, timeout=2):
                webbrowser.open(link)
                return
        except OSError:
            time.sleep(0.2)


@contextmanager
def serving(store: str | Path | None = None, port: int | None = None) -> Iterator[str]:
    """The address of the app on a free port of this machine, without a browser: for tests and pictures.

    `store` : where it keeps things; a folder that is deleted at the end where not given.
    """
    with tempfile.TemporaryDirectory(prefix="drs-store-") as scratch:
        yield from _serving(str(store or scratch), port)


def _serving(store: str, port: int | None) -> Iterator[str]:
    from drs.ui.store import STORE_VARIABLE

    if port is None:
        with socket.socket() as free:
            free.bind((HOST, 0))
            port = free.getsockname()[1]
    server = subprocess.Popen(
        command(port=port, browser=False),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, STORE_VARIABLE: store},
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
    "free_port",
    "is_local",
    "is_open",
    "launch",
    "serving",
]
