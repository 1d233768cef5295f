"""A vCenter on loopback for the tests: the simulator, where it was built (tests/vcsim/build.sh)."""

from __future__ import annotations

import gc
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from inventory import write_inventory
from simulator import VCenterSim, binary

from drs.model import Snapshot


@pytest.fixture
def start_vcsim(tmp_path: Path) -> Iterator[Callable[..., VCenterSim]]:
    """Starts a simulator with a snapshot inside; it ends with the test."""
    pytest.importorskip("pyVmomi", reason="pyvmomi is not installed")
    if not binary().is_file():
        pytest.skip("the vCenter simulator is not built: run tests/vcsim/build.sh")
    running: list[subprocess.Popen[str]] = []

    def start(snapshot: Snapshot, per_gb: str = "0s") -> VCenterSim:
        folder = tmp_path / f"inventory-{len(running)}"
        write_inventory(snapshot, folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        pem = tmp_path / f"vcsim-{len(running)}.pem"
        words = [str(binary()), "-load", str(folder), "-l", f"127.0.0.1:{port}", "-strict", "-vmotion-per-gb", per_gb,
                 "-cert-out", str(pem), "-username", "drs", "-password", "s3cret-word"]  # fmt: skip
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        assert "GOVC_URL" in process.stdout.readline()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        return VCenterSim(f"vcenter://127.0.0.1:{port}", f"https://127.0.0.1:{port}", pem)

    yield start
    for process in running:
        process.kill()
        process.communicate()
    gc.collect()  # within the test that left something behind
