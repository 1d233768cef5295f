"""What verbs are given: the snapshot with its rules and policy, and the options that several verbs share."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from drs.errors import Fault, InputError
from drs.options import MODES, OPTIONS, Option
from drs.words import duration_s

if TYPE_CHECKING:
    from drs.model import Snapshot
    from drs.problem.policy import Policy
    from drs.rules import Rule

Source = Annotated[
    str,
    typer.Argument(
        metavar="SNAPSHOT",
        help="A folder, a saved problem (.zip), the name of a bundled dataset, or a vCenter's address.",
    ),
]
PlanFolder = Annotated[
    Path, typer.Argument(metavar="PLAN", help="The folder of a plan, or the plan.json in it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]
RulesFile = Annotated[Path | None, typer.Option("--rules", metavar="FILE", help="Instead of rules.toml.")]
PolicyFile = Annotated[Path | None, typer.Option("--policy", metavar="FILE", help="Instead of policy.toml.")]
SolverName = Annotated[str, typer.Option("--solver", help="auto, cpsat, localsearch, lns, greedy")]
Clusters = Annotated[
    list[str] | None,
    typer.Option(
        "--cluster", metavar=OPTIONS["cluster"].metavar, help=f"{OPTIONS['cluster'].help} May be repeated."
    ),
]
Iterations = Annotated[
    int | None,
    typer.Option(
        "--iterations",
        min=0,
        help="Budget in search steps: alone, the same seed gives the same plan; with --time-s, what comes first.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Another seed, another search.")]

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


class Faults:
    """Collects what is wrong, so that all of it is told together."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Keeps the faults of an InputError that is raised within, and goes on."""
        try:
            yield
        except InputError as error:
            known = set(self.found)
            self.found.extend(fault for fault in error.faults if fault not in known)

    def of(self, call: Callable[..., T], *arguments: Any) -> T | None:
        """What a call returns; None where it finds faults."""
        with self.collected():
            return call(*arguments)
        return None

    def tell(self) -> None:
        """Raises InputError where anything was found."""
        if self.found:
            raise InputError(self.found)


def read(
    source: str,
    rules: Path | None,
    policy: Path | None = None,
    *,
    faults: Faults | None = None,
    check: Callable[[Snapshot | None, Policy], None] = lambda snapshot, policy: None,
) -> tuple[Snapshot, tuple[Rule, ...], Policy]:
    """The snapshot, its rules and its policy.

    Parameters
    ----------
    faults : what was found wrong before.
    check : raises InputError for what is wrong with the options; it is given the snapshot, or None where that
        cannot be read, and the policy, the default one where that cannot be read.

    Raises
    ------
    InputError : the faults of all three files and of the options together.
    """
    from drs import api, io
    from drs.problem.policy import Policy as DefaultPolicy

    faults = faults or Faults()

    def file(reader: Callable[[str | Path], T], path: Path, argument: str) -> T:
        if path.is_dir():
            raise InputError(Fault(argument, f"{path} is a folder", "a TOML file"))
        return reader(path)

    facts = faults.of(api.read, source)
    chosen_rules = (
        faults.of(file, io.read_rules, rules, "rules") if rules else faults.of(api.read_rules, source)
    )
    chosen_policy = (
        faults.of(file, io.read_policy, policy, "policy") if policy else faults.of(api.read_policy, source)
    )
    with faults.collected():
        check(facts, chosen_policy or DefaultPolicy())
    faults.tell()
    assert facts is not None and chosen_rules is not None and chosen_policy is not None
    if facts.rests_on.is_weak:
        warnings.warn(facts.rests_on.sentence(), io.InputWarning, stacklevel=2)
    return facts.counting(chosen_policy.memory), chosen_rules, chosen_policy


def clusters_known(clusters: list[str] | None) -> Callable[[Snapshot | None, Policy], None]:
    """For `read`: raises InputError for clusters that are not there."""

    def check(snapshot: Snapshot | None, policy: Policy) -> None:
        if snapshot is not None:
            from drs.problem.scope import hosts_of

            hosts_of(snapshot, clusters or ())

    return check


def taking(options: Mapping[str, Option]) -> Callable[[F], F]:
    """Gives a command a flag for each option, in the place of its `**asked`."""

    def with_flags(command: F) -> F:
        signature = inspect.signature(command, eval_str=True)
        parameters: list[inspect.Parameter] = []
        for parameter in signature.parameters.values():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                parameters += [_parameter(option) for option in options.values()]
            else:
                # By keyword, as typer calls it: then those with a default may stand before those without.
                parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
        command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return command

    return with_flags


def _parameter(option: Option) -> inspect.Parameter:
    """An option as typer wants it."""
    hint: Any = {"duration_s": float, "count": int}.get(option.kind, str)
    hint = list[hint] if option.repeatable else hint
    modes = "every mode" if len(option.modes) == len(MODES) else ", ".join(option.modes)
    said = f"{modes}: {option.help}" if modes else option.help
    if option.repeatable:
        said += " May be repeated."
    parser = _duration_s if option.kind == "duration_s" else None
    info = typer.Option(f"--{option.flag}", metavar=option.metavar, help=said, parser=parser)
    return inspect.Parameter(
        option.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[hint | None, info]
    )


def _duration_s(text: str) -> float:
    """A duration as it is typed."""
    try:
        return duration_s(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no duration, such as 4h, 30m or 14400 (seconds)") from None


def given(options: Mapping[str, Option], asked: Mapping[str, Any]) -> dict[str, Any]:
    """What was given on the command line, as the library takes it."""
    return {
        name: tuple(asked[name]) if option.repeatable else asked[name]
        for name, option in options.items()
        if asked[name] is not None
    }
