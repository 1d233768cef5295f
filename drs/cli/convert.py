"""`drs convert`: a snapshot folder of another source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from drs.cli import base, connection


@base.app.command()
@base.reporting
@connection.connecting
def convert(
    source: Annotated[
        str, typer.Argument(help="An RVTools workbook or its CSV files, or a vCenter's address.")
    ],
    folder: Annotated[Path, typer.Argument(help="The snapshot folder to write.")],
    without_unknown_hosts: Annotated[
        bool,
        typer.Option("--without-unknown-hosts", help="Leave out running VMs whose host the export lacks."),
    ] = False,
    **given: Any,
) -> None:
    """Turn an RVTools export or a vCenter into a snapshot folder."""
    from drs import io

    login = connection.login(given)
    facts = io.convert(source, folder, login=login, without_unknown_hosts=without_unknown_hosts)
    typer.echo(f"{facts.n_hosts} hosts, {facts.n_vms} VMs → {folder}", err=True)
