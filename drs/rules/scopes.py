"""The scopes of a rule: which hosts share a host, a rack, a cluster, a site or a vCenter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import numpy as np

from drs.errors import Fault, did_you_mean
from drs.model import Placement, Snapshot
from drs.model.selector import cached
from drs.terms.base import Ints

ScopeName = Literal["host", "rack", "cluster", "site", "vcenter"]
SCOPES: tuple[ScopeName, ...] = get_args(ScopeName)


@dataclass(frozen=True)
class InScope:
    """A scope of which the snapshot has members, or one of the `further` words that a rule reads itself."""

    further: tuple[str, ...] = ()
    meaning: str = "a host without the label belongs to none and does not count"

    @property
    def words(self) -> str:
        return ", ".join(f"`{word}`" for word in (*SCOPES, *self.further))

    def faults(self, where: str, value: object, snapshot: Snapshot) -> Iterator[Fault]:
        if value not in self.further:
            yield from scope_faults(where, str(value), snapshot)


Scope = Annotated[ScopeName, InScope()]
"""The type of a field that says what is shared."""


def domains(snapshot: Snapshot, scope: str) -> tuple[Ints, tuple[str, ...]]:
    """The domain of every host, and the domains' names: (i4[n_hosts], names). "" is no domain (-1)."""
    hosts = snapshot.hosts

    def make() -> tuple[Ints, tuple[str, ...]]:
        if scope == "host":
            return np.arange(len(hosts), dtype=np.int32), tuple(hosts.name.tolist())
        if scope == "cluster":
            return hosts.cluster_idx, tuple(snapshot.clusters.name.tolist())
        names, idx = np.unique(getattr(hosts, scope), return_inverse=True)
        none = int(len(names) > 0 and names[0] == "")
        return np.asarray(idx.reshape(-1) - none, dtype=np.int32), tuple(names[none:].tolist())

    found: tuple[Ints, tuple[str, ...]] = cached(hosts, ("domains", scope), make)
    return found


def scope_faults(where: str, scope: str, snapshot: Snapshot) -> Iterator[Fault]:
    """A fault for a scope that does not exist, or of which the snapshot knows no member."""
    if scope not in SCOPES:
        yield Fault(
            where, f"unknown scope {scope!r}", f"one of {', '.join(SCOPES)}", did_you_mean(scope, SCOPES)
        )
    elif snapshot.n_hosts and not domains(snapshot, scope)[1]:
        yield Fault(where, f"scope {scope!r}, and no host has a {scope}", f"the column {scope} in hosts")


def by_domain(vms: Ints, snapshot: Snapshot, placement: Placement, scope: str) -> dict[int, list[int]]:
    """The naive reading of a scope: which of these VMs run in each domain, in order of the domains."""
    domain, _ = domains(snapshot, scope)
    host = placement.host_idx[vms]
    found: dict[int, list[int]] = {}
    for vm, where in zip(vms.tolist(), np.where(host >= 0, domain[host], -1).tolist(), strict=True):
        if where >= 0:
            found.setdefault(where, []).append(vm)
    return dict(sorted(found.items()))
