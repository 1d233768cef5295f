"""`drs replay`: the load history through the loop of snapshot, trigger and advice."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drs.cli import base, inputs
from drs.cli.inputs import Clusters, Iterations, PolicyFile, RulesFile, Seed, Source


@base.app.command()
@base.reporting
def replay(
    source: Source,
    out: Annotated[Path, typer.Option("--out", help="Results as .parquet or .csv.")],
    policy: PolicyFile = None,
    policies: Annotated[
        list[Path] | None,
        typer.Option("--policies", metavar="FILE", help="A policy to set beside others. May be repeated."),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            metavar="NAME",
            help="A rule to set beside: never, greedy, drs, drs-over-time, cloudstack, proxmox. May be repeated.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="So many seeds each, for 95 % intervals.")] = 1,
    rules: RulesFile = None,
    time_s: Annotated[
        float, typer.Option("--time-s", min=0, help="Seconds to search at each trigger.")
    ] = 2.0,
    iterations: Iterations = None,
    cluster: Clusters = None,
    seed: Seed = 0,
) -> None:
    """Drive the load history through the loop of snapshot, trigger and advice."""
    from drs import automatic, io
    from drs.report import text

    facts, chosen_rules, chosen_policy = inputs.read(
        source, rules, policy, check=inputs.clusters_known(cluster)
    )
    named = tuple(cluster or ())
    searched_s = None if iterations is not None else time_s
    if policies or against or seeds > 1:
        sides = {path.stem: automatic.Advised(io.read_policy(path)) for path in policies or ()}
        more = against or (["never"] if policies else ["never", "drs"])
        sides |= {name: automatic.contender(name, chosen_policy) for name in more}  # type: ignore[misc]
        with base.progress() as on_progress:
            table = automatic.compare(
                facts, sides, rules=chosen_rules, policy=chosen_policy, cluster=named, out=out, time_s=searched_s,
                iterations=iterations, seeds=range(seed, seed + seeds), on_progress=on_progress,
            )  # fmt: skip
        shown = automatic.summary(table)
        text.print_table(base.out_console(), shown, f"{len(table)} rows of {len(sides)} policies → {out}")
        return
    with base.progress() as on_progress:
        table = automatic.replay(
            facts,
            rules=chosen_rules,
            policy=chosen_policy,
            cluster=named,
            out=out,
            time_s=searched_s,
            iterations=iterations,
            seed=seed,
            on_progress=on_progress,
        )
    columns = ["time", "act", "n_moves", "n_violations", "undelivered_mhz", "undelivered_mhz_idle", "reason"]
    text.print_table(base.out_console(), table[columns], f"{len(table)} steps → {out}")
