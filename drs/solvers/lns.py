"""Polish by large-neighbourhood search: a few bins and their items are solved exactly, all else is frozen.

Shaw: Using constraint programming and local search methods to solve vehicle routing problems (CP 1998). The
restricted problem (`drs.terms.restrict`) has the costs of the whole one, so an exact optimum of the
neighbourhood (`drs.solvers.exact.cpsat`, the incumbent as its hint) is an improvement of the whole. The size of
neighbourhoods adapts: larger while they are solved quickly without gain, smaller when time runs out.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from drs.solvers import levels as order
from drs.solvers.base import Answer
from drs.solvers.bounds import lower_bounds
from drs.solvers.exact import cpsat
from drs.solvers.exact.terms import level_has
from drs.stop import Progress, Run
from drs.terms import Capacity, Deviation, FreeBalance, MoveCost, OverTarget, Slots
from drs.terms.base import Floats, Ints, Lowered
from drs.terms.limits import usage
from drs.terms.restrict import restrict

Longs = NDArray[np.int64]

STEP_S = 2.0
"""Most seconds for one neighbourhood."""
STEP_ITERATIONS = 500
"""Most iterations for one neighbourhood."""


def pressure(lowered: Lowered, k: int, assign: Ints) -> Floats:
    """How interesting each bin is to level k: its load from the mean, f8[n_bins]."""
    n = lowered.n_bins
    out = np.full(n, 1e-3)
    for entry in lowered.levels[k].terms:
        term = entry.term
        if isinstance(term, Deviation) and len(term.bins):
            x = term.loads(assign)
            out[term.bins] += np.abs(x - x.mean()) / max(1e-9, float(np.abs(x).mean()))
        elif isinstance(term, (OverTarget, Capacity)):
            edge = term.target if isinstance(term, OverTarget) else term.limit
            use = usage(assign, term.demand, n)
            finite = np.isfinite(edge)
            over = np.where(finite, np.maximum(0.0, use - np.where(finite, edge, 0.0)), 0.0)
            out += over / max(1e-9, float(over.max(initial=0.0)))
        elif isinstance(term, FreeBalance):
            out += term.weight / max(1e-9, float(term.weight.max(initial=0.0)))
        elif isinstance(term, Slots) and term.most.any():
            out += (term.most - term.free(assign)) / float(term.most.max())
        elif isinstance(term, MoveCost):
            moved = (assign != lowered.start) & (lowered.start >= 0) & (assign >= 0)
            out += np.bincount(assign[moved], minlength=n)
            out += np.bincount(lowered.start[moved], minlength=n)
    return out


def neighbourhood(
    lowered: Lowered, k: int, assign: Ints, rng: np.random.Generator, n_bins: int, n_items: int
) -> tuple[Longs, Longs]:
    """Bins drawn by pressure and items in them (and items that moved away), for one exact solve."""
    weight = pressure(lowered, k, assign)
    n_bins = min(n_bins, lowered.n_bins)
    bins = rng.choice(lowered.n_bins, n_bins, replace=False, p=weight / weight.sum())
    chosen = np.zeros(lowered.n_bins + 1, dtype=np.bool_)
    chosen[bins] = True
    near = chosen[assign] | (chosen[lowered.start] & (assign != lowered.start))
    items = np.flatnonzero(near | (assign < 0))
    moved = items[assign[items] != lowered.start[items]]
    stayed = items[assign[items] == lowered.start[items]]
    keep = moved if len(moved) <= n_items // 2 else rng.choice(moved, n_items // 2, replace=False)
    rest = min(len(stayed), n_items - len(keep))
    items = np.concatenate([keep, rng.choice(stayed, rest, replace=False)])
    bins = np.unique(np.concatenate([bins, lowered.start[keep][lowered.start[keep] >= 0]]))
    return items.astype(np.int64), bins.astype(np.int64)


def solve(lowered: Lowered, start: Ints, run: Run) -> Answer:
    """Improve level after level by exact neighbourhoods; see `drs.solvers.base.Solver`.

    One iteration is one of the exact solver's.
    """
    from drs.solvers.exact.highs import Worker

    stop = run.stop
    rng = np.random.default_rng(run.seed)
    best = np.asarray(start, dtype=np.int32).copy()
    scores = lowered.scores(best)
    today = lowered.scores(lowered.start)
    n_levels = len(lowered.levels)
    limits = np.full(n_levels, math.inf)
    iterations = rounds = gains = 0
    worker = Worker()
    before = best.copy()
    try:
        for k, level in enumerate(lowered.levels):
            limits[k] = order.ceiling(level, float(scores[k]), float(today[k]))
            if scores[k] <= order.close(0.0):
                continue
            now = stop.fraction(iterations)
            until = now + (1.0 - now) / (n_levels - k)
            n_bins, idle = 4.0, 0
            while stop.fraction(iterations) < until and idle < 30:
                items, bins = neighbourhood(lowered, k, best, rng, int(n_bins), int(12 * n_bins))
                rounds += 1
                found, work, proven = _improve(
                    lowered, k, best, limits, items, bins, run, run.seed + rounds, iterations, worker
                )
                iterations += max(1, work)
                new = scores if found is None else lowered.scores(found)
                if found is not None and order.lex_less(new[k:], scores[k:]):
                    best, scores, idle = found, new, 0
                    gains += 1
                else:
                    idle += 1
                    n_bins = min(12.0, n_bins * 1.1) if proven else max(3.0, n_bins * 0.9)
                if run.on_progress is not None:
                    run.on_progress(
                        Progress(level.name, stop.elapsed_s, stop.fraction(iterations), float(scores[k]))
                    )
                if scores[k] <= order.close(0.0):
                    break
            limits[k] = min(limits[k], order.ceiling(level, float(scores[k]), float(today[k])))
    finally:
        worker.close()
    if order.better(lowered, lowered.scores(before), scores):
        best, scores = before, lowered.scores(before)
    bounds = np.zeros(len(scores))
    if run.bounds:
        bounds = lower_bounds(lowered, scores, stop.part(0.5), max_steps=60, assign=best)
    return Answer(
        status=order.status(lowered, scores, bounds),
        assign=best,
        scores=scores,
        bounds=bounds,
        solver="lns",
        elapsed_s=stop.elapsed_s,
        iterations=iterations,
        interrupted=stop.interrupted,
        stats={"rounds": rounds, "gains": gains},
    )


def _improve(
    lowered: Lowered,
    k: int,
    best: Ints,
    limits: Floats,
    items: Longs,
    bins: Longs,
    run: Run,
    seed: int,
    iterations: int,
    worker: object,
) -> tuple[Ints | None, int, bool]:
    """One neighbourhood of level k: the whole assignment found, iterations spent, solved to the end."""
    small = restrict(lowered, best, items, bins)
    # level k first, later ones break ties, earlier ones only keep their ceilings
    turn = [*range(k, len(lowered.levels)), *range(k)]
    plain = [
        replace(small.lowered.levels[j], slack=0.0, slack_ratio=0.0, worth_ratio=0.0, role="goal")
        for j in turn
    ]
    problem = replace(small.lowered, levels=tuple(plain))
    ceilings = np.array([math.inf if j >= k else limits[j] for j in turn])
    stop = run.stop
    part = stop.followed_by(
        None if stop.time_s is None else min(stop.remaining_s, STEP_S),
        None if stop.iterations is None else min(max(1, stop.iterations - iterations), STEP_ITERATIONS),
    )
    spread = any(level_has(level, Deviation) for level in lowered.levels)
    answer = cpsat.solve(
        problem, small.assign, Run(part, seed), engine="highs" if spread else "", limits=ceilings,
        n_levels=min(2, len(turn) - k), worker=worker,
    )  # fmt: skip
    proven = bool(answer.scores[0] <= answer.bounds[0] + order.close(float(answer.scores[0])))
    full = small.expand(answer.assign)
    if order.misplaced(lowered, full) or lowered.broken_walls(full):
        return None, answer.iterations, proven
    if not order.within(lowered.scores(full), limits, k):
        return None, answer.iterations, proven
    return full, answer.iterations, proven
