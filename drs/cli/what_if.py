"""`drs what-if`: one row of metrics for each variation of the cluster."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from drs.cli import base
from drs.cli.inputs import Clusters, Seed, Source

COLUMNS = (
    "scenario", "status", "n_moves", "n_unplaced", "n_hard_broken", "survives", "cpu_max_after", "memory_max_after",
    "makespan_s",
)  # fmt: skip
"""What a terminal shows of a row; the file holds all."""


@base.app.command("what-if")
@base.reporting
def what_if(
    source: Source,
    scenarios: Annotated[
        Path, typer.Argument(metavar="SCENARIOS.toml", help="TOML with tables scenario, grid and sample.")
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Results as .parquet (a folder, readable while it runs) or .csv.")
    ],
    cluster: Clusters = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="So many processes at once.")] = 1,
    dask: Annotated[
        str | None, typer.Option("--dask", metavar="ADDRESS", help="A Dask scheduler to run them.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the results in --out; what is done is not done again."),
    ] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first so many.")] = None,
    where: Annotated[
        str,
        typer.Option("--where", metavar="PATTERN|AXIS=VALUE", help="Only scenarios of such a name or value."),
    ] = "",
    sample: Annotated[int | None, typer.Option("--sample", min=1, help="Only so many, by chance.")] = None,
    max_scenarios: Annotated[
        int,
        typer.Option("--max-scenarios", min=1, help="A file with more is refused before anything is done."),
    ] = 100_000,
    seed: Seed = 0,
) -> None:
    """One row of metrics for each variation of the cluster."""
    from drs import whatif

    with _ended_by_signals() as look, base.progress() as on_progress:
        ran = whatif.stream(
            source,
            scenarios,
            cluster=tuple(cluster or ()),
            out=out,
            jobs=jobs,
            dask=dask,
            resume=resume,
            part=whatif.Part(where, sample, limit, seed),
            max_scenarios=max_scenarios,
            on_row=look,
            on_progress=on_progress,
        )
    from drs.frame import frame
    from drs.report import text

    if ran.first:
        rows = sorted(ran.first, key=lambda row: int(row["number"]))
        shown = [name for name in COLUMNS if any(row.get(name) is not None for row in rows)]
        rows = [row | {"status": "error"} if row["error"] else row for row in rows]
        table = frame([{name: row.get(name, "") for name in shown} for row in rows])
        text.print_table(base.out_console(), table.fillna(""), f"{ran.n_asked:,} scenarios → {out}")
    for line in ran.sentences():
        base.say(line)
    if ran.interrupted:
        base.say("the same command with --resume goes on where it stopped")
    if ran.interrupted or ran.n_failed:
        raise typer.Exit(base.NO_ANSWER)


@contextmanager
def _ended_by_signals() -> Iterator[Callable[[Any], None]]:
    """SIGTERM ends a batch as Ctrl-C does: what is done is written.

    Yields what is to be called after each row: an interrupt that was lost on its way, as in a callback of compiled
    code, ends the batch there.
    """
    seen: list[int] = []

    def end(number: int, _: Any) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    def look(_: Any) -> None:
        if seen:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield look
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
