"""Guards of the house: what may import what, how long and how branched a function may be."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "drs"


PLANTS: tuple[tuple[str, str, str], ...] = (
    # file, line planted at its end, the contract that must break
    ("modes/base.py", "import streamlit", "streamlit"),
    ("explain/why.py", "from ortools.sat.python import cp_model", "ortools"),
    ("planning/order.py", "def planted():\n    from ortools.sat.python import cp_model", "ortools"),
    ("solvers/greedy.py", "import pandas as pd", "pandas"),
    ("planning/plan.py", "def planted():\n    import pandas", "pandas"),
    ("io/readers/rvtools.py", "from pyVmomi import vim", "pyvmomi"),
    ("io/raw.py", "from pyVim.connect import SmartConnect", "pyvmomi"),
    ("report/html.py", "import plotly.graph_objects as go", "plotly"),
    ("advice.py", "from distributed import Client", "dask"),
    ("terms/limits.py", "import numba", "numba"),
    ("result.py", "from drs import api", "down"),
    ("rules/capacity.py", "from drs.solvers import greedy", "down"),
    ("goals/moves.py", "def planted():\n    from drs.planning.plan import Plan", "down"),
    ("precopy/path.py", "from drs.model import Snapshot", "down"),
    ("model/cpu.py", "if TYPE_CHECKING:\n    from drs.io import from_frames", "down"),
    ("solvers/lns.py", "from drs.model import Snapshot", "terms"),
    ("planning/plan.py", "from drs.planning import make", "circles"),
    ("attic.py", "", "down"),  # a new file at the top that nobody has placed
)

LINTER = """
import json, sys
from pathlib import Path
from importlinter import configuration
configuration.configure()
from importlinter.application import use_cases

sys.path.insert(0, "")
options = use_cases.read_user_options("pyproject.toml")
use_cases._register_contract_types(options)

def broken(*ids):
    report = use_cases.create_report(options, ids, "cache", False, False)
    assert not report.invalid_contract_options, report.invalid_contract_options
    return [contract.name for contract, check in report.get_contracts_and_checks() if not check.kept]

found = [broken()]
for name, line, contract in json.load(sys.stdin):
    file = Path("drs", name)
    before = file.read_text() if file.exists() else None
    file.write_text((before or "") + "\\n" + line + "\\n")
    found.append(broken(contract))
    file.unlink() if before is None else file.write_text(before)
Path("found.json").write_text(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """The contracts that break in a copy of the package as it is, then the one asked with each plant by itself."""
    room = tmp_path_factory.mktemp("planted")
    shutil.copytree(PACKAGE, room / "drs", ignore=shutil.ignore_patterns("__pycache__", "*.csv"))
    shutil.copy(ROOT / "pyproject.toml", room)
    done = subprocess.run(
        [sys.executable, "-c", LINTER],
        cwd=room,
        input=json.dumps(PLANTS),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((room / "found.json").read_text())  # type: ignore[no-any-return]


def test_contracts_are_kept(found: list[list[str]]) -> None:
    assert found[0] == []


@pytest.mark.parametrize("k", range(len(PLANTS)), ids=[f"{file}: {line[-40:]}" for file, line, _ in PLANTS])
def test_a_forbidden_import_is_caught(found: list[list[str]], k: int) -> None:
    assert len(found[k + 1]) == 1


# -- size of functions ------------------------------------------------------------------------------------

KERNELS = {
    "drs/planning/schedule/fluid_kernel.py",
    "drs/planning/schedule/kernels.py",
    "drs/precopy/congestion.py",
    "drs/precopy/kernel.py",
    *(f"drs/solvers/kernel/{path.name}" for path in (PACKAGE / "solvers" / "kernel").glob("*.py")),
}
"""Files that numba compiles."""

LONGEST = 100
"""Lines of a function outside kernels, its docstring aside: a parameter explained is no branch to follow."""

WIDEST = 12
"""Positional parameters of any function."""


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Each function of the package, as file:name."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(ROOT).as_posix()}:{node.name}", node


def lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of code, without the docstring."""
    doc = node.body[0] if ast.get_docstring(node, clean=False) is not None else None
    whole = (node.end_lineno or node.lineno) - node.lineno + 1
    return whole - ((doc.end_lineno or doc.lineno) - doc.lineno + 1 if doc else 0)


def test_a_docstring_is_no_code_and_every_other_line_is() -> None:
    text = 'def f():\n    """One.\n\n    Two.\n    """\n    x = 1\n\n    return x\n'
    (node,) = ast.parse(text).body
    assert isinstance(node, ast.FunctionDef)
    assert lines(node) == 4


def test_no_function_is_too_long() -> None:
    long = {name for name, node in functions() if name.split(":")[0] not in KERNELS and lines(node) > LONGEST}
    assert long == set()


def test_no_function_takes_a_long_row_of_arguments() -> None:
    """Who needs more takes a record; a command's options are the command line itself."""
    wide = {
        name
        for name, node in functions()
        if not name.startswith("drs/cli/") and len(node.args.posonlyargs) + len(node.args.args) > WIDEST
    }
    assert wide == set()


def test_kernels_are_where_the_list_says() -> None:
    """A list of files that no longer exist, or hold nothing compiled, would guard nothing."""
    for name in KERNELS:
        assert (ROOT / name).is_file()
    compiled = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*.py")
        if any(line.startswith(("@compiled", "@jit", "@inline")) for line in path.read_text().splitlines())
    }
    assert compiled <= KERNELS


def test_ruff_bounds_branches_outside_kernels() -> None:
    """Ruff knows the bound: a function of 21 branches is refused under the project's own settings."""
    branches = "\n".join(f"    if x == {k}:\n        x += 1" for k in range(20))
    code = f'"""Many branches."""\n\n\ndef many(x: int) -> int:\n    """Each counts."""\n{branches}\n    return x\n'

    def faults(where: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise",
             "--stdin-filename", str(PACKAGE / where), "-"],
            cwd=ROOT, input=code, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout

    assert "C901" in faults("modes/many.py")
    assert "C901" not in faults("solvers/kernel/many.py")
