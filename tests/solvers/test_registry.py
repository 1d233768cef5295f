"""Solvers are found by name, late and with a helping word."""

from __future__ import annotations

import subprocess
import sys

import pytest

from drs import solvers
from drs.errors import SolverError, SolverUnavailableError, UnknownNameError
from drs.terms import Level, Lowered, Weighted


def test_every_name_is_found():
    for name in solvers.names():
        assert callable(solvers.find(name))


def test_a_near_miss_is_offered():
    with pytest.raises(UnknownNameError, match="did you mean greedy"):
        solvers.find("gredy")


def test_a_library_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "drs.solvers.exact.cpsat", None)
    with pytest.raises(SolverUnavailableError) as caught:
        solvers.find("cpsat")
    assert caught.value.install.startswith("pip install")


def test_looking_loads_no_engine():
    code = "import drs.solvers, sys; print([m for m in ('ortools', 'numba', 'pandas') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_term_that_is_not_read_is_refused():
    class Odd:
        def cost(self, assign, start):
            return 0.0

        def relaxed(self, start):
            return self

    import numpy as np

    lowered = Lowered(1, 1, np.zeros(1, dtype=np.int32), (), (Level("a", (Weighted(Odd()),)),))
    with pytest.raises(SolverError, match="Odd"):
        solvers.check_reads(lowered, solvers.find("greedy"))
