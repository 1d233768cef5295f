"""What a move would cost: cheapest check first, then the change of every level's cost."""

from __future__ import annotations

import numpy as np

from drs.solvers.kernel.jit import inline, jit
from drs.solvers.kernel.state import SPARE, add_bin_cost, near_delta, slots_taken
from drs.terms.fused_arrays import RANGE


@inline
def fits(h, i, b):  # type: ignore[no-untyped-def]
    """Whether bin b takes item i: allowed, and room in every column that has a limit."""
    home = h.start[i]
    if h.allow[h.cls[i] * h.n_bins + b] == 0 and b != home:
        return False
    for w in range(h.n_walls):
        if h.need[i * h.n_walls + w] > h.room[b * h.n_walls + w] and not (b == home and h.wall_at_once[w]):
            return False
    return h.n_in[b] < h.most - SPARE


@inline
def counts_fit(h, i, a, b):  # type: ignore[no-untyped-def]
    """Whether item i, coming from bin a, is one too many for any group in bin b."""
    g = h.sig[i]
    for k in range(h.sig_ptr[g], h.sig_ptr[g + 1]):
        counter = h.sig_counter[k]
        top = h.counter_top[counter]
        limit_at = h.counter_limit[counter]
        if top == 2147483647 and limit_at < 0:
            continue
        row = h.counter_map[counter] * h.n_bins
        d = h.domains[row + b]
        if d < 0 or (a >= 0 and h.domains[row + a] == d):
            continue
        if limit_at >= 0:
            top = h.limits[limit_at + d]
        if h.count[h.counter_offset[counter] + d] >= top:
            return False
    return True


@inline
def over(value):  # type: ignore[no-untyped-def]
    """The part above 0."""
    return value if value > 0.0 else 0.0


@inline
def bin_delta(h, i, sign, b, out):  # type: ignore[no-untyped-def]
    """Add the change of bin b's own costs when item i comes (+1) or leaves (-1)."""
    home = b == h.start[i]
    for k in range(h.n_over):
        col = h.over_col[k]
        x = h.demand[i * h.n_columns + col]
        if x != 0.0 and not (home and h.at_once[col]):
            now = h.load[b * h.n_columns + col] - h.over_target[b * h.n_over + k]
            after = now + sign * x
            if now > 0.0 or after > 0.0:
                out[h.over_level[k]] += h.over_weight[b * h.n_over + k] * (over(after) - over(now))
    for k in range(h.n_free):
        x = sign * (
            h.demand[i * h.n_columns + h.free_b[k]]
            - h.free_ratio[k] * h.demand[i * h.n_columns + h.free_a[k]]
        )
        if x != 0.0:
            now = (
                h.free_offset[b * h.n_free + k]
                - h.free_ratio[k] * h.load[b * h.n_columns + h.free_a[k]]
                + h.load[b * h.n_columns + h.free_b[k]]
            )
            out[h.free_level[k]] += h.free_weight[b * h.n_free + k] * (over(now + x) - over(now))
    for k in range(h.n_slots):
        if h.slot_most[b * h.n_slots + k] > 0.0:
            change = slots_taken(h, k, b, i, sign, -1) - slots_taken(h, k, b, -1, 0.0, -1)
            out[h.slot_level[k]] += h.slot_weight[k] * change
    for k in range(h.n_used):
        x = h.demand[i * h.n_columns + h.used_col[k]]
        if x != 0.0:
            now = h.load[b * h.n_columns + h.used_col[k]]
            if (now > 0.5) != (now + sign * x > 0.5):
                out[h.used_level[k]] += sign * h.used_price[b * h.n_used + k]


@inline
def extreme_without(h, d, side, a, b):  # type: ignore[no-untyped-def]
    """The highest (or lowest) normalised load of all bins but a and b."""
    for k in range(3):
        bin_ = h.extreme[d * 6 + side * 3 + k]
        if bin_ >= 0 and bin_ != a and bin_ != b:
            return h.load[bin_ * h.n_columns + h.dev_col[d]] * h.dev_inverse[d * h.n_bins + bin_]
    return -np.inf if side == 0 else np.inf


@jit
def one_deviation_delta(h, d, x, a, b, out):  # type: ignore[no-untyped-def]
    """Add the change of deviation d when x of its column goes from bin a to bin b."""
    col = h.dev_col[d]
    at_a = h.dev_inverse[d * h.n_bins + a] if a >= 0 else 0.0
    at_b = h.dev_inverse[d * h.n_bins + b] if b >= 0 else 0.0
    n = h.dev_n[d]
    va = h.load[a * h.n_columns + col] * at_a if a >= 0 else 0.0
    vb = h.load[b * h.n_columns + col] * at_b if b >= 0 else 0.0
    va2 = va - x * at_a
    vb2 = vb + x * at_b
    measure = h.dev_measure[d]
    mean = h.moment[d * 2 + 0] / n
    mean2 = (h.moment[d * 2 + 0] + (va2 - va) + (vb2 - vb)) / n
    if measure == 0:
        now = np.sqrt(over(h.moment[d * 2 + 1] / n - mean * mean))
        square = h.moment[d * 2 + 1] + (va2 * va2 - va * va) + (vb2 * vb2 - vb * vb)
        after = np.sqrt(over(square / n - mean2 * mean2))
    elif measure == 1:
        now = 0.0
        after = 0.0
        for bin_ in range(h.n_bins):
            inverse = h.dev_inverse[d * h.n_bins + bin_]
            if inverse > 0.0:
                v = h.load[bin_ * h.n_columns + col] * inverse
                now += abs(v - mean)
                if bin_ == a:
                    v = va2
                elif bin_ == b:
                    v = vb2
                after += abs(v - mean2)
        now /= n
        after /= n
    else:
        top = h.extreme[d * 6 + 0 * 3 + 0]
        now = h.load[top * h.n_columns + col] * h.dev_inverse[d * h.n_bins + top]
        after = extreme_without(h, d, 0, a, b)
        if at_a > 0.0:
            after = max(after, va2)
        if at_b > 0.0:
            after = max(after, vb2)
        if measure == RANGE:
            bottom = h.extreme[d * 6 + 1 * 3 + 0]
            now -= h.load[bottom * h.n_columns + col] * h.dev_inverse[d * h.n_bins + bottom]
            least = extreme_without(h, d, 1, a, b)
            if at_a > 0.0:
                least = min(least, va2)
            if at_b > 0.0:
                least = min(least, vb2)
            after -= least
    target = h.dev_target[d]
    out[h.dev_level[d]] += h.dev_weight[d] * (over(after - target) - over(now - target))


@inline
def deviation_delta(h, i, j, a, b, out):  # type: ignore[no-untyped-def]
    """Add the change of all deviations when item i goes from bin a to bin b and j (-1: none) comes back."""
    for end in range(2):
        bin_ = a if end == 0 else b
        if bin_ < 0:
            continue
        for k in range(h.dev_ptr[bin_], h.dev_ptr[bin_ + 1]):
            d = np.int64(h.dev_of[k])
            if end == 1 and a >= 0 and h.dev_inverse[d * h.n_bins + a] > 0.0:
                continue  # a's turn has told it
            x = h.demand[i * h.n_columns + h.dev_col[d]]
            if j >= 0:
                x -= h.demand[j * h.n_columns + h.dev_col[d]]
            if x != 0.0:
                one_deviation_delta(h, d, x, a, b, out)


@inline
def counter_delta(h, counter, a, b, out):  # type: ignore[no-untyped-def]
    """Add the change of a counter's features when one of its items goes from bin a to bin b."""
    begin = h.feature_ptr[counter]
    end = h.feature_ptr[counter + 1]
    if begin == end:
        return
    row = h.counter_map[counter] * h.n_bins
    da = h.domains[row + a] if a >= 0 else -1
    db = h.domains[row + b] if b >= 0 else -1
    if da == db:
        return
    base = h.counter_offset[counter]
    ca = h.count[base + da] if da >= 0 else 0
    cb = h.count[base + db] if db >= 0 else 0
    for f in range(begin, end):
        kind = h.feature_kind[f]
        change = 0.0
        if kind == 0:
            at = h.feature_offset[f]
            if da >= 0:
                excess = ca - h.feature_limits[at + da]
                change += over(excess - 1.0) - over(excess)
            if db >= 0:
                excess = cb - h.feature_limits[at + db]
                change += over(excess + 1.0) - over(excess)
        elif kind == 1 or kind == 3:
            after = h.distinct[counter]
            if da >= 0 and ca == 1:
                after -= 1
            if db >= 0 and cb == 0:
                after += 1
            bound = h.feature_value[f]
            if kind == 1:
                change = over(bound - after) - over(bound - h.distinct[counter])
            else:
                change = over(after - bound) - over(h.distinct[counter] - bound)
        else:
            total = h.total[counter]
            most = h.largest[counter]
            now = over(total - most - h.feature_value[f])
            if da >= 0:
                total -= 1
                if ca == most and h.hist[h.counter_hist[counter] + most] == 1:
                    most -= 1
            if db >= 0:
                total += 1
                if cb + 1 > most:
                    most = cb + 1
            change = over(total - most - h.feature_value[f]) - now
        out[h.feature_level[f]] += h.feature_weight[f] * change


@jit
def group_delta(h, i, a, b, out):  # type: ignore[no-untyped-def]
    """Add the change of counters, dependencies and counts of moves when item i goes from a to b."""
    g = h.sig[i]
    for k in range(h.sig_ptr[g], h.sig_ptr[g + 1]):
        counter_delta(h, h.sig_counter[k], a, b, out)
    for k in range(h.sig_near_ptr[g], h.sig_near_ptr[g + 1]):
        f = h.sig_near[k]
        change = near_delta(h, f, h.sig_near_part[k], a, b)
        if change != 0:
            now = h.lonely[f] - h.near_allowance[f]
            out[h.near_level[f]] += h.near_weight[f] * (over(now + change) - over(now))
    home = h.start[i]
    if home >= 0 and (a == home) != (b == home):
        step = 1 if a == home else -1
        for k in range(h.n_move):
            now = h.moved_sum[k] - h.move_limit[k]
            after = now + step * h.move_item[i * h.n_move + k]
            out[h.move_level[k]] += h.move_weight[k] * (over(after) - over(now))
        for k in range(h.n_group):
            group = h.group_of[k * h.n_items + i]
            if group >= 0:
                c = h.moved_count[h.group_offset[k] + group]
                most = h.moved_most[k]
                if step > 0:
                    if c == most:
                        out[h.group_level[k]] += h.group_weight[k]
                elif c == most and h.moved_count[h.group_offset[k] + h.group_size[k] + c] == 1:
                    out[h.group_level[k]] -= h.group_weight[k]


@jit
def shift_delta(h, i, b, out):  # type: ignore[no-untyped-def]
    """Change of every level's cost when item i goes to bin b (-1: nowhere), into `out` f8[n_levels + 1]."""
    a = np.int64(h.assign[i])
    for level in range(h.n_levels + 1):
        out[level] = 0.0
    if a == b:
        return
    if a >= 0:
        bin_delta(h, i, -1.0, a, out)
        add_bin_cost(h, i, a, -1.0, out)
    else:
        for level in range(h.n_levels):
            out[level] -= h.nowhere[i * h.n_levels + level]
    if b >= 0:
        bin_delta(h, i, 1.0, b, out)
        add_bin_cost(h, i, b, 1.0, out)
    else:
        for level in range(h.n_levels):
            out[level] += h.nowhere[i * h.n_levels + level]
    if h.n_dev > 0:
        deviation_delta(h, i, -1, a, b, out)
    group_delta(h, i, a, b, out)


@inline
def swap_fits(h, i, j):  # type: ignore[no-untyped-def]
    """Whether items i and j may trade places as far as classes and columns go."""
    a = h.assign[i]
    b = h.assign[j]
    if (h.allow[h.cls[i] * h.n_bins + b] == 0 and b != h.start[i]) or (
        h.allow[h.cls[j] * h.n_bins + a] == 0 and a != h.start[j]
    ):
        return False
    for w in range(h.n_walls):
        x = h.need[i * h.n_walls + w]
        y = h.need[j * h.n_walls + w]
        if h.wall_at_once[w]:
            at_b = (x if b != h.start[i] else 0.0) - (y if b != h.start[j] else 0.0)
            at_a = (y if a != h.start[j] else 0.0) - (x if a != h.start[i] else 0.0)
            if (at_b > 0.0 and at_b > h.room[b * h.n_walls + w]) or (
                at_a > 0.0 and at_a > h.room[a * h.n_walls + w]
            ):
                return False
        else:
            d = x - y
            if (d > 0.0 and d > h.room[b * h.n_walls + w]) or (d < 0.0 and -d > h.room[a * h.n_walls + w]):
                return False
    return True


@jit
def bin_swap_delta(h, i, j, b, out):  # type: ignore[no-untyped-def]
    """Add the change of bin b's own costs when item i comes and item j leaves."""
    home_i = b == h.start[i]
    home_j = b == h.start[j]
    row_i = i * h.n_columns
    row_j = j * h.n_columns
    row_b = b * h.n_columns
    for k in range(h.n_over):
        col = h.over_col[k]
        x = h.demand[row_i + col] - h.demand[row_j + col]
        if h.at_once[col]:
            x = 0.0 if home_i else h.demand[row_i + col]
            x -= 0.0 if home_j else h.demand[row_j + col]
        if x != 0.0:
            now = h.load[row_b + col] - h.over_target[b * h.n_over + k]
            after = now + x
            if now > 0.0 or after > 0.0:
                out[h.over_level[k]] += h.over_weight[b * h.n_over + k] * (over(after) - over(now))
    for k in range(h.n_free):
        col_a = h.free_a[k]
        col_b = h.free_b[k]
        x = (h.demand[row_i + col_b] - h.demand[row_j + col_b]) - h.free_ratio[k] * (
            h.demand[row_i + col_a] - h.demand[row_j + col_a]
        )
        if x != 0.0:
            now = h.free_offset[b * h.n_free + k] - h.free_ratio[k] * h.load[row_b + col_a]
            now += h.load[row_b + col_b]
            out[h.free_level[k]] += h.free_weight[b * h.n_free + k] * (over(now + x) - over(now))
    for k in range(h.n_slots):
        if h.slot_most[b * h.n_slots + k] > 0.0:
            change = slots_taken(h, k, b, i, 1.0, j) - slots_taken(h, k, b, -1, 0.0, -1)
            out[h.slot_level[k]] += h.slot_weight[k] * change
    for k in range(h.n_used):
        col = h.used_col[k]
        x = h.demand[row_i + col] - h.demand[row_j + col]
        if x != 0.0:
            now = h.load[row_b + col]
            if (now > 0.5) != (now + x > 0.5):
                out[h.used_level[k]] += h.used_price[b * h.n_used + k] * (1.0 if x > 0.0 else -1.0)


@inline
def price(h, out):  # type: ignore[no-untyped-def]
    """Change of energy that a change of costs makes."""
    total = 0.0
    for level in range(h.n_levels):
        x = out[level]
        if x != 0.0:
            total += h.weight[level] * x
            steep = h.steep[level]
            if steep > 0.0:
                now = h.cost[level] - h.ceiling[level]
                total += steep * (over(now + x) - over(now))
    return total


@inline
def settle(h, out):  # type: ignore[no-untyped-def]
    """Add a change of costs to the costs."""
    for level in range(h.n_levels + 1):
        h.cost[level] += out[level]


@jit
def energy(h):  # type: ignore[no-untyped-def]
    """Energy of the assignment."""
    total = 0.0
    for level in range(h.n_levels):
        total += h.weight[level] * h.cost[level]
        if h.steep[level] > 0.0:
            total += h.steep[level] * over(h.cost[level] - h.ceiling[level])
    return total


@inline
def touch(h, i):  # type: ignore[no-untyped-def]
    """Remember that item i may no longer be where the best assignment has it."""
    if h.is_dirty[i] == 0:
        h.is_dirty[i] = 1
        h.dirty[h.n_dirty[0]] = i
        h.n_dirty[0] += 1


@jit
def keep_best(h):  # type: ignore[no-untyped-def]
    """Make the assignment the best one if it is."""
    if h.energy[0] < h.energy[1] - 1e-12 * abs(h.energy[1]):
        for level in range(h.n_levels):
            if h.cost[level] > h.ceiling[level]:
                return
        h.energy[1] = h.energy[0]
        for k in range(h.n_dirty[0]):
            i = h.dirty[k]
            h.best[i] = h.assign[i]
            h.is_dirty[i] = 0
        h.n_dirty[0] = 0
