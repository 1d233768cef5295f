"""Google's ROADEF/EURO challenge 2012 (machine reassignment) as a placement problem.

A process is an item and a machine a bin. The challenge's constraints and costs are terms that any cluster
may have: capacities (transient resources at once), conflicts (keep apart), spread over locations,
dependencies within neighbourhoods, load above a safety level, balance of free room, prices of moves. The
solver has no code of its own for it.

Format: https://www.roadef.org/challenge/2012/files/problem_definition_v1.pdf
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drs.errors import Fault, InputError
from drs.terms import (
    AtLeast,
    AtMost,
    Capacity,
    FreeBalance,
    GroupMoves,
    Level,
    Lowered,
    MoveCost,
    Near,
    OverTarget,
    Term,
    Wall,
    Weighted,
)

Longs = NDArray[np.int64]


@dataclass(frozen=True)
class Instance:
    """An instance of the challenge, as its files have it; m machines, p processes, r resources, s services."""

    transient: NDArray[np.bool_]
    """bool[r]"""
    load_weight: Longs
    """i8[r]"""
    neighbourhood: Longs
    """i8[m]"""
    location: Longs
    """i8[m]"""
    capacity: Longs
    """i8[m, r]"""
    safety: Longs
    """i8[m, r]"""
    machine_move_cost: Longs
    """i8[m, m], from row to column"""
    spread: Longs
    """i8[s]: least number of locations"""
    depends_on: tuple[tuple[int, ...], ...]
    """services that each service needs in its neighbourhood"""
    service: Longs
    """i8[p]"""
    requirement: Longs
    """i8[p, r]"""
    process_move_cost: Longs
    """i8[p]"""
    balance: tuple[tuple[int, int, int, int], ...]
    """(resource a, resource b, target, weight)"""
    process_move_weight: int
    service_move_weight: int
    machine_move_weight: int
    start: NDArray[np.int32]
    """i4[p]: the machine of each process at first"""


def read(model: str | Path, assignment: str | Path) -> Instance:
    """Read an instance.

    Raises InputError where a file is not in the challenge's format.
    """
    values = _numbers(model)
    start = _numbers(assignment)
    at = 0

    def take(n: int) -> Longs:
        nonlocal at
        if n < 0 or at + n > len(values):
            raise InputError([Fault(str(model), f"the file ends after {len(values)} numbers", "a whole file")])
        at += n
        return values[at - n : at]

    r = int(take(1)[0])
    resources = take(2 * r).reshape(r, 2)
    m = int(take(1)[0])
    machines = take(m * (2 + 2 * r + m)).reshape(m, 2 + 2 * r + m)
    s = int(take(1)[0])
    spread, depends_on = np.zeros(s, dtype=np.int64), []
    for k in range(s):
        spread[k], n = take(2)
        depends_on.append(tuple(take(int(n)).tolist()))
    p = int(take(1)[0])
    processes = take(p * (2 + r)).reshape(p, 2 + r)
    balance = []
    for _ in range(int(take(1)[0])):
        a, b, target = take(3).tolist()
        balance.append((a, b, target, int(take(1)[0])))
    process_weight, service_weight, machine_weight = take(3).tolist()
    if len(start) != p or (p and not (start.min() >= 0 and start.max() < m)):
        raise InputError([Fault(str(assignment), f"{len(start)} numbers", f"{p} machines from 0 to {m - 1}")])
    return Instance(
        transient=resources[:, 0] != 0,
        load_weight=resources[:, 1],
        neighbourhood=machines[:, 0],
        location=machines[:, 1],
        capacity=machines[:, 2 : 2 + r],
        safety=machines[:, 2 + r : 2 + 2 * r],
        machine_move_cost=machines[:, 2 + 2 * r :],
        spread=spread,
        depends_on=tuple(depends_on),
        service=processes[:, 0],
        requirement=processes[:, 1 : 1 + r],
        process_move_cost=processes[:, 1 + r],
        balance=tuple(balance),
        process_move_weight=process_weight,
        service_move_weight=service_weight,
        machine_move_weight=machine_weight,
        start=start.astype(np.int32),
    )


def _numbers(path: str | Path) -> Longs:
    try:
        return np.array(Path(path).read_bytes().split(), dtype=np.int64)
    except ValueError as error:
        raise InputError([Fault(str(path), str(error), "whole numbers only")]) from error


def write(path: str | Path, assign: NDArray[np.int32]) -> None:
    """Write a solution in the challenge's format."""
    Path(path).write_text(" ".join(map(str, assign.tolist())) + "\n", encoding="ascii")


def lower(instance: Instance) -> Lowered:
    """The instance as walls and one level of cost."""
    m, r = instance.capacity.shape
    p = len(instance.start)
    walls: list[tuple[str, Term]] = []
    need = instance.requirement.astype(np.float64)
    for k in range(r):
        when = "at_once" if instance.transient[k] else "after"
        limit = instance.capacity[:, k].astype(np.float64)
        walls.append((f"capacity {k}", Capacity(f"r{k}", need[:, k].copy(), limit, when)))  # type: ignore[arg-type]
    order = np.argsort(instance.service, kind="stable").astype(np.int32)
    bounds = np.searchsorted(instance.service[order], np.arange(len(instance.spread) + 1))
    members = [order[bounds[k] : bounds[k + 1]] for k in range(len(instance.spread))]
    machine, one = np.arange(m, dtype=np.int32), np.ones(m)
    location, neighbourhood = instance.location.astype(np.int32), instance.neighbourhood.astype(np.int32)
    n_locations, n_neighbourhoods = int(location.max()) + 1, int(neighbourhood.max()) + 1
    for k, items in enumerate(members):
        if len(items) > 1:
            walls.append(("conflict", AtMost(items, machine, one)))
        if instance.spread[k] > 1:
            walls.append(("spread", AtLeast(items, location, n_locations, int(instance.spread[k]))))
        for other in instance.depends_on[k]:
            if len(items) and other != k:
                walls.append(
                    ("dependency", Near(items, members[other], neighbourhood, n_neighbourhoods))
                )
    costs: list[Weighted] = []
    for k in range(r):
        if instance.load_weight[k]:
            term = OverTarget(
                f"r{k}", need[:, k].copy(), instance.safety[:, k].astype(np.float64),
                np.full(m, float(instance.load_weight[k])),
            )  # fmt: skip
            costs.append(Weighted(term, origin=f"load {k}"))
    for a, b, target, weight in instance.balance:
        limit = instance.capacity.astype(np.float64)
        free = FreeBalance(
            need[:, a].copy(), limit[:, a].copy(), need[:, b].copy(), limit[:, b].copy(), float(target),
            np.full(m, float(weight)),
        )  # fmt: skip
        costs.append(Weighted(free, origin="balance"))
    costs.append(
        Weighted(
            MoveCost(
                instance.process_move_weight * instance.process_move_cost.astype(np.float64),
                machine,
                instance.machine_move_weight * instance.machine_move_cost.astype(np.float64),
            ),
            origin="moves",
        )
    )
    costs.append(
        Weighted(
            GroupMoves(instance.service.astype(np.int32), len(instance.spread)),
            float(instance.service_move_weight),
            "moves of a service",
        )
    )
    return Lowered(
        p, m, instance.start, tuple(Wall(term, origin) for origin, term in walls),
        (Level("cost", tuple(costs)),),
    )  # fmt: skip
