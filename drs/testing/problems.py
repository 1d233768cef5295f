"""Random and tiny lowered problems over all terms, from a seed, and their optimum by trying everything."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from drs.solvers import levels as order
from drs.solvers.base import Answer
from drs.terms import (
    Allowed,
    AtLeast,
    AtMost,
    BinsUsed,
    Capacity,
    Deviation,
    FreeBalance,
    GroupMoves,
    Level,
    Lowered,
    MoveCost,
    MoveLimit,
    Near,
    OverTarget,
    Penalty,
    Slots,
    Term,
    Together,
    Unplaced,
    Wall,
    Weighted,
    Within,
)
from drs.terms.base import Bools, Floats, Ints


class Draw:
    """What a random term is made of: numbers over `n` items and `m` bins.

    demand : f8[n]; items : i4[k], some items in order; domain : i4[m], -1 for none, of `n_domains`;
    `whole` draws integers only.
    """

    def __init__(self, rng: np.random.Generator, n: int, m: int, whole: bool) -> None:
        self.rng, self.n, self.m, self.whole = rng, n, m, whole
        self.demand: Floats = rng.integers(0, 9, n).astype(float) if whole else rng.random(n) * 3 + 0.01
        self.n_domains = int(rng.integers(1, 4))
        self.domain: Ints = rng.integers(-1, self.n_domains, m).astype(np.int32)
        if rng.random() < 0.3:
            self.n_domains, self.domain = m, np.arange(m, dtype=np.int32)
        self.items = self.some_items()

    def some_items(self) -> Ints:
        """One to half of the items."""
        n = self.n
        return np.sort(self.rng.permutation(n)[: self.rng.integers(1, max(2, n // 2 + 1))]).astype(np.int32)

    def size(self, scale: float) -> Floats:
        """A limit of each bin around the mean use times `scale`, f8[m]."""
        value = self.demand.sum() / self.m * scale * (0.5 + self.rng.random(self.m))
        return np.asarray(np.ceil(value) if self.whole else value)


def _allowed(d: Draw) -> Term:
    mask: Bools = d.rng.random((3, d.m)) < 0.7
    mask[:, 0] = True
    return Allowed(d.rng.integers(0, 3, d.n).astype(np.int32), mask)


def _capacity(d: Draw, when: Any = "after") -> Term:
    limit = d.size(1.6)
    limit[d.rng.random(d.m) < 0.1] = np.inf
    return Capacity("cpu", d.demand, limit, when)


def _deviation(d: Draw, measure: Any = "std") -> Term:
    bins = np.sort(d.rng.permutation(d.m)[: d.rng.integers(1, d.m + 1)]).astype(np.int32)
    return Deviation("cpu", d.demand, 1.0 + d.size(1.0), bins, measure, float(d.rng.random() * 0.1))


def _free(d: Draw) -> Term:
    other = d.rng.integers(0, 9, d.n).astype(float)
    weight = d.rng.integers(0, 3, d.m).astype(float)
    return FreeBalance(d.demand, d.size(2.0), other, d.size(2.0), 2.0, weight)


def _slots(d: Draw) -> Term:
    other = d.rng.integers(0, 9, d.n).astype(float)
    limits, sizes = np.array([d.size(2.0), d.size(2.5)]), d.rng.integers(1, 5, 2).astype(float)
    most = np.floor(limits / sizes[:, None]).min(axis=0)
    most[d.rng.random(d.m) < 0.2] = 0.0
    n = int(d.rng.integers(1, 3))
    return Slots(np.array([d.demand, other])[:n], limits[:n], sizes[:n], most)


def _move(d: Draw, pairs: bool = False) -> Term:
    if not pairs:
        return MoveCost(d.rng.integers(1, 5, d.n).astype(float))
    pair = d.rng.integers(0, 4, (2, 2)).astype(float)
    scale = None if d.rng.random() < 0.5 else d.rng.integers(1, 3, d.n).astype(float)
    return MoveCost(np.ones(d.n), d.rng.integers(0, 2, d.m).astype(np.int32), pair, scale)


DRAWS: dict[type, Callable[..., Term]] = {
    Allowed: _allowed,
    Capacity: _capacity,
    AtMost: lambda d: AtMost(d.items, d.domain, d.rng.integers(1, 3, d.n_domains).astype(float)),
    AtLeast: lambda d: AtLeast(d.items, d.domain, d.n_domains, int(d.rng.integers(2, 4))),
    Within: lambda d: Within(d.items, d.domain, d.n_domains, int(d.rng.integers(0, 3))),
    Together: lambda d: Together(d.items, d.domain, d.n_domains, float(d.rng.integers(0, 2))),
    Near: lambda d: Near(d.items, d.some_items(), d.domain, d.n_domains, float(d.rng.integers(0, 2))),
    MoveLimit: lambda d: MoveLimit(np.ones(d.n), float(d.rng.integers(0, d.n + 1))),
    OverTarget: lambda d: OverTarget("cpu", d.demand, d.size(0.9), d.rng.integers(1, 4, d.m).astype(float)),
    Deviation: _deviation,
    FreeBalance: _free,
    Slots: _slots,
    MoveCost: _move,
    GroupMoves: lambda d: GroupMoves(d.rng.integers(-1, 3, d.n).astype(np.int32), 3),
    Penalty: lambda d: Penalty(
        d.rng.integers(0, 2, d.n).astype(np.int32), d.rng.integers(0, 5, (2, d.m)).astype(float)
    ),
    BinsUsed: lambda d: BinsUsed(d.rng.integers(1, 5, d.m).astype(float), d.items),
    Unplaced: lambda d: Unplaced(d.rng.integers(1, 3, d.n).astype(float)),
}
"""How a term of each class is drawn. Whoever adds a class of terms adds it here."""


@dataclass(frozen=True)
class Kind:
    """One variant of a class of terms."""

    of: type
    options: Mapping[str, object]


KINDS: Mapping[str, Kind] = {
    "allowed": Kind(Allowed, {}),
    "capacity": Kind(Capacity, {}),
    "at_once": Kind(Capacity, {"when": "at_once"}),
    "at_most": Kind(AtMost, {}),
    "at_least": Kind(AtLeast, {}),
    "within": Kind(Within, {}),
    "together": Kind(Together, {}),
    "near": Kind(Near, {}),
    "move_limit": Kind(MoveLimit, {}),
    "over": Kind(OverTarget, {}),
    **{measure: Kind(Deviation, {"measure": measure}) for measure in ("std", "mad", "max", "range")},
    "free": Kind(FreeBalance, {}),
    "slots": Kind(Slots, {}),
    "move": Kind(MoveCost, {}),
    "pair": Kind(MoveCost, {"pairs": True}),
    "group": Kind(GroupMoves, {}),
    "penalty": Kind(Penalty, {}),
    "used": Kind(BinsUsed, {}),
    "unplaced": Kind(Unplaced, {}),
}
LIMIT_KINDS = tuple(KINDS)[:9]
COST_KINDS = tuple(KINDS)


def draw_term(
    of: type, rng: np.random.Generator, n: int, m: int, whole: bool = False, **options: object
) -> Term:
    """A random term of a class over n items and m bins. Raises TypeError for a class that is not in `DRAWS`."""
    if of not in DRAWS:
        raise TypeError(f"the random generator does not know the term {of.__name__}")
    return DRAWS[of](Draw(rng, n, m, whole), **options)


def random_term(kind: str, rng: np.random.Generator, n: int, m: int, whole: bool) -> Term:
    """One term of a kind in `KINDS`."""
    return draw_term(KINDS[kind].of, rng, n, m, whole, **KINDS[kind].options)


def random_lowered(
    seed: int,
    n: int | None = None,
    m: int | None = None,
    levels: int = 2,
    place_all: bool | None = None,
    walls: Sequence[str] = LIMIT_KINDS,
    costs: Sequence[str] = COST_KINDS,
) -> Lowered:
    """A random problem; every wall is relaxed to today's assignment, as `Lowered` promises.

    Parameters
    ----------
    n, m : items and bins (default: drawn, up to 13 and 6)
    levels : how many goals
    place_all : whether every item has a bin today (default: drawn)
    walls, costs : the kinds of terms to draw from
    """
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 14)) if n is None else n
    m = int(rng.integers(1, 7)) if m is None else m
    whole = rng.random() < 0.5
    start = rng.integers(0, m, n).astype(np.int32)
    if place_all is False or (place_all is None and rng.random() < 0.3):
        start[rng.random(n) < 0.3] = -1
    chosen = [k for k in walls if rng.random() < 0.35]
    wall = tuple(Wall(random_term(k, rng, n, m, whole).relaxed(start), k) for k in chosen)
    wall = tuple(w for w in wall if w.term.cost(start, start) <= 1e-9)
    rungs = []
    if (start < 0).any():
        rungs.append(Level("placed", (Weighted(Unplaced(rng.integers(1, 3, n).astype(float))),)))
    for k in range(levels):
        kinds = rng.permutation(list(costs))[: rng.integers(1, 6)]
        weighted = tuple(
            Weighted(random_term(str(kind), rng, n, m, whole), float(rng.integers(1, 4))) for kind in kinds
        )
        rungs.append(Level(f"goal {k}", weighted))
    return Lowered(n, m, start, wall, tuple(rungs))


def confined(lowered: Lowered, seed: int, n_clusters: int = 3) -> Lowered:
    """The same problem in random clusters of bins: each item stays in that of its bin of today.

    An item that is nowhere is given a cluster of its own; the walls stay as they are. What else joins the
    clusters decides into how many independent parts the problem falls.
    """
    rng = np.random.default_rng([seed, 13])
    cluster = rng.integers(0, n_clusters, lowered.n_bins)
    of_item = np.where(
        lowered.start >= 0,
        cluster[np.maximum(lowered.start, 0)],
        rng.integers(0, n_clusters, lowered.n_items),
    ).astype(np.int32)
    mask = np.arange(n_clusters)[:, None] == cluster[None, :]
    wall = Wall(Allowed(of_item, np.asarray(mask)).relaxed(lowered.start), "cluster")
    return replace(lowered, walls=(*lowered.walls, wall))


def tiny(seed: int, **kinds: Any) -> Lowered:
    """A random problem small enough to enumerate."""
    rng = np.random.default_rng([seed, 7])
    m = int(rng.integers(1, 5))
    n = int(rng.integers(1, {1: 8, 2: 8, 3: 7, 4: 6}[m]))
    return random_lowered(seed, n=n, m=m, **kinds)


def with_slack(lowered: Lowered, seed: int) -> Lowered:
    """The same problem with random slack, worth and perhaps a first level of role `hard`."""
    rng = np.random.default_rng([seed, 11])
    return replace(
        lowered,
        levels=tuple(
            replace(
                level,
                slack=float(rng.choice([0.0, 0.5])),
                slack_ratio=float(rng.choice([0.0, 0.2])),
                worth_ratio=float(rng.choice([0.0, 0.3])),
                role="hard" if k == 0 and rng.random() < 0.4 else "goal",
            )
            for k, level in enumerate(lowered.levels)
        ),
    )


def all_scores(lowered: Lowered) -> tuple[Floats, list[Ints]]:
    """Scores of every assignment that keeps the walls, f8[n, n_levels], and the assignments."""
    choices = [
        range(lowered.n_bins) if home >= 0 else range(-1, lowered.n_bins) for home in lowered.start.tolist()
    ]
    kept, scores = [], []
    for bins in itertools.product(*choices):
        assign = np.array(bins, dtype=np.int32)
        if not lowered.broken_walls(assign):
            kept.append(assign)
            scores.append(lowered.scores(assign))
    return np.array(scores).reshape(len(kept), len(lowered.levels)), kept


def optimum(lowered: Lowered) -> Floats:
    """Best score of each level under the ceilings that the earlier ones set; f8[n_levels]."""
    scores, _ = all_scores(lowered)
    today = lowered.scores(lowered.start)
    best = []
    for k, level in enumerate(lowered.levels):
        value = float(scores[:, k].min())
        best.append(value)
        limit = order.ceiling(level, value, float(today[k]))
        scores = scores[scores[:, k] <= limit + order.close(limit)]
    return np.array(best)


def is_sound(lowered: Lowered, answer: Answer, start: Ints) -> None:
    """What every answer must keep: no wall, nobody lost, scores by the law, never worse than the start."""
    assert not order.misplaced(lowered, answer.assign), (
        "an item was dropped, or is in a bin that is not there"
    )
    crossed = [wall.origin for wall in lowered.broken_walls(answer.assign)]
    assert not crossed, f"walls crossed: {crossed}"
    np.testing.assert_allclose(answer.scores, lowered.scores(answer.assign), rtol=1e-9, atol=1e-9)
    assert not order.better(lowered, lowered.scores(start), answer.scores), "worse than the start"
    assert (answer.bounds <= answer.scores + 1e-9).all(), "a bound above the score"
