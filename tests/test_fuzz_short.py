"""A short run of the fuzzer (`benchmarks/reliability/fuzz.py`), and that its checker finds what is planted."""

from __future__ import annotations

import copy
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILE = Path(__file__).parents[1] / "benchmarks" / "reliability" / "fuzz.py"


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reliability_fuzz", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_a_random_cluster(fuzz: ModuleType, seed: int, tmp_path: Path) -> None:
    assert fuzz.examine(seed, tmp_path / "case") == []


def test_the_checker_knows_nothing_of_drs() -> None:
    """Only the command line is asked, and only where a case is run."""
    text = FILE.read_text()
    used = [line.strip() for line in text.splitlines() if "import drs" in line or "from drs" in line]
    assert used == ["from drs.cli import app"]
    assert text.index("from drs.cli") > text.index("# --- one case through the command line")


def test_every_mode_and_table_is_drawn(fuzz: ModuleType) -> None:
    cases = [fuzz.Case(seed) for seed in range(300)]
    modes = {"balance", "evacuate", "recover", "place", "consolidate", "storage", "upgrade-evc", "rolling"}
    assert {case.mode for case in cases} == modes
    from drs.io.columns import tables

    assert {name for case in cases for name in case.tables} == set(tables())
    assert len({rule["type"] for case in cases for rule in case.rules}) >= 15
    assert len({goal["type"] for case in cases for goal in case.policy.get("goal", ())}) >= 11
    states = {str(row.get("state")) for case in cases for row in case.tables["hosts"]}
    assert {"None", *tables()["hosts"]["state"].choices} <= states


BEFORE = {
    "hosts": [{"host": h, "memory_mib": "10000", "state": ""} for h in "ab"],
    "vms": [{"vm": v, "host": "a", "memory_mib": "4000"} for v in ("v", "w")],
}


def answer() -> tuple[dict[str, Any], dict[str, Any]]:
    """A right answer: v goes from a to b."""
    move = {"step": 1, "vm": "v", "from_host": "a", "to_host": "b", "start_s": 0.0, "total_s": 5.0,
            "after_steps": [], "downtime_ms": 9.0, "transferred_mib": 4000.0}  # fmt: skip
    plan = {
        "mode": "balance", "status": "optimal", "moves": [move],
        "schedule": {"makespan_s": 5.0, "makespan_bound_s": 5.0},
        "goals": [{"name": "balance", "after": 0.0, "bound": 0.0}],
        "violations": {"before": [], "after": [], "during": []},
    }  # fmt: skip
    after = copy.deepcopy(BEFORE)
    after["vms"][0]["host"] = "b"
    return plan, after


APART = {"type": "keep-apart", "name": "apart", "policy": "hard", "vms": ["v", "w"]}
TOGETHER = {"type": "keep-together", "name": "together", "policy": "not_worse", "vms": ["v", "w"]}

Plant = Callable[[dict[str, Any], dict[str, Any]], Any]
PLANTED: dict[str, tuple[Plant, list[dict[str, Any]]]] = {
    "is inf": (lambda plan, after: plan["goals"][0].update(after=float("inf")), []),
    "is nan": (lambda plan, after: plan["moves"][0].update(downtime_ms=float("nan")), []),
    "moves from b and is on a": (lambda plan, after: plan["moves"][0].update(from_host="b"), []),
    "an unknown VM x": (lambda plan, after: plan["moves"][0].update(vm="x"), []),
    "lead elsewhere": (lambda plan, after: after["vms"][1].update(host="b"), []),
    "starts before step 1 has ended": (lambda plan, after: plan["moves"][0].update(after_steps=[1]), []),
    "not the end of the last move": (lambda plan, after: plan["schedule"].update(makespan_s=9.0), []),
    "the makespan is below its bound": (lambda plan, after: plan["schedule"].update(makespan_bound_s=6.0), []),
    "goal balance is below its bound": (lambda plan, after: plan["goals"][0].update(bound=0.1), []),
    "together (keep-together) is broken by 1, today by 0": (lambda plan, after: None, [TOGETHER]),
    "b holds 12000 MiB of 10000, today 4000": (lambda plan, after: after["vms"][0].update(memory_mib="12000"), []),
}  # fmt: skip


@pytest.mark.parametrize("said", PLANTED)
def test_a_planted_fault_is_found(fuzz: ModuleType, said: str) -> None:
    plan, after = answer()
    plant, rules = PLANTED[said]
    assert list(fuzz.check_answer(BEFORE, [APART], plan, after)) == []
    plant(plan, after)
    found = list(fuzz.check_answer(BEFORE, rules, plan, after))
    assert any(said.split(",")[0] in each for each in found), found


def test_a_hard_rule_that_stays_broken_is_found(fuzz: ModuleType) -> None:
    plan, _ = answer()
    plan["moves"], plan["schedule"] = [], {"makespan_s": 0.0, "makespan_bound_s": 0.0}
    found = list(fuzz.check_answer(BEFORE, [APART], plan, BEFORE))
    assert any("hard apart broken" in each for each in found)
    assert any("does not say so" in each for each in found)


def test_a_bound_that_is_refuted_is_found(fuzz: ModuleType) -> None:
    case = fuzz.Case(0)
    case.rules = []
    case.tables = {
        "hosts": [{"host": h, "cpu_mhz": 1000, "memory_mib": 1000} for h in "ab"],
        "vms": [{"vm": v, "host": "a", "cpu_demand_mhz": 100, "memory_mib": 100} for v in "vw"],
    }

    def told(**goal: float) -> list[str]:
        plan = {"status": "optimal", "goals": [{"name": "balance", "after": 0.0, "bound": 0.0, **goal}]}
        return list(fuzz.enumerate_all(case, plan))

    assert told() == []
    assert any("is possible" in each for each in told(after=0.2))
    assert any("refuted" in each for each in told(after=0.2, bound=0.1))
    assert any(
        "infeasible" in each for each in fuzz.enumerate_all(case, {"status": "infeasible", "goals": []})
    )
