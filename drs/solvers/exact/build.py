"""A lowered problem as one linear integer model: its columns, each limit as rows, each level as an expression."""

from __future__ import annotations

import math

from drs.solvers.exact.linear_model import ZERO, Linear
from drs.solvers.exact.model import Placements
from drs.solvers.exact.terms import add_wall, cost_of
from drs.terms import Lowered


class ExactModel(Placements):
    """The model of one problem: `walls` are rows, `levels` are expressions to minimise or to bound."""

    def __init__(self, lowered: Lowered, max_columns: int = 400_000) -> None:
        super().__init__(lowered, max_columns)
        for wall in lowered.walls:
            add_wall(wall.term, self)
        self._levels: dict[int, Linear] = {}

    def level(self, k: int) -> Linear:
        """The cost of a level as an expression (built once)."""
        if k not in self._levels:
            total = ZERO
            for entry in self.lowered.levels[k].terms:
                if entry.weight:
                    total = total + cost_of(entry.term, self).times(entry.weight)
            self._levels[k] = total.merged()
        return self._levels[k]

    def limit_level(self, k: int, ceiling: float) -> None:
        """Keep a level at or below a ceiling from now on."""
        expr = self.level(k)
        slop = sum(
            abs(c) * self.linear.rounding[j]
            for j, c in zip(expr.cols.tolist(), expr.coefs.tolist(), strict=True)
        )
        slop += expr.error + 1e-9 * max(1.0, abs(ceiling))
        self.linear.row(expr, -math.inf, ceiling + slop)
