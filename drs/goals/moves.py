"""Few and cheap moves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

import numpy as np

from drs.goals.base import Goal, Prices, goal
from drs.model import Placement, Snapshot
from drs.model.selector import select
from drs.terms import GroupMoves, MoveCost, Weighted
from drs.terms.base import Floats, Ints


def _moved(snapshot: Snapshot, placement: Placement) -> list[int]:
    both = zip(snapshot.vms.host_idx.tolist(), placement.host_idx.tolist(), strict=True)
    return [vm for vm, (here, there) in enumerate(both) if here >= 0 and there >= 0 and here != there]


@goal("moves")
@dataclass(frozen=True)
class Moves(Goal):
    """The price of all moves: `seconds` of migration (plus `per_move_s` each), `gib` copied, or `count`.

    by : what a move costs: `seconds` of migration, `gib` copied, or `count`, 1 for each move.
    per_move_s : seconds that are added for each move.
    prices : the price of each VM's move, instead of these.
    """

    _: KW_ONLY
    by: Literal["seconds", "gib", "count"] = "seconds"
    per_move_s: float = 2.0
    prices: Sequence[float] | None = None

    @property
    def unit(self) -> str:  # type: ignore[override]
        """Seconds, GiB, moves, or that of the prices given."""
        return (
            "price" if self.prices is not None else {"seconds": "s", "gib": "GiB", "count": "moves"}[self.by]
        )

    def _price(self, prices: Prices) -> Floats:
        if self.prices is not None:
            return np.asarray(self.prices, dtype=np.float64)
        match self.by:
            case "seconds":
                return prices.move_s + self.per_move_s
            case "gib":
                return prices.memory_gib
            case "count":
                return np.ones(len(prices.move_s))

    def measure(self, snapshot: Snapshot, placement: Placement, prices: Prices) -> float:
        price = self._price(prices)
        return float(sum(price[vm] for vm in _moved(snapshot, placement)))

    def lower(self, snapshot: Snapshot, prices: Prices) -> Sequence[Weighted]:
        return [Weighted(MoveCost(self._price(prices)), origin="moves")]


@goal("group-moves")
@dataclass(frozen=True)
class MovesPerGroup(Goal):
    """The largest number of VMs that move in any one of these groups (a service, a tenant).

    groups : names, patterns or lists of VMs, one entry for each group.
    """

    unit: ClassVar[str] = "VMs"
    _: KW_ONLY
    groups: Sequence[str | Sequence[str]] = ()

    def _group(self, snapshot: Snapshot) -> Ints:
        group = np.full(snapshot.n_vms, -1, dtype=np.int32)
        for number, selector in enumerate(self.groups):
            group[select(selector, snapshot.vms)] = number
        return group

    def measure(self, snapshot: Snapshot, placement: Placement, prices: Prices) -> float:
        moved = Counter(self._group(snapshot)[_moved(snapshot, placement)].tolist())
        return float(max((moved[group] for group in range(len(self.groups))), default=0))

    def lower(self, snapshot: Snapshot, prices: Prices) -> Sequence[Weighted]:
        return [Weighted(GroupMoves(self._group(snapshot), len(self.groups)), origin="moves per group")]


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

    def measure(self, snapshot: Snapshot, placement: Placement, prices: Prices) -> float:
        labels, total = self._labels(snapshot), 0.0
        for vm in _moved(snapshot, placement):
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
