"""`drs undo`: the plan that brings back what a plan moved."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drs.cli import advise, base
from drs.cli.inputs import AsJson, PlanFolder


@base.app.command()
@base.reporting
def undo(
    plan: PlanFolder,
    today: Annotated[
        str | None,
        typer.Option(
            "--today",
            metavar="SNAPSHOT",
            help="The cluster now; where not given, as the plan leaves it, or its journal where there is one.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="plan.json, moves.csv, report.html and more."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Plan the way back of a plan: its VMs return to where they were before it."""
    from drs import api
    from drs.execute.undo import undo as way_back
    from drs.io.plan_file import read_plan
    from drs.report.document import to_document, write

    faults = advise.checked_before(out, "auto")
    saved = faults.of(read_plan, plan)
    now = faults.of(api.read, today) if today else None
    faults.tell()
    assert saved is not None
    result = way_back(saved, now)
    if out:
        from drs.report.html import render_report

        write(result, out, render_report(result))
    if as_json:
        base.print_json(to_document(result))
    else:
        from drs.report import text

        text.print_result(base.out_console(), result, out)
