"""`drs rolling`: every host of a cluster in turn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drs.cli import base, inputs
from drs.cli.advise import checked_before
from drs.cli.inputs import AsJson, Iterations, PolicyFile, RulesFile, Seed, SolverName, Source
from drs.errors import InputError
from drs.options import ROLLING, RollingOptions, value_faults
from drs.stop import DEFAULT_TIME_S, Run

if TYPE_CHECKING:
    from drs.model import Snapshot
    from drs.problem.policy import Policy


@base.app.command()
@base.reporting
@inputs.taking(ROLLING)
def rolling(
    source: Source,
    time_s: Annotated[
        float | None,
        typer.Option(
            "--time-s",
            min=0,
            help=f"Seconds for all steps together; {DEFAULT_TIME_S:g} where no budget is given.",
        ),
    ] = None,
    iterations: Iterations = None,
    seed: Seed = 0,
    policy: PolicyFile = None,
    rules: RulesFile = None,
    solver: SolverName = "auto",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="rolling.json, and a folder for each step."),
    ] = None,
    as_json: AsJson = False,
    **asked: Any,
) -> None:
    """Rolling maintenance: empty every host of a cluster in turn; with --baseline a hardware refresh."""
    from drs import api, modes
    from drs.report.document import rolling_document, write_rolling

    options = RollingOptions(**inputs.given(ROLLING, asked))
    stop = Run.begin(time_s, iterations, seed).stop
    with stop.paused():  # the time limit is the search's
        facts, chosen_rules, chosen_policy = inputs.read(
            source,
            rules,
            policy,
            faults=checked_before(out, solver),
            check=lambda *read: check(options, *read),
        )
    with base.interruptible(stop), base.progress() as on_progress:
        campaign = modes.rolling(
            api.advise,
            facts,
            rules=chosen_rules,
            policy=chosen_policy,
            **{name: getattr(options, name) for name in ROLLING},
            solver=solver,
            seed=seed,
            stop=stop,
            on_progress=on_progress,
        )

        def written() -> None:
            if out:
                from drs.report.html import render_report

                write_rolling(campaign, out, render_report)

        # Within, for the first Ctrl-C must not lose the steps that are being written.
        fault = base.fault_of(written)
    if as_json:
        base.print_json(rolling_document(campaign))
    else:
        from drs.report import text

        text.print_sentences(base.out_console(), campaign.sentences())
        if out and not fault:
            text.print_sentences(
                base.out_console(), [f"written to {out}: rolling.json, and a folder for each step"]
            )
    if fault is not None:  # a full disk must not lose the campaign: it was printed first
        raise fault
    ended = {"feasible": base.FINE, "infeasible": base.INFEASIBLE}
    raise typer.Exit(ended.get(campaign.status, base.NO_ANSWER))


def check(options: RollingOptions, snapshot: Snapshot | None, policy: Policy) -> None:
    """Raises InputError for options that contradict each other or the cluster."""
    from drs import modes

    faults = list(value_faults(options) if snapshot is None else modes.check_rolling(snapshot, options))
    if faults:
        raise InputError(faults)
