"""Options are declared once: the command line, scenarios, the modes and the rolling campaign agree with that."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from drs import modes, options
from drs.cli import app
from drs.cli.base import flags
from drs.errors import Fault
from drs.options import MODES, OPTIONS, ROLLING, Option, Options, RollingOptions, value_faults

LIBRARY = Path(modes.__file__).parent.parent
RUN = {
    "advise",
    "snapshot",
    "rules",
    "policy",
    "solver",
    "time_s",
    "iterations",
    "seed",
    "stop",
    "on_progress",
}
"""What a campaign is handed besides its options."""


def parameters(verb: str) -> dict[str, Any]:
    return {each.name: each for each in get_command(app).commands[verb].params}  # type: ignore[attr-defined]


@pytest.mark.parametrize(("verb", "declared"), [("advise", OPTIONS), ("rolling", ROLLING)])
def test_the_command_line_has_a_flag_for_each_option_and_says_what_is_declared(
    verb: str, declared: dict[str, Option]
) -> None:
    found = parameters(verb)
    assert set(declared) <= set(found)
    for name, option in declared.items():
        assert found[name].opts == [f"--{option.flag}"]
        assert option.help in found[name].help
        assert found[name].metavar == option.metavar
        assert found[name].multiple == option.repeatable
        modes = option.modes if set(option.modes) < set(MODES) else ("every mode",)
        assert all(mode in found[name].help.split(":")[0] for mode in modes)


def test_no_verb_has_the_options_of_the_other() -> None:
    own = {name for name in ROLLING if name not in OPTIONS}
    assert own and not own & set(parameters("advise"))
    assert not (set(OPTIONS) - set(ROLLING)) & set(parameters("rolling"))


def test_scenarios_have_a_key_for_each_option() -> None:
    from drs.whatif.scenarios import RollingOptions as Rolling
    from drs.whatif.scenarios import Scenario

    assert set(OPTIONS) <= set(Scenario.model_fields)
    assert set(ROLLING) - set(Rolling.model_fields) <= set(Scenario.model_fields)
    assert set(Rolling.model_fields) <= set(ROLLING)


def test_a_campaign_takes_what_is_declared() -> None:
    assert set(inspect.signature(modes.rolling).parameters) - RUN == set(ROLLING)


def test_every_mode_is_declared_and_every_option_belongs_to_one() -> None:
    assert list(MODES) == list(modes.MODES)
    for option in OPTIONS.values():
        assert option.modes and set(option.modes) <= set(MODES)
        assert not option.implies or option.implies in option.modes
        assert any(option in options.asked_by(mode) for mode in MODES), "a form asks for it somewhere"


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        (Options(deadline_s=0.0), "deadline_s"),
        (Options(deadline_s=float("nan")), "deadline_s"),
        (Options(baseline="intel-brodwell"), "baseline"),
        (Options(new=("web=0",)), "new"),
        (Options(new=("web=",)), "new"),
        (Options(new=("=3",)), "new"),
        (RollingOptions(at_once=0), "at_once"),
        (RollingOptions(service_s=-1.0), "service_s"),
        (RollingOptions(service_s=float("inf")), "service_s"),
        (RollingOptions(baseline="x"), "baseline"),
    ],
)
def test_a_value_that_none_can_have_is_a_fault_that_names_the_argument(asked: Any, where: str) -> None:
    assert [fault.where for fault in value_faults(asked)] == [where]


@pytest.mark.parametrize(
    "asked",
    [Options(), Options(deadline_s=1.0, new=("web", "db=3"), baseline="amd-zen2"), RollingOptions(at_once=1)],
)
def test_values_that_make_sense_have_no_fault(asked: Any) -> None:
    assert list(value_faults(asked)) == []


def words_of_the_command_line(source: str) -> list[str]:
    """The flags in strings that are no docstring."""
    tree = ast.parse(source)
    said = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said
        and re.search(r"(?<![\w-])--[a-z]", node.value)
    ]  # fmt: skip


def test_the_library_speaks_of_arguments_and_not_of_flags() -> None:
    assert words_of_the_command_line('def f():\n    "--a is fine"\n    raise E("use --lost HOST")') == [
        "use --lost HOST"
    ]
    found = {
        str(path.relative_to(LIBRARY)): flags
        for path in LIBRARY.rglob("*.py")
        if path.relative_to(LIBRARY).parts[0] not in ("cli", "ui")
        and (flags := words_of_the_command_line(path.read_text(encoding="utf-8")))
    }
    # A page about files that says which flags read them; scripts that call other tools with theirs; the terminal's own
    # printer; a line that is a command to run.
    assert set(found) <= {"io/reference.py", "execute/scripts.py", "report/text.py", "report/summary.py"}, (
        found
    )


def test_a_fault_is_told_with_the_flag() -> None:
    from drs.cli import advise, base
    from drs.errors import InputError

    command = advise.advise
    assert flags(command)["datastores"] == "--evacuate-datastore" and flags(command)["source"] == "SNAPSHOT"
    told = base.as_typed(
        InputError([Fault("max_moves", "1", "2"), Fault("vms.csv, row 1", "3", "4")]), command
    )
    assert [fault.where for fault in told.faults] == ["--max-moves", "vms.csv, row 1"]
