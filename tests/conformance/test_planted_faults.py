"""Faults planted in rules, goals and terms: the conformance suite must catch every one of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from conformance import goal_conforms, rule_conforms
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from strategies import goals_of, placements, prices_of, rules_of, snapshots

from drs import rules, terms
from drs.goals import Balance
from drs.rules import base

Plant = Callable[[pytest.MonkeyPatch], None]


def one_too_many(patch: pytest.MonkeyPatch) -> None:
    """AtMost lets one more in than its limit."""

    def cost(self: terms.AtMost, assign: np.ndarray, start: np.ndarray) -> float:
        n = terms.limits.counts(assign, self.items, self.domain, len(self.limit))
        return float(np.maximum(0.0, n - self.limit - 1).sum())

    patch.setattr(terms.AtMost, "cost", cost)


def smallest_part(patch: pytest.MonkeyPatch) -> None:
    """Together measures against the smallest part instead of the largest."""

    def cost(self: terms.Together, assign: np.ndarray, start: np.ndarray) -> float:
        n = terms.limits.counts(assign, self.items, self.domain, self.n_domains)
        return max(0.0, float(n.sum()) - float(n.min(initial=9)) - self.allowance)

    patch.setattr(terms.Together, "cost", cost)


def forgotten_reserve(patch: pytest.MonkeyPatch) -> None:
    """Capacity is lowered with the hosts' full size, without reserve and overcommit."""
    lower = rules.HostCapacity.lower

    def wrong(self: rules.HostCapacity, snapshot: object) -> list[terms.Term]:
        return lower(rules.HostCapacity(self.resource, counts=self.counts, when=self.when), snapshot)

    patch.setattr(rules.HostCapacity, "lower", wrong)


def hosts_turned_round(patch: pytest.MonkeyPatch) -> None:
    """Run-on forbids the hosts that it names."""
    only = base.only
    patch.setattr("drs.rules.run_on.only", lambda *args, **kwargs: only(*args, away=True))


def sample_deviation(patch: pytest.MonkeyPatch) -> None:
    """The spread divides by n - 1."""

    def cost(self: terms.Deviation, assign: np.ndarray, start: np.ndarray) -> float:
        return float(max(0.0, self.loads(assign).std(ddof=1) - self.target)) if len(self.bins) else 0.0

    patch.setattr(terms.Deviation, "cost", cost)


def one_domain_too_many(patch: pytest.MonkeyPatch) -> None:
    """Within lets the items into one domain more."""

    def cost(self: terms.Within, assign: np.ndarray, start: np.ndarray) -> float:
        n = terms.limits.counts(assign, self.items, self.domain, self.n_domains)
        return float(max(0, np.count_nonzero(n) - self.at_most - 1))

    patch.setattr(terms.Within, "cost", cost)


def neighbours_swapped(patch: pytest.MonkeyPatch) -> None:
    """Near asks for the dependents where it should ask for what they need."""

    def cost(self: terms.Near, assign: np.ndarray, start: np.ndarray) -> float:
        have = terms.limits.counts(assign, self.items, self.domain, self.n_domains)
        need = terms.limits.counts(assign, self.needs, self.domain, self.n_domains)
        return float(max(0.0, need[have == 0].sum() - self.allowance))

    patch.setattr(terms.Near, "cost", cost)


def wall_too_tight(patch: pytest.MonkeyPatch) -> None:
    """A limit that is broken today is not widened."""
    patch.setattr(terms.AtMost, "relaxed", lambda self, start: self)


def maintenance_allowed(patch: pytest.MonkeyPatch) -> None:
    """VMs may stay on a host in maintenance."""
    allowed = rules.HostState.allowed

    def wrong(self: rules.HostState, snapshot: object) -> terms.Allowed | None:
        term = allowed(self, snapshot)
        return None if term is None else term.relaxed(snapshot.vms.host_idx)

    patch.setattr(rules.HostState, "allowed", wrong)


OF_RULES = [
    (one_too_many, "keep-apart"),
    (smallest_part, "keep-together"),
    (forgotten_reserve, "capacity"),
    (hosts_turned_round, "run-on"),
    (neighbours_swapped, "dependency"),
    (one_domain_too_many, "confine"),
    (wall_too_tight, "keep-apart"),
    (maintenance_allowed, "host-state"),
]
SEARCH = settings(
    max_examples=400, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize(("plant", "kind"), OF_RULES, ids=lambda value: getattr(value, "__name__", value))
def test_caught_in_a_rule(plant: Plant, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    @SEARCH
    @given(data=st.data())
    def conforms(data: st.DataObject) -> None:
        snapshot = data.draw(snapshots())
        assume(snapshot.n_vms > 0)
        rule = data.draw(rules_of(kind, snapshot))
        assume(not list(rule.faults(snapshot)))
        rule_conforms(rule, snapshot, data.draw(placements(snapshot)))

    plant(monkeypatch)
    with pytest.raises((AssertionError, ExceptionGroup)):
        conforms()


def test_caught_in_a_goal(monkeypatch: pytest.MonkeyPatch) -> None:
    @SEARCH
    @given(data=st.data())
    def conforms(data: st.DataObject) -> None:
        snapshot = data.draw(snapshots())
        assume(snapshot.n_vms > 0)
        goal = data.draw(goals_of(Balance.type, snapshot))
        goal_conforms(goal, snapshot, data.draw(placements(snapshot)), prices_of(snapshot))

    sample_deviation(monkeypatch)
    with pytest.raises((AssertionError, ExceptionGroup)):
        conforms()
