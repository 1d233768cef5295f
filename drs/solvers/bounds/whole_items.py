"""A lower bound for a `Deviation` from what its Lagrangian cannot see: an item is in one bin, whole.

Let x be the loads of H bins, S their sum, and a the shares d_i / C of the items that must be in these bins,
where C is the largest capacity that item i may have there, largest first. Of the q H + k largest items the k bins
with the most of them have k (q + 1) or more, so the k fullest bins have at least

    G_k = max over q of the sum of a_i for q (H - k) < i <= q H + k.

(For q = 0 these are the k largest items; q = 1 and k = 1 say that of H + 1 items two share a bin.) The sums of the
k largest of x are concave in k and end at S, so they are nowhere below the least concave function over all G_k and
S at H. Let its steps be y, the flattest loads that are conceivable: the steps over G alone, filled up with water.
Then x majorises y, and as each measure is symmetric and convex, hence Schur-convex, that of y is never above that
of x (Marshall, Olkin, Arnold: Inequalities: Theory of Majorization and Its Applications, 2nd edition 2011,
chapters 1 and 3).

Less the mean, the points are G_k - k S / H and 0 at H: they fall as S rises. So y less its mean is flatter then, and
`std`, `mad` and `range` fall: the most load that can be there counts. (`max` rises: it is the first step or the
mean load, with the least load that must be there.)

With unequal capacities C_b the load D = sum(C_b x_b) does not fix S. But to carry load unlike the mean capacity
needs uneven bins: sum((C_b - mean C) (x_b - S / H)) = D - S mean C, so S mean C - D is at most H times

- std(x) std(C), by Cauchy and Schwarz;
- mad(x) range(C) / 2, by Hoelder with the middle of C in place of its mean, which leaves the sum as it is;
- range(x) mad(C) / 2, likewise with the middle of x in place of its mean.

This allows less than y's measure up to some S and more beyond it: what the two say there holds for every S.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drs.terms import Allowed, Deviation, Lowered
from drs.terms.base import Bools, Floats, Ints
from drs.terms.costs import Measure, measured
from drs.terms.limits import all_of

POLAR: dict[Measure, tuple[Measure, float]] = {
    "std": ("std", 1.0),
    "mad": ("range", 0.5),
    "range": ("mad", 0.5),
}
"""The measure of the capacities, and its factor, that belongs to one of the loads in Hoelder's inequality."""

HALVINGS = 50
"""Of the interval that holds the sum of loads where both laws agree; its upper end is safe."""


@dataclass(frozen=True, eq=False)
class Reach:
    """Where the walls let each item be; never too few bins."""

    class_idx: Ints
    """i4[n_items]"""
    mask: Bools
    """bool[n_classes, n_bins]"""
    n_allowed: Ints
    """i8[n_classes]: bins of the mask"""
    homes: Sequence[Ints]
    """Bins beyond the mask, each i4[n_items], -1 for none: today's, and where a wall lets an item stay."""
    placed: Bools
    """bool[n_items]: it has a bin today, so it has one in every answer."""


def reach(lowered: Lowered) -> Reach:
    """What the walls of the kind `Allowed` leave to each item."""
    walls = [wall.term for wall in lowered.walls if isinstance(wall.term, Allowed)]
    class_idx, mask = all_of(walls, lowered.n_items, lowered.n_bins)
    homes = [lowered.start] + [wall.stay for wall in walls if wall.stay is not None]
    once = {id(home): home for home in homes}  # walls that are relaxed share today's bins
    return Reach(class_idx, mask, mask.sum(axis=1), list(once.values()), lowered.start >= 0)


def widest(term: Deviation, where: Reach) -> tuple[Floats, Bools]:
    """The largest capacity that each item may have in the term's bins, f8[n_items], 0 where it cannot be there;
    and whether it must be there, bool[n_items].
    """
    ranked = term.bins[np.argsort(-term.capacity[term.bins], kind="stable")]
    inside = where.mask[:, ranked]
    first = term.capacity[ranked][inside.argmax(axis=1)]
    room = np.where(inside.any(axis=1), first, 0.0)[where.class_idx]
    must = where.placed & (inside.sum(axis=1) == where.n_allowed)[where.class_idx]
    # one bin more, which -1 finds: to be nowhere adds nothing
    capacity, there = np.zeros(len(term.capacity) + 1), np.zeros(len(term.capacity) + 1, dtype=np.bool_)
    capacity[term.bins], there[term.bins], there[-1] = term.capacity[term.bins], True, True
    for home in where.homes:
        room = np.maximum(room, capacity[home])
        must &= there[home]
    return room, must & (room > 0)


def stairs(shares: Floats, n: int) -> Floats:
    """The steps of the least concave function over all G_k, f8[n], never rising, from the shares of the items."""
    shares = np.sort(shares)[::-1]
    sums = np.concatenate([[0.0], np.cumsum(shares)])
    q, k = np.arange(max(1, -(-len(shares) // n)))[:, None], np.arange(n + 1)
    upper, lower = np.minimum(q * n + k, len(shares)), np.minimum(q * (n - k), len(shares))
    least = (sums[upper] - sums[lower]).max(axis=0)
    steps, at = np.zeros(n), 0
    while at < n:
        slopes = (least[at + 1 :] - least[at]) / k[1 : n - at + 1]
        length = int(slopes.argmax()) + 1
        steps[at : at + length] = slopes[length - 1]
        at += length
    return steps


class Water:
    """Steps, f8[n] and never rising, filled up with water."""

    def __init__(self, steps: Floats) -> None:
        self.steps = steps
        self.n = len(steps)
        self.sums = np.concatenate([[0.0], np.cumsum(steps)])
        self.drowned = self.sums[1:] + np.arange(self.n)[::-1] * steps
        """f8[n]: the sum of all at which the water covers each step, never rising"""

    def filled(self, total: float) -> Floats:
        """The levels when they sum to `total`, or to the steps alone where these are more."""
        dry = int(np.count_nonzero(self.drowned > total))
        level = (total - self.sums[dry]) / (self.n - dry) if dry < self.n else 0.0
        return np.maximum(self.steps, level)


def flattest(term: Deviation, where: Reach) -> float:
    """No assignment that keeps the walls has a lower measure (before the target is taken off); 0 if unknown."""
    n = len(term.bins)
    if not n or bool((term.demand < 0).any()):
        return 0.0
    room, must = widest(term, where)
    steps = stairs(term.demand[must] / room[must], n)
    capacity = term.capacity[term.bins]
    if term.measure == "max":
        even = float(term.demand[must].sum()) / float(capacity.sum())
        return max(float(steps[0]), even) * (1 - 1e-9)
    load, mean = float(term.demand[room > 0].sum()), float(capacity.mean())
    low, high = load / mean, n * float(steps[0])
    if high <= low:
        return 0.0
    polar, factor = POLAR[term.measure]
    carry = n * factor * measured(capacity, polar)
    water = Water(steps)
    for _ in range(HALVINGS):
        total = (low + high) / 2
        if carry * measured(water.filled(total), term.measure) > mean * total - load:
            low = total
        else:
            high = total
    bins = water.filled(high)
    return max(0.0, measured(bins, term.measure) - 1e-9 * float(bins[0]))
