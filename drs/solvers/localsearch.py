"""The scalable engine: two workers anneal and rearrange over one fused kernel, level by level.

Method
------
A problem is fused into flat arrays once (`drs.terms.fused`). Its levels are minimised in their order. While
a level is under way the levels before it carry a steep price beyond their ceiling, and a solution that
exceeds one is passed through but never kept; the levels after it count with a weight so small that it
decides between equals only.

Each level gets a part of the budget. Two workers, threads without the interpreter's lock, begin by annealing
with different seeds (shift, swap, ejection chain, bloc; temperature from sampled changes), then search large
neighbourhoods by bounded tree search, exchanging the best solution as they go. In the end moves that do not
matter are undone.

Under an iteration budget alone the workers meet after fixed numbers of steps and the clock is never read:
the same seed gives the same plan.

Sources
-------
Gavranovic and Buljubasic, "An efficient local search with noising strategy for Google machine reassignment
problem", Annals of Operations Research 242 (2016): shift, swap, big process rearrangement.
Mehta, O'Sullivan and Simonis, "Comparing solution methods for the machine reassignment problem", CP 2012:
the large-neighbourhood search. Kirkpatrick, Gelatt and Vecchi, "Optimization by simulated annealing",
Science 220 (1983).
"""

from __future__ import annotations

import logging
import math
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from drs.solvers.base import Answer
from drs.solvers.levels import better, ceiling, close, status
from drs.stop import Progress, Run
from drs.terms.base import Floats, Ints, Level, Lowered, Weighted
from drs.terms.costs import Deviation, GroupMoves, MoveCost
from drs.terms.fused import fuse
from drs.terms.fused_arrays import Fused

if TYPE_CHECKING:
    from drs.solvers.kernel.search import Search

log = logging.getLogger(__name__)

CHUNK_S = 0.05
"""Time between two looks at the budget."""
ROUND = 40
"""Steps that one rearrangement of a neighbourhood counts for."""
MEND = 66
"""Steps that one neighbourhood mended greedily counts for."""
PROPOSALS = 0.5
"""Share of the annealing's steps that are proposed moves; the others mend neighbourhoods greedily."""
SAVING = 0.95
"""Share of the steps that know that few moves are wanted, where moves are all that is minimised."""
HOT, HOT_SUM = 24.0, 1.5
"""Start temperature over a rise that sampled moves make: the median; where a level is a sum of excesses and
prices without any deviation, the one that a tenth of them exceeds. There many moves are nearly free, and the
median is a poor guide."""
ANNEAL, ANNEAL_SUM = 0.85, 0.95
"""Share of a level's budget that is annealed; tree search gets the rest."""
STEEP, STEEPER = 5.0, 200.0
"""Price of one typical rise beyond a ceiling over a typical rise of the level under way: at first, and by
what factor it grows over the annealing."""
OSCILLATION = 1e8
"""Where moves are all that is minimised: by what factor that price rises over the annealing while the limits
are exceeded, and falls while they are kept, so that the search stays at the edge."""
STEPS_A_ROUND, MOST_ROUNDS = 700, 64
"""Where moves are all that is minimised: steps per item of one annealing, after which another begins, and into how
many at most a budget is cut. Many short ones find cheaper plans than a long one (measured on
`small`, `medium` and 66x1320; a single one now and then ends far from the edge)."""
HOT_MOVES = 0.3
"""Start temperature over the price of a typical move, where moves are all that is minimised."""
COOLING, COOLING_SUM, COOLING_MOVES = 1e-3, 5e-4, 0.02
"""End temperature over start temperature (measured on instances a2_5, b_1, b_2 of the ROADEF/EURO challenge,
and on `medium`)."""
QUENCH, MELT = 0.03, 0.04
"""Shares of a level's budget for a first descent, and for the search for the temperature that undoes it."""
ABOVE_MELTING, COOLEST = 20.0, 0.03
"""Start temperature over the one at which a quick cooling gets below the first descent, and the least start
temperature. Where steps are few for the items (b_3, b_5), a hotter start loses more than it finds."""
FORCED, DEAREST, LONGEST = 50, 32, 100
"""Where a level is such a sum: how often, when the dearest items are listed anew, one of how many of them is
forced into another host, and how many may have to leave it."""
SHARE = np.array([0.4, 0.9, 1.0, 1.0])
SHARE_BLOCS = np.array([0.4, 0.88, 0.98, 1.0])
"""Cumulative shares of shifts, swaps, ejection chains and blocs among the proposals, without and with blocs.
A chain or a bloc takes as long as twenty shifts."""


class _Aim(NamedTuple):
    """What one level's search minimises."""

    weight: Floats
    """f8[n_levels]: price of each level's cost"""
    limits: Floats
    """f8[n_levels]: from where on a level before it counts, inf for the others"""
    steep: Floats
    """f8[n_levels]: price of what is beyond"""
    scale: float
    """Size of a usual change of the level itself"""


class _Worker:
    """One thread's search."""

    def __init__(self, fused: Fused, assign: Ints, seed: int) -> None:
        from drs.solvers.kernel.search import Search

        self.search: Search = Search(fused, assign, seed)
        self.steps_per_s = 1e5
        self.share = SHARE_BLOCS if len(fused.bloc_ptr) > 1 else SHARE
        self.rounds = 0
        self.grade = 1.0
        self.forces = False
        self.saves = False

    def anneal(self, n: int, temperature: float) -> int:
        """`n` steps at one temperature: proposed moves, and neighbourhoods mended greedily."""
        began = time.perf_counter()
        if self.rounds % 8 == 0:
            self.search.refresh()
            self.search.find_hot()
            if self.forces:
                self.search.force_hot(FORCED, DEAREST, LONGEST)
        self.rounds += 1
        left = n
        if self.saves:
            left -= int(n * SAVING)
            self.search.anneal_moves(n - left, temperature)
        proposals = int(left * PROPOSALS)
        rounds = max(1, (left - proposals) // MEND)
        while proposals > 0 or rounds > 0:
            part, few = min(proposals, 20000), min(rounds, 20000 // MEND)
            if part:
                self.search.anneal(part, temperature, temperature, self.share, 8)
            if few:
                self.search.neighbourhoods(few, temperature, 1.0, 128, 0.01)
            proposals, rounds = proposals - part, rounds - few
        self._clock(n, began)
        return n

    def rearrange(self, n: int, temperature: float) -> int:
        """Neighbourhoods worth `n` steps."""
        began = time.perf_counter()
        if self.rounds % 8 == 0:
            self.search.refresh()
        self.rounds += 1
        rounds = max(1, n // ROUND)
        self.search.neighbourhoods(rounds, temperature, 1.0, 128)
        self._clock(n, began)
        return rounds * ROUND

    def _clock(self, n: int, began: float) -> None:
        rate = n / max(1e-6, time.perf_counter() - began)
        self.steps_per_s = 0.5 * self.steps_per_s + 0.5 * rate


class _Call:
    """One call of the solver."""

    def __init__(self, lowered: Lowered, start: Ints, run: Run, workers: int) -> None:
        stop, seed = run.stop, run.seed
        self.lowered, self.stop, self.on_progress = lowered, stop, run.on_progress
        self.timed = stop.time_s is not None or stop.iterations is None
        self.fused = fuse(lowered)
        self.start = start
        self.workers = [_Worker(self.fused, start, seed * 1000 + k) for k in range(workers)]
        self.best = np.array(start)
        self.today = lowered.scores(lowered.start)
        self.ceilings = np.full(len(lowered.levels), np.inf)
        self.reached: list[Ints] = []
        """The best assignment after each level"""
        self.iterations = 0
        self.reported = -math.inf
        self.turn = 0
        self.pool = ThreadPoolExecutor(workers) if workers > 1 else None

    def report(self, stage: str, score: float, note: str = "") -> None:
        """Tell the caller, at most ten times a second."""
        if self.on_progress is None:
            return
        elapsed = self.stop.elapsed_s
        if elapsed - self.reported >= 0.1 or note:
            self.reported = elapsed
            self.on_progress(Progress(stage, elapsed, self.stop.fraction(self.iterations), score, note=note))

    def scores(self, assign: Ints) -> Floats:
        """Scores by the kernel (the law is asked once, in the end)."""
        search = self.workers[0].search
        search.load(assign)
        return np.array(search.cost[:-1])

    def together(self, act: str, sizes: list[int], *args: float) -> None:
        """Let every worker do a chunk."""
        if self.pool is None:
            self.iterations += sum(
                getattr(w, act)(n, *args) for w, n in zip(self.workers, sizes, strict=True)
            )
            return
        futures: list[Future[int]] = [
            self.pool.submit(getattr(w, act), n, *args) for w, n in zip(self.workers, sizes, strict=True)
        ]
        self.iterations += sum(f.result() for f in futures)

    def chunks(self, left: float) -> list[int]:
        """Steps of the next chunk for each worker."""
        if self.timed:
            return [max(100, min(int(w.steps_per_s * min(CHUNK_S, left)), 10**7)) for w in self.workers]
        return [2000 if self.lowered.n_items < 5000 else 20000] * len(self.workers)

    def aim(self, k: int) -> _Aim:
        """What the search at level `k` pays for each level, and from where on for those before it."""
        n_levels = len(self.lowered.levels)
        scores, scale = self.scores(self.best), self.scales(k)
        weight = np.zeros(n_levels)
        weight[k] = 1.0
        for later in range(k + 1, n_levels):
            weight[later] = 1e-3 * scale[k] / scale[later] if scale[later] > 0 else 0.0
        steep = np.zeros(n_levels)
        for earlier in range(k):
            slack = max(self.ceilings[earlier] - scores[earlier], 0.0)
            unit = max(slack / 4, scale[earlier])
            steep[earlier] = STEEP * scale[k] / unit if unit > 0 else 1e3 * max(1.0, scale[k])
        limits = np.full(n_levels, np.inf)
        limits[:k] = [c + 0.5 * close(c) for c in self.ceilings[:k]]
        return _Aim(weight, limits, steep, scale[k])

    def line_up(self, k: int, aim: _Aim) -> None:
        """Put the workers at the best assignment; where moves alone count, every other one at today's, in turns."""
        from_today = self.of_moves(k) and k > 0 and self.fused_start_is_complete()
        for which, w in enumerate(self.workers):
            w.search.load(self.best)
            w.search.aim(aim.weight, aim.limits, aim.steep)
            if from_today:
                for _ in range(3):
                    self.undo_useless(w)
                if (which + self.turn + len(self.workers)) % 2 == 1:
                    w.search.load(self.fused.start)
                    w.search.aim(aim.weight, aim.limits, aim.steep)
            w.rounds = 0
            w.forces = self.of_sums(k)
            w.saves = self.of_moves(k)
        self.settle_waiting()

    def temperatures(self, k: int, aim: _Aim) -> tuple[float, float]:
        """The first and the last temperature of annealing at level `k`, from the rises of random moves."""
        of_sums = self.of_sums(k)
        rises = self.workers[0].search.rises(1000)
        hot = 0.0
        if len(rises):
            hot = float(np.quantile(rises, 0.9)) * HOT_SUM if of_sums else float(np.median(rises)) * HOT
        if self.of_moves(k):
            hot = HOT_MOVES * aim.scale
        return hot, hot * (COOLING_SUM if of_sums else COOLING_MOVES if self.of_moves(k) else COOLING)

    def steer(self, aim: _Aim, gone: float, last_gone: float, oscillates: bool) -> None:
        """How steeply the ceilings of the levels before count now; `gone`: the part of the annealing that is over."""
        for w in self.workers:
            if oscillates:
                w.grade *= OSCILLATION ** (
                    (gone - last_gone) if w.search.beyond(aim.limits) else (last_gone - gone)
                )
                w.grade = min(max(w.grade, 1e-4), 1e3)
            else:
                w.grade = STEEPER**gone
            w.search.steepen(aim.steep * w.grade)

    def level(self, k: int, stop_at: float) -> None:
        """Minimise level `k` until the budget's fraction is `stop_at`."""
        if self.scores(self.best)[k] <= 1e-12:
            return
        of_sums = self.of_sums(k)
        aim = self.aim(k)
        self.line_up(k, aim)
        if self.energy_is_floor(k):
            self.take(k)
            return
        hot, cold = self.temperatures(k, aim)
        began = self.stop.fraction(self.iterations)
        if of_sums:
            hot = self.melting(k, hot, began, stop_at)
            if self.energy_is_floor(k):
                self.take(k)
                return
            began = self.stop.fraction(self.iterations)
        for w in self.workers:
            w.grade = 0.1
        early = k < len(self.lowered.levels) - 1
        if not (early and self.descend(k, began + 0.15 * (stop_at - began))):
            self.cool(k, aim, hot, cold, began, stop_at)
        self.take(k)

    def cool(self, k: int, aim: _Aim, hot: float, cold: float, began: float, stop_at: float) -> None:
        """Anneal level `k` from `hot` to `cold`, then rearrange neighbourhoods until `stop_at`."""
        middle = began + (ANNEAL_SUM if self.of_sums(k) else ANNEAL) * (stop_at - began)
        meetings = [began + q * (middle - began) for q in (0.6, 0.75, 0.9)]
        early, of_moves = k < len(self.lowered.levels) - 1, self.of_moves(k)
        last_exchange, last_gone = began, 0.0
        while True:
            now = self.stop.fraction(self.iterations)
            if now >= stop_at or self.stop.interrupted:
                break
            left = (stop_at - now) * self.stop.time_s if self.stop.time_s else CHUNK_S
            if k > 0:
                gone = min(1.0, (now - began) / (middle - began))
                self.steer(aim, gone, last_gone, oscillates=of_moves and now < middle)
                last_gone = gone
            if now < middle:
                f = (now - began) / (middle - began)
                temperature = hot * (cold / hot) ** f if hot else 0.0
                self.together("anneal", self.chunks(left), temperature)
                if meetings and now >= meetings[0]:
                    meetings.pop(0)
                    self.meet()
            else:
                if last_exchange < middle:
                    for w in self.workers:
                        w.search.return_to_best()
                self.together("rearrange", self.chunks(left), 0.0)
                if now - last_exchange >= 0.02 * (stop_at - began):
                    self.exchange()
                    last_exchange = max(now, middle)
            score = min(float(w.search.state.energy[1]) for w in self.workers)
            if score < 1e299:
                self.report(self.lowered.levels[k].name, score)
            if early and self.energy_is_floor(k):
                break

    def of_moves(self, k: int) -> bool:
        """Whether level `k` is nothing but the price of moves."""
        return all(isinstance(e.term, MoveCost | GroupMoves) for e in self.lowered.levels[k].terms)

    def of_sums(self, k: int) -> bool:
        """Whether level `k` is a sum of excesses and prices, without any deviation, and of more than moves."""
        return not self.of_moves(k) and not any(
            isinstance(e.term, Deviation) for e in self.lowered.levels[k].terms
        )

    def rounds(self, part: float) -> int:
        """For how many annealings a part of the budget is enough."""
        if self.timed:
            steps = part * (self.stop.time_s or 0.0) * sum(w.steps_per_s for w in self.workers)
        else:
            steps = part * (self.stop.iterations or 0)
        return min(max(1, int(steps / (STEPS_A_ROUND * self.lowered.n_items))), MOST_ROUNDS)

    def fused_start_is_complete(self) -> bool:
        """Whether today's assignment is one that a search may begin from."""
        return bool((self.fused.start >= 0).all())

    def undo_useless(self, w: _Worker) -> None:
        """Send moved items home, dearest move first, where the energy allows."""
        moved = np.flatnonzero(w.search.assign != self.fused.start)
        w.search.send_home(moved)

    def descend(self, k: int, stop_at: float) -> bool:
        """Go downhill only; whether level `k` came to 0 on the way."""
        last = math.inf
        while self.stop.fraction(self.iterations) < stop_at and not self.stop.interrupted:
            left = (stop_at - self.stop.fraction(self.iterations)) * (self.stop.time_s or 1.0)
            self.together("anneal", self.chunks(left), 0.0)
            score = min(float(w.search.state.energy[1]) for w in self.workers)
            self.report(self.lowered.levels[k].name, score)
            if self.energy_is_floor(k):
                return True
            if score > last - 1e-6 * abs(last):
                break
            last = score
        return False

    def melting(self, k: int, hot: float, began: float, stop_at: float) -> float:
        """Start temperature for level `k`, at most `hot`: well above the one that undoes a first descent."""
        whole = stop_at - began
        self.descend(k, began + QUENCH * whole)
        quenched = min(float(w.search.state.energy[0]) for w in self.workers)
        now = first = self.stop.fraction(self.iterations)
        until = min(stop_at, first + MELT * whole)
        temperature = hot
        while now < until:
            temperature = hot * (COOLEST / ABOVE_MELTING) ** ((now - first) / (until - first))
            self.together("anneal", self.chunks(MELT * whole * (self.stop.time_s or 1.0)), temperature)
            if min(float(w.search.state.energy[0]) for w in self.workers) < quenched:
                break
            now = self.stop.fraction(self.iterations)
        return min(hot, max(COOLEST * hot, ABOVE_MELTING * temperature))

    def energy_is_floor(self, k: int) -> bool:
        """Whether a worker has found a solution whose cost at level `k` is 0."""
        weight = self.workers[0].search.state.weight
        return any(
            float(w.search.state.energy[1]) < 1e299 and w.search.cost[k] <= 1e-12 and
            w.search.state.energy[0] == w.search.state.energy[1] and weight[k] > 0
            for w in self.workers
        )  # fmt: skip

    def settle_waiting(self) -> None:
        """Place what is nowhere, biggest first."""
        waiting = np.flatnonzero(self.best < 0)
        if not len(waiting):
            return
        need = self.fused.need
        size = (need[waiting] / np.maximum(need.sum(axis=0), 1e-12)).sum(axis=1)
        order = waiting[np.argsort(-size, kind="stable")]
        for w in self.workers:
            w.search.place_waiting(order)

    def exchange(self) -> None:
        """Give the best solution of all workers to those that are behind."""
        energies = [float(w.search.state.energy[1]) for w in self.workers]
        first = int(np.argmin(energies))
        for k, w in enumerate(self.workers):
            if k != first and energies[k] > energies[first] + 1e-9 * abs(energies[first]):
                w.search.adopt(self.workers[first].search.state.best)

    def meet(self) -> None:
        """While annealing: all go on from where the best worker is now."""
        energies = [float(w.search.state.energy[0]) for w in self.workers]
        first = int(np.argmin(energies))
        for k, w in enumerate(self.workers):
            if k != first:
                w.search.continue_from(self.workers[first].search)

    def scales(self, k: int) -> Floats:
        """Median rise of each level's cost that random moves make, f8[n_levels]."""
        n_levels = len(self.lowered.levels)
        search = self.workers[0].search
        search.load(self.best)
        out = np.zeros(n_levels)
        for level in range(n_levels):
            weight = np.zeros(n_levels)
            weight[level] = 1.0
            search.aim(weight, np.full(n_levels, np.inf), np.zeros(n_levels))
            rises = search.rises(200)
            out[level] = float(np.median(rises)) if len(rises) else 0.0
        return out

    def take(self, k: int) -> None:
        """Keep the best of the workers if it is better at level `k`, without useless moves."""
        for w in self.workers:
            w.search.return_to_best()
            for _ in range(3):
                moved = np.flatnonzero(w.search.assign != self.fused.start)
                if not w.search.send_home(moved):
                    break
            w.search.return_to_best()
        best_scores = self.scores(self.best)
        for w in self.workers:
            if w.search.state.energy[1] >= 1e299:
                continue
            candidate = w.search.state.best.copy()
            scores = self.scores(candidate)
            if lex_within(scores, best_scores, self.ceilings, k):
                self.best, best_scores = candidate, scores

    def run(self) -> None:
        """All levels in order."""
        n_levels = len(self.lowered.levels)
        parts = np.array([0.5 if lv.role in ("hard", "not_worse") else 1.0 for lv in self.lowered.levels])
        for k in range(n_levels):
            self.recall(k)
            now = self.stop.fraction(self.iterations)
            # Never above 1, which rounding alone would do: the budget's fraction does not get there.
            end = min(1.0, now + (1.0 - now) * float(parts[k] / parts[k:].sum()))
            again = k > 0 and self.of_moves(k)
            while True:
                rounds = self.rounds(end - now) if again else 1
                self.level(k, end if rounds == 1 else now + (end - now) / rounds)
                self.turn += 1
                now = self.stop.fraction(self.iterations)
                if rounds == 1 or now >= end or self.stop.interrupted or self.scores(self.best)[k] <= 1e-12:
                    break
            score = float(self.scores(self.best)[k])
            self.ceilings[k] = ceiling(self.lowered.levels[k], score, float(self.today[k]))
            self.reached.append(self.best.copy())
        if self.pool is not None:
            self.pool.shutdown()

    def recall(self, k: int) -> None:
        """Go on from the start where the levels before allow it and it is better at level `k`: what improved an earlier
        level by no more than its slack may have cost a later one more than the start ever did.
        """
        if lex_within(self.scores(self.start), self.scores(self.best), self.ceilings, k):
            self.best = self.start.copy()

    def answer(self) -> Ints:
        """The assignment of the last level, or of one before that, that the start does not beat.

        A later level may have spent an earlier one's slack until the start, which is beyond it, counts as equal there.
        """
        before = self.lowered.scores(self.start)
        for assign in reversed(self.reached):
            beaten = better(self.lowered, before, self.lowered.scores(assign))
            if not beaten and not self.lowered.broken_walls(assign):
                return assign
        log.warning("local search found no plan that its own check takes; the start is returned")
        return self.start


def lex_within(a: Floats, b: Floats, ceilings: Floats, k: int) -> bool:
    """Whether `a` beats `b` at level `k` or, equal there, at a later one, within the ceilings before it."""
    for level in range(k):
        if a[level] > ceilings[level] + close(float(ceilings[level])):
            return False
    for x, y in zip(a[k:], b[k:], strict=True):
        if x < y - 1e-9 * max(1.0, abs(y)):
            return True
        if x > y + 1e-9 * max(1.0, abs(y)):
            return False
    return False


def solve(lowered: Lowered, start: Ints, run: Run, *, workers: int = 2) -> Answer:
    """Minimise the levels in order by local search.

    Parameters
    ----------
    start : complete assignment that crosses no wall; the answer is never worse
    run : its budget is time, or steps: one proposed move is a step, one rearranged neighbourhood `ROUND` steps
    workers : threads

    Notes
    -----
    The bounds are 0: this engine proves nothing (see `drs.solvers.bounds.dual`).
    """
    began = time.monotonic()
    start = np.array(start, dtype=np.int32)
    if lowered.n_items == 0 or lowered.n_bins == 0 or not lowered.levels:
        scores = lowered.scores(start)
        return Answer("optimal", start, scores, scores, "localsearch", 0.0)
    with run.stop.paused():  # no search pays for compilation
        ready(run)
    call = _Call(lowered, start, run, workers)
    call.run()
    assign = call.answer()
    scores = lowered.scores(assign)
    bounds = np.zeros(len(lowered.levels))
    return Answer(
        status(lowered, scores, bounds),
        assign,
        scores,
        bounds,
        "localsearch",
        time.monotonic() - began,
        call.iterations,
        run.stop.interrupted,
        {"workers": workers},
    )


_compiled = threading.Event()


def ready(run: Run) -> None:
    """Load the kernel; where it must be compiled first, say so."""
    if _compiled.is_set():
        return
    from drs.solvers.kernel import neighbourhood

    path = getattr(getattr(neighbourhood.search_neighbourhoods, "_cache", None), "cache_path", None)
    index = Path(path).glob("neighbourhood.search_neighbourhoods*.nbi") if path else iter(())
    newest = max(source.stat().st_mtime for source in Path(neighbourhood.__file__).parent.glob("*.py"))
    if not any(file.stat().st_mtime >= newest for file in index):
        note = "compiling the search kernel, once after installation; this takes a minute or so"
        log.info(note)
        run.tell(Progress("compile", run.stop.elapsed_s, 0.0, math.nan, note=note))
    start = np.zeros(2, dtype=np.int32)
    tiny = Lowered(2, 2, start, (), (Level("", (Weighted(MoveCost(np.ones(2))),)),))
    worker = _Worker(fuse(tiny), start, 0)
    search = worker.search
    search.aim(np.ones(1), np.full(1, np.inf), np.zeros(1))
    search.rises(1)
    worker.forces = True
    worker.saves = True
    worker.anneal(200, 0.0)
    worker.rearrange(100, 0.0)
    search.place_waiting(start)
    search.send_home(start)
    search.return_to_best()
    search.move(0, 0)
    search.allowed(0, 1)
    _compiled.set()
