"""What is known about an assignment, and how one move changes it.

`put` is the only function that changes an assignment. It touches two bins and the counters of one item, so
its price does not depend on the size of the cluster (but for `max` and `range` when the extreme bin itself
is touched).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drs.solvers.kernel.jit import inline, jit
from drs.terms.base import Floats, Ints
from drs.terms.fused_arrays import HAS, MAX, NEEDED, RANGE, Bytes, Fused, Longs

Words = NDArray[np.uint64]

SPARE = 8
"""Places in a bin's list of items that are left free for moves that pass over the limit."""

TAKEN = 48
"""Items of a neighbourhood, at most."""
AROUND = 144
"""Bins of a neighbourhood, at most."""


class State(NamedTuple):
    """An assignment with everything that is needed to price a change of it."""

    assign: Ints
    members: Ints
    """i4[n_bins, most]: items of each bin, in no order"""
    n_in: Ints
    """i4[n_bins]"""
    position: Ints
    """i4[n_items]: place of an item in its bin's list"""
    room: Floats
    """f8[n_bins, n_walls]: what the limits leave"""
    load: Floats
    """f8[n_bins, n_columns]"""
    count: Ints  # type: ignore[assignment]
    """Items of each counter in each of its domains, flat."""
    distinct: Ints
    """i4[n_counters]: domains that hold any"""
    total: Ints
    """i4[n_counters]: items in any domain"""
    largest: Ints
    """i4[n_counters]: most in any domain (counters with a histogram)"""
    hist: Ints
    pending: Ints
    """i4[n_counters]: items that a neighbourhood search has taken out and will put back"""
    lonely: Floats
    """f8[n_near]: items in domains without any that they need"""
    moment: Floats
    """f8[n_dev, 2]: sum and sum of squares of normalised load"""
    extreme: Ints
    """i4[n_dev, 2, 3]: the three bins with the highest and lowest normalised load (max and range)"""
    moved_sum: Floats
    moved_count: Ints
    moved_most: Ints
    cost: Floats
    """f8[n_levels + 1]: the last is the walls' (but for those that are never crossed even in passing)"""
    n_moved: Ints
    """i4[1]"""
    weight: Floats
    """f8[n_levels]: weight of each level's cost in the energy under way"""
    ceiling: Floats
    """f8[n_levels]: cost of each level beyond which `steep` is added to the energy"""
    steep: Floats
    """f8[n_levels]: price per unit beyond the ceiling"""
    energy: Floats
    """f8[2]: of the assignment, and of the best one"""
    best: Ints
    """i4[n_items]: the best assignment, but for items in `dirty`"""
    dirty: Ints
    """i4[n_items]: items whose bin may differ from that in `best`"""
    is_dirty: Bytes
    n_dirty: Ints
    """i4[1]"""
    tally: Longs
    """i8[8, 3]: per kind of move how many were tried, priced and made"""
    size: Floats
    """f8[n_items]: how much of the room an item needs, over all columns"""
    by_size: Ints
    """i4[n_items]: items by size"""
    rank: Ints
    """i4[n_items]: place of each item in `by_size`"""
    hot: Ints
    """i4[n_items]: items that cost something where they are, dearest first"""
    n_hot: Ints
    """i4[1]"""
    soft: Floats
    """f8[1]: by how much the groups' costs may fall, at most, when two items move"""
    chain: Ints
    """i4[256]: items of a move of many, with the bins they come from"""
    out: Floats
    """f8[4, n_levels + 1]: scratch for changes of cost"""
    random: Words
    """u8[2]: state of the generator"""
    taken: Longs
    """i8[TAKEN]: items of the neighbourhood that is searched"""
    around: Longs
    """i8[AROUND]: its bins"""
    is_around: Bytes
    """u1[n_bins]: whether a bin is one of them, while they are chosen"""
    origin: Longs
    """i8[TAKEN]: bin that each item comes from"""
    best_bin: Longs
    """i8[TAKEN]: bin of each item in the best rearrangement"""
    is_out: Longs
    """i8[TAKEN]: whether the tree search has not placed an item"""
    key: Floats
    """f8[TAKEN]: what the items are sorted by"""
    prices: Floats
    """f8[TAKEN, AROUND]: price of each item in each bin"""
    cheapest: Longs
    """i8[TAKEN]: place of an item's least price in its row of `prices`"""
    chosen: Longs
    """i8[TAKEN]: by depth of the tree, the item placed there"""
    target: Longs
    """i8[TAKEN]: by depth, the place in `around` that was tried last"""
    tried: Floats
    """f8[TAKEN]: by depth, the price of that place"""
    column: Floats
    """f8[TAKEN, TAKEN]: by depth, the prices that a placement replaced"""
    old_cheapest: Longs
    """i8[TAKEN, TAKEN]: by depth, `cheapest` before a placement"""
    saved: Floats
    """f8[TAKEN, n_levels + 2]: by depth, costs and energy before a placement; the last row: before the search"""
    wins: Floats
    """f8[12, 2]: by number of bins, successful rounds and all of them, lately; they steer that number"""
    waiting: Longs
    """i8[n_waiting]: items without a place today"""


def empty_state(p: Fused, assign: Ints, seed: int) -> State:
    """Room for an assignment; `search.Search` fills it."""
    n, m = p.need.shape[0], p.n_bins
    n_counters = len(p.counter_map)
    placed = assign[assign >= 0]
    fullest = int(np.bincount(placed, minlength=1).max(initial=0))
    most = 2 * max(fullest, 2 * (n // max(m, 1) + 1)) + 32 + 2 * SPARE
    size = (p.need / np.maximum(p.need.sum(axis=0), 1e-300)).sum(axis=1)
    by_size = np.argsort(size, kind="stable").astype(np.int32)
    rank = np.empty(n, dtype=np.int32)
    rank[by_size] = np.arange(n, dtype=np.int32)
    return State(
        assign=np.array(assign, dtype=np.int32),
        members=np.zeros((m, min(most, n + 2 * SPARE)), dtype=np.int32),
        n_in=np.zeros(m, dtype=np.int32),
        position=np.zeros(n, dtype=np.int32),
        room=np.zeros((m, p.need.shape[1])),
        load=np.zeros((m, p.demand.shape[1])),
        count=np.zeros(p.n_domain_counts, dtype=np.int32),
        distinct=np.zeros(n_counters, dtype=np.int32),
        total=np.zeros(n_counters, dtype=np.int32),
        largest=np.zeros(n_counters, dtype=np.int32),
        hist=np.zeros(p.n_hist, dtype=np.int32),
        pending=np.zeros(n_counters, dtype=np.int32),
        lonely=np.zeros(len(p.near_have)),
        moment=np.zeros((len(p.dev_col), 2)),
        extreme=np.full((len(p.dev_col), 2, 3), -1, dtype=np.int32),
        moved_sum=np.zeros(len(p.move_level)),
        moved_count=np.zeros(p.n_moved_counts, dtype=np.int32),
        moved_most=np.zeros(len(p.group_level), dtype=np.int32),
        cost=np.zeros(p.n_levels + 1),
        n_moved=np.zeros(1, dtype=np.int32),
        weight=np.zeros(p.n_levels),
        ceiling=np.full(p.n_levels, np.inf),
        steep=np.zeros(p.n_levels),
        energy=np.zeros(2),
        best=np.array(assign, dtype=np.int32),
        dirty=np.zeros(n, dtype=np.int32),
        is_dirty=np.zeros(n, dtype=np.uint8),
        n_dirty=np.zeros(1, dtype=np.int32),
        tally=np.zeros((8, 3), dtype=np.int64),
        size=size,
        by_size=by_size,
        rank=rank,
        hot=np.zeros(n, dtype=np.int32),
        n_hot=np.zeros(1, dtype=np.int32),
        soft=np.zeros(1),
        chain=np.zeros(256, dtype=np.int32),
        out=np.zeros((4, p.n_levels + 1)),
        random=seeds(seed),
        taken=np.zeros(TAKEN, dtype=np.int64),
        around=np.zeros(AROUND, dtype=np.int64),
        is_around=np.zeros(m, dtype=np.uint8),
        origin=np.zeros(TAKEN, dtype=np.int64),
        best_bin=np.zeros(TAKEN, dtype=np.int64),
        is_out=np.zeros(TAKEN, dtype=np.int64),
        key=np.zeros(TAKEN),
        prices=np.zeros((TAKEN, AROUND)),
        cheapest=np.zeros(TAKEN, dtype=np.int64),
        chosen=np.zeros(TAKEN, dtype=np.int64),
        target=np.zeros(TAKEN, dtype=np.int64),
        tried=np.zeros(TAKEN),
        column=np.zeros((TAKEN, TAKEN)),
        old_cheapest=np.zeros((TAKEN, TAKEN), dtype=np.int64),
        saved=np.zeros((TAKEN, p.n_levels + 2)),
        wins=np.ones((12, 2)),
        waiting=np.flatnonzero(p.start < 0).astype(np.int64),
    )


def seeds(seed: int) -> Words:
    """State of the generator for a seed (SplitMix64, as its authors advise)."""
    mask, x, out = (1 << 64) - 1, seed & ((1 << 64) - 1), []
    for _ in range(2):
        x = (x + 0x9E3779B97F4A7C15) & mask
        z = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        out.append(z ^ (z >> 31))
    return np.array(out, dtype=np.uint64)


def clear(p: Fused, s: State) -> None:
    """Make a state ready for `rebuild`."""
    s.room[:] = p.limit
    for array in (
        s.n_in, s.load, s.count, s.distinct, s.total, s.largest, s.hist, s.pending, s.lonely, s.moved_sum,
        s.moved_count, s.moved_most, s.n_moved,
    ):  # fmt: skip
        array[...] = 0


@inline
def draw(h):  # type: ignore[no-untyped-def]
    """A random 64-bit number (xoroshiro128+, Blackman and Vigna 2018)."""
    s0 = h.random[0]
    s1 = h.random[1]
    result = s0 + s1
    s1 ^= s0
    h.random[0] = ((s0 << np.uint64(24)) | (s0 >> np.uint64(40))) ^ s1 ^ (s1 << np.uint64(16))
    h.random[1] = (s1 << np.uint64(37)) | (s1 >> np.uint64(27))
    return result


@inline
def below(h, n):  # type: ignore[no-untyped-def]
    """A random number from 0 to n - 1, n < 2^31."""
    return np.int64(((draw(h) >> np.uint64(33)) * np.uint64(n)) >> np.uint64(31))


@inline
def uniform(h):  # type: ignore[no-untyped-def]
    """A random number in (0, 1)."""
    return (np.float64(draw(h) >> np.uint64(12)) + 0.5) * (1.0 / 4503599627370496.0)


@inline
def somewhere(h, i):  # type: ignore[no-untyped-def]
    """A random bin where item i could be; any one where it fits nowhere."""
    if h.n_reach == 0 or h.reach_ptr[i] == h.reach_ptr[i + 1]:
        return below(h, h.n_bins)
    begin = h.reach_ptr[i]
    return np.int64(h.reach[begin + below(h, h.reach_ptr[i + 1] - begin)])


@jit
def find_extremes(h, d):  # type: ignore[no-untyped-def]
    """Find the three highest and lowest bins of a deviation."""
    col = h.dev_col[d]
    for side in range(2):
        sign = 1.0 if side == 0 else -1.0
        for k in range(3):
            h.extreme[d * 6 + side * 3 + k] = -1
        for b in range(h.n_bins):
            inverse = h.dev_inverse[d * h.n_bins + b]
            if inverse <= 0.0:
                continue
            x = sign * h.load[b * h.n_columns + col] * inverse
            k = 3
            while k > 0:
                other = h.extreme[d * 6 + side * 3 + k - 1]
                if (
                    other >= 0
                    and sign * h.load[other * h.n_columns + col] * h.dev_inverse[d * h.n_bins + other] >= x
                ):
                    break
                k -= 1
            if k < 3:
                for q in range(2, k, -1):
                    h.extreme[d * 6 + side * 3 + q] = h.extreme[d * 6 + side * 3 + q - 1]
                h.extreme[d * 6 + side * 3 + k] = b


@jit
def deviation(h, d):  # type: ignore[no-untyped-def]
    """Measure of a deviation, without its target."""
    n = h.dev_n[d]
    col = h.dev_col[d]
    measure = h.dev_measure[d]
    mean = h.moment[d * 2 + 0] / n
    if measure == 0:
        return np.sqrt(max(0.0, h.moment[d * 2 + 1] / n - mean * mean))
    if measure == 1:
        total = 0.0
        for b in range(h.n_bins):
            if h.dev_inverse[d * h.n_bins + b] > 0.0:
                total += abs(h.load[b * h.n_columns + col] * h.dev_inverse[d * h.n_bins + b] - mean)
        return total / n
    high = h.extreme[d * 6 + 0 * 3 + 0]
    value = h.load[high * h.n_columns + col] * h.dev_inverse[d * h.n_bins + high]
    if measure == RANGE:
        low = h.extreme[d * 6 + 1 * 3 + 0]
        value -= h.load[low * h.n_columns + col] * h.dev_inverse[d * h.n_bins + low]
    return value


@jit
def rebuild(h):  # type: ignore[no-untyped-def]
    """Compute everything from the assignment alone, into a state that is cleared."""
    for i in range(h.n_items):
        b = np.int64(h.assign[i])
        home = h.start[i]
        if b >= 0:
            h.position[i] = h.n_in[b]
            h.members[b * h.most + h.n_in[b]] = i
            h.n_in[b] += 1
            for w in range(h.n_walls):
                h.room[b * h.n_walls + w] -= h.need[i * h.n_walls + w]
            for c in range(h.n_columns):
                h.load[b * h.n_columns + c] += h.demand[i * h.n_columns + c]
            for k in range(h.sig_ptr[h.sig[i]], h.sig_ptr[h.sig[i] + 1]):
                counter = h.sig_counter[k]
                d = h.domains[h.counter_map[counter] * h.n_bins + b]
                if d >= 0:
                    at = h.counter_offset[counter] + d
                    if h.count[at] == 0:
                        h.distinct[counter] += 1
                    h.count[at] += 1
                    h.total[counter] += 1
        if home >= 0 and b != home:
            h.n_moved[0] += 1
            for w in range(h.n_walls):
                if h.wall_at_once[w]:
                    h.room[home * h.n_walls + w] -= h.need[i * h.n_walls + w]
            for c in range(h.n_columns):
                if h.at_once[c]:
                    h.load[home * h.n_columns + c] += h.demand[i * h.n_columns + c]
            for k in range(h.n_move):
                h.moved_sum[k] += h.move_item[i * h.n_move + k]
            for k in range(h.n_group):
                g = h.group_of[k * h.n_items + i]
                if g >= 0:
                    h.moved_count[h.group_offset[k] + g] += 1
    for counter in range(h.n_counters):
        base = h.counter_hist[counter]
        if base >= 0:
            for at in range(h.counter_offset[counter], h.counter_offset[counter + 1]):
                c = h.count[at]
                h.hist[base + c] += 1
                h.largest[counter] = max(h.largest[counter], c)
    for k in range(h.n_group):
        base = h.group_offset[k] + h.group_size[k]
        for g in range(h.group_size[k]):
            c = h.moved_count[h.group_offset[k] + g]
            h.moved_count[base + c] += 1
            h.moved_most[k] = max(h.moved_most[k], c)
    for f in range(h.n_near):
        have = h.counter_offset[h.near_have[f]]
        need = h.counter_offset[h.near_need[f]]
        for d in range(h.counter_offset[h.near_have[f] + 1] - have):
            if h.count[need + d] == 0:
                h.lonely[f] += h.count[have + d]
    recount(h)


@inline
def slots_taken(h, k, b, i, sign, j):  # type: ignore[no-untyped-def]
    """Slots of kind k that bin b lacks once item i came (sign 1) or left (-1), and item j left; -1 is no item."""
    free = h.slot_most[b * h.n_slots + k]
    for p in range(h.slot_ptr[k], h.slot_ptr[k + 1]):
        col = h.slot_col[p]
        left = h.slot_limit[b * h.n_slot_parts + p] - h.load[b * h.n_columns + col]
        if i >= 0:
            left -= sign * h.demand[i * h.n_columns + col]
        if j >= 0:
            left += h.demand[j * h.n_columns + col]
        free = min(free, np.floor(left / h.slot_size[p] + 1e-9))
    return h.slot_most[b * h.n_slots + k] - max(0.0, free)


@jit
def recount(h):  # type: ignore[no-untyped-def]
    """Compute the moments and the costs from the exact parts of the state, free of rounding."""
    for level in range(h.n_levels + 1):
        h.cost[level] = 0.0
    for d in range(h.n_dev):
        h.moment[d * 2 + 0] = 0.0
        h.moment[d * 2 + 1] = 0.0
        for b in range(h.n_bins):
            x = h.load[b * h.n_columns + h.dev_col[d]] * h.dev_inverse[d * h.n_bins + b]
            h.moment[d * 2 + 0] += x
            h.moment[d * 2 + 1] += x * x
        if h.dev_measure[d] >= MAX:
            find_extremes(h, d)
        h.cost[h.dev_level[d]] += h.dev_weight[d] * max(0.0, deviation(h, d) - h.dev_target[d])
    for b in range(h.n_bins):
        for k in range(h.n_over):
            over = h.load[b * h.n_columns + h.over_col[k]] - h.over_target[b * h.n_over + k]
            if over > 0.0:
                h.cost[h.over_level[k]] += h.over_weight[b * h.n_over + k] * over
        for k in range(h.n_free):
            over = (
                h.free_offset[b * h.n_free + k]
                - h.free_ratio[k] * h.load[b * h.n_columns + h.free_a[k]]
                + h.load[b * h.n_columns + h.free_b[k]]
            )
            if over > 0.0:
                h.cost[h.free_level[k]] += h.free_weight[b * h.n_free + k] * over
        for k in range(h.n_slots):
            h.cost[h.slot_level[k]] += h.slot_weight[k] * slots_taken(h, k, b, -1, 0.0, -1)
        for k in range(h.n_used):
            if h.load[b * h.n_columns + h.used_col[k]] > 0.5:
                h.cost[h.used_level[k]] += h.used_price[b * h.n_used + k]
    for i in range(h.n_items):
        b = np.int64(h.assign[i])
        for level in range(h.n_levels):
            if b < 0:
                h.cost[level] += h.nowhere[i * h.n_levels + level]
        if b >= 0:
            add_bin_cost(h, i, b, 1.0, h.cost)
    for counter in range(h.n_counters):
        for f in range(h.feature_ptr[counter], h.feature_ptr[counter + 1]):
            kind = h.feature_kind[f]
            value = 0.0
            if kind == 0:
                at = h.counter_offset[counter]
                for d in range(h.counter_offset[counter + 1] - at):
                    value += max(0.0, h.count[at + d] - h.feature_limits[h.feature_offset[f] + d])
            elif kind == 1:
                value = max(0.0, h.feature_value[f] - h.distinct[counter])
            elif kind == 3:
                value = max(0.0, h.distinct[counter] - h.feature_value[f])
            else:
                value = max(0.0, h.total[counter] - h.largest[counter] - h.feature_value[f])
            h.cost[h.feature_level[f]] += h.feature_weight[f] * value
    for f in range(h.n_near):
        h.cost[h.near_level[f]] += h.near_weight[f] * max(0.0, h.lonely[f] - h.near_allowance[f])
    for k in range(h.n_move):
        h.cost[h.move_level[k]] += h.move_weight[k] * max(0.0, h.moved_sum[k] - h.move_limit[k])
    for k in range(h.n_group):
        h.cost[h.group_level[k]] += h.group_weight[k] * h.moved_most[k]


@inline
def add_bin_cost(h, i, b, sign, out):  # type: ignore[no-untyped-def]
    """Add the costs of item i in bin b that depend on nothing else."""
    home = h.start[i]
    if b != home and home >= 0:
        for k in range(h.n_fix):
            out[h.fix_level[k]] += sign * h.fix[k * h.n_items + i]
        for k in range(h.n_pair):
            at = (
                h.pair_offset[k]
                + h.pair_class[k * h.n_bins + home] * h.pair_width[k]
                + h.pair_class[k * h.n_bins + b]
            )
            out[h.pair_level[k]] += sign * h.pair_scale[k * h.n_items + i] * h.pair_flat[at]
    for k in range(h.n_pen):
        if h.pen_stay[k * h.n_items + i] != b:
            at = h.pen_offset[k] + h.pen_class[k * h.n_items + i] * h.n_bins + b
            out[h.pen_level[k]] += sign * h.pen_weight[k] * h.pen_flat[at]


@inline
def drop(h, counter, a):  # type: ignore[no-untyped-def]
    """Take one item of a counter out of bin a."""
    d = h.domains[h.counter_map[counter] * h.n_bins + a]
    if d < 0:
        return
    at = h.counter_offset[counter] + d
    c = h.count[at]
    h.count[at] = c - 1
    h.total[counter] -= 1
    if c == 1:
        h.distinct[counter] -= 1
    base = h.counter_hist[counter]
    if base >= 0:
        h.hist[base + c] -= 1
        h.hist[base + c - 1] += 1
        if h.largest[counter] == c and h.hist[base + c] == 0:
            h.largest[counter] = c - 1


@inline
def add(h, counter, b):  # type: ignore[no-untyped-def]
    """Put one item of a counter into bin b."""
    d = h.domains[h.counter_map[counter] * h.n_bins + b]
    if d < 0:
        return
    at = h.counter_offset[counter] + d
    c = h.count[at]
    h.count[at] = c + 1
    h.total[counter] += 1
    if c == 0:
        h.distinct[counter] += 1
    base = h.counter_hist[counter]
    if base >= 0:
        h.hist[base + c] -= 1
        h.hist[base + c + 1] += 1
        if c + 1 > h.largest[counter]:
            h.largest[counter] = c + 1


@inline
def lonely_after(h, f, d, have, need):  # type: ignore[no-untyped-def]
    """Lonely items in a domain if `have` and `need` more of either group were there."""
    n = h.count[h.counter_offset[h.near_have[f]] + d] + have
    needed = h.count[h.counter_offset[h.near_need[f]] + d] + need
    return n if needed == 0 else 0


@inline
def near_delta(h, f, part, a, b):  # type: ignore[no-untyped-def]
    """Change of the number of lonely items when an item with this part goes from bin a to bin b."""
    row = h.counter_map[h.near_have[f]] * h.n_bins
    da = h.domains[row + a] if a >= 0 else -1
    db = h.domains[row + b] if b >= 0 else -1
    if da == db:
        return 0
    have = 1 if part & HAS else 0
    need = 1 if part & NEEDED else 0
    change = 0
    if da >= 0:
        change += lonely_after(h, f, da, -have, -need) - lonely_after(h, f, da, 0, 0)
    if db >= 0:
        change += lonely_after(h, f, db, have, need) - lonely_after(h, f, db, 0, 0)
    return change


@jit
def shift_moments(h, i, b, sign):  # type: ignore[no-untyped-def]
    """Change the moments of bin b's deviations as item i comes (+1) or leaves (-1)."""
    for k in range(h.dev_ptr[b], h.dev_ptr[b + 1]):
        d = np.int64(h.dev_of[k])
        col = h.dev_col[d]
        x = sign * h.demand[i * h.n_columns + col]
        if x != 0.0:
            inverse = h.dev_inverse[d * h.n_bins + b]
            v = h.load[b * h.n_columns + col] * inverse
            v2 = (h.load[b * h.n_columns + col] + x) * inverse
            h.moment[d * 2] += v2 - v
            h.moment[d * 2 + 1] += v2 * v2 - v * v


@jit
def refresh_extremes(h, i, b):  # type: ignore[no-untyped-def]
    """Find the extremes again if bin b, where item i came or left, is among them or may now be."""
    for k in range(h.dev_ptr[b], h.dev_ptr[b + 1]):
        d = np.int64(h.dev_of[k])
        col = h.dev_col[d]
        if h.dev_measure[d] < MAX or h.demand[i * h.n_columns + col] == 0.0:
            continue
        v = h.load[b * h.n_columns + col] * h.dev_inverse[d * h.n_bins + b]
        for side in range(2):
            sign = 1.0 if side == 0 else -1.0
            third = h.extreme[d * 6 + side * 3 + 2]
            listed = False
            for q in range(3):
                listed = listed or h.extreme[d * 6 + side * 3 + q] == b
            if (
                listed
                or third < 0
                or sign * v > sign * h.load[third * h.n_columns + col] * h.dev_inverse[d * h.n_bins + third]
            ):
                find_extremes(h, d)
                break


@jit
def put_groups(h, i, a, b):  # type: ignore[no-untyped-def]
    """The part of `put` that concerns counters, dependencies and counts of moves."""
    home = h.start[i]
    g = h.sig[i]
    for k in range(h.sig_near_ptr[g], h.sig_near_ptr[g + 1]):
        f = h.sig_near[k]
        h.lonely[f] += near_delta(h, f, h.sig_near_part[k], a, b)
    for k in range(h.sig_ptr[g], h.sig_ptr[g + 1]):
        counter = h.sig_counter[k]
        if a >= 0:
            drop(h, counter, a)
        if b >= 0:
            add(h, counter, b)
    if home >= 0 and (a == home) != (b == home):
        step = 1 if a == home else -1
        h.n_moved[0] += step
        for k in range(h.n_move):
            h.moved_sum[k] += step * h.move_item[i * h.n_move + k]
        for k in range(h.n_group):
            group = h.group_of[k * h.n_items + i]
            if group >= 0:
                at = h.group_offset[k] + group
                base = h.group_offset[k] + h.group_size[k]
                c = h.moved_count[at]
                h.moved_count[at] = c + step
                h.moved_count[base + c] -= 1
                h.moved_count[base + c + step] += 1
                if step > 0 and c + 1 > h.moved_most[k]:
                    h.moved_most[k] = c + 1
                elif step < 0 and c == h.moved_most[k] and h.moved_count[base + c] == 0:
                    h.moved_most[k] = c - 1


@jit
def put_columns(h, i, a, b):  # type: ignore[no-untyped-def]
    """The part of `put` that concerns the two bins."""
    home = h.start[i]
    if a >= 0:
        at = h.position[i]
        last = h.n_in[a] - 1
        other = h.members[a * h.most + last]
        h.members[a * h.most + at] = other
        h.position[other] = at
        h.n_in[a] = last
        for w in range(h.n_walls):
            if not (h.wall_at_once[w] and a == home):
                h.room[a * h.n_walls + w] += h.need[i * h.n_walls + w]
    if b >= 0:
        h.members[b * h.most + h.n_in[b]] = i
        h.position[i] = h.n_in[b]
        h.n_in[b] += 1
        for w in range(h.n_walls):
            if not (h.wall_at_once[w] and b == home):
                h.room[b * h.n_walls + w] -= h.need[i * h.n_walls + w]
    if h.n_dev > 0:
        if a >= 0:
            shift_moments(h, i, a, -1.0)
        if b >= 0:
            shift_moments(h, i, b, 1.0)
    for c in range(h.n_columns):
        x = h.demand[i * h.n_columns + c]
        if a >= 0 and not (h.at_once[c] and a == home):
            h.load[a * h.n_columns + c] -= x
        if b >= 0 and not (h.at_once[c] and b == home):
            h.load[b * h.n_columns + c] += x
    h.assign[i] = b
    if h.n_dev > 0:
        if a >= 0:
            refresh_extremes(h, i, a)
        if b >= 0:
            refresh_extremes(h, i, b)


@jit
def put(h, i, b):  # type: ignore[no-untyped-def]
    """Move item i to bin b (-1: nowhere) without looking at limits; `cost` is left to the caller."""
    a = np.int64(h.assign[i])
    if a != b:
        put_groups(h, i, a, b)
        put_columns(h, i, a, b)
