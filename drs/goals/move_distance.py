"""Short moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

import numpy as np

from drs.errors import Fault
from drs.goals import checks
from drs.goals.base import Goal, Prices, goal
from drs.goals.moves import moved_vms
from drs.model import Placement, Snapshot
from drs.terms import MoveCost, Weighted


@goal("move-distance")
@dataclass(frozen=True)
class MoveDistance(Goal):
    """What each move costs by where it comes from and goes to.

    across : the borders that cost something when a move crosses them.
    prices : one price for each border of `across`; the prices of all the borders that a move crosses are added.
    pair : price from each host to each host, (n_hosts, n_hosts), instead of these.
    """

    unit: ClassVar[str] = "price"
    _: KW_ONLY
    across: Sequence[Literal["rack", "cluster", "site", "vcenter"]] = ("site",)
    prices: Sequence[float] = (1.0,)
    pair: Sequence[Sequence[float]] | None = None

    def _labels(self, snapshot: Snapshot) -> list[list[object]]:
        hosts = snapshot.hosts
        columns = {
            "cluster": hosts.cluster_idx,
            "rack": hosts.rack,
            "site": hosts.site,
            "vcenter": hosts.vcenter,
        }
        return [columns[scope].tolist() for scope in self.across]

    def misfits(self, snapshot: Snapshot, field: str) -> Iterator[Fault]:
        if self.pair is not None:
            n = snapshot.n_hosts
            yield from checks.as_many(f"{field}pair", self.pair, n, "host")
            for row in self.pair:
                yield from checks.as_many(f"{field}pair", row, n, "host in each row")
        else:
            yield from checks.as_many(f"{field}prices", self.prices, len(self.across), "border of `across`")
        for price in self.prices:
            yield from checks.at_least(f"{field}prices", price)

    def measure(self, snapshot: Snapshot, placement: Placement, prices: Prices) -> float:
        labels, total = self._labels(snapshot), 0.0
        for vm in moved_vms(snapshot, placement):
            here, there = int(snapshot.vms.host_idx[vm]), int(placement.host_idx[vm])
            if self.pair is not None:
                total += float(self.pair[here][there])
                continue
            for column, price in zip(labels, self.prices, strict=True):
                total += price if column[here] != column[there] else 0.0
        return total

    def lower(self, snapshot: Snapshot, prices: Prices) -> Sequence[Weighted]:
        nothing = np.zeros(snapshot.n_vms)
        if self.pair is not None:
            every = np.arange(snapshot.n_hosts, dtype=np.int32)
            term = MoveCost(nothing, every, np.asarray(self.pair, dtype=np.float64))
            return [Weighted(term, origin="distance of moves")]
        rows = list(zip(*self._labels(snapshot), strict=True)) or [()] * snapshot.n_hosts
        kinds = list(dict.fromkeys(rows))
        class_idx = np.array([kinds.index(row) for row in rows], dtype=np.int32)
        pair = np.zeros((len(kinds), len(kinds)))
        for column, price in enumerate(self.prices):
            label = np.array([str(kind[column]) for kind in kinds])
            pair += price * (label[:, None] != label[None, :])
        return [Weighted(MoveCost(nothing, class_idx, pair), origin="distance of moves")]
