"""Proofs: one exact solve per level, earlier levels held under their ceilings.

CP-SAT (and HiGHS through OR-tools' MathOpt for the shapes where it proves faster, see
`drs.solvers.linear`) on the model of `drs.solvers.exact_model`. The incumbent is a complete, feasible hint
of every solve, so doing nothing is never lost; every score is computed again by the terms' own law, and a
bound is corrected for rounding before it is believed.

One iteration of the budget is a millisecond of CP-SAT's deterministic time.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from ortools.sat.python import cp_model

from drs.solvers import levels as order
from drs.solvers.base import Answer
from drs.solvers.exact_model import ExactModel, Linear, LinearModel, TooLargeError, decimal_unit
from drs.stop import OnProgress, Progress, Stop
from drs.terms import Deviation
from drs.terms.base import Floats, Ints, Lowered

ITERATION_DTIME = 1e-3
"""Deterministic time of one iteration."""


@dataclass
class Proof:
    """What one exact solve of one level says: assignments found (best last) and a lower bound."""

    found: list[Ints] = field(default_factory=list)
    bound: float = -math.inf
    complete: bool = False
    """Solved to the end, so the bound is the model's optimum."""
    impossible: bool = False
    work: float = 0.0
    info: str = ""


class Engine(Protocol):
    """An exact engine on one `ExactModel`, which may grow rows between calls."""

    name: str

    def minimise(
        self, expr: Linear, hint: Ints, stop: Stop, seed: int, on_bound: Callable[[float], None] | None
    ) -> Proof: ...


def integer_row(
    model: LinearModel, cols: Any, coefs: Floats, low: float, high: float, unit: float
) -> list[tuple[list[int], int | None, int | None]]:
    """A row over whole steps, widened where rounding is needed: (coefficients, low, high), one or two of them."""
    step = np.array([model.step[c] for c in cols])
    c = coefs * step
    if not unit:
        unit = decimal_unit(c)
        if unit and float(np.abs(c).max(initial=0.0)) / unit > 2.0**40:
            unit = 0.0
    if unit:
        whole = np.rint(c / unit)
        if bool((np.abs(c / unit - whole) <= 1e-6 * np.maximum(1.0, np.abs(whole) * 1e-6)).all()):
            lo = None if math.isinf(low) else math.ceil(low / unit - 1e-6)
            hi = None if math.isinf(high) else math.floor(high / unit + 1e-6)
            return [([int(w) for w in whole], lo, hi)]
    begin = np.array([math.ceil(model.lower[j] / model.step[j] - 1e-6) for j in cols], dtype=np.float64)
    width = np.array([model.upper[j] / model.step[j] for j in cols]) - begin
    factor = scale_of(c, width)
    base = float(c @ begin)
    rows: list[tuple[list[int], int | None, int | None]] = []
    starts = [int(b) for b in begin]
    if not math.isinf(high):
        ints = [int(w) for w in np.floor(factor * c)]
        shift = sum(i * b for i, b in zip(ints, starts, strict=True))
        room = math.floor(factor * (high - base)) + 1
        if room < float(np.maximum(0.0, factor * c) @ width):  # else it always holds
            rows.append((ints, None, room + shift))
    if not math.isinf(low):
        ints = [int(w) for w in np.ceil(factor * c)]
        shift = sum(i * b for i, b in zip(ints, starts, strict=True))
        need = math.ceil(factor * (low - base)) - 1
        if need > float(np.minimum(0.0, factor * c) @ width):
            rows.append((ints, need + shift, None))
    return rows


def scale_of(c: Floats, width: Floats) -> float:
    """A factor that turns real coefficients into integers, fine enough and clear of overflow."""
    reach = float(np.abs(c) @ np.maximum(width, 1.0))
    if reach <= 0:
        return 1.0
    fine = 2.0**34 * float(np.maximum(width, 1.0).sum())
    return float(2.0 ** math.floor(math.log2(min(fine, 2.0**56) / reach)))


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
        step = np.array([linear.step[j] for j in expr.cols])
        begin = np.array([math.ceil(linear.lower[j] / linear.step[j] - 1e-6) for j in expr.cols], dtype=float)
        width = np.array([linear.upper[j] for j in expr.cols]) / step - begin if len(step) else step
        c = expr.coefs * step
        unit = decimal_unit(c)
        if unit and float(np.abs(c) @ np.maximum(width, 1.0)) / unit < 2.0**50:
            factor, whole = 1.0 / unit, np.rint(c / unit)
        else:
            factor = scale_of(c, width)
            whole = np.floor(factor * c)
        ints = [int(w) for w in whole]
        base = expr.const + float(c @ begin) if len(c) else expr.const
        shift = sum(i * int(b) for i, b in zip(ints, begin, strict=True))

        def bound_of(value: float) -> float:
            raw = base + (value - shift) / factor - expr.error
            return raw - 1e-12 * abs(value) / factor

        self.cp.minimize(cp_model.LinearExpr.weighted_sum([self.vars[j] for j in expr.cols], ints))
        self.cp.clear_hints()
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
        proof.work = float(solver.deterministic_time)
        proof.info = str(solver.solution_info())
        proof.found = [self.model.assignment(v) for v in collector.kept]
        if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            final = solver.values(self.vars[: self.model.n_placement])
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


class _Collector(cp_model.CpSolverSolutionCallback):  # type: ignore[misc]
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
    if stop.iterations is not None:
        return "cpsat"
    measures = {
        entry.term.measure for entry in model.lowered.levels[k].terms if isinstance(entry.term, Deviation)
    }
    return "highs" if measures & {"mad", "std"} else "cpsat"


def solve(
    lowered: Lowered,
    start: Ints,
    stop: Stop,
    seed: int,
    on_progress: OnProgress | None = None,
    *,
    engine: str = "",
    limits: Floats | None = None,
    first_bounds: Floats | None = None,
    max_columns: int = 400_000,
    n_workers: int = 0,
) -> Answer:
    """Solve level after level exactly; see `drs.solvers.base.Solver`.

    Parameters
    ----------
    engine : "cpsat", "highs", or empty to choose by the shape of each level.
    limits : f8[n_levels], ceilings to keep besides those that the levels set (inf: none).
    first_bounds : f8[n_levels], lower bounds that are known already.
    max_columns : above so many placement columns no model is built and the start is the answer.
    """
    search = _Search(lowered, start, stop, seed, on_progress, limits, first_bounds)
    try:
        model = ExactModel(lowered, max_columns)
    except TooLargeError:
        return search.answer("cpsat", {"too_large": 1})
    return search.run(model, engine, n_workers)


class _Search:
    """The lexicographic loop around an engine."""

    def __init__(
        self,
        lowered: Lowered,
        start: Ints,
        stop: Stop,
        seed: int,
        on_progress: OnProgress | None,
        limits: Floats | None,
        first_bounds: Floats | None,
    ) -> None:
        self.lowered, self.stop, self.seed, self.on_progress = lowered, stop, seed, on_progress
        n = len(lowered.levels)
        self.best = np.asarray(start, dtype=np.int32).copy()
        self.scores = lowered.scores(self.best)
        self.today = lowered.scores(lowered.start)
        self.bounds = np.zeros(n) if first_bounds is None else np.maximum(0.0, first_bounds)
        self.limits = np.full(n, math.inf) if limits is None else limits.copy()
        self.own_limits = limits is not None
        self.work = 0.0
        self.solves = 0
        self.rejected = 0
        self.impossible = False
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
            iterations=round(self.work / ITERATION_DTIME),
            interrupted=self.stop.interrupted,
            stats=stats,
        )

    def run(self, model: ExactModel, engine: str, n_workers: int) -> Answer:
        engines: dict[str, Engine] = {}
        levels = self.lowered.levels
        for k, level in enumerate(levels):
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
            if k + 1 < len(levels):
                model.limit_level(k, float(self.limits[k]))
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
            from drs.solvers.linear import HighsEngine

            return HighsEngine(model)
        return CpSatEngine(model, n_workers)

    def done(self, k: int) -> bool:
        level = self.lowered.levels[k]
        return order.settled(level, float(self.scores[k]), float(self.bounds[k]), float(self.today[k]))

    def budget(self, k: int) -> Stop:
        later = sum(not self.done(j) for j in range(k + 1, len(self.lowered.levels)))
        stop = Stop(
            None if self.stop.time_s is None else self.stop.remaining_s,
            None
            if self.stop.iterations is None
            else max(0, self.stop.iterations - round(self.work / ITERATION_DTIME)),
        )
        stop._event = self.stop._event
        return stop.part(0.6) if later else stop

    def step(self, k: int, model: ExactModel, engine: Engine, budget: Stop) -> bool:
        """One exact solve of level k; whether another one could help."""
        expr = model.level(k)
        level = self.lowered.levels[k]

        def on_bound(value: float) -> None:
            self.bounds[k] = max(self.bounds[k], min(value, float(self.scores[k])))
            self.report(level.name)

        proof = engine.minimise(expr, self.best, budget, self.seed + self.solves, on_bound)
        self.solves += 1
        self.work += proof.work
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
                fraction=self.stop.fraction(round(self.work / ITERATION_DTIME)),
                score=float(self.scores[k]),
                bound=float(self.bounds[k]),
            )
        )
