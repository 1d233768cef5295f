"""Every assignment of a tiny problem, and its lexicographic optimum by the terms' own law."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
from random_lowered import random_lowered

from drs.solvers import levels as order


def tiny(seed, **kinds):
    """A random problem small enough to enumerate."""
    rng = np.random.default_rng([seed, 7])
    m = int(rng.integers(1, 5))
    n = int(rng.integers(1, {1: 8, 2: 8, 3: 7, 4: 6}[m]))
    return random_lowered(seed, n=n, m=m, **kinds)


def with_slack(lowered, seed):
    """The same problem with random slack, worth and a level that must vanish."""
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


def all_scores(lowered):
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


def optimum(lowered):
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


def check(lowered, answer, start):
    """What every answer must keep: no wall, nobody lost, scores by the law, never worse than the start."""
    assert not order.misplaced(lowered, answer.assign)
    assert not lowered.broken_walls(answer.assign)
    np.testing.assert_allclose(answer.scores, lowered.scores(answer.assign), rtol=1e-9, atol=1e-9)
    assert not order.better(lowered, lowered.scores(start), answer.scores)
    assert (answer.bounds <= answer.scores + 1e-9).all()
