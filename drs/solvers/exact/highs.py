"""HiGHS through OR-tools' MathOpt on the model of `drs.solvers.exact.model`.

For loads spread over bins (absolute deviations, the tangents of a standard deviation, maxima) its linear
relaxations prove faster than CP-SAT; for counting and covering CP-SAT wins. Columns and rows are scaled so
that HiGHS' absolute tolerances are small against every quantity, and its bound is lowered by what those
tolerances may hide. It runs in a process of its own (`drs.solvers.exact.highs_worker`).
"""

from __future__ import annotations

import contextlib
import math
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import IO

import numpy as np

from drs.solvers.exact.build import ExactModel
from drs.solvers.exact.highs_worker import Outcome, Task
from drs.solvers.exact.linear_model import Linear
from drs.solvers.exact.proof import Proof
from drs.stop import Stop
from drs.terms.base import Floats, Ints

RANGE = 1000.0
"""Real columns are scaled to about this range."""
SAFETY = 3e-8
"""Share of the objective's size that HiGHS' tolerances may hide: they are 1e-7 absolute, the objective is scaled to
`RANGE`, and some hundred rows may each add their own."""
NODE_ITERATIONS = 10
"""Iterations of the budget that one node of the search tree counts."""


LOADING_S = 30.0
"""Time for the process to start, at most."""


class Worker:
    """The process that runs HiGHS; it is started at the first task and ended with `close`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def solve(self, task: Task, stop: Stop, grace_s: float = 1.0) -> Outcome:
        """Run one task; a process that was interrupted, overran or died leaves an empty outcome.

        `grace_s` : how much later than the task's own limit it may answer: it starts, and builds the model.
        """
        process = self._process
        if process is None or process.poll() is not None:
            process = self._process = subprocess.Popen(
                # Not `-m`: what is pickled must belong to the module, not to `__main__`.
                [sys.executable, "-c", "from drs.solvers.exact.highs_worker import main; main()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        assert process.stdin is not None and process.stdout is not None
        answers: queue.Queue[Outcome] = queue.Queue()
        threading.Thread(
            target=_talk, args=(process.stdin, process.stdout, task, answers), daemon=True
        ).start()
        deadline = time.monotonic() + (math.inf if task.time_s is None else task.time_s + grace_s)
        while not stop.interrupted and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                return answers.get(timeout=0.05)
        self.close()
        return Outcome("interrupted")

    def ready(self) -> Worker:
        """Start the process and wait until it has loaded what it needs; returns the worker."""
        one = np.zeros(1)
        self.solve(
            Task(
                one, one, np.ones(1, dtype=np.bool_), np.zeros(1, dtype=np.int64), one, np.zeros(1, dtype=np.int64),
                np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0), np.zeros(0), None, 0, LOADING_S, None,
            ),
            Stop(),
        )  # fmt: skip
        return self

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            self._process.wait()
            self._process = None


def _talk(send: IO[bytes], receive: IO[bytes], task: Task, answers: queue.Queue[Outcome]) -> None:
    try:
        pickle.dump(task, send)
        send.flush()
        answers.put(pickle.load(receive))
    except (OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
        answers.put(Outcome("fault", fault=f"the HiGHS process ended: {error}"))


class HighsEngine:
    """HiGHS on an `ExactModel`, or with `relax` on its linear relaxation."""

    name = "highs"

    def __init__(self, model: ExactModel, relax: bool = False, worker: Worker | None = None) -> None:
        self.model = model
        self.relax = relax
        self.worker = worker or Worker()
        self._own = worker is None
        self._scale = np.empty(0)
        self._rows: list[tuple[Floats, float, float]] = []

    def close(self) -> None:
        """End the process, unless it is shared."""
        if self._own:
            self.worker.close()

    def _grow(self) -> None:
        linear = self.model.linear
        scale = self._scale.tolist()
        for j in range(len(scale), len(linear.lower)):
            reach = max(abs(linear.lower[j]), abs(linear.upper[j]))
            whole = linear.integer[j] or reach <= 0
            scale.append(1.0 if whole else 2.0 ** round(math.log2(reach / RANGE)))
        self._scale = np.array(scale)
        for row in linear.rows[len(self._rows) :]:
            coefs = row.coefs * self._scale[row.cols]
            size = float(np.abs(coefs).max(initial=0.0))
            factor = 2.0 ** -round(math.log2(size)) if size > 0 else 1.0
            self._rows.append((coefs * factor, row.low * factor, row.high * factor))

    def minimise(
        self, expr: Linear, hint: Ints, stop: Stop, seed: int, on_bound: Callable[[float], None] | None
    ) -> Proof:
        """Minimise an expression from a hint; see `drs.solvers.exact.proof.Engine`."""
        self._grow()
        linear, scale = self.model.linear, self._scale
        values = self.model.values(hint)
        coefs = expr.coefs * scale[expr.cols]
        size = max(abs(expr.value(values) - expr.const), float(np.abs(coefs).max(initial=0.0)), 1e-9)
        factor = 2.0 ** -round(math.log2(size / RANGE))
        used = [r for r, row in enumerate(linear.rows) if len(row.cols)]
        lengths = np.array([len(linear.rows[r].cols) for r in used], dtype=np.int64)
        low, high = np.array(linear.lower), np.array(linear.upper)
        task = Task(
            low=low / scale,
            high=np.maximum(low, high) / scale,
            integer=np.array(linear.integer) & (not self.relax),
            objective_cols=expr.cols,
            objective=coefs * factor,
            begin=np.concatenate([[0], np.cumsum(lengths)]),
            cols=np.concatenate([linear.rows[r].cols for r in used]),
            coefs=np.concatenate([self._rows[r][0] for r in used]),
            row_low=np.array([self._rows[r][1] for r in used]),
            row_high=np.array([self._rows[r][2] for r in used]),
            hint=None if self.relax else values / scale,
            seed=seed,
            time_s=None if stop.time_s is None else stop.remaining_s,
            nodes=None if stop.iterations is None else max(1, stop.iterations // NODE_ITERATIONS),
        )
        outcome = self.worker.solve(task, stop)
        proof = Proof(info=f"highs {outcome.reason} {outcome.fault}".strip())
        proof.iterations = (outcome.nodes + 1) * NODE_ITERATIONS
        if outcome.reason == "infeasible":
            proof.impossible = True
            return proof
        if outcome.bound is not None:
            raw = outcome.bound / factor
            proof.bound = raw + expr.const - SAFETY * (abs(raw) + size * 1e-3) - expr.error
        proof.complete = outcome.reason == "optimal"
        if outcome.values is not None and not self.relax:
            proof.found.append(self.model.assignment(outcome.values))
        return proof
