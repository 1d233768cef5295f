"""`drs datasets`: the bundled datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drs.cli import base


@base.app.command()
@base.reporting
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
        base.say(f"{name} → {folder}")
