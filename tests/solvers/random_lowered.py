"""Random lowered problems over all terms, from a seed."""

from __future__ import annotations

import numpy as np

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
    Together,
    Unplaced,
    Wall,
    Weighted,
    Within,
)

LIMIT_KINDS = ("allowed", "capacity", "at_once", "at_most", "at_least", "together", "near", "move_limit")
COST_KINDS = (
    *LIMIT_KINDS, "over", "std", "mad", "max", "range", "free", "move", "pair", "group", "penalty", "used",
)  # fmt: skip


def random_term(kind, rng, n, m, whole):
    """One term of a kind over n items and m bins; `whole` draws integers only."""
    demand = rng.integers(0, 9, n).astype(float) if whole else rng.random(n) * 3 + 0.01

    def size(scale):
        total = demand.sum() / m
        value = total * scale * (0.5 + rng.random(m))
        return np.ceil(value) if whole else value

    n_domains = int(rng.integers(1, 4))
    domain = rng.integers(-1, n_domains, m).astype(np.int32)
    if rng.random() < 0.3:
        n_domains, domain = m, np.arange(m, dtype=np.int32)
    items = np.sort(rng.permutation(n)[: rng.integers(1, max(2, n // 2 + 1))]).astype(np.int32)
    match kind:
        case "allowed":
            mask = rng.random((3, m)) < 0.7
            mask[:, 0] = True
            return Allowed(rng.integers(0, 3, n).astype(np.int32), mask)
        case "capacity" | "at_once":
            limit = size(1.6)
            limit[rng.random(m) < 0.1] = np.inf
            return Capacity("cpu", demand, limit, "after" if kind == "capacity" else "at_once")
        case "at_most":
            return AtMost(items, domain, rng.integers(1, 3, n_domains).astype(float))
        case "at_least":
            return AtLeast(items, domain, n_domains, int(rng.integers(2, 4)))
        case "within":
            return Within(items, domain, n_domains, int(rng.integers(0, 3)))
        case "together":
            return Together(items, domain, n_domains, float(rng.integers(0, 2)))
        case "near":
            needs = np.sort(rng.permutation(n)[: rng.integers(1, max(2, n // 2 + 1))]).astype(np.int32)
            return Near(items, needs, domain, n_domains, float(rng.integers(0, 2)))
        case "move_limit":
            return MoveLimit(np.ones(n), float(rng.integers(0, n + 1)))
        case "over":
            return OverTarget("cpu", demand, size(0.9), rng.integers(1, 4, m).astype(float))
        case "std" | "mad" | "max" | "range":
            bins = np.sort(rng.permutation(m)[: rng.integers(1, m + 1)]).astype(np.int32)
            return Deviation("cpu", demand, 1.0 + size(1.0), bins, kind, float(rng.random() * 0.1))
        case "free":
            other = rng.integers(0, 9, n).astype(float)
            return FreeBalance(demand, size(2.0), other, size(2.0), 2.0, rng.integers(0, 3, m).astype(float))
        case "move":
            return MoveCost(rng.integers(1, 5, n).astype(float))
        case "pair":
            pair = rng.integers(0, 4, (2, 2)).astype(float)
            scale = None if rng.random() < 0.5 else rng.integers(1, 3, n).astype(float)
            return MoveCost(np.ones(n), rng.integers(0, 2, m).astype(np.int32), pair, scale)
        case "group":
            return GroupMoves(rng.integers(-1, 3, n).astype(np.int32), 3)
        case "penalty":
            return Penalty(rng.integers(0, 2, n).astype(np.int32), rng.integers(0, 5, (2, m)).astype(float))
        case "used":
            return BinsUsed(rng.integers(1, 5, m).astype(float), items)
    raise AssertionError(kind)


def random_lowered(seed, n=None, m=None, levels=2, place_all=None, walls=LIMIT_KINDS, costs=COST_KINDS):
    """A random problem; every wall is relaxed to today's assignment, as `Lowered` promises."""
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
        kinds = rng.permutation(costs)[: rng.integers(1, 6)]
        weighted = tuple(
            Weighted(random_term(str(kind), rng, n, m, whole), float(rng.integers(1, 4))) for kind in kinds
        )
        rungs.append(Level(f"goal {k}", weighted))
    return Lowered(n, m, start, wall, tuple(rungs))
