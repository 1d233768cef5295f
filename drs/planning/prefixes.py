"""The states that a plan passes through, one step after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drs.model import Placement
from drs.planning.plan import Plan

Floats = NDArray[np.float64]

NOTEWORTHY = 0.01
"""A spread of host loads that rises by less than this is not worth a warning."""


@dataclass(frozen=True)
class PrefixState:
    """The cluster when a plan is ended after `step` moves (0: today)."""

    step: int
    placement: Placement
    spread: Mapping[str, float]
    """By resource, the standard deviation of use over capacity of the hosts."""
    highest: Mapping[str, float]
    """By resource, the highest use over capacity of any host."""


def prefix_states(plan: Plan) -> Iterator[PrefixState]:
    """Today, and the cluster after each step of the plan."""
    snapshot = plan.snapshot
    host = snapshot.vms.host_idx.copy()
    store = snapshot.disks.datastore_idx.copy()
    first, order = snapshot.disks_of_vm
    capacity = {name: snapshot.capacity(name) for name in snapshot.resources}
    demand = {name: snapshot.demand(name) for name in snapshot.resources}
    use: dict[str, Floats] = {}
    for name, amounts in demand.items():
        placed = host >= 0
        held = np.bincount(host[placed], weights=amounts[placed], minlength=snapshot.n_hosts)
        use[name] = held.astype(np.float64)

    def state(step: int) -> PrefixState:
        spread, highest = {}, {}
        for name, held in use.items():
            real = capacity[name] > 0
            load = held[real] / capacity[name][real]
            spread[name] = float(load.std()) if len(load) else 0.0
            highest[name] = float(load.max(initial=0.0))
        return PrefixState(step, Placement(host, store), spread, highest)

    yield state(0)
    for move in plan.moves:
        vm = snapshot.vms.position[move.vm]
        old, new = snapshot.hosts.position[move.from_host], snapshot.hosts.position[move.to_host]
        for name in use:
            use[name][old] -= demand[name][vm]
            use[name][new] += demand[name][vm]
        host[vm] = new
        mine = order[first[vm] : first[vm + 1]].tolist()
        for disk, name in zip(mine, move.to_datastores, strict=True):
            if name in snapshot.datastores.position:
                store[disk] = snapshot.datastores.position[name]
        yield state(move.step)


def prefix_warnings(plan: Plan) -> list[str]:
    """Where a plan that is ended early leaves the hosts less even than today and than at its end."""
    warnings = []
    for name in plan.snapshot.resources:
        spread = _spreads(plan, name)
        today, end, worst = spread[0], spread[-1], int(np.argmax(spread))
        if spread[worst] > max(today, end) + NOTEWORTHY:
            warnings.append(
                f"ended after step {plan.moves[worst - 1].step} of {len(plan.moves)}, the plan leaves the hosts "
                f"less even than today in {name}: imbalance {spread[worst]:.3f}, today {today:.3f}, "
                f"at its end {end:.3f}"
            )
    return warnings


def _spreads(plan: Plan, name: str) -> Floats:
    """The spread of one resource today and after each move, f8[n_moves + 1], by sums that each move changes."""
    snapshot = plan.snapshot
    capacity, demand, host = snapshot.capacity(name), snapshot.demand(name), snapshot.vms.host_idx
    placed = host >= 0
    use = np.bincount(host[placed], weights=demand[placed], minlength=snapshot.n_hosts)
    real = capacity > 0
    n = max(1, int(real.sum()))
    ratio = np.where(real, 1.0 / np.where(real, capacity, 1.0), 0.0)
    # Loads are counted from today's mean, so that the squares keep their digits.
    mean = float((use * ratio).sum()) / n
    off = (np.where(real, use * ratio - mean, 0.0)).tolist()
    total, squares = sum(off), sum(x * x for x in off)
    spread = [max(0.0, squares / n - (total / n) ** 2)]
    for move in plan.moves:
        amount = float(demand[snapshot.vms.position[move.vm]])
        for place, change in ((move.from_host, -amount), (move.to_host, amount)):
            h = snapshot.hosts.position[place]
            before = off[h]
            off[h] += change * float(ratio[h])
            total += off[h] - before
            squares += off[h] ** 2 - before**2
        spread.append(max(0.0, squares / n - (total / n) ** 2))
    return np.asarray(np.sqrt(spread))
