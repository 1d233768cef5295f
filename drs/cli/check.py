"""`drs check`: what is broken today."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drs.cli import base, inputs
from drs.cli.inputs import AsJson, Clusters, PolicyFile, RulesFile, Seed, Source
from drs.errors import Fault

if TYPE_CHECKING:
    from drs.errors import RuleConflictError
    from drs.explain.hints import Hint
    from drs.model import Snapshot
    from drs.modes import RoomReport
    from drs.problem import Problem
    from drs.problem.policy import Policy
    from drs.result import Report


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
    room: Annotated[
        str | None,
        typer.Option(
            "--room",
            metavar="FLAVOUR[=WEIGHT],...",
            help="How many VMs of these sizes the cluster takes, such as '16c/32g=3, 32c/64g'.",
        ),
    ] = None,
    max_moves: Annotated[
        int | None,
        typer.Option("--max-moves", min=0, help="With --room: and how many with so many moves at most."),
    ] = None,
    time_s: Annotated[
        float | None, typer.Option("--time-s", min=0, help="Seconds to search for such moves.")
    ] = None,
    seed: Seed = 0,
    cluster: Clusters = None,
    as_json: AsJson = False,
) -> None:
    """Broken and contradictory rules, VM scores, resource pools; what failures are survived, what room there is."""
    import dataclasses

    from drs import modes
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
    _told_room(faults, room, max_moves=max_moves, time_s=time_s)

    facts, own_rules, own_policy = inputs.read(
        source, rules, policy, faults=faults, check=_known(cluster, room)
    )
    taking_part = hosts_of(facts, cluster or ())
    problem = Problem(facts, own_rules, own_policy, scope=taking_part)
    violations, elsewhere = within(facts, taking_part, problem.check(problem.today))
    load = metrics(facts, problem.today, taking_part)
    survived = None
    if failures is not None:
        survived = modes.admission(
            problem, failures, scope=scope or "host",  # type: ignore[arg-type]
            cluster=() if taking_part is None else clusters_of(facts, taking_part),
        )  # fmt: skip
    space = None if room is None else _room(problem, own_policy, room, max_moves, time_s, seed, cluster)
    named = clusters_of(facts, taking_part)
    happy = happiness(facts, problem.today)
    if taking_part is not None:
        happy = happy.of(problem.taking_part)
    divided = [pool for pool in pools(facts) if taking_part is None or pool.cluster in named]
    crowded = overfull(facts)
    noticed = hints(problem)
    contradictions = conflicts(problem.rules_in_force, facts)
    if as_json:
        document = {
            "snapshot": _snapshot(facts),
            "clusters": named,
            "metrics": load,
            "score": happy.cluster_score,
            "vms_below": [
                {"vm": str(facts.vms.name[vm]), "score": float(happy.score[vm])} for vm in happy.short()
            ],
            "pools": [finite(dataclasses.asdict(pool)) for pool in divided],
            "violations": [violation_document(violation) for violation in violations],
            "violations_elsewhere": len(elsewhere),
            **_more(crowded, contradictions, noticed),
        }
        if survived is not None:
            document["failures"] = [dataclasses.asdict(each) for each in survived.clusters]
        if space is not None:
            document["room"] = dataclasses.asdict(space)
        base.print_json(document)
    else:
        from drs.report import text

        text.print_check(base.out_console(), facts, load, violations, happy, divided)
        _print_more(len(elsewhere), crowded, contradictions, noticed, (survived, space))
    if strict and (violations or contradictions or crowded or (survived is not None and not survived.holds)):
        raise typer.Exit(base.VIOLATIONS)


def _more(
    crowded: Sequence[tuple[str, float, float]],
    contradictions: Sequence[RuleConflictError],
    noticed: Sequence[Hint],
) -> dict[str, Any]:
    """What the document says besides of full datastores, contradictions and hints."""
    import dataclasses

    return {
        "datastores_above_capacity": [
            {"datastore": name, "used_gib": used, "capacity_gib": there} for name, used, there in crowded
        ],
        "contradictions": [{"rules": list(each.rules), "sentence": str(each)} for each in contradictions],
        "hints": [dataclasses.asdict(each) for each in noticed],
    }


def _print_more(
    n_elsewhere: int,
    crowded: Sequence[tuple[str, float, float]],
    contradictions: Sequence[RuleConflictError],
    noticed: Sequence[Hint],
    reports: Sequence[Report | None],
) -> None:
    """What stands below the tables: other clusters, full datastores, contradictions, what was asked for besides."""
    from rich.markup import escape

    from drs import words
    from drs.report import text

    console = base.out_console()
    if n_elsewhere:
        console.print(f"{words.count(n_elsewhere, 'rule is', 'rules are')} broken in other clusters.")
    for name, used, there in crowded:
        console.print(
            f"[red]above capacity[/red] {escape(name)}: {used:,.0f} GiB are used of {there:,.0f}; "
            "drs advise --mode storage makes room"
        )
    for hint in noticed:
        console.print(f"[cyan]hint[/cyan] {escape(hint.sentence)}")
    for each in contradictions:
        console.print(f"[red]impossible[/red] {escape(str(each))}")
    for report in reports:
        if report is not None:
            text.print_sentences(console, report.sentences())


def _room(
    problem: Problem,
    policy: Policy,
    wanted: str,
    max_moves: int | None,
    time_s: float | None,
    seed: int,
    cluster: list[str] | None,
) -> RoomReport:
    """The room for VMs of some sizes, searched for in a budget that Ctrl-C ends."""
    import dataclasses

    from drs import api, modes
    from drs.stop import Run

    run = Run.begin(time_s, None, seed)
    problem = dataclasses.replace(problem, policy=policy)
    with base.interruptible(run.stop), base.progress() as on_progress:
        return modes.room(
            problem, wanted, max_moves=max_moves, cluster=cluster or (), advise=api.advise,
            run=Run(run.stop, seed, on_progress),
        )  # fmt: skip


def _told_room(faults: inputs.Faults, room: str | None, **given: float | None) -> None:
    """A fault for each option that means nothing without --room."""
    for name, value in given.items():
        if value is not None and room is None:
            faults.found.append(Fault(name, f"{value:g} without --room", "--room, which it is for"))


def _snapshot(facts: Snapshot) -> dict[str, Any]:
    """What the document says of the snapshot."""
    import dataclasses

    return {
        "name": facts.name,
        "digest": facts.digest,
        "n_hosts": facts.n_hosts,
        "n_vms": facts.n_vms,
        "provenance": dataclasses.asdict(facts.rests_on),
        "memory_counts": facts.memory_counts,
    }


def _known(cluster: list[str] | None, room: str | None) -> Callable[[Snapshot | None, Policy], None]:
    """For `inputs.read`: raises InputError for clusters that are not there, and for what is no size of VM."""

    def check(facts: Snapshot | None, policy: Policy) -> None:
        from drs import modes

        inputs.clusters_known(cluster)(facts, policy)
        if room is not None:
            modes.read_flavours(room, facts, "room")

    return check
