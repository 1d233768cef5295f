"""`drs estimate`: the price of moves chosen by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from drs.cli import base, inputs
from drs.cli.inputs import AsJson, Clusters, PolicyFile, RulesFile, Source


@base.app.command()
@base.reporting
def estimate(
    source: Source,
    moves: Annotated[Path, typer.Option("--moves", help="CSV: vm, to_host, to_datastore, kind.")],
    profile: Annotated[
        str | None, typer.Option("--profile", help="Cost-model profile, or a fitted TOML.")
    ] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit with 1 when a move is not possible or makes something worse."),
    ] = False,
    cluster: Clusters = None,
    rules: RulesFile = None,
    policy: PolicyFile = None,
    as_json: AsJson = False,
) -> None:
    """Price moves chosen by hand, in any of the five kinds."""
    from drs import api, words
    from drs.report.document import finding_document, move_document

    facts, chosen_rules, chosen_policy = inputs.read(
        source, rules, policy, check=inputs.clusters_known(cluster)
    )
    priced = api.estimate(
        facts, moves, profile=profile, cluster=tuple(cluster or ()), rules=chosen_rules, policy=chosen_policy
    )
    if as_json:
        base.print_json(
            {
                "moves": [move_document(move) for move in priced],
                "left_out": priced.left_out,
                "audit": [finding_document(finding) for finding in priced.findings],
            }
        )
    else:
        from drs.report import text

        text.print_moves(base.out_console(), priced)
        text.print_findings(base.out_console(), priced.findings)
        if priced.left_out:
            said = words.count(priced.left_out, "move is", "moves are")
            base.out_console().print(f"{said} in other clusters and not looked at.")
    if strict and (priced.findings or any(math.isnan(move.total_s) for move in priced)):
        raise typer.Exit(base.VIOLATIONS)
