"""`drs advise`: a verified, priced migration plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drs.cli import base, inputs
from drs.cli.inputs import AsJson, Iterations, PolicyFile, RulesFile, Seed, SolverName, Source
from drs.options import MODES, OPTIONS, Options
from drs.stop import DEFAULT_TIME_S, Run

if TYPE_CHECKING:
    from drs.model import Snapshot
    from drs.problem.policy import Policy
    from drs.result import Result


@base.app.command()
@base.reporting
@inputs.taking(OPTIONS)
def advise(
    source: Source,
    time_s: Annotated[
        float | None,
        typer.Option(
            "--time-s", min=0, help=f"Seconds to search; {DEFAULT_TIME_S:g} where no budget is given."
        ),
    ] = None,
    iterations: Iterations = None,
    seed: Seed = 0,
    mode: Annotated[str, typer.Option("--mode", help=", ".join(MODES))] = "balance",
    max_moves: Annotated[
        int | None, typer.Option("--max-moves", min=0, help="So many VMs move at most.")
    ] = None,
    policy: PolicyFile = None,
    rules: RulesFile = None,
    solver: SolverName = "auto",
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
    **asked: Any,
) -> None:
    """A verified, priced migration plan."""
    from drs import api, io
    from drs.report.document import to_document, write

    options = Options(**inputs.given(OPTIONS, asked))
    stop = Run.begin(time_s, iterations, seed).stop
    with stop.paused():  # the time limit is the search's
        facts, chosen_rules, chosen_policy = inputs.read(
            source,
            rules,
            policy,
            faults=checked_before(out, solver),
            check=lambda *read: check(mode, options, max_moves, *read),
        )
    if save_problem:
        io.save_problem(save_problem, facts, chosen_rules, chosen_policy)
    with base.interruptible(stop), base.progress() as on_progress:
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

        def written() -> None:
            if out:
                from drs.report.html import render_report

                write(result, out, render_report(result))

        # Within, for the first Ctrl-C must not lose the plan that is being written.
        fault = base.fault_of(written)
    if as_json:
        base.print_json(to_document(result))
    else:
        from drs.report import text

        text.print_result(base.out_console(), result, None if fault else out, source)
    if fault is not None:  # a full disk must not lose the plan: it was printed first
        raise fault
    raise typer.Exit(exit_code(result, strict))


def checked_before(out: Path | None, solver: str) -> inputs.Faults:
    """What is wrong with where the answer goes and with who is to find it."""
    from drs import io, solvers

    faults = inputs.Faults()
    if out:
        faults.of(io.check_own_folder, out, "out")
    faults.of(solvers.find, solver)
    return faults


def check(
    mode: str, options: Options, max_moves: int | None, snapshot: Snapshot | None, policy: Policy
) -> None:
    """Raises InputError for options that contradict the mode, each other or the cluster."""
    import dataclasses

    from drs import modes

    if max_moves is not None:
        policy = dataclasses.replace(policy, limits=dataclasses.replace(policy.limits, max_moves=max_moves))
    mode = modes.name(mode, options)
    if snapshot is None:
        modes.check_options(mode, options)
    else:
        modes.check(mode, snapshot, policy, options)


def exit_code(result: Result, strict: bool) -> int:
    """The exit code of an advice."""
    if result.status == "infeasible":
        return base.INFEASIBLE
    if result.status == "no_solution":
        return base.NO_ANSWER
    return base.VIOLATIONS if strict and result.violations_after else base.FINE
