"""What the command line prints for people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from drs import words
from drs.explain import HostAnswer
from drs.frame import DataFrame
from drs.model import Snapshot
from drs.model.pools import Pool
from drs.model.vm_score import Happiness
from drs.planning import Move, Plan
from drs.report import summary
from drs.report.html import fate_of_violations
from drs.report.tables import CLUSTERS, GOALS, MOVES, STARTS, rich_table, starts, told
from drs.result import Conflict, Finding, Reason, Result
from drs.rules import Violation

if TYPE_CHECKING:
    from rich.console import Console


MOST_SHORT = 5
"""So many VMs that go short are named."""
MOST = 20
"""So many broken rules are told."""


def print_check(
    console: Console,
    snapshot: Snapshot,
    metrics: Mapping[str, Mapping[str, float]],
    violations: Sequence[Violation],
    happy: Happiness,
    pools: Sequence[Pool],
) -> None:
    """A cluster's load, its VMs' scores, its resource pools and its broken rules."""
    console.print(f"{escape(snapshot.name or 'snapshot')}: {snapshot.n_hosts} hosts, {snapshot.n_vms} VMs")
    print_provenance(console, snapshot)
    console.print(_load_table({"today": metrics}, snapshot.memory_counts))
    short = happy.short()
    said = f"VM score {happy.cluster_score:.1f} of 100"
    if short:
        worst = [f"{snapshot.vms.name[vm]} {happy.score[vm]:.0f}" for vm in short[:MOST_SHORT]]
        more = f" and {len(short) - MOST_SHORT} more" if len(short) > MOST_SHORT else ""
        said += f"; less than asked for get {', '.join(worst)}{more}"
    console.print(escape(said))
    if pools:
        console.print(_pool_table(pools))
    if not violations:
        console.print("No rule is broken.")
    for violation in violations:
        console.print(f"[red]broken[/red] {escape(violation.rule)}: {escape(violation.sentence)}")


def print_provenance(console: Console, snapshot: Snapshot) -> None:
    """What the answers rest on, where it is known."""
    sentence = snapshot.rests_on.sentence()
    if sentence:
        color = "yellow" if snapshot.rests_on.is_weak else "default"
        console.print(f"[{color}]{escape(sentence)}[/{color}]")


def _pool_table(pools: Sequence[Pool]) -> Table:
    table = Table("pool", "cluster", "VMs", box=SIMPLE)
    for resource, unit in (("CPU", "MHz"), ("memory", "MiB")):
        table.add_column(f"{resource} reserved", justify="right")
        table.add_column("limit", justify="right")
        table.add_column("shares", justify="right")
        table.add_column("asks for", justify="right")
        table.add_column(f"is due, {unit}", justify="right")
    for pool in pools:
        cells = [escape("  " * pool.depth + pool.name), escape(pool.cluster), str(pool.n_vms)]
        for part in (pool.cpu, pool.memory):
            limit = f"{part.limit:,.0f}" if math.isfinite(part.limit) else "none"
            due = f"{part.entitlement:,.0f}"
            cells += [f"{part.reservation:,.0f}", limit, f"{part.shares:,.0f}", f"{part.demand:,.0f}",
                      f"[yellow]{due}[/yellow]" if part.entitlement < part.demand * (1 - 1e-6) else due]  # fmt: skip
        table.add_row(*cells)
    return table


def _load_table(states: Mapping[str, Mapping[str, Mapping[str, float]]], memory: str) -> Table:
    table = Table(
        "load", *(f"{name} {state}" for name in ("mean", "std", "max") for state in states), box=SIMPLE
    )
    for resource in next(iter(states.values())):
        table.add_row(
            f"memory ({memory})" if resource == "memory" else resource,
            *(
                words.percent(states[state][resource][name], 1)
                for name in ("mean", "std", "max")
                for state in states
            ),
        )
    return table


def _print_plan(console: Console, result: Result, plan: Plan, out: Path | None) -> None:
    """The moves of a plan; of a large one those that matter, a line for each cluster, and where the rest is."""
    shown = summary.that_matter(result)
    print_moves(console, shown, result.reasons)
    if len(shown) < len(plan.moves):
        where = f"all of them are in {out / 'moves.csv'}" if out else "--out FOLDER writes all of them"
        console.print(
            f"These are {len(shown)} of {len(plan.moves):,} moves, those that matter most; {escape(where)}."
        )
        console.print(rich_table(CLUSTERS, summary.by_cluster(result)))
    console.print(
        f"{words.count(len(plan.moves), 'move')} in {words.seconds(plan.makespan_s)} "
        f"({words.seconds_range(plan.makespan_low_s, plan.makespan_high_s)}; "
        f"no schedule is shorter than {words.seconds(plan.makespan_bound_s)}), "
        f"{words.mebibytes(plan.total_transferred_mib)} over the network, "
        f"longest downtime {words.milliseconds(plan.max_downtime_ms)}"
    )


def print_result(console: Console, result: Result, out: Path | None, source: str = "SNAPSHOT") -> None:
    """The answer of `drs advise`: what is gained, the moves, what remains."""
    snapshot, plan = result.snapshot, result.plan
    console.print(
        f"{escape(snapshot.name or 'snapshot')}: {snapshot.n_hosts} hosts, {snapshot.n_vms} VMs; "
        f"{result.status} by {result.solver} in {words.seconds(result.elapsed_s)}"
        + (" (interrupted)" if result.interrupted else "")
    )
    print_provenance(console, snapshot)
    console.print(rich_table(GOALS, result.goals))
    console.print(
        _load_table({"before": result.metrics_before, "after": result.metrics_after}, snapshot.memory_counts)
    )
    if plan is not None and plan.moves:
        _print_plan(console, result, plan, out)
    else:
        console.print("Nothing to move.")
    if begun := starts(result):
        console.print(rich_table(STARTS, begun[:MOST]))
        if len(begun) > MOST:
            console.print(f"and {len(begun) - MOST} more VMs to power on; moves.csv of --out has them all")
    fate = fate_of_violations(result)
    remain = len(fate.remaining) + len(fate.new)
    console.print(f"{words.count(len(fate.repaired), 'broken rule')} repaired, {remain} remain.")
    left_alone = set(result.untouched)
    told = summary.problems(result, tuple(each for each in result.violations_after if each not in left_alone))
    for violation in told[:MOST]:
        console.print(f"[red]broken[/red] {escape(violation.rule)}: {escape(violation.sentence)}")
    if len(told) > MOST:
        console.print(f"and {len(told) - MOST} more broken rules")
    if result.not_more is not None:
        console.print("Why not more:")
        print_sentences(console, [f"  {line}" for line in result.not_more.sentences()])
    if rest := summary.not_touched(result, source):
        console.print(escape(rest))
    for vm in result.immovable[:20]:
        console.print(f"immovable {escape(vm.vm)}: {escape(vm.reason)}")
    if len(result.immovable) > 20:
        console.print(f"and {len(result.immovable) - 20} more immovable VMs")
    print_findings(console, result.findings)
    for warning in result.warnings:
        console.print(f"[yellow]warning[/yellow] {escape(warning)}")
    if result.timing is not None:
        print_sentences(console, result.timing.sentences())
    print_sentences(console, summary.stage_sentences(result))
    if result.report is not None:
        print_sentences(console, result.report.sentences())
    speaks = result.mode in (
        "place",
        "recover",
        "storage",
        "upgrade-evc",
    )  # these say in their own words why not
    asked = result.status in ("infeasible", "no_solution") and not speaks
    print_conflicts(console, result.conflicts, asked)
    if out is not None:
        console.print(f"written to {escape(str(out))}: plan.json, moves.csv, report.html, snapshot")


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """What the audit found to be worse than today."""
    for finding in findings[:MOST]:
        console.print(f"[yellow]worse than today[/yellow] {escape(str(finding))}")
    if len(findings) > MOST:
        console.print(f"and {len(findings) - MOST} more that are worse than today")


def print_sentences(console: Console, sentences: Sequence[str]) -> None:
    """Each on its own line."""
    for sentence in sentences:
        console.print(escape(sentence))


def print_conflicts(console: Console, conflicts: Sequence[Conflict], asked: bool = True) -> None:
    """Rules that cannot hold together, and what would help."""
    if asked and not conflicts:
        console.print("No conflict of rules was proven.")
    for conflict in conflicts:
        least = "" if conflict.minimal else " (not proven to be the smallest such set)"
        console.print(f"[red]impossible[/red] {escape(conflict.sentence)}{least}")
        for cure in conflict.relaxations[:5]:
            console.print(f"    would help: {escape(cure.sentence)}")


def print_moves(console: Console, moves: Sequence[Move], reasons: Sequence[Reason] = ()) -> None:
    """Moves as a table, with the priority of their reasons: 1 for what must be done to 5."""
    console.print(rich_table(MOVES, told(moves, reasons)))


def print_explanation(console: Console, vm: str, answers: Sequence[HostAnswer]) -> None:
    """Each host with what stands in the way."""
    for answer in answers:
        loads = ", ".join(f"{name} {words.percent(load)}" for name, load in answer.load_after.items())
        if answer.is_current:
            console.print(f"[bold]{escape(answer.host)}[/bold]: {escape(vm)} runs here ({loads})")
            continue
        verdict = "[green]may go[/green]" if answer.allowed else "[red]may not go[/red]"
        console.print(f"{escape(answer.host)}: {verdict} (then {loads})")
        for obstacle in answer.obstacles:
            console.print(f"    {escape(obstacle.rule)} ({obstacle.policy}): {escape(obstacle.sentence)}")
        for name, (here, there) in answer.goals.items():
            if abs(there - here) > 1e-9 * max(1.0, abs(here)):
                verdict = "better" if there < here else "worse"
                console.print(
                    f"    {escape(words.goal_title(name))}: {words.number(here)} → {words.number(there)}, {verdict}"
                )


def print_table(console: Console, frame: DataFrame, title: str) -> None:
    """A frame as it is."""
    table = Table(*(str(column) for column in frame.columns), title=escape(title), box=SIMPLE)
    for row in frame.head(40).itertuples(index=False):
        table.add_row(*(f"{v:.4g}" if isinstance(v, float) else escape(str(v)) for v in row))
    console.print(table)
    if len(frame) > 40:
        console.print(f"and {len(frame) - 40} more rows")
