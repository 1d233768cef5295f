"""Few and cheap moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Literal

import numpy as np

from drs.goals.base import Goal, Prices, goal
from drs.model import Placement, Snapshot
from drs.terms import MoveCost, Weighted
from drs.terms.base import Floats


def moved_vms(snapshot: Snapshot, placement: Placement) -> list[int]:
    both = zip(snapshot.vms.host_idx.tolist(), placement.host_idx.tolist(), strict=True)
    return [vm for vm, (here, there) in enumerate(both) if here >= 0 and there >= 0 and here != there]


@goal("moves")
@dataclass(frozen=True)
class Moves(Goal):
    """The price of all moves: `seconds` of migration (plus `per_move_s` each), `gib` copied, or `count`.

    The seconds and GiB are those of the path to the new host, with the disks that must follow.

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
        """What each VM's move costs at least, f8[n_vms]."""
        if self.prices is not None:
            return np.asarray(self.prices, dtype=np.float64)
        match self.by:
            case "seconds":
                return prices.move_s + self.per_move_s
            case "gib":
                return prices.memory_gib
            case "count":
                return np.ones(len(prices.move_s))

    def _one(self, prices: Prices, vm: int, host: int) -> float:
        """What the move of one VM to one host costs."""
        if self.prices is None and self.by == "seconds":
            return prices.total_s(vm, host) + self.per_move_s
        if self.prices is None and self.by == "gib":
            return prices.copied_gib(vm, host)
        return float(self._price(prices)[vm])

    def measure(self, snapshot: Snapshot, placement: Placement, prices: Prices) -> float:
        return float(
            sum(self._one(prices, vm, int(placement.host_idx[vm])) for vm in moved_vms(snapshot, placement))
        )

    def lower(self, snapshot: Snapshot, prices: Prices) -> Sequence[Weighted]:
        terms = [Weighted(MoveCost(self._price(prices)), origin="moves")]
        extra = {"seconds": prices.extra_s, "gib": prices.extra_gib, "count": None}[self.by]
        if self.prices is not None or extra is None or prices.kind is None:
            return terms
        nothing = np.zeros(snapshot.n_vms)
        for kind in np.flatnonzero((extra > 0).any(axis=0)).tolist():
            to_kind = np.zeros((2, 2))
            to_kind[:, 1] = 1.0
            there = (prices.kind == kind).astype(np.int32)
            terms.append(Weighted(MoveCost(nothing, there, to_kind, extra[:, kind].copy()), origin="moves"))
        return terms
