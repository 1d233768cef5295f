"""Every goal's measure is the weighted sum of its terms."""

from __future__ import annotations

import pytest
from conformance import goal_conforms
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import GOAL_FIELDS, goals_of, placements, prices_of, snapshots

from drs.goals import GOALS


def test_every_goal_has_a_strategy() -> None:
    assert set(GOAL_FIELDS) == set(GOALS)


@pytest.mark.parametrize("kind", sorted(GOALS))
@given(data=st.data())
def test_measure_is_the_sum_of_the_terms(kind: str, data: st.DataObject) -> None:
    snapshot = data.draw(snapshots())
    assume(snapshot.n_vms > 0)
    goal = data.draw(goals_of(kind, snapshot))
    goal_conforms(goal, snapshot, data.draw(placements(snapshot)), prices_of(snapshot))
