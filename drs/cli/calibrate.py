"""`drs calibrate`: the cost model fitted to what migrations took here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drs.cli import base
from drs.cli.inputs import PlanFolder, Seed


@base.app.command()
@base.reporting
def calibrate(
    plan: PlanFolder,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE.toml", help="The profile, for a policy's `profile`.")
    ],
    journal: Annotated[
        Path | None,
        typer.Option("--journal", metavar="FILE", help="Instead of journal.sqlite beside the plan."),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Fit the cost model to the migrations of a plan that was carried out."""
    from drs import io
    from drs.execute.calibrate import calibrate as fitted
    from drs.execute.journal import read_journal
    from drs.io.plan_file import read_plan

    io.check_writable(out, "out")
    saved = read_plan(plan)
    _, steps, _ = read_journal(journal or saved.folder)
    found = fitted(saved, steps, seed=seed, name=out.stem)
    found.save(out)
    for sentence in found.sentences():
        typer.echo(sentence, err=True)
    typer.echo(f"profile: {out}", err=True)
