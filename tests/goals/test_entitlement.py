"""Water-filling against a naive filling, pools, and the scores of VMs and clusters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import snapshots

from drs.goals import Happiness
from drs.model import Placement
from drs.model.entitlement import divide, water_fill
from drs.model.vm_score import happiness


def naive(capacity: float, floor: list[float], ceiling: list[float], shares: list[float]) -> list[float]:
    """Raise the level until the capacity is used up, by bisection."""
    if sum(floor) > capacity:
        return [f * capacity / sum(floor) for f in floor]
    low, high = 0.0, 1e9

    def at(level: float) -> list[float]:
        return [min(max(level * s, f), c) for s, f, c in zip(shares, floor, ceiling, strict=True)]

    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(at(middle)) <= capacity else (low, middle)
    return at(low)


amounts = st.integers(0, 50).map(float)


@given(
    st.integers(0, 200).map(float),
    st.lists(st.tuples(amounts, amounts, st.integers(1, 9).map(float)), max_size=7),
)
def test_water_fill_is_the_naive_filling(capacity: float, members: list[tuple[float, float, float]]) -> None:
    reservation, demand, shares = (
        (list(column) for column in zip(*members, strict=True)) if members else ([], [], [])
    )
    n = len(members)
    got = water_fill([capacity], np.zeros(n, int), reservation, np.full(n, np.inf), shares, demand)
    floor = [min(r, d) for r, d in zip(reservation, demand, strict=True)]
    np.testing.assert_allclose(got, naive(capacity, floor, demand, shares), rtol=1e-6, atol=1e-6)


@given(st.lists(st.tuples(st.integers(-1, 2), amounts, amounts, st.integers(1, 9)), max_size=12))
def test_groups_are_divided_apart(members: list[tuple[int, float, float, int]]) -> None:
    group = np.array([m[0] for m in members], dtype=int)
    reservation, demand, shares = (np.array([float(m[i]) for m in members]) for i in (1, 2, 3))
    capacity = np.array([30.0, 60.0, 0.0])
    limit = np.full(len(members), 40.0)
    got = water_fill(capacity, group, reservation, limit, shares, demand)
    assert (got[group < 0] == 0).all()
    for g in range(3):
        mine = group == g
        alone = water_fill(
            capacity[[g]],
            np.zeros(mine.sum(), int),
            reservation[mine],
            limit[mine],
            shares[mine],
            demand[mine],
        )
        np.testing.assert_allclose(got[mine], alone, atol=1e-9)
        assert got[mine].sum() <= capacity[g] + 1e-6
        wanted = np.minimum(demand, limit)[mine]
        assert np.isclose(got[mine].sum(), min(capacity[g], wanted.sum()))
        assert (got[mine] <= wanted + 1e-9).all()


def test_shares_decide_and_reservations_hold() -> None:
    got = water_fill([3000.0], [0, 0, 0], [0, 0, 1500], [np.inf] * 3, [1000, 2000, 100], [3000] * 3)
    np.testing.assert_allclose(got, [500, 1000, 1500])


def test_a_limit_leaves_the_rest_to_others() -> None:
    got = water_fill([3000.0], [0, 0], [0, 0], [500, np.inf], [1000, 1000], [3000, 3000])
    np.testing.assert_allclose(got, [500, 2500])


def test_who_has_no_shares_gets_what_is_left() -> None:
    got = water_fill([10.0], [0, 0], [0, 0], [np.inf] * 2, [1000, 0], [5, 100])
    np.testing.assert_allclose(got, [5, 5], rtol=1e-4)


def test_pools_are_divided_from_the_root_down() -> None:
    # root; gold (2000 shares) with one busy VM; silver (1000) with two busy VMs
    parent = [-1, 0, 0, 1, 2, 2]
    shares, demand = [1000, 2000, 1000, 1000, 1000, 1000], [0, 0, 0, 9000, 9000, 9000]
    got = divide(9000.0, parent, np.zeros(6), np.full(6, np.inf), shares, demand)
    np.testing.assert_allclose(got[[1, 2, 3, 4, 5]], [6000, 3000, 6000, 1500, 1500])


def test_an_expandable_pool_borrows_its_childrens_reservations() -> None:
    parent = [-1, 0, 0, 1]
    args = ([0, 0, 0, 4000], np.full(4, np.inf), [1, 1, 9999, 1], [0, 0, 9000, 4000])
    assert divide(5000.0, parent, *args)[3] == pytest.approx(4000)
    assert divide(5000.0, parent, *args, expandable=False)[3] < 1


def test_a_pools_limit_binds_its_children() -> None:
    got = divide(
        9000.0, [-1, 0, 1, 1], np.zeros(4), [np.inf, 1000, np.inf, np.inf], [1, 1, 1, 1], [0, 0, 800, 800]
    )
    np.testing.assert_allclose(got[2:], [500, 500])


def test_pools_in_a_circle_are_refused() -> None:
    with pytest.raises(ValueError, match="cycle"):
        divide(1.0, [1, 0], np.zeros(2), np.full(2, np.inf), [1, 1], [1, 1])


@given(snapshots())
def test_scores_and_undelivered_demand_tell_one_story(snapshot) -> None:  # type: ignore[no-untyped-def]
    placement = Placement.of(snapshot)
    found = happiness(snapshot, placement)
    assert ((found.score >= 0) & (found.score <= 100)).all()
    assert 0 <= found.cluster_score <= 100
    placed = placement.host_idx >= 0
    missing = 0.0
    for resource in ("cpu", "memory"):
        demand, delivered = found.demand[resource], found.delivered[resource]
        assert (delivered <= demand + 1e-6).all()
        if demand.sum() > 0:
            missing += (demand - delivered)[placed].sum() / demand.sum()
    assert Happiness().measure(snapshot, placement, None) == pytest.approx(missing, abs=1e-6)  # type: ignore[arg-type]
