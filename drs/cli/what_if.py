"""`drs what-if`: one row of metrics for each variation of the cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drs.cli import base
from drs.cli.inputs import Clusters, Source


@base.app.command("what-if")
@base.reporting
def what_if(
    source: Source,
    scenarios: Annotated[
        Path, typer.Argument(metavar="SCENARIOS.toml", help="A [[scenario]] table for each.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Results as .parquet or .csv.")],
    cluster: Clusters = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="So many processes at once.")] = 1,
    dask: Annotated[
        str | None, typer.Option("--dask", metavar="ADDRESS", help="A Dask scheduler to run them.")
    ] = None,
) -> None:
    """One row of metrics for each variation of the cluster."""
    from drs import whatif

    with base.progress() as on_progress:
        table = whatif.run(
            source,
            scenarios,
            cluster=tuple(cluster or ()),
            out=out,
            jobs=jobs,
            dask=dask,
            on_progress=on_progress,
        )
    from drs.report import text

    text.print_table(base.out_console(), table, f"{len(table)} scenarios → {out}")
