"""`drs ui`: the app."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drs.cli import base


@base.app.command()
@base.reporting
def ui(
    snapshot: Annotated[
        str | None, typer.Argument(metavar="[SNAPSHOT]", help="What the app opens first.")
    ] = None,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Where it listens; the app has no login.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="The first free one from 8501 on by default."),
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no window.")] = False,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store",
            metavar="FOLDER",
            help="Where it keeps snapshots, plans and searches; the user's data folder by default.",
        ),
    ] = None,
) -> None:
    """Open the app in the browser; only this machine reaches it unless --host says otherwise."""
    from drs.ui import is_local, launch

    if not is_local(host):
        base.say(
            f"warning: the app has no login: whoever reaches {host} sees the cluster and can use this machine"
        )
    raise typer.Exit(launch(snapshot, host=host, port=port, browser=not no_browser, store=store))
