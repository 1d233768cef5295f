"""Large-neighbourhood search: take some items out, place them again by a bounded tree search.

After Mehta, O'Sullivan and Simonis (second in the ROADEF/EURO challenge 2012): thousands of tiny
sub-problems a second, 2 to 40 items each, taken from costly bins and from random ones. All bins stay
candidates. The tree search keeps the price of every item in every bin, of which placing one item changes
one column; it prunes with the sum of the least prices of the items left, and ends after a number of failures.
"""

from __future__ import annotations

import numpy as np

from drs.solvers.kernel.delta import counts_fit, fits, keep_best, over, price, settle, shift_delta, touch
from drs.solvers.kernel.jit import inline, jit
from drs.solvers.kernel.moves import WALL
from drs.solvers.kernel.state import below, deviation, put, somewhere, uniform
from drs.terms.fused_arrays import MAD

MOST = 48
"""Items taken out at most."""


@inline
def bin_energy(h, b):  # type: ignore[no-untyped-def]
    """What bin b itself costs (deviations above their target: its distance from the mean)."""
    total = 0.0
    for k in range(h.n_over):
        x = h.load[b * h.n_columns + h.over_col[k]] - h.over_target[b * h.n_over + k]
        total += h.weight[h.over_level[k]] * h.over_weight[b * h.n_over + k] * over(x)
    for k in range(h.n_free):
        x = h.free_offset[b * h.n_free + k] - h.free_ratio[k] * h.load[b * h.n_columns + h.free_a[k]]
        x += h.load[b * h.n_columns + h.free_b[k]]
        total += h.weight[h.free_level[k]] * h.free_weight[b * h.n_free + k] * over(x)
    for k in range(h.dev_ptr[b], h.dev_ptr[b + 1]):
        d = np.int64(h.dev_of[k])
        # the mean absolute deviation takes a scan of all bins, more than it would tell here
        if h.dev_measure[d] == MAD or deviation(h, d) > h.dev_target[d]:
            x = h.load[b * h.n_columns + h.dev_col[d]] * h.dev_inverse[d * h.n_bins + b]
            x -= h.moment[d * 2] / h.dev_n[d]
            total += h.weight[h.dev_level[d]] * h.dev_weight[d] * abs(x) / h.dev_n[d]
    return total


@inline
def akin(h, items, n):  # type: ignore[no-untyped-def]
    """A random bin where one of these n items could be: the bins of its cluster, where there are many."""
    if n == 0:
        return below(h, h.n_bins)
    return somewhere(h, np.int64(items[below(h, n)]))


@inline
def pend(h, i, change):  # type: ignore[no-untyped-def]
    """Count item i among those that will be put back."""
    g = h.sig[i]
    for k in range(h.sig_ptr[g], h.sig_ptr[g + 1]):
        h.pending[h.sig_counter[k]] += change


@inline
def hopeless(h, i):  # type: ignore[no-untyped-def]
    """Whether a wall of item i's groups is broken that no item still out could mend."""
    g = h.sig[i]
    for k in range(h.sig_near_ptr[g], h.sig_near_ptr[g + 1]):
        f = h.sig_near[k]
        if (
            h.near_level[f] == h.n_levels
            and h.lonely[f] > h.near_allowance[f]
            and h.pending[h.near_need[f]] == 0
        ):
            return True
    for k in range(h.sig_ptr[g], h.sig_ptr[g + 1]):
        counter = h.sig_counter[k]
        for f in range(h.feature_ptr[counter], h.feature_ptr[counter + 1]):
            if (
                h.feature_kind[f] == 1
                and h.feature_level[f] == h.n_levels
                and h.distinct[counter] + h.pending[counter] < h.feature_value[f]
            ):
                return True
            if (
                h.feature_kind[f] == 3
                and h.feature_level[f] == h.n_levels
                and h.distinct[counter] > h.feature_value[f]
            ):
                return True
    return False


@inline
def place_price(h, out, i, b):  # type: ignore[no-untyped-def]
    """Price of placing item i, which is out, in bin b; inf where it does not fit."""
    if not fits(h, i, b) or not counts_fit(h, i, -1, b):
        return np.inf
    shift_delta(h, i, b, out)
    return price(h, out)


@inline
def least(prices, row, n):  # type: ignore[no-untyped-def]
    """Place of the least price in a row."""
    at = 0
    value = prices[row, 0]
    for k in range(1, n):
        if prices[row, k] < value:
            value = prices[row, k]
            at = k
    return at


@jit
def rearrange(h, out, items, n, bins, m, prices, table, ints, saved, most_failures, threshold):  # type: ignore[no-untyped-def]
    """Place `n` items, all placed now, again in any of `m` bins; keep the result if the energy is below
    the present one + threshold. Returns the number of nodes, negative if nothing was kept.

    prices : f8[MOST, m], table : f8[MOST, 3 * MOST + 4], ints : i4[8, MOST], saved : f8[MOST, n_levels + 3]
    """
    before = h.energy[0]
    n_levels = h.n_levels
    origin = ints[0]
    chosen = ints[1]  # item at each depth
    target_bin = ints[2]  # place in `bins` tried last at each depth
    best_bin = ints[3]
    min_at = ints[4]
    is_out = ints[5]
    column = table[:, 0:MOST]  # prices of the column that a placement changed, by depth
    old_min = table[:, MOST : 2 * MOST]
    tried = table[:, 2 * MOST]  # price tried last at each depth
    for level in range(n_levels + 1):
        saved[MOST - 1, level] = h.cost[level]
    for k in range(n):
        i = np.int64(items[k])
        origin[k] = h.assign[i]
        best_bin[k] = h.assign[i]
        is_out[k] = 1
        shift_delta(h, i, -1, out)
        h.energy[0] += price(h, out)
        put(h, i, -1)
        settle(h, out)
        pend(h, i, 1)
    total = 0.0
    stuck = False
    for k in range(n):
        i = np.int64(items[k])
        for c in range(m):
            prices[k, c] = place_price(h, out, i, np.int64(bins[c]))
        min_at[k] = least(prices, k, m)
        total += prices[k, min_at[k]]
        stuck = stuck or prices[k, min_at[k]] == np.inf
    goal = before + threshold
    found = False
    failures = 0
    nodes = 0
    depth = 0
    fresh = True  # whether the node at `depth` is new
    if stuck or h.energy[0] + total >= goal:
        depth = -1
    while depth >= 0:
        if fresh:
            # Choose the item whose cheapest place is dearest.
            pick = -1
            value = -np.inf
            for k in range(n):
                if is_out[k]:
                    v = prices[k, min_at[k]]
                    if v > value:
                        value = v
                        pick = k
            chosen[depth] = pick
            tried[depth] = -np.inf
            target_bin[depth] = -1
        pick = chosen[depth]
        i = np.int64(items[pick])
        # Next place of the item in order of price.
        last = tried[depth]
        last_at = target_bin[depth]
        at = -1
        value = np.inf
        for c in range(m):
            v = prices[pick, c]
            if v < value and (v > last or (v == last and c > last_at)):
                value = v
                at = c
        rest = 0.0
        for k in range(n):
            if is_out[k] and k != pick:
                rest += prices[k, min_at[k]]
        if at < 0 or h.energy[0] + value + rest >= goal:
            # Nothing left here: go back one level.
            failures += 1
            depth -= 1
            fresh = False
            if depth >= 0:
                undo(h, items, n, bins, m, prices, table, ints, saved, depth)
            if failures > most_failures:
                break
            continue
        tried[depth] = value
        target_bin[depth] = at
        b = np.int64(bins[at])
        nodes += 1
        if not counts_fit(h, i, np.int64(-1), b):
            # A limit on a rack: what was placed in another of its hosts since this price was computed.
            failures += 1
            fresh = False
            if failures > most_failures:
                break
            continue
        for level in range(n_levels + 1):
            saved[depth, level] = h.cost[level]
        saved[depth, n_levels + 1] = h.energy[0]
        shift_delta(h, i, b, out)
        h.energy[0] += price(h, out)
        put(h, i, b)
        settle(h, out)
        pend(h, i, -1)
        is_out[pick] = 0
        bad = hopeless(h, i)
        for k in range(n):
            column[depth, k] = prices[k, at]
            old_min[depth, k] = min_at[k]
        rest = 0.0
        if not bad:
            for k in range(n):
                if is_out[k]:
                    v = place_price(h, out, np.int64(items[k]), b)
                    prices[k, at] = v
                    if at == min_at[k]:
                        if v > column[depth, k]:
                            min_at[k] = least(prices, k, m)
                    elif v < prices[k, min_at[k]]:
                        min_at[k] = at
                    rest += prices[k, min_at[k]]
        if not bad and depth == n - 1:
            bad = h.cost[n_levels] > saved[MOST - 1, n_levels] + WALL or h.energy[0] >= goal
            if not bad:
                found = True
                goal = h.energy[0] - 1e-9 * abs(goal)
                for k in range(n):
                    best_bin[k] = h.assign[items[k]]
                bad = True  # look for better ones
        elif not bad:
            bad = h.energy[0] + rest >= goal
        if bad:
            failures += 1
            undo(h, items, n, bins, m, prices, table, ints, saved, depth)
            fresh = False
            if failures > most_failures:
                break
            continue
        depth += 1
        fresh = True
    while depth > 0:  # ended by failures: everything above is still placed
        depth -= 1
        undo(h, items, n, bins, m, prices, table, ints, saved, depth)
    for k in range(n):
        i = np.int64(items[k])
        pend(h, i, -1)
        b = np.int64(best_bin[k])
        if found:
            shift_delta(h, i, b, out)
            h.energy[0] += price(h, out)
            settle(h, out)
            if b != origin[k]:
                touch(h, i)
        put(h, i, b)
    if not found:
        h.energy[0] = before
        for level in range(n_levels + 1):
            h.cost[level] = saved[MOST - 1, level]
        return -nodes
    return nodes


@jit
def undo(h, items, n, bins, m, prices, table, ints, saved, depth):  # type: ignore[no-untyped-def]
    """Take the item that was placed at this depth out again."""
    pick = ints[1, depth]
    at = ints[2, depth]
    i = np.int64(items[pick])
    put(h, i, np.int64(-1))
    pend(h, i, 1)
    for level in range(h.n_levels + 1):
        h.cost[level] = saved[depth, level]
    h.energy[0] = saved[depth, h.n_levels + 1]
    ints[5, pick] = 1
    for k in range(n):
        prices[k, at] = table[depth, k]
        ints[4, k] = np.int64(table[depth, MOST + k])


@jit
def recreate(h, out, items, n, bins, m, most_bins, origin, size, blink, threshold):  # type: ignore[no-untyped-def]
    """Take `n` items out and place them one by one where they cost least, in order of size or at random.

    An item looks at the bins that it reaches (at most `most_bins` of them, from a random one on); where that
    is not known, at `m` bins.
    Every place is passed over with probability `blink`, so that the same ruin is not always mended in the
    same way (Christiaens and Vanden Berghe, "Slack induction by string removals", Transportation Science
    2020). Returns whether the result was kept.
    """
    before = h.energy[0]
    wall = h.cost[h.n_levels]
    way = below(h, 4)
    for k in range(n):
        i = np.int64(items[k])
        origin[k] = h.assign[i]
        shift_delta(h, i, np.int64(-1), out)
        h.energy[0] += price(h, out)
        put(h, i, np.int64(-1))
        settle(h, out)
        pend(h, i, 1)
        # sort by size as they come, biggest first; or leave them in random order
        key = h.size[i] if way > 0 else uniform(h)
        q = k
        while q > 0 and size[q - 1] < key:
            size[q] = size[q - 1]
            items[q] = items[q - 1]
            o = origin[q]
            origin[q] = origin[q - 1]
            origin[q - 1] = o
            q -= 1
        size[q] = key
        items[q] = i
    goal = before + threshold
    done = 0
    for k in range(n):
        i = np.int64(items[k])
        best = np.int64(-1)
        value = np.inf
        begin = np.int64(0)
        n_reached = np.int64(m)
        at = np.int64(0)
        if h.n_reach > 0:
            begin = np.int64(h.reach_ptr[i])
            n_reached = np.int64(h.reach_ptr[i + 1]) - begin
            if n_reached > most_bins:
                at = below(h, n_reached)
        for _ in range(min(n_reached, max(most_bins, m))):
            b = np.int64(h.reach[begin + at]) if h.n_reach > 0 else np.int64(bins[at])
            at = at + 1 if at + 1 < n_reached else 0
            if uniform(h) < blink:
                continue
            if fits(h, i, b) and counts_fit(h, i, np.int64(-1), b):
                shift_delta(h, i, b, out)
                v = price(h, out)
                if v < value and h.energy[0] + v < goal:
                    value = v
                    best = b
        if best < 0:
            break
        shift_delta(h, i, best, out)
        h.energy[0] += price(h, out)
        put(h, i, best)
        settle(h, out)
        pend(h, i, -1)
        done += 1
        if hopeless(h, i):
            break
    if done == n and h.energy[0] < goal and h.cost[h.n_levels] <= wall + WALL:
        for k in range(n):
            if h.assign[items[k]] != origin[k]:
                touch(h, np.int64(items[k]))
        return True
    for k in range(n):
        i = np.int64(items[k])
        if h.assign[i] >= 0:
            shift_delta(h, i, np.int64(-1), out)
            put(h, i, np.int64(-1))
            settle(h, out)
        else:
            pend(h, i, -1)
    for k in range(n):
        i = np.int64(items[k])
        shift_delta(h, i, np.int64(origin[k]), out)
        put(h, i, np.int64(origin[k]))
        settle(h, out)
    h.energy[0] = before
    return False


@jit
def search_neighbourhoods(  # type: ignore[no-untyped-def]
    h,
    out,
    n_rounds,
    temperature,
    failures_ratio,
    blink,
    most_bins,
    items,
    bins,
    marks,
    prices,
    table,
    ints,
    saved,
    wins,
    waiting,
):
    """Rearrange `n_rounds` neighbourhoods; returns the number of nodes.

    waiting : i4[n], items that may have no place yet
    wins : f8[12, 2], successes and rounds by the number of bins, which steers that number.
    """
    nodes = 0
    for _ in range(n_rounds):
        # How many bins: by their success so far.
        k = 1 + below(h, 10)
        other = 1 + below(h, 10)
        if wins[other, 0] * wins[k, 1] > wins[k, 0] * wins[other, 1]:
            k = other
        k = min(k, h.n_bins)
        n = 0
        m = 0
        if len(waiting) > 0 and below(h, 2) == 0:
            i = np.int64(waiting[below(h, len(waiting))])
            if h.assign[i] < 0:
                items[0] = i
                n = 1
        for c in range(k):
            b = akin(h, items, n)
            if c == 0 or below(h, 4) == 0:  # a costly one
                value = bin_energy(h, b)
                for _ in range(3):
                    other = akin(h, items, n)
                    v = bin_energy(h, other)
                    if v > value:
                        value = v
                        b = other
            if marks[b]:
                continue
            marks[b] = 1
            bins[m] = b
            m += 1
            size = h.n_in[b]
            take = min(size, max(1, size // 2), 10) if k <= 4 else min(size, 40 // k)
            for q in range(take):
                # a random one of those not taken yet: partial shuffle of the bin's list
                at = q + below(h, size - q)
                i = h.members[b * h.most + at]
                j = h.members[b * h.most + q]
                h.members[b * h.most + q] = i
                h.members[b * h.most + at] = j
                h.position[i] = q
                h.position[j] = at
                if n < MOST - 1:
                    items[n] = i
                    n += 1
        if m < h.n_bins:
            if h.n_bins <= most_bins:
                for b in range(h.n_bins):
                    if not marks[b]:
                        bins[m] = b
                        m += 1
            else:
                for _ in range(most_bins - m):
                    b = akin(h, items, n)
                    if not marks[b]:
                        marks[b] = 1
                        bins[m] = b
                        m += 1
        for c in range(m):
            marks[bins[c]] = 0
        if n == 0:
            continue
        threshold = -1e-9 * abs(h.energy[0])
        if temperature > 0.0:
            threshold = -temperature * np.log(uniform(h))
        if blink >= 0.0:
            done = -n
            if recreate(h, out, items, n, bins, m, most_bins, ints[0], table[0], blink, threshold):
                done = n
        else:
            done = rearrange(
                h, out, items, n, bins, m, prices, table, ints, saved,
                int(np.ceil(n * failures_ratio)), threshold,
            )  # fmt: skip
        wins[k, 1] = 0.999 * wins[k, 1] + 1.0
        wins[k, 0] = 0.999 * wins[k, 0]
        if done > 0:
            wins[k, 0] += 1.0
            keep_best(h)
        nodes += abs(done) + 1
    return nodes
