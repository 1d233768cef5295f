"""What every rule and goal must keep, as plain functions that raise AssertionError."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from drs.goals import Goal, Prices
from drs.model import Placement, Snapshot
from drs.rules import HostFilter, Rule, Violation
from drs.terms import Term


def sides(rule: Rule, snapshot: Snapshot, placement: Placement) -> tuple[np.ndarray, np.ndarray]:
    """What the rule's terms read: (assign, start)."""
    if rule.items == "disks":
        return placement.datastore_idx, snapshot.disks.datastore_idx
    return placement.host_idx, snapshot.vms.host_idx


def total(terms: Sequence[Term], assign: np.ndarray, start: np.ndarray) -> float:
    return float(sum(term.cost(assign, start) for term in terms))


def same(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-6)


def readings_agree(rule: Rule, snapshot: Snapshot, placement: Placement) -> list[Violation]:
    """The amounts that `check` finds add up to the cost of the terms."""
    found = list(rule.check(snapshot, placement))
    assign, start = sides(rule, snapshot, placement)
    cost = total(rule.lower(snapshot), assign, start)
    amounts = sum(violation.amount for violation in found)
    assert same(amounts, cost), f"{rule}: check finds {amounts}, its terms {cost}\n{found}"
    return found


def violations_are_told(found: Sequence[Violation], rule: Rule, snapshot: Snapshot) -> None:
    """Every violation has an amount, a unit, a sentence and names that exist."""
    for violation in found:
        assert violation.amount > 0
        assert violation.rule == rule.label
        assert violation.unit
        assert len(violation.sentence) > 10
        assert set(violation.vms) <= set(snapshot.vms.position)
        assert set(violation.hosts) <= set(snapshot.hosts.position)
        hash(violation)


def today_keeps_relaxed_walls(rule: Rule, snapshot: Snapshot, placement: Placement) -> None:
    """A wall is as wide as today's placement needs, and no narrower than the rule anywhere."""
    assign, start = sides(rule, snapshot, placement)
    for term in rule.lower(snapshot):
        wall = term.relaxed(start)
        assert wall.cost(start, start) == 0.0
        assert wall.cost(assign, start) <= term.cost(assign, start) + 1e-9
        if term.cost(start, start) == 0.0:
            assert same(wall.cost(assign, start), term.cost(assign, start))


def terms_are_sound(rule: Rule, snapshot: Snapshot, placement: Placement) -> None:
    """Costs are finite and not negative, the scale is positive, and both are the same when asked again."""
    assign, start = sides(rule, snapshot, placement)
    assert rule.scale(snapshot) > 0
    costs = [term.cost(assign, start) for term in rule.lower(snapshot)]
    assert all(math.isfinite(cost) and cost >= 0 for cost in costs)
    assert costs == [term.cost(assign, start) for term in rule.lower(snapshot)]
    assert list(rule.check(snapshot, placement)) == list(rule.check(snapshot, placement))


def filter_agrees(rule: HostFilter, snapshot: Snapshot) -> None:
    """Of every VM and host, the naive reading and the mask say the same, with few rows."""
    judge, term = rule.judge(snapshot), rule.allowed(snapshot)
    for vm in range(snapshot.n_vms):
        for host in range(snapshot.n_hosts):
            may = term is None or bool(term.mask[term.class_idx[vm], host])
            if term is not None and term.stay is not None:
                may = may or bool(term.stay[vm] == host)
            reason = judge(vm, host)
            assert may == (reason == ""), f"{rule}: VM {vm}, host {host}: mask says {may}, judge {reason!r}"


def rule_conforms(rule: Rule, snapshot: Snapshot, placement: Placement) -> None:
    """Everything that is asked of a rule. For a rule about VMs the disks stay where they are."""
    if rule.items == "vms":
        placement = Placement(placement.host_idx, snapshot.disks.datastore_idx)
    for where in (placement, Placement.of(snapshot)):
        violations_are_told(readings_agree(rule, snapshot, where), rule, snapshot)
        today_keeps_relaxed_walls(rule, snapshot, where)
        terms_are_sound(rule, snapshot, where)
    if isinstance(rule, HostFilter):
        filter_agrees(rule, snapshot)


def goal_conforms(goal: Goal, snapshot: Snapshot, placement: Placement, prices: Prices) -> None:
    """The measure is the weighted sum of the terms, finite, not negative, the same when asked again."""
    entries = goal.lower(snapshot, prices)
    for where in (placement, Placement.of(snapshot)):
        measure = goal.measure(snapshot, where, prices)
        cost = sum(entry.weight * entry.term.cost(where.host_idx, snapshot.vms.host_idx) for entry in entries)
        assert math.isfinite(measure) and measure >= 0
        assert same(measure, cost), f"{goal}: measures {measure}, its terms {cost}"
        assert measure == goal.measure(snapshot, where, prices)
    assert all(entry.weight >= 0 and entry.origin for entry in entries)
