"""What needs no prices: pigeonholes, whole items, and the step in which a cost comes."""

from __future__ import annotations

import numpy as np

from drs.solvers.bounds.whole_items import flattest, reach
from drs.solvers.exact.linear_model import decimal_unit
from drs.terms import (
    Allowed,
    AtLeast,
    AtMost,
    BinsUsed,
    Capacity,
    Deviation,
    GroupMoves,
    Lowered,
    MoveCost,
    MoveLimit,
    Near,
    Penalty,
    Together,
    Unplaced,
    Within,
)
from drs.terms.base import Floats, Level


def analytic(lowered: Lowered, k: int, limits: Floats) -> float:
    """What needs no prices: pigeonholes and whole items per term of level `k`, summed.

    `limits`: f8[n_levels], the ceilings of the levels before it.
    """
    total = 0.0
    level = lowered.levels[k]
    may_leave = lowered.start < 0
    where = reach(lowered) if any(isinstance(entry.term, Deviation) for entry in level.terms) else None
    for entry in level.terms:
        term = entry.term
        value = 0.0
        if isinstance(term, AtMost) and bool((term.domain >= 0).all()):
            here = np.unique(term.domain)
            sure = int((~may_leave[term.items]).sum())
            value = max(0.0, sure - float(term.limit[here].sum()))
        elif isinstance(term, AtLeast):
            reachable = len(np.unique(term.domain[term.domain >= 0]))
            value = max(0.0, term.at_least - min(reachable, len(term.items)))
        elif isinstance(term, BinsUsed):
            value = _fewest_bins(lowered, term, k, limits)
        elif isinstance(term, Deviation) and where is not None:
            value = max(0.0, flattest(term, where) - term.target)
        total += entry.weight * value
    return total


def _fewest_bins(lowered: Lowered, term: BinsUsed, k: int, limits: Floats) -> float:
    """Cheapest bins whose limits together hold the items that must be somewhere, per resource.

    A limit is a wall, or a term of an earlier level, whose ceiling then says how much may be beyond it in all.
    """
    items = term.items[lowered.start[term.items] >= 0]
    best = 0.0
    usable = term.price > 0
    if len(items) and bool(usable.all()):
        best = float(term.price.min())
    held = [(wall.term, 0.0) for wall in lowered.walls if isinstance(wall.term, Capacity)]
    held += [
        (entry.term, float(limits[j]) / entry.weight)
        for j in range(k)
        for entry in lowered.levels[j].terms
        if isinstance(entry.term, Capacity) and entry.weight > 0
    ]
    for of, beyond in held:
        if not np.isfinite(of.limit).all():
            continue
        need = float(of.demand[items].sum()) - beyond
        limit, price = np.maximum(of.limit, 0.0), term.price
        ratio = np.where(limit > 0, price / np.where(limit > 0, limit, 1.0), np.inf)
        cost = 0.0
        for b in np.argsort(ratio, kind="stable"):
            if need <= 0 or limit[b] <= 0:
                break
            part = min(1.0, need / limit[b])
            cost += part * float(price[b])
            need -= part * float(limit[b])
        best = max(best, cost)
    return best


def lattice(lowered: Lowered, level: Level) -> float:
    """The step in which a level's cost comes, 0 where it is continuous."""
    parts: list[Floats] = []
    for entry in level.terms:
        term, w = entry.term, entry.weight
        match term:
            case AtMost():
                values = np.append(term.limit, 1.0)
            case Allowed() | AtLeast() | Within() | GroupMoves():
                values = np.ones(1)
            case Together() | Near():
                values = np.array([1.0, term.allowance])
            case Unplaced():
                values = term.weight
            case BinsUsed():
                values = term.price
            case Penalty():
                values = term.penalty.ravel()
            case MoveLimit():
                values = np.append(term.weight, term.limit)
            case Capacity():
                values = np.append(term.demand, term.limit[np.isfinite(term.limit)])
            case MoveCost():
                if term.scale is not None and term.pair is not None:
                    if decimal_unit(term.scale) != decimal_unit(np.append(term.scale, 1.0)):
                        return 0.0
                    if not bool((term.scale == np.rint(term.scale)).all()):
                        return 0.0
                values = term.per_item if term.pair is None else np.append(term.per_item, term.pair.ravel())
            case _:
                return 0.0
        parts.append(w * np.asarray(values, dtype=np.float64))
    return decimal_unit(np.concatenate(parts)) if parts else 0.0
