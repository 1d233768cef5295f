"""The house rules that no type checker sees: public names, light imports, units in names, full catalogues."""

from __future__ import annotations

import ast
import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import drs
from drs import units
from drs.goals import GOALS
from drs.model import snapshot as tables
from drs.planning import Concurrency, Move, Plan
from drs.problem.policy import Limits, Policy, Trigger
from drs.result import GoalScore, Result
from drs.rules import RULES

ROOT = Path(__file__).parent.parent

PUBLIC = {
    "Snapshot", "Problem", "Placement", "Result", "Plan", "DrsError",
    "read", "check", "solve", "plan", "estimate", "advise",
}  # fmt: skip


def test_public_names() -> None:
    assert set(drs.__all__) == PUBLIC
    for name in drs.__all__:
        assert getattr(drs, name) is not None


def test_every_advertised_room_opens() -> None:
    for room in sorted(set(dir(drs)) - PUBLIC):
        assert getattr(drs, room).__name__ == f"drs.{room}"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'solver'"):
        drs.solver  # noqa: B018


@pytest.mark.parametrize("module", ["drs", "drs.io", "drs.precopy", "drs.solvers", "drs.cli"])
def test_light_import(module: str) -> None:
    heavy = ["ortools", "pandas", "numba", "streamlit", "plotly", "pyarrow", "networkx"]
    code = f"import sys, {module}; print(*[name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


UNITLESS = {
    "vcpus", "gpus", "cpu_shares", "memory_shares", "cpu_cores", "ha_failover_hosts", "migration_threshold",
    "rounds", "step", "wave", "seed", "iterations", "before", "after", "bound", "weight", "max_moves",
    "host_units", "network_units_1gbe", "network_units_10gbe", "datastore_units", "per_host", "per_rack",
    "per_cluster", "per_link", "total", "hold_n", "cpu_overcommit_ratio", "after_steps", "iops_capacity",
    "priority",
}  # fmt: skip
"""Counts, shares and scores, which have no unit."""


@pytest.mark.parametrize(
    "cls",
    [
        tables.HostTable, tables.VmTable, tables.ClusterTable, tables.DiskTable, tables.DatastoreTable,
        tables.LinkTable, tables.LoadHistory, Move, Plan, Concurrency, Limits, Trigger, Policy, GoalScore,
        Result,
    ],
)  # fmt: skip
def test_units_stand_in_names(cls: type) -> None:
    quantity = re.compile(r"\b(float|Floats|int|Ints|NDArray\[np\.float)")
    for field in dataclasses.fields(cls):
        if not quantity.search(str(field.type)) or "Mapping" in str(field.type) or "dict" in str(field.type):
            continue
        suffix = field.name.rsplit("_", 1)[-1]
        known = suffix in units.SUFFIXES or field.name.startswith("n_") or field.name in UNITLESS
        assert known, f"{cls.__name__}.{field.name} has no unit in its name"


def test_network_rates_are_decimal_and_memory_is_binary() -> None:
    assert np.isclose(units.MIBPS_PER_MBPS * units.BYTES_PER_MIB, units.BYTES_PER_S_PER_MBPS)


def test_every_rule_has_a_page_and_a_scenario() -> None:
    pages = {page.stem for page in (ROOT / "docs" / "rules").glob("*.md")} - {"index"}
    assert pages == set(RULES)
    told = {
        rule["type"]
        for path in (ROOT / "tests" / "scenarios").rglob("*.yaml")
        for rule in yaml.safe_load(path.read_text(encoding="utf-8")).get("rules", [])
        if "type" in rule
    }
    assert set(RULES) - told == set(), "rules without a scenario"


def test_every_goal_is_documented() -> None:
    page = (ROOT / "docs" / "goals.md").read_text()
    assert not [kind for kind in GOALS if f"`{kind}`" not in page]


def test_nothing_prints_in_the_library() -> None:
    for path in (ROOT / "drs").rglob("*.py"):
        called = [
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
        ]
        assert not [call for call in called if isinstance(call.func, ast.Name) and call.func.id == "print"], (
            path
        )


def test_no_machine_path_in_the_project() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    words = ["/" + "work/", "/" + "root/", "farm" + "-bench", "farm" + "-studio"]
    for name in listed.stdout.split():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".yaml", ".ipynb", ".txt", ".csv", ""} and path.is_file():
            text = path.read_text(errors="ignore")
            assert not [word for word in words if word in text], path


@pytest.mark.parametrize("kind", [*GOALS, *RULES])
def test_type_file_and_class_have_one_name(kind: str) -> None:
    cls: type = {**GOALS, **RULES}[kind]
    file = kind.replace("-", "_")
    word = "host-capacity" if kind == "capacity" else kind  # `Capacity` alone is the term
    assert cls.__name__ == "".join(part.capitalize() for part in word.split("-"))
    assert cls.__module__.rsplit(".", 1)[-1] == file


BY_HAND = re.compile(
    r"(?<!%)\{[^{}]*:,?\.\d%\}"  # a ratio as a percentage
    r"|(?<!%)\{[^{}]*:,?\.\df\} ?(?:s|min|h|%)(?![A-Za-z/])"  # a time, a percentage
    r"|\bdef _?(?:some|duration|percent|seconds)\("
)
FIGURES_OF_THEIR_OWN = {
    "words.py": "the words themselves",
    "planning/replay.py": "compares two ends, which words.seconds would round to the same",
    "plotting/svg.py": "the figure beside a bar, whose change is in points",
    "io/reader.py": "reads a column of seconds",
}


def by_hand(source: str) -> list[str]:
    return [found[0] for found in BY_HAND.finditer(source)]


@pytest.mark.parametrize(
    "source",
    [
        'f"{a:.1%} full"',
        'f"after {a.b:,.0f} s"',
        'f"{100 * x:.0f} %"',
        "def some(names):",
        'f"{t / 60:.1f} min"',
    ],
)
def test_a_figure_by_hand_is_seen(source: str) -> None:
    assert by_hand(source)


def test_figures_are_put_into_words_by_words_alone() -> None:
    found = {
        str(path.relative_to(ROOT / "drs")): told
        for path in (ROOT / "drs").rglob("*.py")
        if (told := by_hand(path.read_text(encoding="utf-8")))
    }
    assert {name: told for name, told in found.items() if name not in FIGURES_OF_THEIR_OWN} == {}
    assert set(found) == set(FIGURES_OF_THEIR_OWN), "an exception that nothing needs any more"


def test_no_two_test_files_have_one_name() -> None:
    # pytest imports them by their names alone: two of one name are collected apart and fail together.
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names)), sorted({name for name in names if names.count(name) > 1})
