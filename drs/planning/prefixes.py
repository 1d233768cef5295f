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
    states = list(prefix_states(plan))
    warnings = []
    for name in plan.snapshot.resources:
        today, end = states[0].spread[name], states[-1].spread[name]
        worst = max(states, key=lambda state: state.spread[name])
        if worst.spread[name] > max(today, end) + NOTEWORTHY:
            warnings.append(
                f"ended after step {worst.step} of {len(plan.moves)}, the plan leaves the hosts less even "
                f"than today in {name}: imbalance {worst.spread[name]:.3f}, today {today:.3f}, "
                f"at its end {end:.3f}"
            )
    return warnings
