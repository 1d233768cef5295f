"""Hosts loaded alike at every time of the day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass

from drs.errors import Fault
from drs.goals import checks
from drs.goals.balance import Balance
from drs.goals.base import goal
from drs.model import Snapshot
from drs.model.demand import PartsOf, demand_by_time
from drs.terms.base import Floats


@goal("balance-over-time")
@dataclass(frozen=True)
class BalanceOverTime(Balance):
    """Balance at every time: the mean spread over `n_buckets` equal parts of the day, or of the history.

    A VM's demand in a part is the mean of its samples there, or that `percentile` of them. VMs that are busy at
    different times may share a host, those that peak together are kept apart. One part is the balance of the
    mean. Without a load history it is the balance of the demand now.

    n_buckets : so many parts; one balances each VM's mean.
    parts_of : `day` (what comes back every day counts, the rest is averaged out) or `history` (each part is a
        stretch of the past, so VMs that rose together at any time are told apart from those that did not).
    """

    _: KW_ONLY
    n_buckets: int = 24
    parts_of: PartsOf = "day"

    def misfits(self, snapshot: Snapshot, field: str) -> Iterator[Fault]:
        yield from super().misfits(snapshot, field)
        yield from checks.at_least(f"{field}n_buckets", self.n_buckets, 1)

    def looks_back(self) -> bool:
        return True

    def demands(self, snapshot: Snapshot, resource: str) -> list[Floats]:
        return demand_by_time(snapshot, resource, self.n_buckets, self.percentile, self.memory, self.parts_of)
