"""How loaded the hosts are: the figures of each resource under a placement."""

from __future__ import annotations

import numpy as np

from drs.model.placement import Placement
from drs.model.snapshot import Bools, Snapshot


def metrics(
    snapshot: Snapshot, placement: Placement, hosts: Bools | None = None
) -> dict[str, dict[str, float]]:
    """Load of the connected hosts under a placement, per resource.

    Load is demand over capacity (total less the hypervisor's reserve). Per resource: `mean`, `std`
    (population), `max`, `max_min` (largest less smallest) over the connected hosts, and `over_capacity`, the
    sum of the demand above capacity over all hosts in the resource's own unit.

    Parameters
    ----------
    hosts : bool[n_hosts], those that are looked at; all where not given.
    """
    among = np.ones(snapshot.n_hosts, dtype=np.bool_) if hosts is None else hosts
    usable = (snapshot.hosts.state == "connected") & among
    placed = placement.host_idx >= 0
    table: dict[str, dict[str, float]] = {}
    for resource in snapshot.resources:
        capacity = snapshot.capacity(resource)
        use = np.bincount(
            placement.host_idx[placed],
            weights=snapshot.demand(resource)[placed],
            minlength=snapshot.n_hosts,
        )
        shown = usable & (capacity > 0)
        load = use[shown] / capacity[shown] if shown.any() else np.zeros(1)
        table[resource] = {
            "mean": float(load.mean()),
            "std": float(load.std()),
            "max": float(load.max()),
            "max_min": float(load.max() - load.min()),
            "over_capacity": float(np.maximum(0.0, use - capacity)[among].sum()),
        }
    return table
