"""`drs explain`: why a VM may not move, or nothing satisfies the rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drs.cli import base, inputs
from drs.cli.advise import check
from drs.cli.inputs import AsJson, Clusters, PolicyFile, RulesFile, Source
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
    plan: Annotated[
        Path | None,
        typer.Option("--plan", metavar="PLAN", help="As of the end of this plan (plan.json, or its folder)."),
    ] = None,
    time_s: Annotated[float, typer.Option("--time-s", min=0, help="Seconds to search.")] = 10.0,
    cluster: Clusters = None,
    rules: RulesFile = None,
    policy: PolicyFile = None,
    as_json: AsJson = False,
) -> None:
    """Why a VM may not, or did not, move to a host; or why nothing satisfies the rules."""
    import dataclasses

    from rich.markup import escape

    from drs import explain as explaining
    from drs import modes
    from drs.cli import planned
    from drs.report.document import finite

    faults = inputs.Faults()
    if (vm is None) == (not why_infeasible):
        faults.found.append(Fault("explain", "both" if vm else "neither", "either --vm or --why-infeasible"))
    if host is not None and vm is None:
        faults.found.append(Fault("host", host, "--vm with it"))
    if plan is not None and (vm is None or evacuate):
        given = "--evacuate too" if vm else "no --vm"
        faults.found.append(Fault("plan", given, "--vm with it, and what the plan was asked for"))
    options = Options(evacuate=tuple(evacuate or ()), cluster=tuple(cluster or ()))
    mode = "evacuate" if evacuate else "balance"
    facts, chosen_rules, chosen_policy = inputs.read(
        source, rules, policy, faults=faults, check=lambda *read: check(mode, options, None, *read)
    )
    from drs.report import text

    if plan is not None and vm is not None:
        judged = planned.judge(facts, plan, vm, host, chosen_rules if rules else None)
        if as_json:
            base.print_json({"vm": vm, "plan": judged.said, "hosts": [finite(dataclasses.asdict(each))
                                                                     for each in judged.answers]})  # fmt: skip
        else:
            base.out_console().print(escape(judged.said))
            text.print_explanation(base.out_console(), vm, judged.answers)
        return
    problem = modes.pose(mode, facts, chosen_rules, chosen_policy, options)

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
