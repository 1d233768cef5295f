"""What one bin may become: whole changes of a bin as columns, for answers that counts alone are slow to find.

A column is one change of one bin: it gives up or takes items of at most two kinds, and so many slots are free
then, or so many waiting items fit. Bins that look alike share their columns. A choice of columns gives up no
more of any kind than it takes, and moves no more than the limits let. Its relaxation is far closer to whole
numbers than that of the counts (a slot is there or not, never in part), so that HiGHS finds good answers at
once; but it knows changes of two kinds only, so its bound says nothing of the whole (Gilmore and Gomory's columns
for cutting stock, 1961, with all of them made beforehand).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drs.solvers.exact.highs_worker import Task
from drs.terms.base import Floats

ALONE, IN_PAIRS = 12, 5
"""So many items of a kind at most in a change of one kind, and of two kinds."""
MOST_CHANGES = 20_000
"""Changes of one bin that are looked at; with more kinds, those of two kinds are of the commonest ones."""
MOST_COLUMNS = 60_000

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Room:
    """What the columns are made of.

    here : i8[n_kinds, n_bins], items of each kind that may leave. takes : i8[n_kinds, n_bins], so many more at most.
    free : f8[n_bins, n_resources]. arriving, leaving : f8[n_kinds, n_resources], what an item takes, and what it
    frees. weight : f8[n_kinds, n_limits], in each limit on moves, with `limits`. sizes : f8[n_wanted, n_resources],
    of what is to be placed, each worth `worth`; most : i8[n_wanted, n_bins]; waiting : i8[n_wanted].
    together : whether the wanted are slots, each counted as if it were alone.
    """

    here: Counts
    takes: Counts
    free: Floats
    arriving: Floats
    leaving: Floats
    weight: Floats
    limits: Floats
    sizes: Floats
    worth: Floats
    most: Counts
    waiting: Counts
    together: bool


def changes(n_kinds: int, common: Counts) -> tuple[Counts, NDArray[np.int64]]:
    """All changes of up to two kinds: (i8[n, n_kinds] items taken, below 0 given up; i8[n, 2] the change with one
    item more of its first and its second kind, -1 for none). The first is no change."""
    rows: list[tuple[tuple[int, int], ...]] = [()]
    for k in range(n_kinds):
        rows += [((k, c),) for c in range(-ALONE, ALONE + 1) if c]
    counts = [c for c in range(-IN_PAIRS, IN_PAIRS + 1) if c]
    most = int(np.sqrt(2 * max(0, MOST_CHANGES - len(rows))) / len(counts))
    for i, j in itertools.combinations(sorted(common[:most].tolist()), 2):
        rows += [((i, a), (j, b)) for a in counts for b in counts]
    found = {row: number for number, row in enumerate(rows)}
    out = np.zeros((len(rows), n_kinds), dtype=np.int64)
    more = np.full((len(rows), 2), -1, dtype=np.int64)
    for number, row in enumerate(rows):
        for place, (k, c) in enumerate(row):
            out[number, k] = c
            next_ = tuple((kind, n + (kind == k)) for kind, n in row if n + (kind == k))
            more[number, place] = found.get(next_, -1)
    return out, more


class Columns:
    """The model over classes of alike bins."""

    def __init__(self, room: Room) -> None:
        self.room = room
        common = np.argsort(-room.here.sum(axis=1), kind="stable")
        self.change, self.more = changes(len(room.here), common)
        up, down = np.maximum(self.change, 0), np.maximum(-self.change, 0)
        self.delta = down @ room.leaving - up @ room.arriving
        look = np.hstack([room.free, room.here.T, room.takes.T, room.most.T])
        _, first, of = np.unique(look.round(9), axis=0, return_index=True, return_inverse=True)
        of = of.reshape(-1)
        self.bins = [np.flatnonzero(of == c) for c in range(len(first))]
        made = [self._of_class(c, int(b), up, down) for c, b in enumerate(first)]
        self.cls, self.which, self.wanted, self.number = (
            np.concatenate([part[k] for part in made]) if made else np.zeros(0, dtype=np.int64)
            for k in range(4)
        )
        self.gain = np.concatenate([part[4] for part in made]) if made else np.zeros(0)

    def _of_class(
        self, c: int, b: int, up: Counts, down: Counts
    ) -> tuple[Counts, Counts, Counts, Counts, Floats]:
        """Columns of the bins that look like b: class, change, what is placed and how often, gain."""
        room = self.room
        left = room.free[b] + self.delta
        ok = (
            (left >= -1e-9).all(axis=1)
            & (up <= room.takes[:, b]).all(axis=1)
            & (down <= room.here[:, b]).all(axis=1)
        )
        fits = np.zeros((len(room.sizes), len(left)))
        for w, size in enumerate(room.sizes):
            used = size > 0
            n = np.floor(left[:, used] / size[used] + 1e-9).min(axis=1, initial=np.inf)
            fits[w] = np.clip(np.nan_to_num(n, posinf=1e9), 0.0, room.most[w, b])
        parts = []
        if room.together:
            value = room.worth @ fits
            parts.append(self._kept(c, ok, value - value[0], -1, np.zeros(len(left)), down))
        else:
            for w in range(len(fits)):
                parts.append(self._kept(c, ok, room.worth[w] * fits[w], w, fits[w], down))
        cls, which, wanted, number, gain = zip(*parts, strict=True)
        return (
            np.concatenate(cls), np.concatenate(which), np.concatenate(wanted), np.concatenate(number),
            np.concatenate(gain),
        )  # fmt: skip

    def _kept(
        self, c: int, ok: NDArray[np.bool_], gain: Floats, wanted: int, number: Floats, down: Counts
    ) -> tuple[Counts, Counts, Counts, Counts, Floats]:
        """The changes that are worth a column: none that could take one more, or give one less, for as much."""
        keep = ok & (gain >= 0) & ((gain > 0) | ~down.any(axis=1))
        for place in range(2):
            other = self.more[:, place]
            keep &= ~((other >= 0) & ok[other] & (gain[other] >= gain - 1e-12))
        keep[0] = bool(gain[0] > 0)  # no change brings something where it has room today
        which = np.flatnonzero(keep)
        return (
            np.full(len(which), c), which, np.full(len(which), wanted), number[which].astype(np.int64), gain[which],
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.cls)

    def task(self, cheap: float, time_s: float | None, nodes: int | None, seed: int) -> Task:
        """The model for HiGHS: most gain, then few moves; all moves together weigh less than `cheap`."""
        room, n = self.room, len(self)
        down = np.maximum(-self.change[self.which], 0)
        moved = down.sum(axis=1)
        rows: list[tuple[Counts, Floats, float, float]] = []
        for at in np.split(np.arange(n), np.flatnonzero(np.diff(self.cls)) + 1):
            rows.append((at, np.ones(len(at)), -np.inf, float(len(self.bins[self.cls[at[0]]]))))
        for k in range(self.change.shape[1]):  # what is given up finds a taker
            at = np.flatnonzero(self.change[self.which, k])
            if len(at):
                rows.append((at, -self.change[self.which[at], k].astype(np.float64), -np.inf, 0.0))
        for weight, limit in zip(room.weight.T, room.limits, strict=True):
            heavy = down @ weight
            at = np.flatnonzero(heavy)
            if len(at):
                rows.append((at, heavy[at], -np.inf, float(limit)))
        for w in range(len(room.waiting)):
            at = np.flatnonzero((self.wanted == w) & (self.number > 0))
            if len(at):
                rows.append((at, self.number[at].astype(np.float64), -np.inf, float(room.waiting[w])))
        most = float(max(1.0, moved.sum()))
        for weight, limit in zip(room.weight.T, room.limits, strict=True):
            if len(weight) and (weight > 0).all() and np.isfinite(limit):
                most = min(most, max(1.0, float(limit / weight.min())))
        return Task(
            low=np.zeros(n),
            high=np.array([len(self.bins[c]) for c in self.cls], dtype=np.float64),
            integer=np.ones(n, dtype=np.bool_),
            objective_cols=np.arange(n),
            objective=-self.gain + cheap / most * moved,
            begin=np.cumsum([0, *(len(at) for at, *_ in rows)]).astype(np.int64),
            cols=np.concatenate([at for at, *_ in rows]).astype(np.int64),
            coefs=np.concatenate([coefs for _, coefs, *_ in rows]),
            row_low=np.array([low for *_, low, _ in rows]),
            row_high=np.array([high for *_, high in rows]),
            hint=None,
            seed=seed,
            time_s=time_s,
            nodes=nodes,
        )

    def chosen(self, values: Floats) -> tuple[Counts, Counts]:
        """What a solution means: (i8[n_kinds, n_bins] more of each kind, i8[n_wanted, n_bins] placed)."""
        room = self.room
        net, placed = np.zeros_like(room.here), np.zeros_like(room.most)
        used = np.zeros(len(self.bins), dtype=np.int64)
        for column in np.flatnonzero(values > 0.5).tolist():
            c = int(self.cls[column])
            n = round(float(values[column]))
            bins = self.bins[c][used[c] : used[c] + n]
            used[c] += n
            net[:, bins] += self.change[self.which[column]][:, None]
            if self.wanted[column] >= 0:
                placed[self.wanted[column], bins] += self.number[column]
        for k in range(len(net)):  # no more is taken than is given up
            spare = int(net[k].sum())
            for b in np.flatnonzero(net[k] > 0).tolist():
                less = min(spare, int(net[k, b]))
                net[k, b] -= less
                spare -= less
                if spare <= 0:
                    break
        return net, placed
