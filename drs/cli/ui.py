"""`drs ui`: the app."""

from __future__ import annotations

from typing import Annotated

import typer

from drs.cli import base


@base.app.command()
@base.reporting
def ui(
    snapshot: Annotated[
        str | None, typer.Argument(metavar="[SNAPSHOT]", help="What the app opens first.")
    ] = None,
) -> None:
    """Open the app in the browser."""
    from drs.ui import launch

    raise typer.Exit(launch(snapshot))
