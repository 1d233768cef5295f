"""Every rule's readings agree: its naive check, its terms, its walls."""

from __future__ import annotations

import pytest
from conformance import rule_conforms
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import RULE_FIELDS, placements, rules_of, snapshots

from drs.model import Placement
from drs.problem.prices import disks_follow
from drs.rules import RULES, DatastoreVisibility, default_rules
from drs.testing import check_rule


def test_every_rule_has_a_strategy() -> None:
    assert set(RULE_FIELDS) == set(RULES)


@pytest.mark.parametrize("kind", sorted(RULES))
@given(data=st.data())
def test_readings_agree(kind: str, data: st.DataObject) -> None:
    snapshot = data.draw(snapshots())
    assume(snapshot.n_vms > 0)
    rule = data.draw(rules_of(kind, snapshot))
    assume(not list(rule.faults(snapshot)))
    rule_conforms(rule, snapshot, data.draw(placements(snapshot)))


@pytest.mark.parametrize("kind", sorted(RULES))
def test_rules_pass_the_check_for_rules_of_others(kind: str) -> None:
    check_rule(RULES[kind], seed=1)


@given(data=st.data())
def test_built_in_rules_conform(data: st.DataObject) -> None:
    snapshot = data.draw(snapshots())
    placement = Placement(data.draw(placements(snapshot)).host_idx, snapshot.disks.datastore_idx)
    for rule in default_rules(snapshot):
        rule_conforms(rule, snapshot, placement)
        assert not list(rule.faults(snapshot))


@given(data=st.data())
def test_disks_that_follow_one_vm_find_room(data: st.DataObject) -> None:
    """With storage moves the mask promises each VM by itself that its disks can follow it."""
    snapshot = data.draw(snapshots(unplaced=False))
    assume(snapshot.n_vms > 0)
    rule = DatastoreVisibility(storage_moves=True)
    judge, term = rule.judge(snapshot), rule.allowed(snapshot)
    vm = data.draw(st.integers(0, snapshot.n_vms - 1))
    host = data.draw(st.integers(0, snapshot.n_hosts - 1))
    host_idx = snapshot.vms.host_idx.copy()
    host_idx[vm] = host
    may = term is None or bool(term.mask[term.class_idx[vm], host])
    assert may == (judge(vm, host) == "")
    if may:
        there = Placement(host_idx, disks_follow(snapshot, host_idx))
        broken = [violation.vms[0] for violation in rule.check(snapshot, there)]
        assert str(snapshot.vms.name[vm]) not in broken
