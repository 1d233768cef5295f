"""Solvers are found by name, late and with a helping word."""

from __future__ import annotations

import subprocess
import sys
import types

import numpy as np
import pytest

import drs
from drs import io, solvers
from drs.errors import SolverError, SolverUnavailableError, UnknownNameError
from drs.goals import Balance
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.rules import KeepApart
from drs.solvers import Answer
from drs.stop import Run, Stop
from drs.terms import Allowed, Capacity, Deviation, Level, Lowered, MoveCost, Weighted
from drs.testing import frames_of


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

    lowered = Lowered(1, 1, np.zeros(1, dtype=np.int32), (), (Level("a", (Weighted(Odd()),)),))
    greedy = solvers.find("greedy")
    with pytest.raises(SolverError, match="Odd"):
        solvers.check_reads(lowered, greedy)
    with pytest.raises(SolverError, match="Odd"):
        greedy(lowered, lowered.start, Run(Stop(1.0)))


def few(lowered, start, run):
    """An engine that reads sums only; it gives back the start."""
    scores = lowered.scores(start)
    return Answer("feasible", np.array(start), scores, np.zeros_like(scores), "few", 0.0)


few.reads = (Allowed, Capacity, Deviation, MoveCost)


@pytest.mark.parametrize(("rules", "refused"), [((), False), ((KeepApart("web-*"),), True)])
def test_an_engine_that_reads_some_terms_is_asked_wherever_it_is_called(monkeypatch, rules, refused):
    """An engine from outside, called by name through the front door: what it does not read is named."""
    monkeypatch.setitem(sys.modules, "few_terms", types.SimpleNamespace(solve=few))
    monkeypatch.setattr(solvers, "_targets", lambda: {"few": "few_terms:solve"})
    frames = frames_of(
        {
            "hosts": {"esx-[1-2]": {"cpu_mhz": 20000, "memory_mib": 65536}},
            "vms": {"web-[1-2]": {"host": "esx-1", "cpu_demand_mhz": 1000, "memory_mib": 4096}},
        }
    )
    snapshot, policy = io.from_frames(frames), Policy(goals=(Balance(),))
    if refused:
        with pytest.raises(SolverError, match=r"'few' does not read the terms AtMost \(of "):
            drs.solve(Problem(snapshot, rules, policy), solver="few")
    else:
        assert drs.solve(Problem(snapshot, rules, policy), solver="few").solver == "few"


def test_the_storage_mode_asks_too(monkeypatch):
    """Disks that are kept together make a term that the engine does not read."""
    monkeypatch.setitem(sys.modules, "few_terms", types.SimpleNamespace(solve=few))
    monkeypatch.setattr(solvers, "_targets", lambda: {"few": "few_terms:solve"})
    frames = frames_of(
        {
            "hosts": {"esx-1": {"cpu_mhz": 20000, "memory_mib": 65536}},
            "vms": {"web-1": {"host": "esx-1", "cpu_demand_mhz": 1000, "memory_mib": 4096}},
            "datastores": {"ds-[1-2]": {"capacity_gib": 100, "free_gib": 60}},
            "disks": [{"vm": "web-1", "disk": "[1-2]", "datastore": "ds-1", "size_gib": 10}],
            "mounts": [{"host": "esx-1", "datastore": "ds-[1-2]"}],
        }
    )
    with pytest.raises(SolverError, match="'few' does not read the terms OverTarget"):
        drs.advise(io.from_frames(frames), mode="storage", solver="few")
