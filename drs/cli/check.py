"""`drs check`: what is broken today."""

from __future__ import annotations

from typing import Annotated

import typer

from drs.cli import base, inputs
from drs.cli.inputs import AsJson, Clusters, PolicyFile, RulesFile, Source
from drs.errors import Fault


@base.app.command()
@base.reporting
def check(
    source: Source,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when a rule is broken.")] = False,
    rules: RulesFile = None,
    policy: PolicyFile = None,
    failures: Annotated[
        int | None,
        typer.Option("--failures", min=1, max=8, help="Prove which failures of up to so many are survived."),
    ] = None,
    scope: Annotated[
        str | None, typer.Option("--scope", help="What fails: host (the default), rack or site.")
    ] = None,
    cluster: Clusters = None,
    as_json: AsJson = False,
) -> None:
    """Broken and contradictory rules, VM scores, resource pools; with --failures, which failures are survived."""
    import dataclasses

    from drs import modes, words
    from drs.explain.contradictions import conflicts
    from drs.explain.hints import hints
    from drs.model.load import metrics
    from drs.model.pools import pools
    from drs.model.space import overfull
    from drs.model.vm_score import happiness
    from drs.problem import Problem
    from drs.problem.scope import clusters_of, hosts_of, within
    from drs.report.document import finite, violation_document

    faults = inputs.Faults()
    if scope is not None and failures is None:
        faults.found.append(Fault("scope", f"{scope} without --failures", "--failures, which it is for"))
    facts, chosen_rules, chosen_policy = inputs.read(
        source, rules, policy, faults=faults, check=inputs.clusters_known(cluster)
    )
    taking_part = hosts_of(facts, cluster or ())
    problem = Problem(facts, chosen_rules, chosen_policy, scope=taking_part)
    violations, elsewhere = within(facts, taking_part, problem.check(problem.today))
    load = metrics(facts, problem.today, taking_part)
    survived = None
    if failures is not None:
        survived = modes.admission(
            problem, failures, scope=scope or "host",  # type: ignore[arg-type]
            cluster=() if taking_part is None else clusters_of(facts, taking_part),
        )  # fmt: skip
    happy = happiness(facts, problem.today)
    if taking_part is not None:
        happy = happy.of(problem.taking_part)
    divided = [
        pool
        for pool in pools(facts)
        if taking_part is None or pool.cluster in clusters_of(facts, taking_part)
    ]
    crowded = overfull(facts)
    noticed = hints(problem)
    contradictions = conflicts(problem.rules_in_force, facts)
    if as_json:
        document = {
            "snapshot": {
                "name": facts.name,
                "digest": facts.digest,
                "n_hosts": facts.n_hosts,
                "n_vms": facts.n_vms,
                "provenance": dataclasses.asdict(facts.rests_on),
                "memory_counts": facts.memory_counts,
            },
            "clusters": clusters_of(facts, taking_part),
            "metrics": load,
            "score": happy.cluster_score,
            "vms_below": [
                {"vm": str(facts.vms.name[vm]), "score": float(happy.score[vm])} for vm in happy.short()
            ],
            "pools": [finite(dataclasses.asdict(pool)) for pool in divided],
            "violations": [violation_document(violation) for violation in violations],
            "violations_elsewhere": len(elsewhere),
            "hints": [dataclasses.asdict(each) for each in noticed],
            "datastores_above_capacity": [
                {"datastore": name, "used_gib": used, "capacity_gib": there} for name, used, there in crowded
            ],
            "contradictions": [{"rules": list(each.rules), "sentence": str(each)} for each in contradictions],
        }
        if survived is not None:
            document["failures"] = [dataclasses.asdict(each) for each in survived.clusters]
        base.print_json(document)
    else:
        from rich.markup import escape

        from drs.report import text

        text.print_check(base.out_console(), facts, load, violations, happy, divided)
        if elsewhere:
            said = words.count(len(elsewhere), "rule is", "rules are")
            base.out_console().print(f"{said} broken in other clusters.")
        for name, used, there in crowded:
            base.out_console().print(
                f"[red]above capacity[/red] {escape(name)}: {used:,.0f} GiB are used of {there:,.0f}; "
                "drs advise --mode storage makes room"
            )
        for hint in noticed:
            base.out_console().print(f"[cyan]hint[/cyan] {escape(hint.sentence)}")
        for each in contradictions:
            base.out_console().print(f"[red]impossible[/red] {escape(str(each))}")
        if survived is not None:
            text.print_sentences(base.out_console(), survived.sentences())
    if strict and (violations or contradictions or crowded or (survived is not None and not survived.holds)):
        raise typer.Exit(base.VIOLATIONS)
