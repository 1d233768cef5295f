"""A process that runs HiGHS: `python -m drs.solvers.exact.highs_worker`, problems in, answers out, over pipes.

HiGHS writes to the standard output of its process whatever it is told, takes no interrupt through MathOpt,
and may crash; none of that may touch the process that plans.
"""

from __future__ import annotations

import datetime
import os
import pickle
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Task:
    """minimise objective . x, row_low <= A x <= row_high (A in CSR form), low <= x <= high."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    integer: NDArray[np.bool_]
    objective_cols: NDArray[np.int64]
    objective: NDArray[np.float64]
    begin: NDArray[np.int64]
    cols: NDArray[np.int64]
    coefs: NDArray[np.float64]
    row_low: NDArray[np.float64]
    row_high: NDArray[np.float64]
    hint: NDArray[np.float64] | None
    seed: int
    time_s: float | None
    nodes: int | None


@dataclass
class Outcome:
    """`bound` and `values` are None where there are none."""

    reason: str
    bound: float | None = None
    values: NDArray[np.float64] | None = None
    nodes: int = 0
    fault: str = ""
    duals: NDArray[np.float64] | None = field(default=None)


def run(task: Task) -> Outcome:
    """Solve one task with HiGHS through MathOpt."""
    from ortools.math_opt.python import mathopt

    model = mathopt.Model()
    variables = [
        model.add_variable(lb=lo, ub=hi, is_integer=whole)
        for lo, hi, whole in zip(task.low.tolist(), task.high.tolist(), task.integer.tolist(), strict=True)
    ]
    for r, (lo, hi) in enumerate(zip(task.row_low.tolist(), task.row_high.tolist(), strict=True)):
        row = model.add_linear_constraint(lb=lo, ub=hi)
        part = slice(task.begin[r], task.begin[r + 1])
        for c, a in zip(task.cols[part].tolist(), task.coefs[part].tolist(), strict=True):
            row.set_coefficient(variables[c], a)
    for c, a in zip(task.objective_cols.tolist(), task.objective.tolist(), strict=True):
        model.objective.set_linear_coefficient(variables[c], a)
    parameters = mathopt.SolveParameters(
        enable_output=False,
        random_seed=task.seed & 0x7FFFFFFF,
        relative_gap_tolerance=1e-8,
        absolute_gap_tolerance=0.0,
    )
    if task.time_s is not None:
        parameters.time_limit = datetime.timedelta(seconds=max(0.01, task.time_s))
    if task.nodes is not None:
        parameters.node_limit = task.nodes
    hints = []
    if task.hint is not None:
        pairs = zip(variables, task.hint.tolist(), strict=True)
        hints.append(mathopt.SolutionHint(variable_values=dict(pairs)))
    answer = mathopt.solve(
        model,
        mathopt.SolverType.HIGHS,
        params=parameters,
        model_params=mathopt.ModelSolveParameters(solution_hints=hints),
    )
    outcome = Outcome(answer.termination.reason.name.lower())
    bound = answer.termination.objective_bounds.dual_bound
    if np.isfinite(bound):
        outcome.bound = float(bound)
    if answer.has_primal_feasible_solution():
        outcome.values = np.asarray(answer.variable_values(variables), dtype=np.float64)
    outcome.nodes = int(answer.solve_stats.node_count)
    return outcome


def _leave_with_parent() -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)


def main() -> None:
    """Serve tasks from standard input until it closes."""
    out = os.fdopen(os.dup(1), "wb")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    while True:
        try:
            task: Any = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            outcome = run(task)
        except Exception as error:
            outcome = Outcome("fault", fault=f"{type(error).__name__}: {error}")
        pickle.dump(outcome, out)
        out.flush()
