"""Few and cheap moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

import numpy as np

from drs.goals.base import Goal, Prices, goal
from drs.model import Placement, Snapshot
from drs.terms import MoveCost, Weighted
from drs.terms.base import Floats


@goal("moves")
@dataclass(frozen=True)
class Moves(Goal):
    """The price of all moves: `seconds` of migration (plus `per_move_s` each), `gib` copied, or `count`."""

    unit: ClassVar[str] = "s"
    _: KW_ONLY
    by: Literal["seconds", "gib", "count"] = "seconds"
    per_move_s: float = 2.0

    def _price(self, prices: Prices) -> Floats:
        match self.by:
            case "seconds":
                return prices.move_s + self.per_move_s
            case "gib":
                return prices.memory_gib
            case "count":
                return np.ones(len(prices.move_s))

    def measure(self, snapshot: Snapshot, placement: Placement, prices: Prices) -> float:
        price = self._price(prices)
        return float(sum(
            price[vm] for vm in range(snapshot.n_vms)
            if placement.host_idx[vm] != snapshot.vms.host_idx[vm] and snapshot.vms.host_idx[vm] >= 0
            and placement.host_idx[vm] >= 0
        ))  # fmt: skip

    def lower(self, snapshot: Snapshot, prices: Prices) -> Sequence[Weighted]:
        return [Weighted(MoveCost(self._price(prices)), origin="moves")]
