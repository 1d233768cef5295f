"""`drs explain`: why a VM may not move, or nothing satisfies the rules."""

from __future__ import annotations

from typing import Annotated

import typer

from drs.cli import base, inputs
from drs.cli.advise import check
from drs.cli.inputs import AsJson, Clusters, RulesFile, Source
from drs.errors import Fault
from drs.options import Options


@base.app.command()
@base.reporting
def explain(
    source: Source,
    vm: Annotated[str | None, typer.Option("--vm", metavar="VM", help="The VM that is asked about.")] = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host", metavar="HOST", help="Only this host, or those of a pattern; all where not given."
        ),
    ] = None,
    why_infeasible: Annotated[
        bool, typer.Option("--why-infeasible", help="Which rules cannot hold together, and what would help.")
    ] = False,
    evacuate: Annotated[
        list[str] | None,
        typer.Option("--evacuate", metavar="HOST", help="As if this host were to empty; or a pattern."),
    ] = None,
    time_s: Annotated[float, typer.Option("--time-s", min=0, help="Seconds to search.")] = 10.0,
    cluster: Clusters = None,
    rules: RulesFile = None,
    as_json: AsJson = False,
) -> None:
    """Why a VM may not, or did not, move to a host; or why nothing satisfies the rules."""
    import dataclasses

    from drs import explain as explaining
    from drs import modes

    faults = inputs.Faults()
    if (vm is None) == (not why_infeasible):
        faults.found.append(Fault("explain", "both" if vm else "neither", "either --vm or --why-infeasible"))
    if host is not None and vm is None:
        faults.found.append(Fault("host", host, "--vm with it"))
    options = Options(evacuate=tuple(evacuate or ()), cluster=tuple(cluster or ()))
    mode = "evacuate" if evacuate else "balance"
    facts, chosen_rules, policy = inputs.read(
        source, rules, faults=faults, check=lambda *read: check(mode, options, None, *read)
    )
    problem = modes.pose(mode, facts, chosen_rules, policy, options)
    from drs.report import text

    if vm is None:
        conflicts = explaining.conflicts(problem, time_s=time_s)
        if as_json:
            base.print_json({"conflicts": [dataclasses.asdict(conflict) for conflict in conflicts]})
        else:
            text.print_conflicts(base.out_console(), conflicts)
        raise typer.Exit(base.INFEASIBLE if conflicts else base.FINE)
    answers = explaining.why(problem, vm, host)
    if as_json:
        base.print_json({"vm": vm, "hosts": [dataclasses.asdict(answer) for answer in answers]})
    else:
        text.print_explanation(base.out_console(), vm, answers)
