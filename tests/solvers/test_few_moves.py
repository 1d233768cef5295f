"""Proposals that know that few moves are wanted: the books stay right, and no read or write is out of bounds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from drs.solvers.kernel.search import Search
from drs.terms import Deviation, MoveCost, fused
from drs.terms.base import Level, Lowered, Wall, Weighted
from drs.terms.fused import fuse
from drs.terms.limits import Allowed, Capacity
from drs.testing.problems import random_lowered

BOOKS = (
    "n_in", "room", "load", "count", "distinct", "total", "largest", "hist", "pending", "lonely", "moment",
    "moved_sum", "moved_count", "moved_most", "n_moved", "cost",
)  # fmt: skip
CHECKED = Path(__file__).with_name("bounds_checked.py")


def books_are_those_of(search: Search, lowered: Lowered) -> None:
    """All that the state holds is what a computation from its assignment alone gives."""
    assign = search.assign.copy()
    fresh = Search(search.fused, assign)
    for name in BOOKS:
        np.testing.assert_allclose(
            getattr(search.state, name), getattr(fresh.state, name), rtol=1e-7, atol=1e-7, err_msg=name
        )
    np.testing.assert_allclose(search.cost[:-1], lowered.scores(assign), rtol=1e-7, atol=1e-7)
    for b in range(lowered.n_bins):
        held = search.state.members[b, : search.state.n_in[b]]
        assert sorted(held.tolist()) == np.flatnonzero(assign == b).tolist()
        assert (search.state.position[held] == np.arange(len(held))).all()


@pytest.mark.parametrize("seed", range(60))
def test_each_proposal_keeps_the_books(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "MOST_DENSE", 2.0 if seed % 2 else 0.0)  # with lists of reach, and without
    lowered = random_lowered(seed, n=24, m=7, levels=3, place_all=seed % 5 > 0)
    search = Search(fuse(lowered), lowered.start, seed)
    n = len(lowered.levels)
    rng = np.random.default_rng(seed)
    search.aim(rng.random(n), np.full(n, np.inf), np.zeros(n))
    made = 0
    for _ in range(120):
        before = float(search.state.energy[0])
        made += search.anneal_moves(1, 50.0)
        assert search.state.cost[-1] <= 1e-6  # no wall is crossed
        np.testing.assert_allclose(search.state.energy[0], search.state.weight @ search.cost[:-1], atol=1e-6)
        if float(search.state.energy[0]) != before:
            books_are_those_of(search, lowered)
    assert not lowered.broken_walls(search.assign.copy())
    books_are_those_of(search, lowered)
    assert made > 0 or not ways_out(search, lowered)


def ways_out(search: Search, lowered: Lowered) -> list[tuple[int, int]]:
    """Single moves that cross no wall."""
    pairs = [(i, b) for i in np.flatnonzero(search.assign >= 0).tolist() for b in range(lowered.n_bins)]
    return [
        (i, b)
        for i, b in pairs
        if b != search.assign[i] and search.allowed(i, b) and search.delta(i, b)[-1] <= 1e-9
    ]


def test_the_edge_of_a_ceiling_is_passed_but_never_kept() -> None:
    rng = np.random.default_rng(0)
    n, m = 60, 6
    demand = rng.integers(1, 9, n).astype(float)
    start = np.minimum(rng.integers(0, m + 3, n), m - 1).astype(np.int32)
    spread = Deviation("cpu", demand, np.full(m, 60.0), np.arange(m, dtype=np.int32), "std", 0.02)
    lowered = Lowered(n, m, start, (), (
        Level("balance", (Weighted(spread),)),
        Level("moves", (Weighted(MoveCost(rng.integers(1, 5, n).astype(float))),)),
    ))  # fmt: skip
    search = Search(fuse(lowered), start, 1)
    search.aim(np.array([0.0, 1.0]), np.array([1e-9, np.inf]), np.array([2e3, 0.0]))
    assert search.state.energy[1] > 1e299
    for _ in range(40):
        search.anneal_moves(2_000, 1.0)
    assert search.state.energy[1] < 1e299
    best = search.state.best.copy()
    scores = lowered.scores(best)
    assert scores[0] <= 1e-9
    assert scores[1] == pytest.approx(float(search.state.energy[1]))
    assert 0 < scores[1] < lowered.levels[1].terms[0].term.per_item[start == m - 1].sum()


def one_host() -> Lowered:
    start = np.zeros(4, dtype=np.int32)
    return Lowered(4, 1, start, (), (Level("moves", (Weighted(MoveCost(np.ones(4))),)),))


def empty_reaches() -> Lowered:
    """Items that fit nowhere but where they are, and one that is nowhere and fits nowhere."""
    start = np.array([0, 1, 2, -1], dtype=np.int32)
    mask = np.vstack([np.eye(3, dtype=np.bool_), np.zeros((1, 3), dtype=np.bool_)])
    wall = Wall(Allowed(np.arange(4, dtype=np.int32), mask), "held")
    room = Wall(Capacity("cpu", np.ones(4), np.ones(3), "after"), "room")
    return Lowered(4, 3, start, (wall, room), (Level("moves", (Weighted(MoveCost(np.ones(4))),)),))


@pytest.mark.parametrize("make", [one_host, empty_reaches])
def test_where_nothing_can_move_nothing_does(make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "MOST_DENSE", 2.0)
    lowered = make()
    search = Search(fuse(lowered), lowered.start, 0)
    search.aim(np.ones(1), np.full(1, np.inf), np.zeros(1))
    assert search.anneal_moves(500, 10.0) == 0
    np.testing.assert_array_equal(search.assign, lowered.start)


def test_no_read_or_write_of_the_search_is_out_of_bounds() -> None:
    """In a process of its own, where the compiled functions run as Python over arrays that check every index."""
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, str(CHECKED)], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "checked" in done.stdout
