"""The flat arrays that a lowered problem is compiled to (`drs.terms.fused`), and the constants in them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drs.terms.base import Floats, Ints

AT_MOST, AT_LEAST, TOGETHER, WITHIN = 0, 1, 2, 3
"""Kinds of features of a counter."""

STD, MAD, MAX, RANGE = 0, 1, 2, 3
"""Measures of deviation."""

HAS, NEEDED = 1, 2
"""The part that an item plays in a Near term."""

UNLIMITED = np.int32(2**31 - 1)

Longs = NDArray[np.int64]
Bytes = NDArray[np.uint8]


class Fused(NamedTuple):
    """Constant arrays of a lowered problem.

    Costs carry a level; level `n_levels` stands for the walls, whose total must stay 0.
    """

    start: Ints
    """i4[n_items]: today's bin"""
    n_levels: int
    # Allowed bins
    cls: Ints
    """i4[n_items]: class of the item in `allow`"""
    allow: Bytes
    """u1[n_classes, n_bins]"""
    reach_ptr: Ints
    """i4[n_items + 1], or i4[1] where nearly every item could be nearly everywhere"""
    reach: Ints
    """bins where an item could be at all, whoever else left; its own of today among them"""
    # Walls on columns, tightest first
    need: Floats
    """f8[n_items, n_walls]"""
    limit: Floats
    """f8[n_bins, n_walls]"""
    wall_at_once: Bytes
    """u1[n_walls]"""
    # Columns that costs are computed from
    demand: Floats
    """f8[n_items, n_columns]"""
    at_once: Bytes
    """u1[n_columns]"""
    # weight x max(0, load - target) per bin
    over_col: Ints
    over_level: Ints
    over_weight: Floats
    """f8[n_bins, n_over]"""
    over_target: Floats
    """f8[n_bins, n_over]"""
    # weight x max(0, ratio x (limit_a - load_a) - (limit_b - load_b)) per bin
    free_a: Ints
    free_b: Ints
    free_level: Ints
    free_ratio: Floats
    free_weight: Floats
    """f8[n_bins, n_free]"""
    free_offset: Floats
    """f8[n_bins, n_free]: ratio x limit_a - limit_b"""
    # price of bins with any load in a column
    used_col: Ints
    used_level: Ints
    used_price: Floats
    """f8[n_bins, n_used]"""
    # weight x (most - free slots) per bin
    slot_level: Ints
    slot_weight: Floats
    slot_ptr: Ints
    """Resources of each kind of slot (CSR)."""
    slot_col: Ints
    slot_size: Floats
    slot_limit: Floats
    """f8[n_bins, n resources of all kinds]"""
    slot_most: Floats
    """f8[n_bins, n_slots]"""
    # spread of load over capacity
    dev_col: Ints
    dev_level: Ints
    dev_measure: Ints
    dev_weight: Floats
    dev_target: Floats
    dev_n: Floats
    dev_inverse: Floats
    """f8[n_dev, n_bins]: 1 / capacity, 0 for bins that are not compared"""
    dev_ptr: Ints
    dev_of: Ints
    """Deviations in which each bin is compared (CSR): a cluster's, of which there may be very many."""
    # costs of an item in a bin
    fix_level: Ints
    fix: Floats
    """f8[n_fix, n_items]: cost of not being in the bin of today"""
    pair_level: Ints
    pair_class: Ints
    """i4[n_pair, n_bins]"""
    pair_offset: Longs
    pair_width: Longs
    pair_flat: Floats
    pair_scale: Floats
    """f8[n_pair, n_items]: weight included"""
    pen_level: Ints
    pen_weight: Floats
    pen_class: Ints
    """i4[n_pen, n_items]"""
    pen_offset: Longs
    pen_flat: Floats
    pen_stay: Ints
    """i4[n_pen, n_items]: a bin that costs nothing, -2 for none"""
    nowhere: Floats
    """f8[n_items, n_levels]: cost of an item that is nowhere"""
    # counters
    domains: Ints
    """i4[n_maps, n_bins]"""
    sig: Ints
    """i4[n_items]: items that are in the same counters share a signature"""
    sig_ptr: Ints
    sig_counter: Ints
    counter_map: Ints
    counter_offset: Longs
    """Where a counter's domains begin in the flat count."""
    counter_top: Ints
    """Wall: at most so many in any domain (where `counter_limit` is -1)."""
    counter_limit: Longs
    """Where a counter's limits per domain begin in `limits`, -1 where all are the same."""
    counter_hist: Longs
    """Where a counter's histogram begins, -1 for none."""
    counter_size: Ints
    limits: Ints
    feature_ptr: Ints
    feature_kind: Ints
    feature_level: Ints
    feature_weight: Floats
    feature_value: Floats
    """at_least, allowance, or at_most domains"""
    feature_offset: Longs
    """AT_MOST: where the limits begin in `feature_limits`."""
    feature_limits: Floats
    near_have: Ints
    near_need: Ints
    near_level: Ints
    near_weight: Floats
    near_allowance: Floats
    sig_near_ptr: Ints
    sig_near: Ints
    sig_near_part: Bytes
    member_ptr: Ints
    member: Ints
    """Items of each counter (CSR)."""
    # sums over moved items
    move_level: Ints
    move_weight: Floats
    move_limit: Floats
    move_item: Floats
    """f8[n_items, n_move]"""
    group_level: Ints
    group_weight: Floats
    group_of: Ints
    """i4[n_group, n_items]"""
    group_offset: Longs
    group_size: Ints
    # groups whose members should move as one
    bloc_ptr: Ints
    bloc: Ints
    """Items of each Together or Near group that is small enough to be moved as one (CSR)."""
    n_bins: int
    n_domain_counts: int
    n_hist: int
    n_moved_counts: int
