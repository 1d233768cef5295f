"""Every example that is printed runs as it is printed: Python blocks, `drs` command lines, `policy.toml`.

The Python blocks of one page run one after the other in one process, as a reader would type them. Where a line
ends in a comment that is a Python value (`path.rtt_ms  # 5.12`), the expression must have that value. A command
line must end with exit code 0, or with the one that its comment names (`# exit code 1: ...`).
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "rules").glob("*.md")),
]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)

NOT_RUN_CODE = {
    "docs/precopy.md: from drs.precopy import estimate, fit": "it needs your own measurements",
}
NOT_RUN_COMMANDS = {
    "drs convert rvtools.xlsx my-cluster": "it needs an RVTools workbook; tests/io/test_rvtools.py makes some",
    "drs convert north.xlsx south.xlsx my-cluster": "it needs exports; tests/io/test_readers.py makes some",
    "drs convert resources.json rules.json n1-status.json my-cluster": "it needs exports; see above",
    "drs convert monday.xlsx tuesday.xlsx my-cluster --history": "it needs exports; see above",
    "drs convert view.csv my-cluster --into": "it needs exports; see above",
    "drs advise vcenter://vc01.example.org --out plan-a": "it needs a vCenter; tests/vcsim has one",
    "drs apply plan-a --to vcenter://vc01.example.org": "it needs a vCenter; tests/vcsim has one",
    "drs apply plan-a --to vcenter://vc01.example.org --yes": "it needs a vCenter; tests/vcsim has one",
    "drs apply plan-a --to vcenter://vc01.example.org --yes --resume": "it needs a vCenter; tests/vcsim has one",
    "drs calibrate plan-a --out here.toml": "it needs a plan that was carried out; see tests/execute",
    "drs ui small": "it opens a browser; tests/ui drives the app",
    "drs replay medium --out history.parquet": "a week of history takes minutes; tests/whatif replays a day",
}

VALUES = """
import ast, sys
code = sys.stdin.read()
lines, names = code.splitlines(), {"__name__": "__main__"}
for node in ast.parse(code).body:
    source = ast.get_source_segment(code, node)
    if isinstance(node, ast.Expr):
        value = eval(compile(ast.Expression(node.value), "page", "eval"), names)
        comment = lines[node.end_lineno - 1].encode()[node.end_col_offset:].decode().strip()
        if comment.startswith("#"):
            try:
                said = ast.literal_eval(comment.lstrip("# "))
            except (SyntaxError, ValueError):
                continue
            assert value == said, f"{source} is {value!r}, the page says {said!r}"
    else:
        exec(compile(ast.Module([node], []), "page", "exec"), names)
"""


def blocks(page: Path, language: str) -> list[str]:
    return [code for kind, code in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def code_of(page: Path) -> list[str]:
    return [
        block
        for block in blocks(page, "python")
        if f"{name_of(page)}: {block.splitlines()[0]}" not in NOT_RUN_CODE
    ]


def commands_of(page: Path) -> list[tuple[str, int]]:
    """(command, exit code expected) of every line of the page's shell blocks that calls drs."""
    found = []
    for block in blocks(page, "sh"):
        for line in block.splitlines():
            command, _, comment = line.partition("#")
            if command.startswith("drs ") and command.strip() not in NOT_RUN_COMMANDS:
                code = re.match(r" exit code (\d)", comment)
                found.append((command.strip(), int(code[1]) if code else 0))
    return found


WITH_CODE = [page for page in PAGES if code_of(page)]
WITH_COMMANDS = [page for page in PAGES if commands_of(page)]


def run(arguments: list[str], folder: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, input=stdin, capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "PLOTLY_RENDERER": "json", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_python_runs(page: Path, tmp_path: Path) -> None:
    done = run(["-W", "error::DeprecationWarning:__main__", "-c", VALUES], tmp_path, "\n".join(code_of(page)))
    assert done.returncode == 0, done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the examples name."""
    (tmp_path / "moves.csv").write_text("vm,to_host\nweb-shop-01,esx-a-05\n")
    (tmp_path / "scenarios.toml").write_text('[[scenario]]\nname = "today"\niterations = 20\n')
    return tmp_path


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_commands_run(page: Path, folder: Path) -> None:
    for command, code in commands_of(page):
        done = run(["-m", "drs", *shlex.split(command)[1:]], folder)
        assert done.returncode == code, f"{command}: exit code {done.returncode}, not {code}\n{done.stderr}"


def test_a_wrong_value_on_a_page_is_seen(tmp_path: Path) -> None:
    assert run(["-c", VALUES], tmp_path, "x = 2\nx + 1  # 3\n").returncode == 0
    done = run(["-c", VALUES], tmp_path, "x = 2\nx + 1  # 4\n")
    assert done.returncode == 1 and "x + 1 is 3, the page says 4" in done.stderr


def test_what_is_not_run_is_still_printed() -> None:
    """A reason to skip goes when the example goes."""
    texts = {name_of(page): page.read_text(encoding="utf-8") for page in PAGES}
    for key in NOT_RUN_CODE:
        page, first = key.split(": ", 1)
        assert first in texts[page]
    for command in NOT_RUN_COMMANDS:
        assert any(command in text for text in texts.values()), command


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "toml")], ids=name_of)
def test_policies_and_rules_are_read(page: Path) -> None:
    """Each TOML block is a policy, rules, or something that is neither and no part of drs."""
    import tomllib

    from drs.io.policy_toml import policy_of
    from drs.io.raw import Faults
    from drs.io.rules_toml import rules_of

    for block in blocks(page, "toml"):
        document, faults = tomllib.loads(block), Faults()
        if {"project", "scenario", "provenance", "model"} & document.keys():
            continue
        if "rule" in document:
            rules_of(document, name_of(page), faults)
        else:
            policy_of(document, name_of(page), faults)
        faults.raise_if_any()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{name_of(page)}: {target}"
