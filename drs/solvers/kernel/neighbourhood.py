"""Large-neighbourhood search: take some items out, place them again by a bounded tree search.

After Mehta, O'Sullivan and Simonis (second in the ROADEF/EURO challenge 2012): thousands of tiny
sub-problems a second, 2 to 40 items each, taken from costly bins and from random ones. All bins stay
candidates. The tree search keeps the price of every item in every bin, of which placing one item changes
one column; it prunes with the sum of the least prices of the items left, and ends after a number of failures.

The neighbourhood itself stands in the handle: `taken` items, the bins `around` them, and what the tree search
knows at each depth, in `state.State`. A function that takes `n` and `m` works on the first n items and m bins.
"""

from __future__ import annotations

import numpy as np

from drs.solvers.kernel.delta import counts_fit, fits, keep_best, over, price, settle, shift_delta, touch
from drs.solvers.kernel.jit import inline, jit
from drs.solvers.kernel.moves import WALL
from drs.solvers.kernel.state import AROUND, TAKEN, below, deviation, put, slots_taken, somewhere, uniform
from drs.terms.fused_arrays import MAD


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
    for k in range(h.n_slots):
        total += h.weight[h.slot_level[k]] * h.slot_weight[k] * slots_taken(h, k, b, -1, 0.0, -1)
    for k in range(h.dev_ptr[b], h.dev_ptr[b + 1]):
        d = np.int64(h.dev_of[k])
        # the mean absolute deviation takes a scan of all bins, more than it would tell here
        if h.dev_measure[d] == MAD or deviation(h, d) > h.dev_target[d]:
            x = h.load[b * h.n_columns + h.dev_col[d]] * h.dev_inverse[d * h.n_bins + b]
            x -= h.moment[d * 2] / h.dev_n[d]
            total += h.weight[h.dev_level[d]] * h.dev_weight[d] * abs(x) / h.dev_n[d]
    return total


@inline
def akin(h, n):  # type: ignore[no-untyped-def]
    """A random bin where one of the n items taken could be: the bins of its cluster, where there are many."""
    if n == 0:
        return below(h, h.n_bins)
    return somewhere(h, np.int64(h.taken[below(h, n)]))


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
def find_cheapest(h, k, m):  # type: ignore[no-untyped-def]
    """Find the place of the least price of the k-th item."""
    at = 0
    value = h.prices[k * AROUND]
    for c in range(1, m):
        if h.prices[k * AROUND + c] < value:
            value = h.prices[k * AROUND + c]
            at = c
    h.cheapest[k] = at


@inline
def least(h, k):  # type: ignore[no-untyped-def]
    """The least price of the k-th item."""
    return h.prices[k * AROUND + h.cheapest[k]]


@inline
def move_to(h, out, i, b):  # type: ignore[no-untyped-def]
    """Put item i into bin b (-1: out), and count what that costs."""
    shift_delta(h, i, b, out)
    h.energy[0] += price(h, out)
    put(h, i, b)
    settle(h, out)


@inline
def save(h, depth):  # type: ignore[no-untyped-def]
    """Keep what everything costs before a placement at this depth."""
    width = h.n_levels + 2
    for level in range(h.n_levels + 1):
        h.saved[depth * width + level] = h.cost[level]
    h.saved[depth * width + h.n_levels + 1] = h.energy[0]


@inline
def restore(h, depth):  # type: ignore[no-untyped-def]
    """Costs as they were saved at this depth, free of rounding."""
    width = h.n_levels + 2
    for level in range(h.n_levels + 1):
        h.cost[level] = h.saved[depth * width + level]
    h.energy[0] = h.saved[depth * width + h.n_levels + 1]


@inline
def choose(h, n):  # type: ignore[no-untyped-def]
    """The item still out whose cheapest place is dearest."""
    pick = np.int64(-1)
    value = -np.inf
    for k in range(n):
        if h.is_out[k] and least(h, k) > value:
            value = least(h, k)
            pick = np.int64(k)
    return pick


@inline
def next_place(h, pick, m, depth):  # type: ignore[no-untyped-def]
    """The place of an item that follows, in order of price, the one tried last at this depth; -1 for none."""
    last = h.tried[depth]
    last_at = h.target[depth]
    at = np.int64(-1)
    value = np.inf
    for c in range(m):
        v = h.prices[pick * AROUND + c]
        if v < value and (v > last or (v == last and c > last_at)):
            value = v
            at = np.int64(c)
    return at


@inline
def least_of_rest(h, n, pick):  # type: ignore[no-untyped-def]
    """Sum of the least prices of the items still out but one."""
    total = 0.0
    for k in range(n):
        if h.is_out[k] and k != pick:
            total += least(h, k)
    return total


@jit
def price_again(h, out, n, m, at):  # type: ignore[no-untyped-def]
    """Price the items still out in the bin at place `at`, which has changed; the sum of the least prices."""
    b = np.int64(h.around[at])
    total = 0.0
    for k in range(n):
        if h.is_out[k]:
            before = h.prices[k * AROUND + at]
            v = place_price(h, out, np.int64(h.taken[k]), b)
            h.prices[k * AROUND + at] = v
            if at == h.cheapest[k]:
                if v > before:
                    find_cheapest(h, k, m)
            elif v < least(h, k):
                h.cheapest[k] = at
            total += least(h, k)
    return total


@jit
def take_out(h, out, n, m):  # type: ignore[no-untyped-def]
    """Take the items out and price every place of each; the sum of their least prices, inf if one has none."""
    for k in range(n):
        i = np.int64(h.taken[k])
        h.origin[k] = h.assign[i]
        h.best_bin[k] = h.assign[i]
        h.is_out[k] = 1
        move_to(h, out, i, np.int64(-1))
        pend(h, i, 1)
    total = 0.0
    for k in range(n):
        i = np.int64(h.taken[k])
        for c in range(m):
            h.prices[k * AROUND + c] = place_price(h, out, i, np.int64(h.around[c]))
        find_cheapest(h, k, m)
        total += least(h, k)
    return total


@jit
def place(h, out, n, pick, at, depth):  # type: ignore[no-untyped-def]
    """Place an item at this depth; what it changes in the table of prices is kept for `undo`."""
    i = np.int64(h.taken[pick])
    save(h, depth)
    move_to(h, out, i, np.int64(h.around[at]))
    pend(h, i, -1)
    h.is_out[pick] = 0
    for k in range(n):
        h.column[depth * TAKEN + k] = h.prices[k * AROUND + at]
        h.old_cheapest[depth * TAKEN + k] = h.cheapest[k]


@jit
def undo(h, n, depth):  # type: ignore[no-untyped-def]
    """Take the item that was placed at this depth out again."""
    pick = h.chosen[depth]
    at = h.target[depth]
    i = np.int64(h.taken[pick])
    put(h, i, np.int64(-1))
    pend(h, i, 1)
    restore(h, depth)
    h.is_out[pick] = 1
    for k in range(n):
        h.prices[k * AROUND + at] = h.column[depth * TAKEN + k]
        h.cheapest[k] = h.old_cheapest[depth * TAKEN + k]


@jit
def put_back(h, out, n, found):  # type: ignore[no-untyped-def]
    """Place all items where the best leaf had them, or where they were."""
    for k in range(n):
        i = np.int64(h.taken[k])
        pend(h, i, -1)
        b = np.int64(h.best_bin[k])
        if found:
            shift_delta(h, i, b, out)
            h.energy[0] += price(h, out)
            settle(h, out)
            if b != h.origin[k]:
                touch(h, i)
        put(h, i, b)
    if not found:
        restore(h, TAKEN - 1)


@jit
def rearrange(h, out, n, m, most_failures, threshold):  # type: ignore[no-untyped-def]
    """Place `n` items, all placed now, again in any of `m` bins; keep the result if the energy is below
    the present one + threshold. Returns the number of nodes, negative if nothing was kept.
    """
    goal = h.energy[0] + threshold
    wall = h.cost[h.n_levels] + WALL
    save(h, TAKEN - 1)
    found = False
    failures = 0
    nodes = 0
    depth = 0 if h.energy[0] + take_out(h, out, n, m) < goal else -1
    fresh = True  # whether the node at `depth` is new
    while depth >= 0 and failures <= most_failures:
        if fresh:
            h.chosen[depth] = choose(h, n)
            h.tried[depth] = -np.inf
            h.target[depth] = -1
        pick = h.chosen[depth]
        at = next_place(h, pick, m, depth)
        if at < 0 or h.energy[0] + h.prices[pick * AROUND + at] + least_of_rest(h, n, pick) >= goal:
            # Nothing left here: go back one level.
            failures += 1
            depth -= 1
            fresh = False
            if depth >= 0:
                undo(h, n, depth)
            continue
        h.tried[depth] = h.prices[pick * AROUND + at]
        h.target[depth] = at
        nodes += 1
        i = np.int64(h.taken[pick])
        if not counts_fit(h, i, np.int64(-1), np.int64(h.around[at])):
            # A limit on a rack: what was placed in another of its hosts since this price was computed.
            failures += 1
            fresh = False
            continue
        place(h, out, n, pick, at, depth)
        bad = hopeless(h, i)
        rest = 0.0
        if not bad:
            rest = price_again(h, out, n, m, at)
        if not bad and depth == n - 1:
            if h.cost[h.n_levels] <= wall and h.energy[0] < goal:
                found = True
                goal = h.energy[0] - 1e-9 * abs(goal)
                for k in range(n):
                    h.best_bin[k] = h.assign[h.taken[k]]
            bad = True  # a leaf: look for better ones
        elif not bad:
            bad = h.energy[0] + rest >= goal
        fresh = not bad
        if bad:
            failures += 1
            undo(h, n, depth)
        else:
            depth += 1
    while depth > 0:  # ended by failures: everything above is still placed
        depth -= 1
        undo(h, n, depth)
    put_back(h, out, n, found)
    return nodes if found else -nodes


@jit
def recreate(h, out, n, m, most_bins, blink, threshold):  # type: ignore[no-untyped-def]
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
        i = np.int64(h.taken[k])
        h.origin[k] = h.assign[i]
        shift_delta(h, i, np.int64(-1), out)
        h.energy[0] += price(h, out)
        put(h, i, np.int64(-1))
        settle(h, out)
        pend(h, i, 1)
        # sort by size as they come, biggest first; or leave them in random order
        key = h.size[i] if way > 0 else uniform(h)
        q = k
        while q > 0 and h.key[q - 1] < key:
            h.key[q] = h.key[q - 1]
            h.taken[q] = h.taken[q - 1]
            o = h.origin[q]
            h.origin[q] = h.origin[q - 1]
            h.origin[q - 1] = o
            q -= 1
        h.key[q] = key
        h.taken[q] = i
    goal = before + threshold
    done = 0
    for k in range(n):
        i = np.int64(h.taken[k])
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
            b = np.int64(h.reach[begin + at]) if h.n_reach > 0 else np.int64(h.around[at])
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
            if h.assign[h.taken[k]] != h.origin[k]:
                touch(h, np.int64(h.taken[k]))
        return True
    for k in range(n):
        i = np.int64(h.taken[k])
        if h.assign[i] >= 0:
            shift_delta(h, i, np.int64(-1), out)
            put(h, i, np.int64(-1))
            settle(h, out)
        else:
            pend(h, i, -1)
    for k in range(n):
        i = np.int64(h.taken[k])
        shift_delta(h, i, np.int64(h.origin[k]), out)
        put(h, i, np.int64(h.origin[k]))
        settle(h, out)
    h.energy[0] = before
    return False


@inline
def choose_bins(h, k):  # type: ignore[no-untyped-def]
    """Choose up to `k` bins, costly ones above all, and some of their items; returns how many of both.

    The first item may be one that has no place yet.
    """
    n = 0
    m = 0
    if h.n_waiting > 0 and below(h, 2) == 0:
        i = np.int64(h.waiting[below(h, h.n_waiting)])
        if h.assign[i] < 0:
            h.taken[0] = i
            n = 1
    for c in range(k):
        b = akin(h, n)
        if c == 0 or below(h, 4) == 0:  # a costly one
            value = bin_energy(h, b)
            for _ in range(3):
                other = akin(h, n)
                v = bin_energy(h, other)
                if v > value:
                    value = v
                    b = other
        if h.is_around[b]:
            continue
        h.is_around[b] = 1
        h.around[m] = b
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
            if n < TAKEN - 1:
                h.taken[n] = i
                n += 1
    return n, m


@inline
def widen(h, n, m, most_bins):  # type: ignore[no-untyped-def]
    """Add all other bins, or where there are too many, random ones; returns how many there are then."""
    if h.n_bins <= most_bins:
        for b in range(h.n_bins):
            if not h.is_around[b]:
                h.around[m] = b
                m += 1
    else:
        for _ in range(most_bins - m):
            b = akin(h, n)
            if not h.is_around[b]:
                h.is_around[b] = 1
                h.around[m] = b
                m += 1
    for c in range(m):
        h.is_around[h.around[c]] = 0
    return m


@jit
def search_neighbourhoods(h, out, n_rounds, temperature, failures_ratio, blink, most_bins):  # type: ignore[no-untyped-def]
    """Rearrange `n_rounds` neighbourhoods of at most `most_bins` bins; returns the number of nodes."""
    nodes = 0
    for _ in range(n_rounds):
        # How many bins: by their success so far.
        k = 1 + below(h, 10)
        other = 1 + below(h, 10)
        if h.wins[other * 2] * h.wins[k * 2 + 1] > h.wins[k * 2] * h.wins[other * 2 + 1]:
            k = other
        k = min(k, h.n_bins)
        n, m = choose_bins(h, k)
        m = widen(h, n, m, most_bins)
        if n == 0:
            continue
        threshold = -1e-9 * abs(h.energy[0])
        if temperature > 0.0:
            threshold = -temperature * np.log(uniform(h))
        if blink >= 0.0:
            done = n if recreate(h, out, n, m, most_bins, blink, threshold) else -n
        else:
            done = rearrange(h, out, n, m, int(np.ceil(n * failures_ratio)), threshold)
        h.wins[k * 2 + 1] = 0.999 * h.wins[k * 2 + 1] + 1.0
        h.wins[k * 2] = 0.999 * h.wins[k * 2]
        if done > 0:
            h.wins[k * 2] += 1.0
            keep_best(h)
        nodes += abs(done) + 1
    return nodes
