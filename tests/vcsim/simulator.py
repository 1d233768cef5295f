"""Where the vCenter simulator lies and what a running one can be told."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def binary() -> Path:
    """Where build.sh puts the simulator."""
    digest = hashlib.sha256((HERE / "main.go").read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "drs-tests" / f"vcsim-{digest}"


@dataclass
class VCenterSim:
    """A simulator that runs."""

    address: str
    url: str
    ca_file: Path

    def order(self, what: str, **query: Any) -> str:
        """Something that the test wants to happen there: `fail`, `refuse`, `drop`, `maintenance`, `full`, `load`."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        text = "&".join(f"{key}={value}" for key, value in query.items())
        with urllib.request.urlopen(f"{self.url}/drs/{what}?{text}", context=context, timeout=20) as answer:
            return str(answer.read().decode())

    def moves(self) -> dict[str, int]:
        """How many moves of each VM came to an end there."""
        return dict(json.loads(self.order("moves")))
