"""The command line: the library's verbs. JSON alone on stdout with `--json`; people's text on stderr.

Exit codes: 0 fine, 1 violations (with `--strict`), 2 usage or input, 3 infeasible, 4 stopped without an
answer.
"""

from __future__ import annotations

import functools
import json
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from drs.errors import (
    DrsError,
    Fault,
    InfeasibleError,
    InputError,
    InternalError,
    PlanError,
    RuleConflictError,
)
from drs.stop import OnProgress, Progress, Stop

if TYPE_CHECKING:
    from rich.console import Console

    from drs.model import Snapshot
    from drs.modes import Options
    from drs.problem.policy import Policy
    from drs.result import Result
    from drs.rules import Rule

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
    str,
    typer.Argument(
        metavar="SNAPSHOT", help="A folder, a saved problem (.zip), or the name of a bundled dataset."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]
RulesFile = Annotated[Path | None, typer.Option("--rules", metavar="FILE", help="Instead of rules.toml.")]
PolicyFile = Annotated[Path | None, typer.Option("--policy", metavar="FILE", help="Instead of policy.toml.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Another seed, another search.")]

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


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
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            return guarded(*args, **kwargs)

    def guarded(*args: Any, **kwargs: Any) -> Any:
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
        except BrokenPipeError:  # the reader of our output has seen enough
            raise
        except OSError as error:  # a disk that is full, a folder without permission
            typer.echo(f"error: {error.filename or 'a file'}: {error.strerror or error}", err=True)
            raise typer.Exit(BAD_INPUT) from None
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(NO_ANSWER) from None

    return run  # type: ignore[return-value]


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Something odd in an input, in one line without the place in our code that noticed it."""
    typer.echo(f"warning: {message}", err=True)


def _read(
    snapshot: str, rules: Path | None, policy: Path | None = None
) -> tuple[Snapshot, tuple[Rule, ...], Policy]:
    """The snapshot, its rules and its policy, the faults of all three files together."""
    from drs import api, io

    faults: list[Fault] = []

    def read(reader: Callable[..., T], source: str | Path, flag: str = "") -> T | None:
        try:
            if flag and Path(source).is_dir():
                raise InputError(Fault(flag, f"{source} is a folder", "a TOML file"))
            return reader(source)
        except InputError as error:
            faults.extend(fault for fault in error.faults if fault not in faults)
            return None

    facts = read(api.read, snapshot)
    chosen_rules = read(io.read_rules, rules, "--rules") if rules else read(api.read_rules, snapshot)
    chosen_policy = read(io.read_policy, policy, "--policy") if policy else read(api.read_policy, snapshot)
    if facts is None or chosen_rules is None or chosen_policy is None:
        raise InputError(faults)
    return facts, chosen_rules, chosen_policy


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
            if progress.stage == "compile" and not console.is_terminal:
                typer.echo(progress.note, err=True)
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
    failures: Annotated[
        int | None,
        typer.Option("--failures", min=1, max=8, help="Prove which failures of up to so many are survived."),
    ] = None,
    scope: Annotated[
        str | None, typer.Option("--scope", help="What fails: host (the default), rack or site.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Broken and contradictory rules, VM scores, resource pools; with --failures, which failures are survived."""
    import dataclasses

    from drs import modes
    from drs.explain.contradictions import conflicts
    from drs.model.load import metrics
    from drs.model.pools import pools
    from drs.model.vm_score import happiness
    from drs.problem import Problem
    from drs.report.document import finite, violation_document

    if scope is not None and failures is None:
        raise InputError(Fault("--scope", f"{scope} without --failures", "--failures, which it is for"))
    facts, chosen_rules, _ = _read(snapshot, rules)
    problem = Problem(facts, chosen_rules)
    violations = problem.check(problem.today)
    survived = None
    if failures is not None:
        survived = modes.admission(problem, failures, scope=scope or "host")  # type: ignore[arg-type]
    happy, divided = happiness(facts, problem.today), pools(facts)
    contradictions = conflicts(problem.rules_in_force, facts)
    if as_json:
        document = {
            "snapshot": {
                "name": facts.name,
                "digest": facts.digest,
                "n_hosts": facts.n_hosts,
                "n_vms": facts.n_vms,
            },
            "metrics": metrics(facts, problem.today),
            "score": happy.cluster_score,
            "vms_below": [
                {"vm": str(facts.vms.name[vm]), "score": float(happy.score[vm])} for vm in happy.short()
            ],
            "pools": [finite(dataclasses.asdict(pool)) for pool in divided],
            "violations": [violation_document(violation) for violation in violations],
            "contradictions": [{"rules": list(each.rules), "sentence": str(each)} for each in contradictions],
        }
        if survived is not None:
            document["failures"] = [dataclasses.asdict(each) for each in survived.clusters]
        _print_json(document)
    else:
        from rich.markup import escape

        from drs.report import text

        text.print_check(_out(), facts, metrics(facts, problem.today), violations, happy, divided)
        for each in contradictions:
            _out().print(f"[red]impossible[/red] {escape(str(each))}")
        if survived is not None:
            text.print_sentences(_out(), survived.sentences())
    if strict and (violations or contradictions or (survived is not None and not survived.holds)):
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
    seed: Seed = 0,
    mode: Annotated[
        str,
        typer.Option("--mode", help="balance, evacuate, consolidate, recover, place, upgrade-evc, storage"),
    ] = "balance",
    evacuate: Annotated[
        list[str] | None, typer.Option("--evacuate", metavar="HOST", help="A host to empty; may be repeated.")
    ] = None,
    lost: Annotated[
        list[str] | None, typer.Option("--lost", metavar="HOST", help="recover: a host that is lost.")
    ] = None,
    site: Annotated[str, typer.Option("--site", help="evacuate, recover: all hosts of a site.")] = "",
    deadline_s: Annotated[
        float | None, typer.Option("--deadline-s", help="evacuate: by when; says which VMs make it.")
    ] = None,
    new: Annotated[
        list[str] | None,
        typer.Option("--new", metavar="LIKE[=COUNT]", help="place: so many VMs like an existing one."),
    ] = None,
    evacuate_datastore: Annotated[
        list[str] | None,
        typer.Option("--evacuate-datastore", metavar="DATASTORE", help="storage: a datastore to empty."),
    ] = None,
    baseline: Annotated[
        str, typer.Option("--baseline", metavar="KEY", help="upgrade-evc: the EVC baseline to reach.")
    ] = "",
    cluster: Annotated[
        str, typer.Option("--cluster", help="upgrade-evc, --rolling: the cluster that is meant.")
    ] = "",
    rolling: Annotated[
        bool,
        typer.Option(
            "--rolling", help="Every host of a cluster in turn; with --baseline a hardware refresh."
        ),
    ] = False,
    at_once: Annotated[
        int | None, typer.Option("--at-once", min=1, help="--rolling: so many hosts together at most.")
    ] = None,
    service_s: Annotated[
        float, typer.Option("--service-s", min=0, help="--rolling: how long an empty host is away.")
    ] = 0.0,
    max_moves: Annotated[
        int | None, typer.Option("--max-moves", min=0, help="So many VMs move at most.")
    ] = None,
    policy: PolicyFile = None,
    rules: RulesFile = None,
    solver: Annotated[str, typer.Option("--solver", help="auto, cpsat, localsearch, lns, greedy")] = "auto",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="plan.json, moves.csv, report.html and more."),
    ] = None,
    save_problem: Annotated[
        Path | None,
        typer.Option("--save-problem", metavar="FILE.zip", help="All that was asked, for a bug report."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when a rule stays broken.")] = False,
    as_json: AsJson = False,
) -> None:
    """A verified, priced migration plan."""
    from drs import api, io, modes
    from drs.report.document import check_target, rolling_document, to_document, write

    options = modes.Options(
        tuple(evacuate or ()), tuple(lost or ()), site, deadline_s, tuple(evacuate_datastore or ()),
        tuple(new or ()), baseline, cluster,
    )  # fmt: skip
    _check_rolling(rolling, mode, options, at_once, service_s)

    if out:
        check_target(out)
    facts, chosen_rules, chosen_policy = _read(snapshot, rules, policy)
    if save_problem:
        io.save_problem(save_problem, facts, chosen_rules, chosen_policy)
    if rolling:
        stop = Stop()
        with _interruptible(stop), _progress() as on_progress:
            campaign = modes.rolling(
                api.advise, facts, rules=chosen_rules, policy=chosen_policy, cluster=cluster,
                hosts=options.evacuate, at_once=at_once, service_s=service_s, baseline=baseline,
                solver=solver, time_s=None if iterations is not None else time_s, iterations=iterations,
                seed=seed, stop=stop, on_progress=on_progress,
            )  # fmt: skip
            if out:  # within, for the first Ctrl-C must not lose the steps that are being written
                from drs.report.document import write_rolling
                from drs.report.html import render_report

                write_rolling(campaign, out, render_report)
        if as_json:
            _print_json(rolling_document(campaign))
        else:
            from drs.report import text

            text.print_sentences(_out(), campaign.sentences())
            if out:
                _out().print(f"written to {out}: rolling.json, and a folder for each step")
        raise typer.Exit({"feasible": FINE, "infeasible": INFEASIBLE}.get(campaign.status, NO_ANSWER))
    stop = Stop(None if iterations is not None else time_s, iterations)
    with _interruptible(stop), _progress() as on_progress:
        result = api.advise(
            facts,
            mode=mode,
            options=options,
            rules=chosen_rules,
            policy=chosen_policy,
            max_moves=max_moves,
            solver=solver,
            seed=seed,
            stop=stop,
            on_progress=on_progress,
        )
        if out:  # within, for the first Ctrl-C must not lose the plan that is being written
            from drs.report.html import render_report

            write(result, out, render_report(result))
    if as_json:
        _print_json(to_document(result))
    else:
        from drs.report import text

        text.print_result(_out(), result, out)
    raise typer.Exit(_exit_code(result, strict))


def _check_rolling(rolling: bool, mode: str, options: Options, at_once: int | None, service_s: float) -> None:
    """Options that mean nothing with, or without, --rolling."""
    if not rolling:
        faults = [
            Fault(flag, "an option without --rolling", "--rolling, which it is for")
            for flag, given in (("--at-once", at_once is not None), ("--service-s", service_s > 0))
            if given
        ]
    else:
        faults = [
            Fault(flag, "an option that --rolling does not know", "no such option beside --rolling")
            for flag, given in (
                ("--lost", options.lost), ("--site", options.site), ("--new", options.new),
                ("--deadline-s", options.deadline_s is not None),
                ("--evacuate-datastore", options.datastores),
            )
            if given
        ]  # fmt: skip
        if mode not in ("balance", "evacuate", "upgrade-evc"):
            faults.append(Fault("--mode", f"{mode} with --rolling", "evacuate or upgrade-evc"))
    if faults:
        raise InputError(faults)


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
    from drs.report.document import move_document

    priced = api.estimate(snapshot, moves, profile=profile)
    if as_json:
        _print_json({"moves": [move_document(move) for move in priced]})
    else:
        from drs.report import text

        text.print_moves(_out(), priced)


@app.command()
@_reporting
def explain(
    snapshot: Source,
    vm: Annotated[str | None, typer.Option("--vm", help="The VM that is asked about.")] = None,
    host: Annotated[str | None, typer.Option("--host", help="Only this host; all where not given.")] = None,
    why_infeasible: Annotated[
        bool, typer.Option("--why-infeasible", help="Which rules cannot hold together, and what would help.")
    ] = False,
    evacuate: Annotated[
        list[str] | None, typer.Option("--evacuate", metavar="HOST", help="As if this host were to empty.")
    ] = None,
    time_s: Annotated[float, typer.Option("--time-s", min=0, help="Seconds to search.")] = 10.0,
    rules: RulesFile = None,
    as_json: AsJson = False,
) -> None:
    """Why a VM may not, or did not, move to a host; or why nothing satisfies the rules."""
    import dataclasses

    from drs import explain as explaining
    from drs import modes

    if (vm is None) == (not why_infeasible):
        raise InputError(Fault("explain", "both" if vm else "neither", "either --vm or --why-infeasible"))
    if host is not None and vm is None:
        raise InputError(Fault("--host", host, "--vm with it"))
    problem = modes.pose(
        "evacuate" if evacuate else "balance", *_read(snapshot, rules), tuple(evacuate or ())
    )
    from drs.report import text

    if vm is None:
        conflicts = explaining.conflicts(problem, time_s=time_s)
        if as_json:
            _print_json({"conflicts": [dataclasses.asdict(conflict) for conflict in conflicts]})
        else:
            text.print_conflicts(_out(), conflicts)
        raise typer.Exit(INFEASIBLE if conflicts else FINE)
    answers = explaining.why(problem, vm, host)
    if as_json:
        _print_json({"vm": vm, "hosts": [dataclasses.asdict(answer) for answer in answers]})
    else:
        text.print_explanation(_out(), vm, answers)


@app.command("diff")
@_reporting
def difference(
    first: Annotated[Path, typer.Argument(metavar="PLAN_A", help="plan.json, or the folder that holds it.")],
    second: Annotated[Path, typer.Argument(metavar="PLAN_B", help="The plan to compare it with.")],
    as_json: AsJson = False,
) -> None:
    """What one plan does otherwise than another."""
    import dataclasses

    from drs import explain as explaining
    from drs.report.document import read_plan

    found = explaining.diff(read_plan(first), read_plan(second))
    if as_json:
        _print_json({**dataclasses.asdict(found), "sentences": found.sentences()})
    else:
        from drs.report import text

        text.print_sentences(_out(), found.sentences())


@app.command("what-if")
@_reporting
def what_if(
    snapshot: Source,
    scenarios: Annotated[
        Path, typer.Argument(metavar="SCENARIOS.toml", help="A [[scenario]] table for each.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Results as .parquet or .csv.")],
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="So many processes at once.")] = 1,
    dask: Annotated[
        str | None, typer.Option("--dask", metavar="ADDRESS", help="A Dask scheduler to run them.")
    ] = None,
) -> None:
    """One row of metrics for each variation of the cluster."""
    from drs import whatif

    with _progress() as on_progress:
        table = whatif.run(snapshot, scenarios, out=out, jobs=jobs, dask=dask, on_progress=on_progress)
    from drs.report import text

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
    seed: Seed = 0,
) -> None:
    """Drive the load history through the loop of snapshot, trigger and advice."""
    from drs import whatif

    facts, chosen_rules, chosen_policy = _read(snapshot, rules, policy)
    with _progress() as on_progress:
        table = whatif.replay(
            facts,
            rules=chosen_rules,
            policy=chosen_policy,
            out=out,
            time_s=time_s,
            seed=seed,
            on_progress=on_progress,
        )
    from drs.report import text

    text.print_table(_out(), table, f"{len(table)} steps → {out}")


@app.command()
@_reporting
def convert(
    source: Annotated[
        str,
        typer.Argument(help="An RVTools workbook or its CSV files, or a vCenter's address."),
    ],
    folder: Annotated[Path, typer.Argument(help="The snapshot folder to write.")],
    without_unknown_hosts: Annotated[
        bool,
        typer.Option("--without-unknown-hosts", help="Leave out running VMs whose host the export lacks."),
    ] = False,
) -> None:
    """Turn an RVTools export or a vCenter into a snapshot folder."""
    from drs import io

    facts = io.convert(source, folder, without_unknown_hosts=without_unknown_hosts)
    typer.echo(f"{facts.n_hosts} hosts, {facts.n_vms} VMs → {folder}", err=True)


@app.command()
@_reporting
def datasets(
    name: Annotated[str | None, typer.Argument(help="Print the card of this dataset.")] = None,
    folder: Annotated[Path | None, typer.Argument(help="Copy the dataset to this new folder.")] = None,
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
def ui(
    snapshot: Annotated[
        str | None, typer.Argument(metavar="[SNAPSHOT]", help="What the app opens first.")
    ] = None,
) -> None:
    """Open the app in the browser."""
    from drs.ui import launch

    raise typer.Exit(launch(snapshot))


def main() -> None:
    """Entry point of the `drs` command."""
    app()


if __name__ == "__main__":
    main()
