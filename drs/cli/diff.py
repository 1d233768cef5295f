"""`drs diff`: what one plan does otherwise than another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drs.cli import base
from drs.cli.inputs import AsJson


@base.app.command("diff")
@base.reporting
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
        base.print_json({**dataclasses.asdict(found), "sentences": found.sentences()})
    else:
        from drs.report import text

        text.print_sentences(base.out_console(), found.sentences())
