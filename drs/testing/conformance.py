"""What every term and every solver must keep, for whoever writes one outside of `drs`.

`check_term` holds each reading of a term against the term's own `cost`, `check_solver` each answer of a solver
against the terms and, on tiny problems, against trying everything. Both raise AssertionError with what
differs and the seed that shows it.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np

from drs import words
from drs.planning.replay import watch
from drs.solvers import levels as order
from drs.solvers.base import Answer, Solver
from drs.solvers.exact.model import ExactModel
from drs.solvers.kernel.search import Search
from drs.stop import Run, Stop
from drs.terms import Level, Limit, Lowered, Term, Wall, Weighted
from drs.terms.base import Ints
from drs.terms.fused import fuse
from drs.terms.restrict import restrict
from drs.testing.problems import draw_term, is_sound, optimum, random_lowered, tiny

Factory = Callable[[np.random.Generator, int, int], Term]
"""(random, n_items, n_bins) to a term over so many items and bins."""

CLOSE = 1e-6


class Case:
    """One term with a start and random assignments around it."""

    def __init__(self, make: Factory, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.n, self.m = int(self.rng.integers(2, 9)), int(self.rng.integers(2, 6))
        self.term = make(self.rng, self.n, self.m)
        self.start = self.assignment()
        if self.rng.random() < 0.3:
            self.start[self.rng.random(self.n) < 0.3] = -1

    def assignment(self) -> Ints:
        """A random bin for each item."""
        return self.rng.integers(0, self.m, self.n).astype(np.int32)

    def near(self, assign: Ints, share: float = 0.4) -> Ints:
        """Some items elsewhere."""
        return np.where(self.rng.random(self.n) < share, self.assignment(), assign).astype(np.int32)

    def as_level(self) -> Lowered:
        """The term as the only cost."""
        return Lowered(self.n, self.m, self.start, (), (Level("term", (Weighted(self.term, 2.0),)),))

    def as_wall(self) -> Lowered:
        """The term as the only limit, as wide as today needs."""
        return Lowered(self.n, self.m, self.start, (Wall(self.term.relaxed(self.start), "term"),), ())


def same(what: str, found: float, law: float) -> None:
    """Raise AssertionError where a reading differs from the law."""
    assert abs(found - law) <= CLOSE * max(1.0, abs(law)), f"{what} says {found:.9g}, `cost` says {law:.9g}"


def check_term(of: type[Term] | Factory, *, seed: int = 0, rounds: int = 60) -> None:
    """Check every reading of a term against its own `cost`.

    The law itself and `relaxed`, the compiled form (`fuse`: cost, change of a move, wall), the restriction to
    few items (`restrict`), the linear form of the exact solvers, `grouped`, and for a `Limit` also
    `worst_cost` and the replay of a plan.

    Parameters
    ----------
    of : a class that `drs.testing.problems.DRAWS` knows how to draw, or a function
        (random generator, n_items, n_bins) that makes a term
    seed : of the first case; the same seed gives the same cases
    rounds : how many cases

    Raises
    ------
    AssertionError : a reading differs from the law
    TypeError : a reading does not know the term, with the name of the reading's function
    """

    def of_class(rng: np.random.Generator, n: int, m: int) -> Term:
        assert isinstance(of, type)
        return draw_term(of, rng, n, m, bool(rng.random() < 0.5))

    make: Factory = of_class if isinstance(of, type) else of
    for number in range(rounds):
        case = Case(make, seed + number)
        for reading in READINGS:
            try:
                reading(case)
            except AssertionError as error:
                what = type(case.term).__name__
                raise AssertionError(f"{what}, seed {seed + number}, {reading.__name__}: {error}") from error


def reads_law(case: Case) -> None:
    """Costs are finite and not negative; what is relaxed holds today and is nowhere stricter."""
    relaxed = case.term.relaxed(case.start)
    if isinstance(case.term, Limit):
        same("relaxed, today", relaxed.cost(case.start, case.start), 0.0)
    for _ in range(8):
        assign = case.near(case.start)
        cost = case.term.cost(assign, case.start)
        assert np.isfinite(cost) and cost >= 0, f"a cost of {cost}"
        assert relaxed.cost(assign, case.start) <= cost + CLOSE, "relaxed is stricter than the limit"


def reads_fused(case: Case) -> None:
    """The compiled search has the term's costs, and a wall stops what the limit forbids."""
    lowered, assign = case.as_level(), case.start.copy()
    search = Search(fuse(lowered), assign, 0)
    same("compiled", float(search.cost[0]), float(lowered.scores(assign)[0]))
    for _ in range(12):
        item, to = int(case.rng.integers(case.n)), int(case.rng.integers(case.m))
        after = assign.copy()
        after[item] = to
        change = float(search.delta(item, to)[0])
        same("compiled change", change, float((lowered.scores(after) - lowered.scores(assign))[0]))
        search.move(item, to)
        assign = after
    if not isinstance(case.term, Limit):
        return
    lowered, assign = case.as_wall(), case.start.copy()
    search = Search(fuse(lowered), assign, 0)
    for _ in range(12):
        item, to = int(case.rng.integers(case.n)), int(case.rng.integers(case.m))
        if assign[item] == to:
            continue
        after = assign.copy()
        after[item] = to
        crosses = not search.allowed(item, to) or search.cost[-1] + search.delta(item, to)[-1] > CLOSE
        # An item may always go home: what then crosses a wall is another item's doing.
        broken = bool(lowered.broken_walls(after))
        assert broken == bool(crosses), (
            f"compiled wall {'stops' if crosses else 'lets pass'} item {item} to {to}"
        )
        if not broken:
            search.move(item, to)
            assign = after


def reads_restricted(case: Case) -> None:
    """With all but some items frozen the costs stay those of the whole, and so do the walls."""
    for lowered in (case.as_level(), *([case.as_wall()] if isinstance(case.term, Limit) else ())):
        assign = case.near(case.start)
        if lowered.broken_walls(assign):
            assign = case.start.copy()
        free = case.rng.permutation(case.n)[: int(case.rng.integers(1, case.n + 1))]
        small = restrict(lowered, assign, free, np.arange(case.m))
        for _ in range(6):
            inner = small.assign.copy()
            inner[: len(small.free)] = case.rng.integers(0, case.m, len(small.free))
            whole = small.expand(inner)
            for one, law in zip(small.lowered.scores(inner), lowered.scores(whole), strict=True):
                same("restricted", float(one), float(law))
            kept = bool(small.lowered.broken_walls(inner)), bool(lowered.broken_walls(whole))
            assert kept[0] == kept[1], "a restricted wall differs from the whole one"


def reads_exact(case: Case) -> None:
    """The linear form is the cost, within what it says it is off; as a wall it refuses nothing that holds."""
    lowered = case.as_level()
    model = ExactModel(lowered)
    expr = model.level(0)
    slop = expr.error + sum(
        abs(c) * model.linear.rounding[j]
        for j, c in zip(expr.cols.tolist(), expr.coefs.tolist(), strict=True)
    )
    for _ in range(6):
        assign = case.near(case.start)
        model.cut(assign)
        values, law = model.values(assign), float(lowered.scores(assign)[0])
        gap = abs(expr.value(values) - law)
        assert gap <= slop + 1e-5 * max(1.0, law), f"linear {expr.value(values):.9g}, `cost` {law:.9g}"
        assert _holds(model, values), "a row of the model is broken by the model's own solution"
    if not isinstance(case.term, Limit):
        return
    lowered = case.as_wall()
    model = ExactModel(lowered)
    for _ in range(8):
        assign = case.near(case.start)
        if lowered.broken_walls(assign):
            possible = model.fits(assign) and _holds(model, model.values(assign))
            assert not possible, "the model allows what the wall forbids"
        else:
            assert model.fits(assign) and _holds(model, model.values(assign)), (
                "the model forbids what the wall allows"
            )


def _holds(model: ExactModel, values: np.ndarray) -> bool:
    linear = model.linear
    rows = (float(row.coefs @ values[row.cols]) for row in linear.rows)
    bounds = all(
        low - CLOSE <= value <= high + CLOSE
        for low, value, high in zip(linear.lower, values.tolist(), linear.upper, strict=True)
    )
    return bounds and all(
        row.low - CLOSE <= value <= row.high + CLOSE for row, value in zip(linear.rows, rows, strict=True)
    )


def reads_grouped(case: Case) -> None:
    """Items that move as one cost what they cost one by one."""
    about = case.term.about()
    alone = frozenset(() if about is None else about.tolist())
    keys = [(-2, i) if i in alone else (int(case.start[i]), int(case.rng.integers(2))) for i in range(case.n)]
    names = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    group = np.array([names[key] for key in keys], dtype=np.int32)
    term = case.term.grouped(group, len(names))
    start = np.zeros(len(names), dtype=np.int32)
    start[group] = case.start
    for _ in range(6):
        assign = case.rng.integers(0, case.m, len(names)).astype(np.int32)
        if isinstance(case.term, Limit) and not case.term.cost(assign[group], case.start):
            same("grouped, kept", term.cost(assign, start), 0.0)
        elif isinstance(case.term, Limit):
            assert term.cost(assign, start) > 0, "the grouped limit holds where the limit is broken"
        else:
            same("grouped", term.cost(assign, start), case.term.cost(assign[group], case.start))


def _mixtures(case: Case, here: Ints, there: Ints) -> Iterator[Ints]:
    """Assignments with each item in its old or its new bin."""
    moving = np.flatnonzero(here != there)
    choices = itertools.product((False, True), repeat=len(moving))
    for chosen in itertools.islice(choices, 64):
        assign = here.copy()
        assign[moving[list(chosen)]] = there[moving[list(chosen)]]
        yield assign


def reads_on_the_way(case: Case) -> None:
    """`worst_cost` is at least the cost of each mixture of old and new bins, and the cost when none moves."""
    if not isinstance(case.term, Limit):
        return
    here = case.near(case.start, 0.2)
    there = case.near(here, 0.5)
    same("worst_cost without a move", case.term.worst_cost(here, here, case.start),
         case.term.cost(here, case.start))  # fmt: skip
    worst = case.term.worst_cost(here, there, case.start)
    for assign in _mixtures(case, here, there):
        cost = case.term.cost(assign, case.start)
        assert worst >= cost - CLOSE, f"worst_cost {worst:.9g}, but {cost:.9g} for a mixture"


def reads_replay(case: Case) -> None:
    """The replay reports a breach no later than the terms' law, whatever VMs start and end in which order."""
    if not isinstance(case.term, Limit):
        return
    start = np.where(case.start < 0, 0, case.start).astype(np.int32)
    term = case.term
    seen = watch(term, start)
    settled, flying = start.copy(), dict[int, int]()
    base = term.cost(start, start)
    for _ in range(12):
        vm = int(case.rng.integers(case.n))
        if vm in flying:
            new = flying.pop(vm)
            old = int(settled[vm])
            settled[vm] = new
            said = seen.breaks(vm, old, new, False, settled, flying)
        else:
            old, new = int(settled[vm]), int(case.rng.integers(case.m))
            flying[vm] = new
            said = seen.breaks(vm, old, new, True, settled, flying)
        there = settled.copy()
        there[list(flying)] = list(flying.values())
        worst = max(term.cost(assign, start) for assign in _mixtures(case, settled, there))
        if said is not None:
            return  # what follows a breach is not asked
        assert worst <= base + CLOSE or _forgiven(term, start, settled, there), (
            f"the replay lets pass a breach of {worst:.9g}, {base:.9g} today"
        )


def _forgiven(term: Limit, start: Ints, here: Ints, there: Ints) -> bool:
    """Whether the limit holds once it is as wide as today needs (the replay judges part by part)."""
    return bool(
        term.relaxed(start).cost(here, start) <= CLOSE and term.relaxed(start).cost(there, start) <= CLOSE
    )


READINGS = (
    reads_law,
    reads_fused,
    reads_restricted,
    reads_exact,
    reads_grouped,
    reads_on_the_way,
    reads_replay,
)


def check_solver(solver: Solver, *, seed: int = 0, rounds: int = 12, time_s: float = 2.0) -> None:
    """Check a solver on random problems, tiny ones also against trying everything.

    Each answer keeps the walls and drops no item, its scores are the terms' own, it is not worse than the
    start, no bound is above what trying everything finds, a proof of `optimal` or `infeasible` is true, the
    same seed and iterations give the same answer twice, and an interrupt ends a long run within two seconds.

    Parameters
    ----------
    solver : the function itself, `(lowered, start, run) -> Answer`; it gets no problem
        with terms outside of its `reads`
    seed : of the first problem
    rounds : how many problems
    time_s : seconds for each tiny problem

    Raises
    ------
    AssertionError : with the seed of the problem
    """
    known = getattr(solver, "reads", None)
    for number in range(seed, seed + rounds):
        lowered = _readable(tiny(number), known)
        try:
            _check_tiny(solver, lowered, number, time_s)
            _check_repeats(solver, _readable(random_lowered(number), known), number)
        except AssertionError as error:
            raise AssertionError(f"problem of seed {number}: {error}") from error
    _check_interrupt(solver, _readable(random_lowered(seed, n=60, m=12, place_all=True), known))


def _readable(lowered: Lowered, known: tuple[type, ...] | None) -> Lowered:
    """The problem without what a solver does not read."""
    if known is None:
        return lowered
    walls = tuple(wall for wall in lowered.walls if isinstance(wall.term, known))
    levels = tuple(
        Level(level.name, tuple(e for e in level.terms if isinstance(e.term, known)), role=level.role)
        for level in lowered.levels
    )
    return Lowered(lowered.n_items, lowered.n_bins, lowered.start, walls, levels)


def _check_tiny(solver: Solver, lowered: Lowered, seed: int, time_s: float) -> None:
    answer = solver(lowered, lowered.start.copy(), Run(Stop(time_s, 20_000).begin(), seed))
    is_sound(lowered, answer, lowered.start)
    best = optimum(lowered)
    if not len(best):
        return
    # A later bound holds only under the scores of the levels before it; the first holds for all.
    assert answer.bounds[0] <= best[0] + 1e-5 * max(1.0, best[0]), f"bound {answer.bounds[0]}, best {best[0]}"
    if answer.status == "optimal":
        for k, (score, least) in enumerate(zip(answer.scores, best, strict=True)):
            assert score <= least + 1e-4 * max(1.0, least), (
                f"level {k} is called optimal at {score}, not {least}"
            )
    assert answer.status != "infeasible", "called infeasible where the start keeps every wall"


def _check_repeats(solver: Solver, lowered: Lowered, seed: int) -> None:
    def run() -> Answer:
        return solver(lowered, lowered.start.copy(), Run(Stop(None, 2_000).begin(), seed))

    one, two = run(), run()
    assert (one.assign == two.assign).all(), "the same seed and iterations gave two answers"
    assert not order.misplaced(lowered, one.assign), "an item was dropped"


def _check_interrupt(solver: Solver, lowered: Lowered) -> None:
    stop = Stop(60.0).begin()
    timer = threading.Timer(0.5, stop.interrupt)
    timer.start()
    began = time.monotonic()
    try:
        answer = solver(lowered, lowered.start.copy(), Run(stop))
    finally:
        timer.cancel()
    took_s = time.monotonic() - began
    assert took_s < 2.5, f"an interrupt after 0.5 s ended the run after {words.seconds(took_s)}"
    assert answer.interrupted or took_s < 0.6, "the answer does not say that it was interrupted"
    is_sound(lowered, answer, lowered.start)
