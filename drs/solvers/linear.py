"""HiGHS through OR-tools' MathOpt on the model of `drs.solvers.exact_model`.

For absolute deviations and the tangents of a standard deviation its linear relaxations prove faster than
CP-SAT; for counting and covering CP-SAT wins. Columns and rows are scaled so that HiGHS' absolute
tolerances are small against every quantity, and its bound is lowered by what those tolerances may hide.
"""

from __future__ import annotations

import datetime
import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from ortools.math_opt.python import mathopt

from drs.solvers.cpsat import Proof
from drs.solvers.exact_model import ExactModel, Linear
from drs.stop import Stop
from drs.terms.base import Ints

RANGE = 1000.0
"""Real columns are scaled to about this range."""
SAFETY = 1e-7
"""Share of the objective's size that HiGHS' tolerances may hide."""


class HighsEngine:
    """HiGHS on an `ExactModel`, or with `relax` on its linear relaxation."""

    name = "highs"

    def __init__(self, model: ExactModel, relax: bool = False) -> None:
        self.model = model
        self.relax = relax
        self.opt = mathopt.Model()
        self.vars: list[Any] = []
        self.scale: list[float] = []
        self._rows = 0

    def _grow(self) -> None:
        linear = self.model.linear
        for j in range(len(self.vars), len(linear.lower)):
            low, high = linear.lower[j], linear.upper[j]
            scale = 1.0
            if not linear.integer[j]:
                reach = max(abs(low), abs(high))
                scale = 2.0 ** round(math.log2(reach / RANGE)) if reach > 0 else 1.0
            self.scale.append(scale)
            self.vars.append(
                self.opt.add_variable(
                    lb=low / scale, ub=max(low, high) / scale, is_integer=linear.integer[j] and not self.relax
                )
            )
        for row in linear.rows[self._rows :]:
            if not len(row.cols):
                continue
            coefs = row.coefs * np.array([self.scale[c] for c in row.cols])
            size = float(np.abs(coefs).max())
            if size == 0:
                continue
            factor = 2.0 ** -round(math.log2(size))
            expr = mathopt.fast_sum(
                self.vars[c] * (float(a) * factor) for c, a in zip(row.cols, coefs, strict=True)
            )
            self.opt.add_linear_constraint(lb=row.low * factor, ub=row.high * factor, expr=expr)
        self._rows = len(linear.rows)

    def minimise(
        self, expr: Linear, hint: Ints, stop: Stop, seed: int, on_bound: Callable[[float], None] | None
    ) -> Proof:
        """Minimise an expression from a hint; see `drs.solvers.cpsat.Engine`."""
        self._grow()
        values = self.model.values(hint)
        coefs = expr.coefs * np.array([self.scale[c] for c in expr.cols])
        size = max(float(np.abs(expr.value(values) - expr.const)), float(np.abs(coefs).max(initial=0.0)), 1e-9)
        factor = 2.0 ** -round(math.log2(size / RANGE))
        self.opt.minimize(
            mathopt.fast_sum(
                [self.vars[c] * (float(a) * factor) for c, a in zip(expr.cols, coefs, strict=True)]
            )
        )
        parameters = mathopt.SolveParameters(
            enable_output=False,
            random_seed=seed & 0x7FFFFFFF,
            relative_gap_tolerance=1e-8,
            absolute_gap_tolerance=0.0,
        )
        if stop.time_s is not None:
            parameters.time_limit = datetime.timedelta(seconds=max(0.01, stop.remaining_s))
        hints = mathopt.SolutionHint(
            variable_values={v: float(values[j]) / self.scale[j] for j, v in enumerate(self.vars)}
        )
        model_parameters = mathopt.ModelSolveParameters(solution_hints=[] if self.relax else [hints])
        result: list[Any] = []

        def run() -> None:
            try:
                result.append(
                    mathopt.solve(
                        self.opt,
                        mathopt.SolverType.HIGHS,
                        params=parameters,
                        model_params=model_parameters,
                    )
                )
            except Exception as error:
                result.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        limit = stop.remaining_s + 1.0
        waited = 0.0
        while thread.is_alive() and waited < limit:
            thread.join(0.05)
            waited += 0.05
            if stop.interrupted:
                limit = waited  # HiGHS takes no interrupt: leave it to its own time limit
        proof = Proof(info="highs")
        if not result:
            return proof  # the incumbent stands
        if isinstance(result[0], Exception):
            proof.info = f"highs: {result[0]}"
            return proof
        answer = result[0]
        reason = answer.termination.reason
        if reason in (mathopt.TerminationReason.INFEASIBLE,):
            proof.impossible = True
            return proof
        bound = answer.termination.objective_bounds.dual_bound
        if math.isfinite(bound):
            raw = bound / factor
            proof.bound = raw + expr.const - SAFETY * (abs(raw) + size * 1e-3) - expr.error
        proof.complete = reason == mathopt.TerminationReason.OPTIMAL
        if answer.has_primal_feasible_solution() and not self.relax:
            found = answer.variable_values(self.vars[: self.model.n_placement])
            proof.found.append(self.model.assignment(np.asarray(found, dtype=np.float64)))
        return proof
