"""The lowered problem as flat arrays: what a compiled search reads instead of term objects.

`fuse` merges what the terms share. Equal demand vectors become one column, equal (items, domain) pairs one
counter, all masks of allowed bins one table of classes, and all limits on one column the tightest of them.
Only this module knows both the terms and the arrays (`fused_arrays`); the engines read the arrays.

Three kinds of state follow from them, all updated in O(1) per move:

columns
    Use per bin. `room` is what the walls still leave, `load` is what the costs are computed from. An
    `at_once` column counts an item in its old bin as well.
counters
    Items of a group per domain (host, rack, site), with the number of domains in use, and, where a term
    needs it, a histogram of the counts so that the largest is known without a scan.
sums
    Weights of moved items, moved items per group, first and second moments of normalised load.

Demands are rounded to a power-of-two grid fine enough that every partial sum is exact in double precision:
use never drifts however many moves are made, and the order of moves does not matter. Integers below 2^53
stay what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drs.terms.base import Bools, Floats, Ints, Lowered, Term
from drs.terms.costs import (
    BinsUsed,
    Deviation,
    FreeBalance,
    GroupMoves,
    MoveCost,
    OverTarget,
    Penalty,
    Slots,
    Unplaced,
)
from drs.terms.fused_arrays import (
    AT_LEAST,
    AT_MOST,
    HAS,
    NEEDED,
    TOGETHER,
    UNLIMITED,
    WITHIN,
    Bytes,
    Fused,
    Longs,
)
from drs.terms.limits import (
    Allowed,
    AtLeast,
    AtMost,
    Capacity,
    MoveLimit,
    Near,
    Together,
    Within,
    all_of,
    usage,
)

MOST_REACH, MOST_DENSE = 20_000_000, 0.8
"""Above so many pairs of item and bin, or above that share of the pairs looked at so far, `reach` does not pay."""


def grid(values: Floats) -> Floats:
    """Values rounded to the coarsest grid on which any sum of them is exact, f8 of the same shape."""
    total = float(np.abs(values).sum())
    if total == 0.0 or np.array_equal(values, np.rint(values)):
        return values
    step = 2.0 ** (np.ceil(np.log2(total)) - 51)
    return np.asarray(np.rint(values / step) * step)


class _Keys:
    """Numbers equal arrays alike; the same object is recognised without reading it."""

    def __init__(self) -> None:
        self.seen: dict[tuple[object, ...], int] = {}
        self.by_id: dict[tuple[int, ...], int] = {}
        self.held: list[object] = []

    def of(self, arrays: Sequence[NDArray[np.generic]], *extra: object) -> tuple[int, bool]:
        """(number, whether it is new)"""
        quick = (*(id(a) for a in arrays), *(hash(e) for e in extra))
        if quick in self.by_id:
            return self.by_id[quick], False
        key = (*(a.tobytes() for a in arrays), *extra)
        new = key not in self.seen
        number = self.seen.setdefault(key, len(self.seen))
        self.by_id[quick] = number
        self.held.append(arrays)
        return number, new


def _stack(rows: list[Floats], width: int) -> Floats:
    """Columns side by side, f8[width, n], contiguous by row."""
    if not rows:
        return np.zeros((width, 0))
    return np.ascontiguousarray(np.stack(rows, axis=1), dtype=np.float64)


def _i4(values: Sequence[int]) -> Ints:
    return np.array(values, dtype=np.int32)


def _i8(values: Sequence[int]) -> Longs:
    return np.array(values, dtype=np.int64)


def _flat(arrays: list[NDArray[np.generic]], dtype: type) -> NDArray[np.generic]:
    if len(arrays) == 1:
        return np.ascontiguousarray(arrays[0]).ravel().astype(dtype, copy=False)
    return np.concatenate([a.ravel() for a in arrays]).astype(dtype) if arrays else np.zeros(0, dtype)


class _Builder:
    """Collects terms one by one."""

    def __init__(self, lowered: Lowered) -> None:
        self.low = lowered
        self.n, self.m = lowered.n_items, lowered.n_bins
        self.start = np.ascontiguousarray(lowered.start, dtype=np.int32)
        self.n_levels = len(lowered.levels)
        # columns
        self.columns: list[tuple[Floats, bool]] = []
        self.column_keys = _Keys()
        self.cost_columns: dict[int, int] = {}
        self.limits: dict[int, Floats] = {}
        self.allowed: list[Allowed] = []
        self.over: list[tuple[int, int, Floats, Floats]] = []
        self.free: list[tuple[int, int, int, float, Floats, Floats]] = []
        self.used: list[tuple[int, int, Floats]] = []
        self.slots: list[tuple[int, float, list[int], Floats, Floats, Floats]] = []
        self.dev: list[tuple[int, int, int, float, float, int, Floats]] = []
        self.fix: dict[int, Floats] = {}
        self.pair: list[tuple[int, Ints, Floats, Floats]] = []
        self.pen: list[tuple[int, float, Ints, Floats, Ints]] = []
        self.nowhere = np.zeros((self.n, self.n_levels))
        # counters
        self.map_keys = _Keys()
        self.maps: list[Ints] = []
        self.map_width: list[int] = []
        self.counter_keys = _Keys()
        self.counter_items: list[Ints] = []
        self.counter_map: list[int] = []
        self.counter_wall: dict[int, Floats] = {}
        self.features: list[tuple[int, int, int, float, float, Floats | None]] = []
        self.nears: list[tuple[int, int, int, float, float]] = []
        self.moves: list[tuple[int, float, float, Floats]] = []
        self.groups: list[tuple[int, float, Ints, int]] = []
        self.blocs: list[Ints] = []

    def column(self, demand: Floats, at_once: bool) -> int:
        number, new = self.column_keys.of([np.ascontiguousarray(demand, dtype=np.float64)], at_once)
        if new:
            self.columns.append((grid(np.asarray(demand, dtype=np.float64)), at_once))
        return number

    def cost_column(self, demand: Floats, at_once: bool = False) -> int:
        return self.cost_columns.setdefault(self.column(demand, at_once), len(self.cost_columns))

    def map(self, domain: Ints, n_domains: int) -> int:
        """Number of a map from bins to domains."""
        number, new = self.map_keys.of([np.asarray(domain, dtype=np.int32)])
        if new:
            self.maps.append(np.asarray(domain, dtype=np.int32))
            self.map_width.append(0)
        self.map_width[number] = max(self.map_width[number], n_domains)
        return number

    def counter(self, items: Ints, domain: Ints, n_domains: int) -> int:
        on = self.map(domain, n_domains)
        number, new = self.counter_keys.of([np.asarray(items, dtype=np.int32)], on)
        if new:
            self.counter_items.append(np.asarray(items, dtype=np.int32))
            self.counter_map.append(on)
        return number

    def _walls(self) -> tuple[Floats, Floats, Bytes]:
        needs: list[Floats] = []
        limits: list[Floats] = []
        flags: list[int] = []
        tightness: list[float] = []
        by_demand = {c: self.columns[c][0].tobytes() for c in self.limits}
        for column, limit in self.limits.items():
            demand, at_once = self.columns[column]
            if not at_once and any(
                self.columns[other][1]
                and by_demand[other] == by_demand[column]
                and (self.limits[other] <= limit).all()
                for other in self.limits
            ):
                continue  # the same wall at once is the stronger one
            use = usage(self.start, demand, self.m)
            # beyond the total a limit does not matter; keeping it small keeps `room` exact
            top = float(demand.sum()) + 1.0
            rounding = 0.0 if np.array_equal(demand, np.rint(demand)) else 1e-12 * top
            bound = np.minimum(limit + rounding, top)
            bound = np.where((use > bound) & (use <= bound + 1e-6), use, bound)
            step = 2.0 ** (np.ceil(np.log2(top)) - 51)
            limits.append(np.floor(bound / step) * step)
            needs.append(demand)
            flags.append(int(at_once))
            capacity = limit[np.isfinite(limit)].sum()
            tightness.append(float(demand.sum() / capacity) if capacity > 0 else np.inf)
        order = sorted(range(len(needs)), key=lambda w: -tightness[w])
        return (
            _stack([needs[w] for w in order], self.n),
            _stack([limits[w] for w in order], self.m),
            np.array([flags[w] for w in order], dtype=np.uint8),
        )

    def _reach(
        self, cls: Ints, allow: Bools, need: Floats, limit: Floats, at_once: Bytes
    ) -> tuple[Ints, Ints]:
        """(reach_ptr, reach)

        Who leaves makes no room in a column that counts at once, so much of what fits an empty bin can never
        be there; without this list most proposals on such problems are refused.
        """
        none = np.zeros(1, dtype=np.int32), np.zeros(0, dtype=np.int32)
        if not self.n:
            return none
        room = limit.copy()
        placed = self.start >= 0
        for w in np.flatnonzero(at_once).tolist():
            room[:, w] -= usage(self.start, need[:, w], self.m)
        counts: list[Ints] = []
        rows: list[Ints] = []
        total = 0
        for begin in range(0, self.n, 1024):
            part = slice(begin, begin + 1024)
            ok = allow[cls[part]]
            for w in range(need.shape[1]):
                ok &= need[part, w, None] <= room[None, :, w]
            at = np.flatnonzero(placed[part])
            ok[at, self.start[part][at]] = True
            counts.append(ok.sum(axis=1))
            rows.append(np.nonzero(ok)[1].astype(np.int32))
            total += rows[-1].size
            if total > MOST_REACH or total > MOST_DENSE * self.m * (begin + len(ok)):
                return none
        ptr = np.zeros(self.n + 1, dtype=np.int32)
        np.cumsum(np.concatenate(counts), out=ptr[1:])
        return ptr, np.concatenate(rows)

    def _signatures(
        self, n_counters: int, near: list[tuple[int, int, int, float, float]]
    ) -> tuple[Ints, Ints, Ints, Ints, Ints, Bytes, Ints, Ints]:
        """(sig, sig_ptr, sig_counter, sig_near_ptr, sig_near, sig_near_part, member_ptr, member)"""
        sizes = np.array([len(items) for items in self.counter_items], dtype=np.int64)
        member_ptr = np.zeros(n_counters + 1, dtype=np.int32)
        np.cumsum(sizes, out=member_ptr[1:])
        member = np.concatenate(self.counter_items).astype(np.int32) if n_counters else np.zeros(0, np.int32)
        owner = np.repeat(np.arange(n_counters, dtype=np.int32), sizes)
        order = np.argsort(member, kind="stable")
        item_ptr = np.zeros(self.n + 1, dtype=np.int64)
        np.cumsum(np.bincount(member, minlength=self.n), out=item_ptr[1:])
        counters_of = owner[order]
        seen: dict[bytes, int] = {}
        sig = np.zeros(self.n, dtype=np.int32)
        rows: list[Ints] = []
        for item in range(self.n):
            row = counters_of[item_ptr[item] : item_ptr[item + 1]]
            key = row.tobytes()
            number = seen.get(key, -1)
            if number < 0:
                number = seen[key] = len(rows)
                rows.append(row)
            sig[item] = number
        sig_ptr = np.zeros(len(rows) + 1, dtype=np.int32)
        np.cumsum([len(row) for row in rows], out=sig_ptr[1:])
        sig_counter = np.concatenate(rows).astype(np.int32) if rows else np.zeros(0, np.int32)
        by_counter: list[list[tuple[int, int]]] = [[] for _ in range(n_counters)]
        for f, (have, need, *_) in enumerate(near):
            by_counter[have].append((f, HAS))
            by_counter[need].append((f, NEEDED))
        near_ptr: list[int] = [0]
        nears: list[int] = []
        parts: list[int] = []
        for row in rows:
            found: dict[int, int] = {}
            for counter in row.tolist():
                for f, part in by_counter[counter]:
                    found[f] = found.get(f, 0) | part
            nears.extend(found)
            parts.extend(found.values())
            near_ptr.append(len(nears))
        return (
            sig, sig_ptr, sig_counter, _i4(near_ptr), _i4(nears),
            np.array(parts, dtype=np.uint8), member_ptr, member,
        )  # fmt: skip

    def build(self) -> Fused:
        return Fused(**self._columns(), **self._costs(), **self._counters(), **self._moves())

    def _columns(self) -> dict[str, Any]:
        """Allowed bins, walls on columns, and the columns that costs are computed from."""
        n, m = self.n, self.m
        # A bin that is allowed to one item only (today's, where its class forbids it) is handled by the
        # kernel: an item may always go home.
        cls, allow = all_of(self.allowed, n, m)
        need, limit, wall_at_once = self._walls()
        cost_columns = sorted(self.cost_columns, key=lambda c: self.cost_columns[c])
        reach_ptr, reach = self._reach(cls, allow, need, limit, wall_at_once)
        demand = _stack([self.columns[c][0] for c in cost_columns], n)
        at_once = np.array([self.columns[c][1] for c in cost_columns], dtype=np.uint8)
        return {
            "start": self.start,
            "n_levels": self.n_levels,
            "cls": cls,
            "allow": allow.astype(np.uint8),
            "reach_ptr": reach_ptr,
            "reach": reach,
            "need": need,
            "limit": limit,
            "wall_at_once": wall_at_once,
            "demand": demand,
            "at_once": at_once,
            "n_bins": m,
        }

    def _costs(self) -> dict[str, Any]:
        """Costs of loads and of an item in a bin."""
        n, m = self.n, self.m
        dev_inverse = np.array([d[6] for d in self.dev], dtype=np.float64).reshape(len(self.dev), m)
        compared, dev_of = np.nonzero(dev_inverse.T)
        pair_sizes = [p[2].size for p in self.pair]
        pen_sizes = [p[3].size for p in self.pen]
        return {
            "over_col": _i4([o[0] for o in self.over]),
            "over_level": _i4([o[1] for o in self.over]),
            "over_weight": _stack([o[2] for o in self.over], m),
            "over_target": _stack([o[3] for o in self.over], m),
            "free_a": _i4([f[0] for f in self.free]),
            "free_b": _i4([f[1] for f in self.free]),
            "free_level": _i4([f[2] for f in self.free]),
            "free_ratio": np.array([f[3] for f in self.free], dtype=np.float64),
            "free_weight": _stack([f[4] for f in self.free], m),
            "free_offset": _stack([f[5] for f in self.free], m),
            "used_col": _i4([u[0] for u in self.used]),
            "used_level": _i4([u[1] for u in self.used]),
            "used_price": _stack([u[2] for u in self.used], m),
            **self._slots(),
            "dev_col": _i4([d[0] for d in self.dev]),
            "dev_level": _i4([d[1] for d in self.dev]),
            "dev_measure": _i4([d[2] for d in self.dev]),
            "dev_weight": np.array([d[3] for d in self.dev], dtype=np.float64),
            "dev_target": np.array([d[4] for d in self.dev], dtype=np.float64),
            "dev_n": np.array([d[5] for d in self.dev], dtype=np.float64),
            "dev_inverse": dev_inverse,
            "dev_ptr": _i4([0, *np.cumsum(np.bincount(compared, minlength=m)).tolist()]),
            "dev_of": dev_of.astype(np.int32),
            "fix_level": _i4(list(self.fix)),
            "fix": np.array(list(self.fix.values()), dtype=np.float64).reshape(len(self.fix), n),
            "pair_level": _i4([p[0] for p in self.pair]),
            "pair_class": np.array([p[1] for p in self.pair], dtype=np.int32).reshape(len(self.pair), m),
            "pair_offset": _i8([0, *np.cumsum(pair_sizes).tolist()]),
            "pair_width": _i8([p[2].shape[1] for p in self.pair]),
            "pair_flat": _flat([p[2] for p in self.pair], np.float64),
            "pair_scale": np.array([p[3] for p in self.pair], dtype=np.float64).reshape(len(self.pair), n),
            "pen_level": _i4([p[0] for p in self.pen]),
            "pen_weight": np.array([p[1] for p in self.pen], dtype=np.float64),
            "pen_class": np.array([p[2] for p in self.pen], dtype=np.int32).reshape(len(self.pen), n),
            "pen_offset": _i8([0, *np.cumsum(pen_sizes).tolist()]),
            "pen_flat": _flat([p[3] for p in self.pen], np.float64),
            "pen_stay": np.array([p[4] for p in self.pen], dtype=np.int32).reshape(len(self.pen), n),
            "nowhere": self.nowhere,
        }

    def _counters(self) -> dict[str, Any]:
        """Counters with their walls, their features, and the Near terms between them."""
        n_counters = len(self.counter_items)
        widths = [self.map_width[on] for on in self.counter_map]
        offsets = np.zeros(n_counters + 1, dtype=np.int64)
        np.cumsum(widths, out=offsets[1:])
        top = np.full(n_counters, UNLIMITED, dtype=np.int32)
        limit_at = np.full(n_counters, -1, dtype=np.int64)
        tables: list[NDArray[np.generic]] = []
        length = 0
        for counter, bound in self.counter_wall.items():
            if len(bound) == widths[counter] and (bound == bound[0]).all():
                top[counter] = int(bound[0])
            else:
                padded = np.full(widths[counter], float(UNLIMITED))
                padded[: len(bound)] = bound
                limit_at[counter] = length
                length += len(padded)
                tables.append(padded)
        sizes = _i4([len(items) for items in self.counter_items])
        features = sorted(self.features, key=lambda f: f[0])
        feature_ptr = np.zeros(n_counters + 1, dtype=np.int32)
        np.cumsum(np.bincount(_i4([f[0] for f in features]), minlength=n_counters), out=feature_ptr[1:])
        hist = np.full(n_counters, -1, dtype=np.int64)
        n_hist = 0
        for counter, kind, *_ in features:
            if kind == TOGETHER and hist[counter] < 0:
                hist[counter] = n_hist
                n_hist += int(sizes[counter]) + 2
        feature_offset, feature_limits, length = [], [], 0
        for counter, _, _, _, _, table in features:
            feature_offset.append(length)
            if table is not None:
                padded = np.full(widths[counter], np.inf)
                padded[: len(table)] = table
                feature_limits.append(padded)
                length += len(padded)
        sig, sig_ptr, sig_counter, near_ptr, near, part, member_ptr, member = self._signatures(
            n_counters, self.nears
        )
        return {
            "domains": np.array(self.maps, dtype=np.int32).reshape(len(self.maps), self.m),
            "sig": sig,
            "sig_ptr": sig_ptr,
            "sig_counter": sig_counter,
            "counter_map": _i4(self.counter_map),
            "counter_offset": offsets,
            "counter_top": top,
            "counter_limit": limit_at,
            "counter_hist": hist,
            "counter_size": sizes,
            "limits": _flat(tables, np.int32),
            "feature_ptr": feature_ptr,
            "feature_kind": _i4([f[1] for f in features]),
            "feature_level": _i4([f[2] for f in features]),
            "feature_weight": np.array([f[3] for f in features], dtype=np.float64),
            "feature_value": np.array([f[4] for f in features], dtype=np.float64),
            "feature_offset": _i8(feature_offset),
            "feature_limits": _flat(feature_limits, np.float64),
            "near_have": _i4([f[0] for f in self.nears]),
            "near_need": _i4([f[1] for f in self.nears]),
            "near_level": _i4([f[2] for f in self.nears]),
            "near_weight": np.array([f[3] for f in self.nears], dtype=np.float64),
            "near_allowance": np.array([f[4] for f in self.nears], dtype=np.float64),
            "sig_near_ptr": near_ptr,
            "sig_near": near,
            "sig_near_part": part,
            "member_ptr": member_ptr,
            "member": member,
            "n_domain_counts": int(offsets[-1]),
            "n_hist": n_hist,
        }

    def _slots(self) -> dict[str, Any]:
        """Slots of one size, each with the resources that it takes."""
        sizes = [len(columns) for _, _, columns, *_ in self.slots]
        return {
            "slot_level": _i4([s[0] for s in self.slots]),
            "slot_weight": np.array([s[1] for s in self.slots], dtype=np.float64),
            "slot_ptr": _i4([0, *np.cumsum(sizes).tolist()]),
            "slot_col": _i4([column for s in self.slots for column in s[2]]),
            "slot_size": np.array([size for s in self.slots for size in s[3]], dtype=np.float64),
            "slot_limit": _stack([limit for s in self.slots for limit in s[4]], self.m),
            "slot_most": _stack([s[5] for s in self.slots], self.m),
        }

    def _moves(self) -> dict[str, Any]:
        """Sums over moved items, and groups whose members should move as one."""
        group_size = [int(np.bincount(g[g >= 0], minlength=1).max(initial=0)) for _, _, g, _ in self.groups]
        group_offset, n_moved = [], 0
        for (_, _, _, n_groups), size in zip(self.groups, group_size, strict=True):
            group_offset.append(n_moved)
            n_moved += n_groups + size + 2
        blocs = {b.tobytes(): b for b in self.blocs if len(b) > 1}
        return {
            "move_level": _i4([f[0] for f in self.moves]),
            "move_weight": np.array([f[1] for f in self.moves], dtype=np.float64),
            "move_limit": np.array([f[2] for f in self.moves], dtype=np.float64),
            "move_item": _stack([f[3] for f in self.moves], self.n),
            "group_level": _i4([g[0] for g in self.groups]),
            "group_weight": np.array([g[1] for g in self.groups], dtype=np.float64),
            "group_of": np.array([g[2] for g in self.groups], dtype=np.int32).reshape(
                len(self.groups), self.n
            ),
            "group_offset": _i8(group_offset),
            "group_size": _i4([g[3] for g in self.groups]),
            "bloc_ptr": _i4([0, *np.cumsum([len(b) for b in blocs.values()]).tolist()]),
            "bloc": _flat(list(blocs.values()), np.int32),
            "n_moved_counts": n_moved,
        }


@singledispatch
def fuse_cost(term: Term, builder: _Builder, level: int, weight: float) -> None:
    """Add a term to the arrays as a cost of a level. Another term is taught with `fuse_cost.register`.

    Raises TypeError for a term that is not known.
    """
    raise TypeError(f"no compiled form of the term {type(term).__name__}")


@singledispatch
def fuse_wall(term: Term, builder: _Builder) -> None:
    """Add a limit to the arrays as a wall; one without arrays of its own is a cost in the level of the walls."""
    fuse_cost(term, builder, builder.n_levels, 1.0)


@fuse_wall.register
def _(term: Allowed, builder: _Builder) -> None:
    builder.allowed.append(term)


@fuse_wall.register
def _(term: Capacity, builder: _Builder) -> None:
    if not np.isfinite(term.limit).any() or not (term.demand > 0).any():
        return
    column = builder.column(term.demand, term.when == "at_once")
    limit = np.asarray(term.limit, dtype=np.float64)
    builder.limits[column] = np.minimum(builder.limits.get(column, limit), limit)


@fuse_wall.register
def _(term: AtMost, builder: _Builder) -> None:
    if len(term.items) == 0 or len(term.items) <= term.limit.min(initial=np.inf):
        return
    counter = builder.counter(term.items, term.domain, len(term.limit))
    limit = np.floor(np.minimum(term.limit + 1e-9, float(UNLIMITED)))
    builder.counter_wall[counter] = np.minimum(builder.counter_wall.get(counter, limit), limit)


@fuse_cost.register
def _(term: OverTarget, builder: _Builder, level: int, weight: float) -> None:
    column = builder.cost_column(term.demand)
    builder.over.append((column, level, weight * term.weight, np.asarray(term.target, np.float64)))


@fuse_cost.register
def _(term: Capacity, builder: _Builder, level: int, weight: float) -> None:
    if np.isfinite(term.limit).any() and (term.demand > 0).any():
        column = builder.cost_column(term.demand, term.when == "at_once")
        builder.over.append((column, level, np.full(builder.m, weight), np.asarray(term.limit, np.float64)))


@fuse_cost.register
def _(term: FreeBalance, builder: _Builder, level: int, weight: float) -> None:
    a, b = builder.cost_column(term.demand_a), builder.cost_column(term.demand_b)
    offset = term.ratio * term.limit_a - term.limit_b
    builder.free.append((a, b, level, float(term.ratio), weight * term.weight, offset))


@fuse_cost.register
def _(term: BinsUsed, builder: _Builder, level: int, weight: float) -> None:
    count = np.zeros(builder.n)
    np.add.at(count, term.items, 1.0)
    builder.used.append((builder.cost_column(count), level, weight * term.price))


@fuse_cost.register
def _(term: Slots, builder: _Builder, level: int, weight: float) -> None:
    if term.most.any():
        columns = [builder.cost_column(demand) for demand in term.demands]
        most = np.asarray(term.most, np.float64)
        builder.slots.append((level, weight, columns, term.sizes, term.limits, most))


@fuse_cost.register
def _(term: Deviation, builder: _Builder, level: int, weight: float) -> None:
    if not len(term.bins):
        return
    inverse = np.zeros(builder.m)
    inverse[term.bins] = 1.0 / term.capacity[term.bins]
    measure = ("std", "mad", "max", "range").index(term.measure)
    column = builder.cost_column(term.demand)
    builder.dev.append((column, level, measure, weight, float(term.target), len(term.bins), inverse))


@fuse_cost.register
def _(term: MoveCost, builder: _Builder, level: int, weight: float) -> None:
    fix = np.where(builder.start >= 0, weight * term.per_item, 0.0)
    builder.fix[level] = builder.fix.get(level, np.zeros(builder.n)) + fix
    if term.pair is not None and term.bin_class is not None and term.pair.size:
        scale = np.full(builder.n, 1.0) if term.scale is None else term.scale
        builder.pair.append((level, np.asarray(term.bin_class, np.int32), term.pair, weight * scale))


@fuse_cost.register
def _(term: Penalty, builder: _Builder, level: int, weight: float) -> None:
    never = np.full(builder.n, -2, dtype=np.int32)
    builder.pen.append((level, weight, np.asarray(term.class_idx, np.int32), term.penalty, never))


@fuse_cost.register
def _(term: Allowed, builder: _Builder, level: int, weight: float) -> None:
    if not term.mask.all():
        stay = np.full(builder.n, -2, dtype=np.int32)
        if term.stay is not None:
            stay = np.where(term.stay >= 0, term.stay, -2).astype(np.int32)
        forbidden = (~term.mask).astype(np.float64)
        builder.pen.append((level, weight, np.asarray(term.class_idx, np.int32), forbidden, stay))


@fuse_cost.register
def _(term: Unplaced, builder: _Builder, level: int, weight: float) -> None:
    builder.nowhere[:, level] += weight * term.weight


@fuse_cost.register
def _(term: AtMost, builder: _Builder, level: int, weight: float) -> None:
    if len(term.items) and len(term.items) > term.limit.min(initial=np.inf):
        counter = builder.counter(term.items, term.domain, len(term.limit))
        limit = np.asarray(term.limit, np.float64)
        builder.features.append((counter, AT_MOST, level, weight, 0.0, limit))


@fuse_cost.register
def _(term: AtLeast, builder: _Builder, level: int, weight: float) -> None:
    trivial = term.at_least <= 0 or (
        term.at_least == 1
        and len(term.items) > 0
        and (term.domain >= 0).all()
        and bool((builder.start[term.items] >= 0).any())
    )
    if not trivial:
        counter = builder.counter(term.items, term.domain, term.n_domains)
        builder.features.append((counter, AT_LEAST, level, weight, float(term.at_least), None))


@fuse_cost.register
def _(term: Within, builder: _Builder, level: int, weight: float) -> None:
    if term.at_most < min(len(term.items), term.n_domains):
        counter = builder.counter(term.items, term.domain, term.n_domains)
        builder.features.append((counter, WITHIN, level, weight, float(term.at_most), None))
        if len(term.items) <= 64:
            builder.blocs.append(np.asarray(term.items, np.int32))


@fuse_cost.register
def _(term: Together, builder: _Builder, level: int, weight: float) -> None:
    if len(term.items) - term.allowance > 1:
        counter = builder.counter(term.items, term.domain, term.n_domains)
        builder.features.append((counter, TOGETHER, level, weight, float(term.allowance), None))
        if len(term.items) <= 64:
            builder.blocs.append(np.asarray(term.items, np.int32))


@fuse_cost.register
def _(term: Near, builder: _Builder, level: int, weight: float) -> None:
    if len(term.items) and term.allowance < len(term.items):
        have = builder.counter(term.items, term.domain, term.n_domains)
        need = builder.counter(term.needs, term.domain, term.n_domains)
        if have != need:
            builder.nears.append((have, need, level, weight, float(term.allowance)))
            if 1 < len(term.items) + len(term.needs) <= 8:
                builder.blocs.append(np.union1d(term.items, term.needs).astype(np.int32))


@fuse_cost.register
def _(term: MoveLimit, builder: _Builder, level: int, weight: float) -> None:
    item = np.where(builder.start >= 0, term.weight, 0.0)
    builder.moves.append((level, weight, float(term.limit), item))


@fuse_cost.register
def _(term: GroupMoves, builder: _Builder, level: int, weight: float) -> None:
    group = np.where(builder.start >= 0, term.group, -1).astype(np.int32)
    builder.groups.append((level, weight, group, term.n_groups))


def fuse(lowered: Lowered) -> Fused:
    """Compile a lowered problem into flat arrays.

    Raises TypeError for a term that has no compiled form.
    """
    builder = _Builder(lowered)
    for wall in lowered.walls:
        fuse_wall(wall.term, builder)
    for k, level in enumerate(lowered.levels):
        for entry in level.terms:
            fuse_cost(entry.term, builder, k, float(entry.weight))
    return builder.build()
