"""The least price of hosts that hold some VMs, with a proof: column generation after Gilmore and Gomory.

VMs that are alike are one kind. A column is a way to fill one host of a model (a pattern). The linear relaxation over
all patterns is solved by generating them: the dual prices of the kinds make a small knapsack for each model, and HiGHS
answers it. Its value is a lower bound, by Farley (1990) also before the last column is found. The same patterns,
taken whole, and first-fit decreasing give a packing. For vector packing the two nearly always meet after rounding up.

Demands are rounded down for the bound and counted as they are for the packing, so that many slightly different VMs do
not make as many kinds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_KINDS = 160
"""More kinds than so many are made fewer by rounding demands down."""
GRIDS = (0.0, 1 / 256, 1 / 128, 1 / 64, 1 / 32, 1 / 16)


@dataclass(frozen=True)
class Model:
    """A host that can be bought. room : what VMs may use of each resource, f8[n_resources]."""

    name: str
    room: Floats
    price: float = 1.0


@dataclass(frozen=True)
class Items:
    """VMs to pack.

    demand : f8[n_items, n_resources]. fits : bool[n_items, n_models], which model may run which VM.
    apart : groups of positions and how many of each one host may hold at most. together : groups on one host.
    """

    demand: Floats
    fits: NDArray[np.bool_]
    apart: tuple[tuple[tuple[int, ...], int], ...] = ()
    together: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Packing:
    """hosts : the model of each host used. of : which host each VM is on, -1 for one that no model holds.
    price : of these hosts. bound : that no packing can go below. homeless : VMs that fit nowhere."""

    hosts: tuple[int, ...]
    of: Ints
    price: float
    bound: float
    homeless: tuple[int, ...]
    n_patterns: int = 0

    @property
    def proven(self) -> bool:
        """Whether no cheaper packing exists."""
        return self.bound >= self.price - 1e-6 * max(1.0, self.price)


def pack(items: Items, models: Sequence[Model], *, time_s: float = 30.0) -> Packing:
    """The cheapest hosts for all VMs, and a bound on it."""
    end = time.monotonic() + time_s
    members, demand, fits = _merged(items)
    room = np.array([model.room for model in models])
    single = (demand[:, None, :] <= room[None] * (1 + 1e-9)).all(axis=2) & fits
    able = single.any(axis=1)
    homeless = tuple(sorted(item for unit in np.flatnonzero(~able) for item in members[unit]))
    units = np.flatnonzero(able)
    apart = _apart(items, members, units)
    price = np.array([model.price for model in models])
    best = _first_fit(demand[units], single[units], room, price, apart)
    bound, n_patterns = 0.0, 0
    if len(units):
        bound, patterns, kind_of = _bound(demand[units], single[units], room, price, apart, end)
        n_patterns = len(patterns)
        rounded = _whole(patterns, kind_of, demand[units], single[units], room, price, apart, end)
        if rounded is not None and _price(rounded[0], price) < _price(best[0], price) - 1e-9:
            best = rounded
        bound = _raised(max(bound, _volume(demand[units], room, price), _crowd(price, apart)), price)
    of = np.full(len(items.demand), -1, dtype=np.int64)
    for k, unit in enumerate(units.tolist()):
        of[list(members[unit])] = best[1][k]
    return Packing(
        tuple(best[0]), of, _price(best[0], price), min(bound, _price(best[0], price)), homeless, n_patterns
    )


def _price(hosts: Sequence[int], price: Floats) -> float:
    return float(price[list(hosts)].sum()) if len(hosts) else 0.0


def _raised(bound: float, price: Floats) -> float:
    """The bound rounded up to a sum that prices can have, where they share a divisor."""
    whole = np.round(price)
    if not np.allclose(whole, price) or whole.min() < 1:
        return bound
    step = math.gcd(*(int(each) for each in whole))
    return math.ceil(bound / step - 1e-6) * float(step)


def _merged(items: Items) -> tuple[list[list[int]], Floats, NDArray[np.bool_]]:
    """VMs that stay together as one unit."""
    n = len(items.demand)
    root = list(range(n))

    def find(k: int) -> int:
        while root[k] != k:
            root[k] = root[root[k]]
            k = root[k]
        return k

    for group in items.together:
        for other in group[1:]:
            root[find(other)] = find(group[0])
    units: dict[int, list[int]] = {}
    for k in range(n):
        units.setdefault(find(k), []).append(k)
    members = list(units.values())
    demand = np.array([items.demand[unit].sum(axis=0) for unit in members]).reshape(len(members), -1)
    fits = np.array([items.fits[unit].all(axis=0) for unit in members], dtype=bool)
    return members, demand, fits.reshape(len(members), -1)


Apart = list[tuple[Ints, int]]
"""For each group that keeps apart: how many of it each unit brings, and how many a host may hold."""


def _apart(items: Items, members: list[list[int]], units: NDArray[np.intp]) -> Apart:
    found: Apart = []
    for group, most in items.apart:
        chosen = set(group)
        brings = np.array([sum(k in chosen for k in members[unit]) for unit in units], dtype=np.int64)
        if (brings > 0).sum() > 1:
            found.append((brings, max(most, int(brings.max()))))
    return found


def _first_fit(
    demand: Floats, fits: NDArray[np.bool_], room: Floats, price: Floats, apart: Apart
) -> tuple[list[int], Ints]:
    """First fit, the largest first: the best over models to open and over what largest means."""
    best: tuple[list[int], Ints] | None = None
    top = np.maximum(room.max(axis=0), 1e-9)
    share = demand / top
    sizes = [share.max(axis=1), share.sum(axis=1), *(share[:, r] for r in range(share.shape[1]))]
    for size in sizes:
        for prefer in range(len(room)):
            hosts, of = _fit(np.argsort(-size, kind="stable"), demand, fits, room, price, apart, prefer)
            if best is None or _price(hosts, price) < _price(best[0], price) - 1e-9:
                best = hosts, of
    assert best is not None
    return best


def _fit(
    order: NDArray[np.intp], demand: Floats, fits: NDArray[np.bool_], room: Floats, price: Floats, apart: Apart,
    prefer: int, hosts: Sequence[int] = (),
) -> tuple[list[int], Ints]:  # fmt: skip
    """Units in an order, each to the fullest open host that takes it, else to a new one."""
    opened = list(hosts)
    left = [room[m].copy() for m in opened]
    held = [np.zeros(len(apart), dtype=np.int64) for _ in opened]
    brings = np.array([group for group, _ in apart]).reshape(len(apart), len(demand))
    most = np.array([limit for _, limit in apart])
    of = np.full(len(demand), -1, dtype=np.int64)
    for k in order.tolist():
        chosen, tightest = -1, math.inf
        for h, spare in enumerate(left):
            if not fits[k, opened[h]] or (demand[k] > spare + 1e-9).any():
                continue
            if len(apart) and (held[h] + brings[:, k] > most).any():
                continue
            rest = float(((spare - demand[k]) / np.maximum(room[opened[h]], 1e-9)).sum())
            if rest < tightest:
                chosen, tightest = h, rest
        if chosen < 0:
            model = prefer if fits[k, prefer] else int(np.argmin(np.where(fits[k], price, np.inf)))
            opened.append(model)
            left.append(room[model].copy())
            held.append(np.zeros(len(apart), dtype=np.int64))
            chosen = len(opened) - 1
        left[chosen] = left[chosen] - demand[k]
        if len(apart):
            held[chosen] = held[chosen] + brings[:, k]
        of[k] = chosen
    used = sorted(set(of.tolist()))
    new = {h: i for i, h in enumerate(used)}
    return [opened[h] for h in used], np.array([new[h] for h in of.tolist()], dtype=np.int64)


def _kinds(demand: Floats, fits: NDArray[np.bool_], room: Floats, apart: Apart) -> tuple[Floats, Ints]:
    """Units as kinds: (demand of each kind, rounded down, kind of each unit).

    All but the first resource come in few sizes as a rule; they are rounded only where they must. Units that agree in
    them are cut into runs of like demand for the first resource, each rounded down to its least.
    """
    top = np.maximum(room.max(axis=0), 1e-9)
    brings = (
        np.array([group for group, _ in apart]).reshape(len(apart), len(demand)).T.reshape(len(demand), -1)
    )
    for grid in GRIDS:
        low = demand if grid == 0 else np.floor(demand / (grid * top) + 1e-9) * grid * top
        alike = np.hstack([low[:, 1:], fits.astype(float), brings.astype(float)])
        _, group = np.unique(alike, axis=0, return_inverse=True)
        group = group.reshape(-1)
        if group.max() + 1 <= MOST_KINDS // 2:
            break
    low = low.copy()
    of, next_kind = np.empty(len(demand), dtype=np.int64), 0
    for which in range(int(group.max()) + 1):
        units = np.flatnonzero(group == which)
        units = units[np.argsort(demand[units, 0], kind="stable")]
        runs = max(1, min(len(np.unique(demand[units, 0])), round(MOST_KINDS * len(units) / len(demand))))
        for part in np.array_split(units, runs):
            of[part], next_kind = next_kind, next_kind + 1
            low[part, 0] = demand[part[0], 0]
    first = np.array([int(np.flatnonzero(of == kind)[0]) for kind in range(next_kind)])
    return low[first], of


def _volume(demand: Floats, room: Floats, price: Floats) -> float:
    """What hosts cost at least whose room is as much as all demand, by linear programming."""
    found = linprog(price, A_ub=-room.T / np.maximum(room.max(axis=0)[:, None], 1e-9),
                    b_ub=-demand.sum(axis=0) / np.maximum(room.max(axis=0), 1e-9), method="highs")  # fmt: skip
    return float(found.fun) if found.x is not None else 0.0


def _crowd(price: Floats, apart: Apart) -> float:
    """What the hosts cost at least over which the largest group that keeps apart must spread."""
    return max((math.ceil(int(group.sum()) / most) for group, most in apart), default=0) * float(price.min())


Pattern = tuple[int, tuple[int, ...]]
"""A model, and how many of each kind a host of it holds."""


def _bound(
    demand: Floats, fits: NDArray[np.bool_], room: Floats, price: Floats, apart: Apart, end: float
) -> tuple[float, list[Pattern], Ints]:
    """A bound on the price, the patterns that make it, and the kind of each unit."""
    low, of = _kinds(demand, fits, room, apart)
    count = np.bincount(of).astype(np.float64)
    first = np.array([int(np.flatnonzero(of == kind)[0]) for kind in range(len(count))])
    brings = [(group[first], most) for group, most in apart]
    patterns: list[Pattern] = []
    for kind in range(len(count)):
        model = int(np.argmin(np.where(fits[first[kind]], price, np.inf)))
        patterns.append((model, tuple(int(k == kind) for k in range(len(count)))))
    best = 0.0
    for _ in range(2000):
        matrix = np.array([pattern for _, pattern in patterns], dtype=np.float64).T
        master = linprog(price[[m for m, _ in patterns]], A_ub=-matrix, b_ub=-count, method="highs")
        duals = np.maximum(-master.ineqlin.marginals, 0.0)
        ratio, new = 1.0, []
        for model in range(len(room)):
            value, pattern = _knapsack(duals, low, fits[first, model], room[model], brings, count)
            ratio = max(ratio, value / price[model])
            if value > price[model] * (1 + 1e-9):
                new.append((model, pattern))
        best = max(best, float(duals @ count) / ratio)
        if not new or time.monotonic() > end:
            break
        patterns += new
    return best, patterns, of


def _knapsack(
    duals: Floats, demand: Floats, fits: NDArray[np.bool_], room: Floats, brings: Apart, count: Floats
) -> tuple[float, tuple[int, ...]]:
    """The most valuable pattern of one model, with an upper bound on its value where HiGHS stops early."""
    scale = np.maximum(room, 1e-9)  # shares of the host: HiGHS is at ease with them
    rows = [demand.T / scale[:, None], *(group[None, :].astype(float) for group, _ in brings)]
    limits = np.array([*(room / scale * (1 + 1e-9)), *(float(most) for _, most in brings)])
    with np.errstate(divide="ignore", invalid="ignore"):
        most = np.where(demand > 0, np.floor(room * (1 + 1e-9) / np.maximum(demand, 1e-300)), np.inf).min(
            axis=1
        )
    top = np.where(fits & (duals > 1e-12), np.minimum(most, count), 0.0)
    found = milp(
        -duals, integrality=np.ones(len(duals)), bounds=Bounds(np.zeros(len(duals)), top),
        constraints=LinearConstraint(np.vstack(rows), -np.inf, limits),
        options={"time_limit": 5.0, "mip_rel_gap": 1e-4, "presolve": False},
    )  # fmt: skip
    upper = -float(found.mip_dual_bound) if found.mip_dual_bound is not None else float(duals @ top)
    if found.x is None:
        return upper, tuple(0 for _ in duals)
    return max(upper, float(duals @ np.round(found.x))), tuple(round(x) for x in found.x.tolist())


def _whole(
    patterns: list[Pattern], kind_of: Ints, demand: Floats, fits: NDArray[np.bool_], room: Floats, price: Floats,
    apart: Apart, end: float,
) -> tuple[list[int], Ints] | None:  # fmt: skip
    """Patterns taken whole, filled with units; what does not fit, since demands were rounded, goes elsewhere."""
    count = np.bincount(kind_of).astype(np.float64)
    matrix = np.array([pattern for _, pattern in patterns], dtype=np.float64).T
    cost = price[[model for model, _ in patterns]]
    left_s = max(1.0, min(20.0, end - time.monotonic()))
    found = milp(cost, integrality=np.ones(len(patterns)), constraints=LinearConstraint(matrix, count, np.inf),
                 bounds=Bounds(0, np.inf), options={"time_limit": left_s})  # fmt: skip
    if found.x is None:
        return None
    waiting = {kind: np.flatnonzero(kind_of == kind).tolist() for kind in range(len(count))}
    hosts: list[int] = []
    order: list[tuple[int, int]] = []
    for (model, pattern), times in zip(patterns, np.round(found.x).astype(int).tolist(), strict=True):
        for _ in range(times):
            for kind, n in enumerate(pattern):
                for _ in range(min(n, len(waiting[kind]))):
                    order.append((waiting[kind].pop(), len(hosts)))
            hosts.append(model)
    of = np.full(len(demand), -1, dtype=np.int64)
    left = [room[model].copy() for model in hosts]
    late = []
    for unit, host in order:
        if (demand[unit] <= left[host] + 1e-9).all():
            left[host] = left[host] - demand[unit]
            of[unit] = host
        else:
            late.append(unit)
    if not late:
        return hosts, of
    share = (demand / np.maximum(room.max(axis=0), 1e-9)).max(axis=1)
    prefer = int(np.argmin(price))
    everything = np.array(
        sorted(range(len(demand)), key=lambda unit: (of[unit] < 0, -share[unit])), dtype=np.intp
    )
    return _fit(everything, demand, fits, room, price, apart, prefer, hosts)
