"""The command line: the library's verbs. JSON alone on stdout with `--json`; people's text on stderr.

Exit codes: 0 fine, 1 violations (with `--strict`), 2 usage or input, 3 infeasible, 4 stopped without an
answer.
"""

from __future__ import annotations

import functools
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from drs.errors import DrsError, InfeasibleError, InputError, InternalError, PlanError, RuleConflictError
from drs.stop import OnProgress, Progress, Stop

if TYPE_CHECKING:
    from rich.console import Console

    from drs.result import Result

app = typer.Typer(
    name="drs",
    help="Plans, proves and prices virtual machine migrations.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FINE, VIOLATIONS, BAD_INPUT, INFEASIBLE, NO_ANSWER = range(5)

Source = Annotated[
    str, typer.Argument(metavar="SNAPSHOT", help="A folder, or the name of a bundled dataset.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]
RulesFile = Annotated[Path | None, typer.Option("--rules", metavar="FILE", help="Instead of rules.toml.")]
PolicyFile = Annotated[Path | None, typer.Option("--policy", metavar="FILE", help="Instead of policy.toml.")]

F = TypeVar("F", bound=Callable[..., Any])


def _err() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def _out() -> Console:
    from rich.console import Console

    # Into a file or a pipe there is no window whose width could be asked for.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)


def _reporting(command: F) -> F:
    """Errors that drs raises on purpose become one clear message and an exit code."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except InputError as error:
            for line in str(error).splitlines():
                typer.echo(f"error: {line}", err=True)
            raise typer.Exit(BAD_INPUT) from None
        except (RuleConflictError, InfeasibleError, PlanError) as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(INFEASIBLE) from None
        except InternalError as error:
            typer.echo(f"error: this is a bug in drs, please report it: {error}", err=True)
            raise typer.Exit(NO_ANSWER) from None
        except DrsError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(NO_ANSWER) from None
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(NO_ANSWER) from None

    return run  # type: ignore[return-value]


def _print_json(document: Any) -> None:
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def _interruptible(stop: Stop) -> Iterator[None]:
    """The first Ctrl-C ends the search with its best plan so far, the second ends the program."""

    def first(signum: int, frame: object) -> None:
        typer.echo("\nstopping with the best plan so far (Ctrl-C again to quit)", err=True)
        stop.interrupt()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress() -> Iterator[OnProgress]:
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[said]}"),
    )
    console = _err()
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("search", total=1.0, said="")

        def show(progress: Progress) -> None:
            said = f"score {progress.score:.4g}"
            if progress.bound > float("-inf"):
                said += f", bound {progress.bound:.4g}"
            if progress.note:
                said += f", {progress.note}"
            bar.update(task, description=progress.stage, completed=progress.fraction, said=said)

        yield show


@app.command()
@_reporting
def check(
    snapshot: Source,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when a rule is broken.")] = False,
    rules: RulesFile = None,
    as_json: AsJson = False,
) -> None:
    """Read a snapshot and say which rules are broken today."""
    from drs import api, io
    from drs.document import violation_document
    from drs.problem import Problem
    from drs.result import metrics

    facts = api.read(snapshot)
    problem = Problem(facts, io.read_rules(rules) if rules else api.read_rules(snapshot))
    violations = problem.check(problem.today)
    if as_json:
        _print_json(
            {
                "snapshot": {
                    "name": facts.name,
                    "digest": facts.digest,
                    "n_hosts": facts.n_hosts,
                    "n_vms": facts.n_vms,
                },
                "metrics": metrics(facts, problem.today),
                "violations": [violation_document(violation) for violation in violations],
            }
        )
    else:
        from drs import text

        text.print_check(_out(), facts, metrics(facts, problem.today), violations)
    if strict and violations:
        raise typer.Exit(VIOLATIONS)


@app.command()
@_reporting
def advise(
    snapshot: Source,
    time_s: Annotated[float, typer.Option("--time-s", min=0, help="Seconds to search.")] = 30.0,
    iterations: Annotated[
        int | None,
        typer.Option(
            "--iterations", min=0, help="Budget in search steps instead of time: same seed, same plan."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    mode: Annotated[
        str, typer.Option("--mode", help="balance, evacuate, consolidate, recover, place, upgrade-evc")
    ] = "balance",
    evacuate: Annotated[
        list[str] | None, typer.Option("--evacuate", metavar="HOST", help="A host to empty; may be repeated.")
    ] = None,
    max_moves: Annotated[int | None, typer.Option("--max-moves", min=0)] = None,
    policy: PolicyFile = None,
    rules: RulesFile = None,
    solver: Annotated[str, typer.Option("--solver", help="auto, cpsat, localsearch, lns, greedy")] = "auto",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="plan.json, moves.csv, report.html and more."),
    ] = None,
    save_problem: Annotated[Path | None, typer.Option("--save-problem", metavar="FILE")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when a rule stays broken.")] = False,
    as_json: AsJson = False,
) -> None:
    """A verified, priced migration plan."""
    from drs import api, io
    from drs.document import check_target, to_document, write

    if out:
        check_target(out)
    chosen_rules = io.read_rules(rules) if rules else api.read_rules(snapshot)
    chosen_policy = io.read_policy(policy) if policy else api.read_policy(snapshot)
    facts = api.read(snapshot)
    if save_problem:
        io.save_problem(save_problem, facts, chosen_rules, chosen_policy)
    stop = Stop(None if iterations is not None else time_s, iterations)
    with _interruptible(stop), _progress() as on_progress:
        result = api.advise(
            facts,
            mode=mode,
            evacuate=evacuate or (),
            rules=chosen_rules,
            policy=chosen_policy,
            max_moves=max_moves,
            solver=solver,
            seed=seed,
            stop=stop,
            on_progress=on_progress,
        )
    if out:
        from drs.plotting.report import render_report

        write(result, out, render_report(result))
    if as_json:
        _print_json(to_document(result))
    else:
        from drs import text

        text.print_result(_out(), result, out)
    raise typer.Exit(_exit_code(result, strict))


def _exit_code(result: Result, strict: bool) -> int:
    if result.status == "infeasible":
        return INFEASIBLE
    if result.status == "no_solution":
        return NO_ANSWER
    return VIOLATIONS if strict and result.violations_after else FINE


@app.command()
@_reporting
def estimate(
    snapshot: Source,
    moves: Annotated[Path, typer.Option("--moves", help="CSV: vm, to_host, to_datastore, kind.")],
    profile: Annotated[
        str | None, typer.Option("--profile", help="Cost-model profile, or a fitted TOML.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Price moves chosen by hand, in any of the five kinds."""
    from drs import api
    from drs.document import move_document

    priced = api.estimate(snapshot, moves, profile=profile)
    if as_json:
        _print_json({"moves": [move_document(move) for move in priced]})
    else:
        from drs import text

        text.print_moves(_out(), priced)


@app.command()
@_reporting
def explain(
    snapshot: Source,
    vm: Annotated[str, typer.Option("--vm")],
    host: Annotated[str | None, typer.Option("--host")] = None,
    rules: RulesFile = None,
    as_json: AsJson = False,
) -> None:
    """Why a VM may not, or did not, move to a host: every rule in the way, with figures."""
    import dataclasses

    from drs import api, io
    from drs import explain as explaining
    from drs.problem import Problem

    problem = Problem(
        api.read(snapshot),
        io.read_rules(rules) if rules else api.read_rules(snapshot),
        api.read_policy(snapshot),
    )
    answers = explaining.why(problem, vm, host)
    if as_json:
        _print_json({"vm": vm, "hosts": [dataclasses.asdict(answer) for answer in answers]})
    else:
        from drs import text

        text.print_explanation(_out(), vm, answers)


@app.command("what-if")
@_reporting
def what_if(
    snapshot: Source,
    scenarios: Annotated[Path, typer.Argument(metavar="SCENARIOS.toml")],
    out: Annotated[Path, typer.Option("--out", help="Results as .parquet or .csv.")],
    jobs: Annotated[int, typer.Option("--jobs", min=1)] = 1,
    dask: Annotated[str | None, typer.Option("--dask", metavar="ADDRESS")] = None,
) -> None:
    """One row of metrics for each variation of the cluster."""
    from drs import whatif

    with _progress() as on_progress:
        table = whatif.run(snapshot, scenarios, out=out, jobs=jobs, dask=dask, on_progress=on_progress)
    from drs import text

    text.print_table(_out(), table, f"{len(table)} scenarios → {out}")


@app.command()
@_reporting
def replay(
    snapshot: Source,
    out: Annotated[Path, typer.Option("--out", help="Results as .parquet or .csv.")],
    policy: PolicyFile = None,
    rules: RulesFile = None,
    time_s: Annotated[
        float, typer.Option("--time-s", min=0, help="Seconds to search at each trigger.")
    ] = 2.0,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
) -> None:
    """Drive the load history through the loop of snapshot, trigger and advice."""
    from drs import api, io, whatif

    with _progress() as on_progress:
        table = whatif.replay(
            api.read(snapshot),
            rules=io.read_rules(rules) if rules else api.read_rules(snapshot),
            policy=io.read_policy(policy) if policy else api.read_policy(snapshot),
            out=out,
            time_s=time_s,
            seed=seed,
            on_progress=on_progress,
        )
    from drs import text

    text.print_table(_out(), table, f"{len(table)} steps → {out}")


@app.command()
@_reporting
def convert(
    source: Annotated[str, typer.Argument(help="An RVTools workbook, or a vCenter's address.")],
    folder: Annotated[Path, typer.Argument(help="The snapshot folder to write.")],
) -> None:
    """Turn an RVTools workbook or a vCenter into a snapshot folder."""
    from drs import io

    facts = io.convert(source, folder)
    typer.echo(f"{facts.n_hosts} hosts, {facts.n_vms} VMs → {folder}", err=True)


@app.command()
@_reporting
def datasets(
    name: Annotated[str | None, typer.Argument()] = None,
    folder: Annotated[Path | None, typer.Argument()] = None,
) -> None:
    """List the bundled datasets, show one's card, or copy one to a folder."""
    from drs import datasets as bundled

    if name is None:
        for each in bundled.names():
            typer.echo(f"{each}\t{bundled.card(each).splitlines()[0].lstrip('# ')}")
    elif folder is None:
        typer.echo(bundled.card(name))
    else:
        bundled.copy(name, folder)
        typer.echo(f"{name} → {folder}", err=True)


@app.command()
@_reporting
def ui(snapshot: Annotated[str | None, typer.Argument(metavar="[SNAPSHOT]")] = None) -> None:
    """Open the app in the browser."""
    from drs.ui import launch

    raise typer.Exit(launch(snapshot))


def main() -> None:
    """Entry point of the `drs` command."""
    app()


if __name__ == "__main__":
    main()
