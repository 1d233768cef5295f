"""The command line: the library's verbs, a file for each. JSON alone on stdout with `--json`; people's text on stderr.

Exit codes: 0 fine, 1 violations (with `--strict`), 2 usage or input, 3 infeasible, 4 stopped without an
answer, 70 a fault of drs itself.
"""

from __future__ import annotations

# In the order in which `drs --help` lists them.
# isort: off
from drs.cli import check
from drs.cli import advise
from drs.cli import rolling
from drs.cli import estimate
from drs.cli import explain
from drs.cli import diff
from drs.cli import what_if
from drs.cli import capacity
from drs.cli import replay
from drs.cli import apply
from drs.cli import undo
from drs.cli import export
from drs.cli import calibrate
from drs.cli import convert
from drs.cli import datasets
from drs.cli import ui

# isort: on
from drs.cli.base import app

__all__ = ["advise", "app", "apply", "calibrate", "capacity", "check", "convert", "datasets", "diff", "estimate",
           "explain", "export", "main", "replay", "rolling", "ui", "undo", "what_if"]  # fmt: skip


def main() -> None:
    """Entry point of the `drs` command."""
    app()
