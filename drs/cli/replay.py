"""`drs replay`: the load history through the loop of snapshot, trigger and advice."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drs.cli import base, inputs
from drs.cli.inputs import Clusters, PolicyFile, RulesFile, Seed, Source


@base.app.command()
@base.reporting
def replay(
    source: Source,
    out: Annotated[Path, typer.Option("--out", help="Results as .parquet or .csv.")],
    policy: PolicyFile = None,
    rules: RulesFile = None,
    time_s: Annotated[
        float, typer.Option("--time-s", min=0, help="Seconds to search at each trigger.")
    ] = 2.0,
    cluster: Clusters = None,
    seed: Seed = 0,
) -> None:
    """Drive the load history through the loop of snapshot, trigger and advice."""
    from drs import automatic

    facts, chosen_rules, chosen_policy = inputs.read(
        source, rules, policy, check=inputs.clusters_known(cluster)
    )
    with base.progress() as on_progress:
        table = automatic.replay(
            facts,
            rules=chosen_rules,
            policy=chosen_policy,
            cluster=tuple(cluster or ()),
            out=out,
            time_s=time_s,
            seed=seed,
            on_progress=on_progress,
        )
    from drs.report import text

    text.print_table(base.out_console(), table, f"{len(table)} steps → {out}")
