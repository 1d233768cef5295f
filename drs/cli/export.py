"""`drs export`: a plan as a script of another tool."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from drs.cli import base
from drs.cli.inputs import PlanFolder


@base.app.command()
@base.reporting
def export(
    plan: PlanFolder,
    kind: Annotated[
        str,
        typer.Option("--as", metavar="KIND", help="powercli, govc, ansible, pyvmomi, virsh, proxmox or csv."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where it is written; stdout where not given."),
    ] = None,
) -> None:
    """Write a plan as a script for a shop where no tool may write."""
    from drs import io
    from drs.execute.scripts import SCRIPTS
    from drs.execute.scripts import export as script
    from drs.io.plan_file import read_plan

    text = script(read_plan(plan), kind)
    if out is None:
        sys.stdout.write(text)
    else:
        io.write_text_atomic(out, text)
        typer.echo(f"{out}: needs {SCRIPTS[kind].needs}", err=True)
