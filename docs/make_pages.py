"""Writes the pages that say what the code says: the command line, `policy.toml`, the rules' fields, the public API.

    python docs/make_pages.py            # write them
    python docs/make_pages.py --check    # exit code 1 and the names of those that are not current

`tests/docs/test_made_pages.py` makes them again and compares. What the code does not explain (an option without
help, a field without a meaning in its docstring) is an error here, and no empty cell.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import typer

from drs import cli
from drs.goals import GOALS, Goal
from drs.io.fields import expected
from drs.problem.policy import Freeze, Policy
from drs.rules import RULES, Rule
from drs.rules.fields import types_of
from drs.units import SUFFIXES

HERE = Path(__file__).parent

WRITTEN = "<!-- Written by docs/make_pages.py; change the code and run `make pages`. -->\n"

PUBLIC = (
    "drs", "drs.rules", "drs.goals", "drs.problem", "drs.problem.policy", "drs.terms", "drs.solvers", "drs.modes",
    "drs.stop", "drs.precopy", "drs.datasets", "drs.whatif", "drs.automatic", "drs.capacity",
    "drs.testing", "drs.errors", "drs.units",
)  # fmt: skip
"""The modules whose public names are a promise to those who use the library."""

EXAMPLES = {
    "check": ["drs check small", "drs check small --failures 1"],
    "advise": [
        "drs advise small --time-s 5",
        "drs advise small --evacuate esx-a-03 --time-s 5 --out plan-a",
    ],
    "rolling": [
        "drs rolling small --evacuate 'esx-a-0[12]' --time-s 5",
        "drs rolling small --evacuate 'esx-a-0[34]' --time-s 10 --out campaign",
    ],
    "estimate": ["drs estimate small --moves moves.csv"],
    "explain": ["drs explain small --vm web-shop-01 --host esx-a-05"],
    "diff": ["drs diff plan-a plan-a"],
    "what-if": ["drs what-if small scenarios.toml --out results.csv"],
    "capacity": ["drs capacity small how-many", "drs capacity small when-full --growth 2"],
    "replay": ["drs replay medium --out history.parquet"],
    "apply": [
        "drs apply plan-a --to vcenter://vc01.example.org",
        "drs apply plan-a --to vcenter://vc01.example.org --yes",
    ],
    "undo": ["drs undo plan-a"],
    "calibrate": ["drs calibrate plan-a --out here.toml"],
    "export": ["drs export plan-a --as csv", "drs export plan-a --as powercli --out plan.ps1"],
    "convert": [
        "drs convert rvtools.xlsx my-cluster",
        "drs convert north.xlsx south.xlsx my-cluster",
        "drs convert view.csv my-cluster --into",
    ],
    "datasets": ["drs datasets", "drs datasets small my-copy"],
    "ui": ["drs ui small"],
}


class Unexplained(Exception):
    """Something that a user meets has no explanation in the code."""


# --- the command line ---------------------------------------------------------------------------------------


def _type_of(hint: Any) -> str:
    """What is written after a flag: TEXT, NUMBER, FILE."""
    members = [arg for arg in typing.get_args(hint) if arg is not type(None)]
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) in (typing.Union, list, tuple):
        return _type_of(members[0])
    return {bool: "", int: "NUMBER", float: "NUMBER", Path: "FILE"}.get(hint, "TEXT")


def _parameters(command: Callable[..., Any]) -> Iterator[tuple[bool, str, str, str, bool]]:
    """(whether it is an option, how it is written, its help, its default, whether it is required)."""
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        hint, info = typing.get_args(parameter.annotation)[:2]
        is_option = isinstance(info, typer.models.OptionInfo)
        if not info.help:
            raise Unexplained(f"drs {command.__name__}: {parameter.name} has no help")
        # Within Annotated the first flag stands where typer otherwise has the default.
        flags = [flag for flag in (info.default, *(info.param_decls or ())) if str(flag).startswith("--")]
        word = info.metavar or (_type_of(hint) if is_option else parameter.name.upper())
        word += "..." if not is_option and typing.get_origin(hint) is list else ""
        name = ", ".join(flags or [f"--{parameter.name.replace('_', '-')}"]) if is_option else ""
        default = parameter.default
        required = default is inspect.Parameter.empty or default is ...
        shown = "" if required or default is None or default in (False, "", ()) else f"{default}"
        yield is_option, f"{name} {word}".strip(), info.help, shown, required


def command_line() -> str:
    """The page of the command line."""
    parts = [
        WRITTEN,
        "# The command line\n",
        "`drs COMMAND --help` prints the same in the terminal. SNAPSHOT is a [folder](snapshot-format.md), a saved"
        " problem (`.zip`), or the name of a [bundled dataset](datasets.md).\n",
        "With `--json` a command prints one JSON document on stdout and nothing else there. Errors and warnings go"
        " to stderr. The first Ctrl-C ends a search with its best plan so far, the second ends the program.\n",
        "| exit code | meaning |\n|---|---|",
        "| 0 | fine |",
        "| 1 | rules are broken, and `--strict` was given |",
        "| 2 | the input or the usage is wrong; the message names the file, the row and the field |",
        "| 3 | infeasible: no placement keeps the hard rules |",
        "| 4 | the search ended without an answer |\n",
    ]
    for registered in cli.app.registered_commands:
        command = registered.callback
        assert command is not None
        name = registered.name or command.__name__.replace("_", "-")
        if not command.__doc__:
            raise Unexplained(f"drs {name} has no docstring")
        rows = list(_parameters(command))
        arguments = [
            (how if required or how.startswith("[") else f"[{how}]", what)
            for is_option, how, what, _, required in rows
            if not is_option
        ]
        usage = " ".join(["drs", name, *(how for how, _ in arguments), "[OPTIONS]"])
        parts.append(f"## drs {name}\n\n{inspect.cleandoc(command.__doc__)}\n\n```text\n{usage}\n```\n")
        if registered.cls is not None and (said := getattr(registered.cls(name=name), "epilog", "")):
            lines = [line.replace("\\[", "[") for line in said.split("\n\n")]
            parts.append(lines[0] + "\n\n" + "\n".join(f"- {line}" for line in lines[1:]) + "\n")
        if arguments:
            parts.append("| argument | meaning |\n|---|---|")
            parts += [f"| `{how}` | {_cell(what)} |" for how, what in arguments]
            parts.append("")
        options = [row for row in rows if row[0]]
        if options:
            parts.append("| option | meaning | default |\n|---|---|---|")
            for _, how, what, default, required in options:
                parts.append(f"| `{how}` | {_cell(what)} | {'required' if required else default} |")
            parts.append("")
        if name in EXAMPLES:
            parts.append("```sh\n" + "\n".join(EXAMPLES[name]) + "\n```\n")
    return "\n".join(parts)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# --- policy.toml --------------------------------------------------------------------------------------------

FIELD = re.compile(r"^(\w+(?:, \w+)*) : (.*)$")


def meanings(cls: type) -> dict[str, str]:
    """What each field of a dataclass means, from the lines `name : meaning` of its and its bases' docstrings."""
    found: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        doc = each.__dict__.get("__doc__")
        if each is object or not doc or not dataclasses.is_dataclass(each):
            continue
        names: list[str] = []
        for line in inspect.cleandoc(doc).splitlines():
            hit = FIELD.match(line)
            if hit:
                names = hit[1].split(", ")
                found.update(dict.fromkeys(names, hit[2]))
            elif names and line.startswith("    "):
                found.update({name: f"{found[name]} {line.strip()}" for name in names})
            else:
                names = []
    return found


def _default(field: dataclasses.Field[Any]) -> str:
    value = field.default
    if value is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    if value is dataclasses.MISSING:
        return "required"
    if value is None or value in ((), [], ""):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, Mapping):
        return ", ".join(f"`{key} = {one}`" for key, one in value.items())
    if isinstance(value, tuple | list):
        return "`[" + ", ".join(f'"{one}"' if isinstance(one, str) else str(one) for one in value) + "]`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def _unit(name: str) -> str:
    suffix = name.rsplit("_", 1)[-1] if "_" in name else ""
    if suffix == "ratio":
        return "share (1 = 100 %)"
    return SUFFIXES.get(suffix, "").split(" (")[0]


def _table(cls: type, skip: tuple[str, ...] = ()) -> str:
    hints, meaning = typing.get_type_hints(cls), meanings(cls)
    rows = ["| key | type | default | unit | meaning |", "|---|---|---|---|---|"]
    for field in dataclasses.fields(cls):
        if field.name in skip:
            continue
        if field.name not in meaning:
            raise Unexplained(f"the docstring of {cls.__name__} has no line '{field.name} : meaning'")
        hint = hints[field.name]
        members = [arg for arg in typing.get_args(hint) if arg is not type(None)]
        if type(None) in typing.get_args(hint):
            hint = typing.Union[tuple(members)]  # noqa: UP007 - made of values
        rows.append(
            f"| `{field.name}` | {_cell(_words(hint))} | {_default(field)} | {_unit(field.name)} "
            f"| {_cell(meaning[field.name])} |"
        )
    return "\n".join(rows) + "\n"


def _words(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return ", ".join(f"`{word}`" for word in typing.get_args(hint))
    if hint is str:
        return "text"
    words = (
        expected(hint).replace("text in quotation marks", "text").replace("each item Any", "each item a goal")
    )
    return words.removeprefix("a ").removeprefix("an ")


def policy_toml() -> str:
    """The page of `policy.toml`."""
    hints = typing.get_type_hints(Policy)
    tables = {name: cls for name, cls in hints.items() if dataclasses.is_dataclass(cls)}
    parts = [
        WRITTEN,
        "# policy.toml\n",
        "The policy says what you want besides the [rules](rules/index.md): the goals in their order, and what"
        " bounds a plan. Every key may be left out. An unknown key, a wrong type or a negative number is an error"
        " that names the table and the field.\n",
        '```toml\nprofile = "vmware"\n\n[limits]\nmax_moves = 40\n\n[[goal]]\ntype = "balance"\ntarget = 0.05\n\n'
        '[[goal]]\ntype = "moves"\n```\n',
        "## Keys outside of a table\n",
        "They stand before the first table.\n",
        _table(Policy, skip=("goals", *tables)),
    ]
    for name, cls in tables.items():
        first = inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].replace("\n", " ")
        parts += [f"## [{name}]\n", f"{_plain(first)}\n", _table(typing.cast(type, cls))]
        if name == "windows":
            said = inspect.cleandoc(Freeze.__doc__ or "").split("\n\n")[0].replace("\n", " ")
            parts += ["### [[windows.freeze]]\n", f"{said}\n", _table(Freeze)]
    parts += [
        "## [[goal]]\n",
        "One table for each goal, in the order in which they count. The page [Goals](goals.md) explains each.\n",
        "Every goal has\n",
        _table(Goal),
    ]
    common = tuple(field.name for field in dataclasses.fields(Goal))
    for kind, goal in sorted(GOALS.items()):
        first = inspect.cleandoc(goal.__doc__ or "").split("\n\n")[0].replace("\n", " ")
        parts += [f'### type = "{kind}"\n', f"{_plain(first)}\n", _table(goal, skip=common)]
    return "\n".join(parts)


def _plain(sentence: str) -> str:
    """A docstring's first paragraph without the names of Python modules."""
    return re.sub(r" \(`drs\.[\w.]+`\)", "", sentence)


# --- the public API -----------------------------------------------------------------------------------------


def _signature(function: Any) -> str:
    # Where a default has no short form it is elided: an address in memory differs from run to run.
    return re.sub(r"<(?!factory)[^<>]* at 0x[0-9a-f]+>", "<...>", str(inspect.signature(function)))


def _members(name: str, cls: type) -> Iterator[str]:
    for attribute, value in sorted(vars(cls).items()):
        inherited = any(hasattr(base, attribute) for base in cls.__mro__[1:])
        if attribute.startswith("_") or inherited:
            continue
        if isinstance(value, property):
            yield f"{name}.{attribute} -> property"
        elif isinstance(value, staticmethod | classmethod):
            yield f"{name}.{attribute}{_signature(value.__func__)}"
        elif inspect.isfunction(value):
            yield f"{name}.{attribute}{_signature(value)}"


def _public_names(module: types.ModuleType) -> list[str]:
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    )


def public_api() -> str:
    """Every public name with its signature, one a line."""
    lines = ["# Written by docs/make_pages.py: a change of the public API shows as a change of this file."]
    for module_name in PUBLIC:
        module = importlib.import_module(module_name)
        lines.append("")
        for name in _public_names(module):
            value, full = getattr(module, name), f"{module_name}.{name}"
            if inspect.isclass(value):
                try:
                    lines.append(f"{full}{_signature(value)}")
                except ValueError:
                    lines.append(full)
                lines += _members(full, value)
            elif inspect.isfunction(value):
                lines.append(f"{full}{_signature(value)}")
            else:
                lines.append(f"{full}: {type(value).__name__}")
    return "\n".join(lines) + "\n"


# --- the pages of the rules: one table each, and the list ---------------------------------------------------

PART = re.compile(r"(<!-- Written by [^>]* -->\n).*?(<!-- End of what is written -->)", re.DOTALL)


def _with_part(name: str, part: str) -> str:
    """A page that people write, with the part between its two marks made anew."""
    page = (HERE / name).read_text(encoding="utf-8")
    if len(PART.findall(page)) != 1:
        raise Unexplained(f"docs/{name} does not have the two marks between which a part is written")
    return PART.sub(lambda marks: f"{marks[1]}\n{part}\n{marks[2]}", page)


def rule_fields(cls: type[Rule]) -> str:
    """The table of a rule's own fields: their types, and their meanings by its docstring or by the type."""
    meaning, hints = meanings(cls), typing.get_type_hints(cls)
    common = {field.name for field in dataclasses.fields(Rule)}
    rows = ["| field | type | default | meaning |", "|---|---|---|---|"]
    for field in dataclasses.fields(cls):
        if field.name in common or not field.init:
            continue
        types = types_of(cls, field.name)
        told = meaning.get(field.name) or (types[0].meaning if types else "")
        if not told:
            raise Unexplained(f"the docstring of {cls.__name__} has no line '{field.name} : meaning'")
        what = types[0].words if types else _words(hints[field.name])
        rows.append(f"| `{field.name}` | {_cell(what)} | {_default(field)} | {_cell(told)} |")
    return "\n".join(rows) + "\n" if len(rows) > 2 else "None of its own.\n"


def list_of_rules() -> str:
    """Every rule of `drs` under its chapter, with the first sentence of its file."""
    chapters: dict[str, list[str]] = {}
    for kind, cls in sorted(OWN_RULES.items()):
        doc = inspect.cleandoc(sys.modules[cls.__module__].__doc__ or "").split("\n")[0]
        told = doc if doc.startswith("VM") else doc[:1].lower() + doc[1:]
        chapters.setdefault(cls.chapter, []).append(f"- [{kind}]({kind}.md): {told}")
    order = sorted(chapters, key=lambda chapter: (not chapter.startswith("In force"), chapter))
    return "\n".join(f"## {chapter}\n\n" + "\n".join(chapters[chapter]) + "\n" for chapter in order)


OWN_RULES = {kind: cls for kind, cls in RULES.items() if cls.__module__.startswith("drs.rules.")}
"""Those of `drs`, and none of another package that happens to be installed."""

PAGES: dict[str, Callable[[], str]] = {
    "cli.md": command_line,
    "policy-toml.md": policy_toml,
    "public-api.txt": public_api,
    "rules/index.md": lambda: _with_part("rules/index.md", list_of_rules()),
    **{
        f"rules/{kind}.md": lambda kind=kind, cls=cls: _with_part(f"rules/{kind}.md", rule_fields(cls))  # type: ignore[misc]
        for kind, cls in OWN_RULES.items()
    },
}


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` name those that are not current."""
    stale = [
        name
        for name, make in PAGES.items()
        if not (HERE / name).exists() or (HERE / name).read_text(encoding="utf-8") != make()
    ]
    for name in stale:
        if "--check" not in arguments:
            (HERE / name).write_text(PAGES[name](), encoding="utf-8")
        sys.stdout.write(f"docs/{name} {'is not current' if '--check' in arguments else 'written'}\n")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
