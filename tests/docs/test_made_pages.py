"""The pages that are made of the code say what the code says."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Annotated

import pytest
import typer

from drs.rules import RULES

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.fixture
def pages() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("make_pages", DOCS / "make_pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module


MADE = [
    "cli.md",
    "policy-toml.md",
    "public-api.txt",
    "rules/index.md",
    *(f"rules/{kind}.md" for kind in RULES),
]


@pytest.mark.parametrize("name", MADE)
def test_a_made_page_is_current(pages: ModuleType, name: str) -> None:
    assert name in pages.PAGES
    written = (DOCS / name).read_text(encoding="utf-8")
    assert written == pages.PAGES[name](), (
        f"docs/{name} is not current: run `make pages` and look at the change"
    )


def test_every_made_page_is_tested(pages: ModuleType) -> None:
    assert set(pages.PAGES) == set(MADE)


def test_the_command_line_page_has_every_command_and_flag(pages: ModuleType) -> None:
    """Found in another way: in what the commands print as their help."""
    from typer.testing import CliRunner

    from drs.cli import app

    page, runner = pages.command_line(), CliRunner()
    wide = {"COLUMNS": "200", "TERM": "dumb"}
    commands = re.findall(r"^## drs (\S+)$", page, re.MULTILINE)
    overview = runner.invoke(app, ["--help"], env=wide).stdout
    assert commands and all(re.search(rf"[│\s]{command}\s", overview) for command in commands)
    for command in commands:
        section = page.split(f"## drs {command}\n")[1].split("\n## ")[0]
        printed = set(re.findall(r"--[a-z][a-z-]+", runner.invoke(app, [command, "--help"], env=wide).stdout))
        documented = set(re.findall(r"^\| `(--[a-z-]+)", section, re.MULTILINE))
        assert documented == {flag for flag in printed if flag in documented or f"{flag} " in section} - {
            "--help"
        }, command
        assert printed - {"--help"} <= set(re.findall(r"--[a-z][a-z-]+", section)), command


def test_an_option_without_help_is_refused(pages: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()

    @app.command()
    def silent(quiet: Annotated[int, typer.Option("--quiet")] = 0) -> None:
        """A command with an option that says nothing."""

    monkeypatch.setattr(pages.cli, "app", app)
    with pytest.raises(pages.Unexplained, match="drs silent: quiet has no help"):
        pages.command_line()


def test_a_field_without_a_meaning_is_refused(pages: ModuleType) -> None:
    import dataclasses

    @dataclasses.dataclass
    class Half:
        """Explains one of two.

        told : what it is,
            on two lines.
        """

        told: int = 1
        untold_s: float = 2.0

    assert pages.meanings(Half) == {"told": "what it is, on two lines."}
    with pytest.raises(pages.Unexplained, match="untold_s : meaning"):
        pages._table(Half)


def test_a_rules_table_has_every_field_with_type_default_and_meaning(pages: ModuleType) -> None:
    rows = [line.split(" | ") for line in pages.rule_fields(RULES["quorum"]).splitlines()[2:]]
    assert [row[0] for row in rows] == ["| `vms`", "| `hosts`", "| `at_least`"]
    assert [row[1:3] for row in rows] == [
        ["VMs", "required"],
        ["hosts", "required"],
        ["1 or more", "required"],
    ]
    page = pages.PAGES["rules/keep-apart.md"]()
    assert '| `scope` | `host`, `rack`, `cluster`, `site`, `vcenter`, `datastore` | `"host"` |' in page


def test_a_rules_field_without_a_meaning_is_refused(pages: ModuleType) -> None:
    import dataclasses

    from drs.rules import Pinned

    @dataclasses.dataclass(frozen=True)
    class Odd(Pinned):
        odd: int = 1

    with pytest.raises(pages.Unexplained, match="odd : meaning"):
        pages.rule_fields(Odd)


def test_policy_page_has_every_key_of_every_table(pages: ModuleType) -> None:
    import dataclasses

    from drs.goals import GOALS
    from drs.problem.policy import Policy

    page = pages.policy_toml()
    policy = Policy()
    for part in ("limits", "concurrency", "trigger", "restart", "power", "storage"):
        section = page.split(f"## [{part}]\n")[1].split("\n## ")[0]
        keys = re.findall(r"^\| `(\w+)`", section, re.MULTILINE)
        assert keys == [field.name for field in dataclasses.fields(getattr(policy, part))]
    for kind in GOALS:
        assert f'### type = "{kind}"' in page
    assert "| `cool_down_s` | number | `900.0` | seconds |" in page


def test_the_public_api_shows_a_change(pages: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    import drs.stop

    before = pages.public_api()

    def interrupt(self: drs.stop.Stop, *, after_s: float = 0.0) -> None:
        """Another signature."""

    monkeypatch.setattr(drs.stop.Stop, "interrupt", interrupt)
    after = pages.public_api()
    changed = set(before.splitlines()) ^ set(after.splitlines())
    assert len(changed) == 2 and all("drs.stop.Stop.interrupt" in line for line in changed)
