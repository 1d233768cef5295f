"""Importing the model costs numpy and little more."""

from __future__ import annotations

import subprocess
import sys


def test_import_is_light() -> None:
    heavy = ["numba", "scipy", "pandas", "networkx", "plotly"]
    code = f"import sys, drs.precopy; print(*[name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
