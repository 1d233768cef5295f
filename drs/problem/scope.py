"""Which hosts take part: those of some clusters. Everything else is read and counted, and stays where it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from drs.errors import Fault, InputError, did_you_mean
from drs.model import Snapshot
from drs.model.selector import Selector, entries, is_pattern, resolve, select
from drs.rules import Violation

Scope = NDArray[np.bool_]
"""bool[n_hosts]: the hosts that take part. All others and their VMs are read and counted, and stay."""


def cluster_faults(snapshot: Snapshot, clusters: Selector) -> Iterator[Fault]:
    """A fault for each name or pattern that means no cluster."""
    known = snapshot.clusters.position
    for name in resolve(clusters, snapshot.clusters)[1]:
        said = f"no cluster is called {name!r}" if is_pattern(name) else f"unknown cluster {name!r}"
        expected = (
            f"one of {', '.join(sorted(known))}, or a pattern"
            if len(known) <= 12
            else "the name of a cluster"
        )
        yield Fault("cluster", said, expected, did_you_mean(name, known))


def hosts_of(snapshot: Snapshot, clusters: Selector) -> Scope | None:
    """The hosts of the clusters that names or patterns mean; None, for all, where nothing is named.

    Raises
    ------
    InputError : for names that mean no cluster.
    """
    if faults := list(cluster_faults(snapshot, clusters)):
        raise InputError(faults)
    if not entries(clusters):
        return None
    inside = np.isin(snapshot.hosts.cluster_idx, select(clusters, snapshot.clusters))
    return None if inside.all() else np.asarray(inside)


def vms_of(snapshot: Snapshot, scope: Scope | None) -> NDArray[np.bool_]:
    """The VMs that take part, bool[n_vms]: those on hosts that do, and those that have no host."""
    home = snapshot.vms.host_idx
    if scope is None:
        return np.ones(snapshot.n_vms, dtype=np.bool_)
    return np.asarray((home < 0) | scope[np.maximum(home, 0)])


def clusters_of(snapshot: Snapshot, scope: Scope | None) -> list[str]:
    """Names of the clusters that take part, as they stand in the snapshot."""
    idx = snapshot.hosts.cluster_idx if scope is None else snapshot.hosts.cluster_idx[scope]
    return [str(snapshot.clusters.name[c]) for c in np.unique(idx[idx >= 0]).tolist()]


def within(
    snapshot: Snapshot, scope: Scope | None, violations: Iterable[Violation]
) -> tuple[list[Violation], list[Violation]]:
    """Violations that name a VM or host that takes part, or nothing at all; and those of the others alone."""
    broken = list(violations)
    if scope is None:
        return broken, []
    vms, hosts = vms_of(snapshot, scope), snapshot.hosts.position
    at = snapshot.vms.position
    inside: list[Violation] = []
    outside: list[Violation] = []
    for each in broken:
        named = [bool(scope[hosts[host]]) for host in each.hosts if host in hosts]
        named += [bool(vms[at[vm]]) for vm in each.vms if vm in at]
        (inside if any(named) or not named else outside).append(each)
    return inside, outside
