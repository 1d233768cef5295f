"""What keeps the house a house: short functions, few parameters."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
MOST_LINES, MOST_PARAMETERS = 100, 12

KERNELS = {
    "drs/planning/schedule/fluid_kernel.py",
    "drs/precopy/kernel.py",
    "drs/solvers/kernel/neighbourhood.py",
}
"""Compiled loops with a function over 100 lines: a call between compiled functions costs compile time and speed."""

LONG = {
    "drs/cli.py:advise",
    "drs/io/readers/vcenter.py:snapshot_of",
    "drs/plotting/schedule.py:timeline",
    "drs/plotting/schedule.py:topology",
}
"""Still over 100 lines. An entry goes with the function that it excuses; none is added."""

MANY = {
    "drs/cli.py:advise",  # each parameter is a flag; nobody but the command line calls it
    "drs/solvers/kernel/neighbourhood.py:search_neighbourhoods",  # a handle and the plain numbers of one call
}
"""More than 12 parameters by position. An entry goes with the function that it excuses; none is added."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(root: Path) -> Iterator[tuple[str, Function]]:
    """Each function under drs/ with `file:name`."""
    for path in sorted((root / "drs").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(root).as_posix()}:{node.name}", node


def over(root: Path, size: Callable[[Function], int], most: int) -> set[str]:
    """The functions above a limit."""
    return {name for name, node in functions(root) if size(node) > most}


def lines(node: Function) -> int:
    """Lines of code, without the docstring."""
    doc = node.body[0] if ast.get_docstring(node, clean=False) is not None else None
    whole = (node.end_lineno or node.lineno) - node.lineno + 1
    return whole - ((doc.end_lineno or doc.lineno) - doc.lineno + 1 if doc else 0)


def by_position(node: Function) -> int:
    return len(node.args.posonlyargs) + len(node.args.args)


def test_no_function_is_over_100_lines() -> None:
    found = over(ROOT, lines, MOST_LINES)
    kernels = {name for name in found if name.partition(":")[0] in KERNELS}
    assert {name.partition(":")[0] for name in kernels} == KERNELS, "a kernel file needs no excuse any more"
    assert found - kernels == LONG


def test_no_function_takes_more_than_12_by_position() -> None:
    assert over(ROOT, by_position, MOST_PARAMETERS) == MANY


def test_the_measures_see_a_long_function_and_a_wide_one(tmp_path: Path) -> None:
    (tmp_path / "drs").mkdir()
    wide = ", ".join(f"p{k}" for k in range(MOST_PARAMETERS))
    body = "    x = 1\n" * (MOST_LINES - 1)
    (tmp_path / "drs/new.py").write_text(
        f"def fits({wide}, *, more=0):\n{body}\n"
        f"def wide({wide}, one_more): ...\n"
        f"class C:\n    def long(self):\n{body.replace('    x', '        x')}        x = 2\n"
    )
    assert over(tmp_path, lines, MOST_LINES) == {"drs/new.py:long"}
    assert over(tmp_path, by_position, MOST_PARAMETERS) == {"drs/new.py:wide"}
