"""One result as one HTML page that needs nothing else: no network, no scripts from elsewhere, no plotly."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from markupsafe import Markup

from drs import words
from drs.plotting.data import busiest_moment, host_loads, replayed_link_use
from drs.plotting.svg import flows_svg, host_load_svg, link_use_svg, timeline_svg
from drs.report.summary import not_touched, problems, stage_sentences
from drs.report.tables import GOALS, MOVES, STARTS, starts, told
from drs.result import Result
from drs.rules import Violation

if TYPE_CHECKING:
    from jinja2 import Template

MOST_ROWS = 5000
"""A table longer than this is cut, and says so: `moves.csv` has the rest."""

MOST_FLOWS = 1000
"""The network of a plan with more moves is not drawn: it would be a ball of wool."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of the rules that are broken today or after the plan."""

    repaired: tuple[Violation, ...]
    remaining: tuple[Violation, ...]
    new: tuple[Violation, ...]


def fate_of_violations(result: Result) -> Fate:
    """Which violations the plan repairs, which remain (perhaps smaller), and which are new.

    Two violations are the same when they are of one rule and have a VM or a host in common.
    """

    def same(one: Violation, other: Violation) -> bool:
        if one.rule != other.rule:
            return False
        return bool(set(one.vms) & set(other.vms) or set(one.hosts) & set(other.hosts)) or (
            not one.vms and not one.hosts and not other.vms and not other.hosts
        )

    before = problems(result, result.violations_before)
    after = problems(result, result.violations_after)
    by_rule: dict[str, list[Violation]] = {}
    for violation in after:
        by_rule.setdefault(violation.rule, []).append(violation)
    was: dict[str, list[Violation]] = {}
    for violation in before:
        was.setdefault(violation.rule, []).append(violation)
    repaired = tuple(v for v in before if not any(same(v, w) for w in by_rule.get(v.rule, ())))
    remaining = tuple(w for w in after if any(same(v, w) for v in was.get(w.rule, ())))
    new = tuple(w for w in after if not any(same(v, w) for v in was.get(w.rule, ())))
    return Fate(repaired, remaining, new)


def headline(result: Result) -> str:
    """The result in one sentence."""
    plan = result.plan
    if result.status == "infeasible":
        starts = (result.snapshot.vms.host_idx < 0) & (result.placement.host_idx >= 0)
        done = (len(plan.moves) if plan else 0) + int(starts.sum())
        if done:
            what = words.count(done, "move or start does", "moves and starts do")
            return f"Not all that is asked is possible; {what} the rest."
        return "No placement satisfies the hard rules."
    if result.status == "no_solution":
        return "The search ended without an answer."
    n = len(plan.moves) if plan else len(result.moved_vms)
    if n == 0:
        if result.interrupted or (result.status != "optimal" and result.goals):
            return "Nothing is moved; the search ended before it was proven that nothing can be improved."
        if result.violations_after:
            return "Nothing can be moved for the better; some rules stay broken."
        return "Nothing to do: the cluster is as good as moves worth their cost can make it."
    parts = [words.count(n, "move")]
    if plan:
        parts.append(f"done in {words.seconds(plan.makespan_s)}")
    fate = fate_of_violations(result)
    if fate.repaired:
        parts.append(f"{words.count(len(fate.repaired), 'broken rule')} repaired")
    if fate.remaining or fate.new:
        parts.append(f"{len(fate.remaining) + len(fate.new)} still broken")
    return ", ".join(parts) + "."


def render_report(result: Result) -> str:
    """The report of a result as one self-contained HTML page.

    Parameters
    ----------
    result : with or without a plan.

    Returns
    -------
    str
        HTML whose names and reasons are escaped, whose charts are inline SVG, and whose content security
        policy allows nothing to be loaded.
    """
    snapshot, plan = result.snapshot, result.plan
    loads = [
        host_loads(snapshot, result.problem.today, result.placement, resource)
        for resource in snapshot.resources
    ]
    shown = [load for load in loads if load.capacity.any()]
    charts = (
        [(words.resource_title(load.resource, snapshot.memory_counts), host_load_svg(load)) for load in shown]
        if snapshot.n_hosts
        else []
    )
    uses = replayed_link_use(plan, result.problem.policy.cost_profile) if plan and plan.moves else ()
    drawn = plan is not None and bool(uses) and len(plan.moves) <= MOST_FLOWS
    busiest_s = busiest_moment(plan) if plan and drawn else 0.0
    script = _asset("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _template().render(
        result=result,
        snapshot=snapshot,
        plan=plan,
        moves=told(plan.moves[:MOST_ROWS], result.reasons) if plan else [],
        move_columns=MOVES,
        starts=starts(result),
        start_columns=STARTS,
        goal_columns=GOALS,
        n_moves=len(plan.moves) if plan else 0,
        headline=headline(result),
        fate=fate_of_violations(result),
        n_broken=(
            len(problems(result, result.violations_before)),
            len(problems(result, result.violations_after)),
        ),
        rest=not_touched(result),
        not_more=result.not_more.sentences() if result.not_more is not None else [],
        stages=stage_sentences(result),
        charts=charts,
        loads=shown,
        timeline=timeline_svg(plan) if plan and plan.moves else None,
        link_chart=link_use_svg(uses, plan.makespan_s) if plan and uses else None,
        flows=flows_svg(plan, uses, busiest_s) if plan and drawn else None,
        busiest_s=busiest_s,
        metrics_before=result.metrics_before,
        metrics_after=result.metrics_after,
        kinds=[kind for kind in words.KIND_TITLES if plan and any(m.kind == kind for m in plan.moves)],
        sentences=result.report.sentences() if result.report is not None else [],
        w=words,
        style=Markup(_asset("report.css")),
        script=Markup(script),
        script_digest=digest,
    )


def _asset(name: str) -> str:
    return files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_asset("report.html.j2"))


__all__ = ["Fate", "fate_of_violations", "headline", "render_report"]
