"""Proofs: one exact solve per level, earlier levels held under their ceilings.

CP-SAT (and HiGHS through OR-tools' MathOpt for the shapes where it proves faster, see
`drs.solvers.exact.highs`) on the model of `drs.solvers.exact.model`. The incumbent is a complete, feasible hint
of every solve, so doing nothing is never lost; every score is computed again by the terms' own law, and a
bound is corrected for rounding before it is believed.

One iteration of the budget is a millisecond of CP-SAT's deterministic time.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from drs.solvers import levels as order
from drs.solvers.base import Answer
from drs.solvers.exact.model import ExactModel, Linear, LinearModel, TooLargeError, common_unit
from drs.solvers.exact.proof import Engine, Proof
from drs.stop import Progress, Run, Stop
from drs.terms import Deviation
from drs.terms.base import Floats, Ints, Lowered

ITERATION_DTIME = 1e-3
"""Deterministic time of one iteration."""


IntegerRow = tuple[list[int], int | None, int | None]


@dataclass(frozen=True)
class Whole:
    """coefs . columns over whole steps: values >= base + (ints . steps - shift) / factor, equal if `exact`."""

    ints: list[int]
    factor: float
    base: float
    shift: int
    exact: bool


def whole(model: LinearModel, cols: Any, coefs: Floats, up: bool = False) -> Whole:
    """Real coefficients as integers: exactly where they share a unit, else rounded down (or `up`)."""
    step = np.array([model.step[j] for j in cols])
    begin = np.array([math.ceil(model.lower[j] / model.step[j] - 1e-6) for j in cols], dtype=np.float64)
    end = np.array([math.floor(model.upper[j] / model.step[j] + 1e-6) for j in cols], dtype=np.float64)
    c = coefs * step
    size = np.maximum(np.maximum(np.abs(begin), np.abs(end)), 1.0)
    reach = float(np.abs(c) @ size)
    unit = common_unit(c)
    if unit and reach / unit < 2.0**58:
        return Whole([int(w) for w in np.rint(c / unit)], 1.0 / unit, 0.0, 0, True)
    if reach <= 0:
        return Whole([0] * len(c), 1.0, 0.0, 0, True)
    width = np.maximum(end - begin, 1.0)
    fine = 2.0**36 * float(width.sum())
    factor = float(2.0 ** math.floor(math.log2(min(fine, 2.0**58) / reach)))
    ints = [int(w) for w in (np.ceil(factor * c) if up else np.floor(factor * c))]
    shift = sum(i * int(b) for i, b in zip(ints, begin, strict=True))
    return Whole(ints, factor, float(c @ begin), shift, False)


def integer_row(
    model: LinearModel, cols: Any, coefs: Floats, low: float, high: float, unit: float
) -> list[IntegerRow]:
    """A row over whole steps, widened where rounding is needed: (coefficients, low, high), at most two."""
    step = np.array([model.step[c] for c in cols])
    if unit:
        ints = np.rint(coefs * step / unit)
        if bool((np.abs(coefs * step / unit - ints) <= 1e-6 * np.maximum(1.0, np.abs(ints) * 1e-6)).all()):
            lo = None if math.isinf(low) else math.ceil(low / unit - 1e-6)
            hi = None if math.isinf(high) else math.floor(high / unit + 1e-6)
            return [([int(i) for i in ints], lo, hi)]
    rows: list[IntegerRow] = []
    most = 2.0**61
    for bound, up in ((high, False), (low, True)):
        if math.isinf(bound):
            continue
        form = whole(model, cols, coefs, up)
        edge = (bound - form.base) * form.factor
        if abs(edge) > most:
            continue  # further out than the columns can reach
        slip = 1e-6 if form.exact else 1.0
        if up:
            rows.append((form.ints, math.ceil(edge - slip) + form.shift, None))
        else:
            rows.append((form.ints, None, math.floor(edge + slip) + form.shift))
    return rows


class CpSatEngine:
    """CP-SAT on an `ExactModel`."""

    name = "cpsat"

    def __init__(self, model: ExactModel, workers: int = 0) -> None:
        self.model = model
        self.workers = workers or min(2, os.cpu_count() or 1)
        self.cp = cp_model.CpModel()
        self.vars: list[Any] = []
        self._rows = 0
        self.check_hint = False
        """Fix every column to its hint: a test that hints are complete and feasible, on the solver's word."""

    def close(self) -> None:
        """Nothing to free."""

    def _grow(self) -> None:
        linear = self.model.linear
        for j in range(len(self.vars), len(linear.lower)):
            low = math.ceil(linear.lower[j] / linear.step[j] - 1e-6)
            high = math.floor(linear.upper[j] / linear.step[j] + 1e-6)
            self.vars.append(self.cp.new_int_var(low, max(low, high), ""))
        for row in linear.rows[self._rows :]:
            if not len(row.cols):
                if row.low > 1e-6 or row.high < -1e-6:
                    self.cp.add_bool_or([])
                continue
            variables = [self.vars[c] for c in row.cols]
            for ints, low_, high_ in integer_row(linear, row.cols, row.coefs, row.low, row.high, row.unit):
                expr = cp_model.LinearExpr.weighted_sum(variables, ints)
                if low_ is not None and low_ == high_:
                    self.cp.add(expr == low_)
                    continue
                if low_ is not None:
                    self.cp.add(expr >= low_)
                if high_ is not None:
                    self.cp.add(expr <= high_)
        self._rows = len(linear.rows)

    def minimise(
        self, expr: Linear, hint: Ints, stop: Stop, seed: int, on_bound: Callable[[float], None] | None
    ) -> Proof:
        """Minimise an expression from a hint; see `Engine`."""
        linear = self.model.linear
        self._grow()
        form = whole(linear, expr.cols, expr.coefs)

        def bound_of(value: float) -> float:
            raw = expr.const + form.base + (value - form.shift) / form.factor - expr.error
            return raw - 1e-12 * (abs(raw) + abs(value) / form.factor)

        self.cp.minimize(cp_model.LinearExpr.weighted_sum([self.vars[j] for j in expr.cols], form.ints))
        self.cp.clear_hints()  # type: ignore[no-untyped-call]
        values = self.model.values(hint)
        for j, variable in enumerate(self.vars):
            self.cp.add_hint(variable, round(values[j] / linear.step[j]))

        solver = cp_model.CpSolver()
        parameters = solver.parameters
        parameters.random_seed = seed & 0x7FFFFFFF
        parameters.catch_sigint_signal = False
        parameters.fix_variables_to_their_hinted_value = self.check_hint
        if stop.iterations is not None:
            parameters.num_workers = 1
            parameters.max_deterministic_time = max(1e-6, stop.iterations * ITERATION_DTIME)
        else:
            parameters.num_workers = self.workers
        if stop.time_s is not None:
            parameters.max_time_in_seconds = max(0.01, stop.remaining_s)
        parameters.relative_gap_limit = 1e-8
        proof = Proof()
        collector = _Collector(self.vars[: self.model.n_placement])
        if on_bound is not None:
            solver.best_bound_callback = lambda value: on_bound(bound_of(value))
        result: list[Any] = []

        def run() -> None:
            result.append(solver.solve(self.cp, collector))

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(0.05)
            if stop.interrupted:
                solver.stop_search()
        status = result[0]
        proof.iterations = 1 + int(solver.deterministic_time / ITERATION_DTIME)
        proof.info = str(solver.solution_info())
        proof.found = [self.model.assignment(v) for v in collector.kept]
        if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            final = [solver.value(variable) for variable in self.vars[: self.model.n_placement]]
            proof.found.append(self.model.assignment(np.asarray(final, dtype=np.float64)))
            proof.bound = bound_of(float(solver.best_objective_bound))
            proof.complete = status == cp_model.OPTIMAL
        elif status == cp_model.INFEASIBLE:
            proof.impossible = True
        elif status == cp_model.UNKNOWN and math.isfinite(solver.best_objective_bound) and expr.cols.size:
            proof.bound = bound_of(float(solver.best_objective_bound))
        elif status == cp_model.MODEL_INVALID:
            raise RuntimeError(f"CP-SAT does not accept the model: {self.cp.validate()}")
        return proof


class _Collector(cp_model.CpSolverSolutionCallback):
    """Keeps the last few solutions."""

    def __init__(self, variables: list[Any]) -> None:
        super().__init__()
        self._variables = variables
        self.kept: list[Floats] = []

    def on_solution_callback(self) -> None:
        self.kept.append(np.array([self.value(v) for v in self._variables], dtype=np.float64))
        del self.kept[:-4]


def choose_engine(model: ExactModel, k: int, stop: Stop) -> str:
    """Which engine proves level k faster, by its shape (measured: benchmarks/quality/bounds.py)."""
    measures = {
        entry.term.measure
        for level in model.lowered.levels[: k + 1]
        for entry in level.terms
        if isinstance(entry.term, Deviation)
    }
    return "highs" if measures - {"max"} else "cpsat"


def solve(
    lowered: Lowered,
    start: Ints,
    run: Run,
    *,
    engine: str = "",
    limits: Floats | None = None,
    first_bounds: Floats | None = None,
    max_columns: int = 400_000,
    n_workers: int = 0,
    n_levels: int = 0,
    worker: object = None,
) -> Answer:
    """Solve level after level exactly; see `drs.solvers.base.Solver`.

    Parameters
    ----------
    engine : "cpsat", "highs", or empty to choose by the shape of each level.
    limits : f8[n_levels], ceilings to keep besides those that the levels set (inf: none).
    first_bounds : f8[n_levels], lower bounds that are known already.
    max_columns : above so many placement columns no model is built and the start is the answer.
    n_workers : threads of CP-SAT; 0: as many as there are cores, 2 at most.
    n_levels : minimise only so many levels (0: all); the others are kept under `limits`.
    worker : a `drs.solvers.exact.highs.Worker` to share between calls.
    """
    search = _Search(lowered, start, run, limits, first_bounds)
    try:
        model = ExactModel(lowered, max_columns)
    except TooLargeError:
        return search.answer("cpsat", {"too_large": 1})
    search.n_levels, search.worker = n_levels or len(lowered.levels), worker
    return search.run(model, engine, n_workers)


class _Search:
    """The lexicographic loop around an engine."""

    def __init__(
        self,
        lowered: Lowered,
        start: Ints,
        run: Run,
        limits: Floats | None,
        first_bounds: Floats | None,
    ) -> None:
        self.lowered, self.stop, self.seed, self.on_progress = lowered, run.stop, run.seed, run.on_progress
        n = len(lowered.levels)
        self.best = np.asarray(start, dtype=np.int32).copy()
        self.scores = lowered.scores(self.best)
        self.today = lowered.scores(lowered.start)
        self.bounds = np.zeros(n) if first_bounds is None else np.maximum(0.0, first_bounds)
        self.limits = np.full(n, math.inf) if limits is None else limits.copy()
        self.own_limits = limits is not None
        self.work = 0
        self.solves = 0
        self.rejected = 0
        self.impossible = False
        self.n_levels = len(lowered.levels)
        self.worker: object = None
        self.used: set[str] = set()
        self.infos: list[str] = []

    def answer(self, name: str, stats: dict[str, float | int | str]) -> Answer:
        bounds = np.minimum(self.bounds, self.scores)
        return Answer(
            status=order.status(self.lowered, self.scores, bounds),
            assign=self.best,
            scores=self.scores,
            bounds=bounds,
            solver=name,
            elapsed_s=self.stop.elapsed_s,
            iterations=self.work,
            interrupted=self.stop.interrupted,
            stats=stats,
        )

    def run(self, model: ExactModel, engine: str, n_workers: int) -> Answer:
        engines: dict[str, Engine] = {}
        levels = self.lowered.levels
        for k, level in enumerate(levels[: self.n_levels]):
            for j in range(len(levels)):
                if self.own_limits and j > k and math.isfinite(self.limits[j]) and k == 0:
                    model.limit_level(j, float(self.limits[j]))
            before, before_scores = self.best, self.scores
            while not self.done(k):
                budget = self.budget(k)
                if budget.reached(0):
                    break
                name = engine or choose_engine(model, k, self.stop)
                if name not in engines:
                    engines[name] = self.make(name, model, n_workers)
                    self.used.add(name)
                if not self.step(k, model, engines[name], budget):
                    break
            limit = order.ceiling(level, float(self.scores[k]), float(self.today[k]))
            if before_scores[k] <= limit + order.close(limit) and not np.array_equal(before, self.best):
                # this level is not worth its moves
                gained = before_scores[k] - self.scores[k]
                if level.worth_ratio > 0 and gained < level.worth_ratio * self.today[k]:
                    self.best, self.scores = before, before_scores
            self.limits[k] = min(self.limits[k], limit)
            if k + 1 < self.n_levels:
                model.limit_level(k, float(self.limits[k]))
        for used in engines.values():
            used.close()
        stats: dict[str, float | int | str] = {
            "columns": len(model.linear.lower),
            "rows": len(model.linear.rows),
            "groups": len(model.first),
            "solves": self.solves,
            "rejected": self.rejected,
            "engines": "+".join(sorted(self.used)),
            "hints": "; ".join(self.infos[:4]),
        }
        return self.answer("cpsat", stats)

    def make(self, name: str, model: ExactModel, n_workers: int) -> Engine:
        if name == "highs":
            from drs.solvers.exact.highs import HighsEngine, Worker

            return HighsEngine(model, worker=self.worker if isinstance(self.worker, Worker) else None)
        return CpSatEngine(model, n_workers)

    def done(self, k: int) -> bool:
        level = self.lowered.levels[k]
        return order.settled(level, float(self.scores[k]), float(self.bounds[k]), float(self.today[k]))

    def budget(self, k: int) -> Stop:
        later = sum(not self.done(j) for j in range(k + 1, self.n_levels))
        left = self.stop.followed_by(
            None if self.stop.time_s is None else self.stop.remaining_s,
            None if self.stop.iterations is None else max(0, self.stop.iterations - self.work),
        )
        return left.part(0.6) if later else left

    def step(self, k: int, model: ExactModel, engine: Engine, budget: Stop) -> bool:
        """One exact solve of level k; whether another one could help."""
        expr = model.level(k)
        level = self.lowered.levels[k]

        def on_bound(value: float) -> None:
            self.bounds[k] = max(self.bounds[k], min(value, float(self.scores[k])))
            self.report(level.name)

        proof = engine.minimise(expr, self.best, budget, self.seed + self.solves, on_bound)
        self.solves += 1
        self.work += proof.iterations
        self.infos.append(proof.info)
        if proof.impossible:
            # our incumbent is a solution, so the model is wrong: say so by keeping no bound
            self.impossible = True
            return False
        if math.isfinite(proof.bound):
            self.bounds[k] = max(self.bounds[k], min(proof.bound, float(self.scores[k])))
        improved = False
        new_cuts = 0
        for assign in reversed(proof.found):
            new_cuts += model.cut(assign)
            improved |= self.offer(k, assign)
        self.report(level.name)
        if self.done(k) or not proof.complete:
            return False
        return improved or new_cuts > 0

    def offer(self, k: int, assign: Ints) -> bool:
        """Take an assignment when the law says that it is better at level k."""
        if order.misplaced(self.lowered, assign) or self.lowered.broken_walls(assign):
            self.rejected += 1
            return False
        scores = self.lowered.scores(assign)
        if not order.within(scores, self.limits, k):
            self.rejected += 1
            return False
        if self.own_limits and not order.within(scores, self.limits, len(scores)):
            return False
        if order.lex_less(scores[k:], self.scores[k:]):
            self.best, self.scores = assign, scores
            return True
        return False

    def report(self, stage: str) -> None:
        if self.on_progress is None:
            return
        names = [level.name for level in self.lowered.levels]
        k = names.index(stage)
        self.on_progress(
            Progress(
                stage=stage,
                elapsed_s=self.stop.elapsed_s,
                fraction=self.stop.fraction(self.work),
                score=float(self.scores[k]),
                bound=float(self.bounds[k]),
            )
        )
