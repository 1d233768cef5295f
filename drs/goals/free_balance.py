"""Free room of one resource with enough free room of another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from drs import terms
from drs.errors import Fault
from drs.goals import checks
from drs.goals.base import Goal, Prices, goal
from drs.model import Placement, Snapshot
from drs.terms import Weighted


@goal("free-balance")
@dataclass(frozen=True)
class FreeBalance(Goal):
    """Sum over the hosts of max(0, ratio x free `first` - free `second`): room that nobody can use.

    first : the resource whose free room counts.
    second : the resource that goes with it.
    ratio : what a VM needs of `second` for each unit of `first` (MiB for each MHz); that of all VMs' demand
        where not given. Source: ROADEF/EURO challenge 2012, balance cost.
    """

    unit: ClassVar[str] = "unusable room"
    _: KW_ONLY
    first: str = "cpu"
    second: str = "memory"
    ratio: float | None = None

    def _ratio(self, snapshot: Snapshot) -> float:
        if self.ratio is not None:
            return self.ratio
        first, second = snapshot.demand(self.first).sum(), snapshot.demand(self.second).sum()
        return float(second / first) if first > 0 else 1.0

    def misfits(self, snapshot: Snapshot, field: str) -> Iterator[Fault]:
        yield from checks.resources(f"{field}first", self.first, snapshot)
        yield from checks.resources(f"{field}second", self.second, snapshot)
        if self.ratio is not None:
            yield from checks.at_least(f"{field}ratio", self.ratio)

    def measure(self, snapshot: Snapshot, placement: Placement, prices: Prices) -> float:
        total, ratio = 0.0, self._ratio(snapshot)
        for host in range(snapshot.n_hosts):
            there = placement.host_idx == host
            free_first, free_second = (
                float(snapshot.capacity(r)[host] - sum(snapshot.demand(r)[there]))
                for r in (self.first, self.second)
            )
            total += max(0.0, ratio * free_first - free_second)
        return total

    def lower(self, snapshot: Snapshot, prices: Prices) -> Sequence[Weighted]:
        term = terms.FreeBalance(
            snapshot.demand(self.first),
            snapshot.capacity(self.first),
            snapshot.demand(self.second),
            snapshot.capacity(self.second),
            self._ratio(snapshot),
            np.ones(snapshot.n_hosts),
        )
        return [Weighted(term, origin=f"free {self.first} with {self.second}")]
