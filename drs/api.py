"""The verbs: read, check, solve, plan, estimate, advise."""

from __future__ import annotations

import dataclasses
import math
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drs import explain, modes, planning, solvers
from drs.errors import Fault, InputError, InternalError, UnknownNameError, did_you_mean
from drs.explain.contradictions import conflicts
from drs.model import Snapshot
from drs.planning import Move, Plan
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.result import GoalScore, Result
from drs.rules import Rule, Violation
from drs.solvers.base import Answer, Solver
from drs.stop import OnProgress, Stop
from drs.terms import Lowered

if TYPE_CHECKING:
    import pandas as pd

Source = Snapshot | str | Path | Mapping[str, "pd.DataFrame"]

ROUNDING = 1e-6


def read(source: Source) -> Snapshot:
    """A snapshot from a folder, a saved problem, a bundled dataset, or a mapping of table name to DataFrame.

    Raises
    ------
    InputError : with every fault of the input: file, row, field, what was expected.
    """
    from drs import io

    if isinstance(source, Snapshot):
        return source
    if isinstance(source, Mapping):
        return io.from_frames(source)
    with _folder(source) as folder:
        return io.read_folder(folder)


def read_rules(source: Source) -> tuple[Rule, ...]:
    """The rules that stand beside a snapshot, in its `rules.toml`; none where there is no such file."""
    from drs import io

    if isinstance(source, (Snapshot, Mapping)):
        return ()
    with _folder(source) as folder:
        return io.read_rules(folder)


def read_policy(source: Source) -> Policy:
    """The policy that stands beside a snapshot, in its `policy.toml`; the default where there is none."""
    from drs import io

    if isinstance(source, (Snapshot, Mapping)):
        return Policy()
    with _folder(source) as folder:
        return io.read_policy(folder)


@contextmanager
def _folder(source: str | Path) -> Iterator[Path]:
    """The folder that a source names: itself, a bundled dataset's, or a saved problem's, unpacked."""
    from drs import datasets, io

    path = Path(source)
    if path.is_file() and path.suffix == ".zip":
        with tempfile.TemporaryDirectory() as scratch:
            io.unpack_problem(path, Path(scratch))
            yield Path(scratch)
    elif path.is_dir():
        yield path
    elif path.exists():
        held = io.is_snapshot(path.parent)
        hint = f"did you mean {path.parent}?" if held else "drs convert reads an RVTools workbook"
        raise InputError(
            Fault("source", f"{path} is a file", "a snapshot folder or a saved problem (.zip)", hint)
        )
    elif str(source) in datasets.names():
        yield datasets.path(str(source))
    else:
        near = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UnknownNameError(
            Fault(
                "source",
                f"no folder and no dataset {str(source)!r}",
                f"a snapshot folder, or one of {', '.join(datasets.names())}",
                did_you_mean(path.name, [*datasets.names(), *near]),
            )
        )


def check(source: Source, rules: Sequence[Rule] | None = None) -> tuple[Violation, ...]:
    """Every rule that is broken today, the built-in ones (capacity, EVC, ...) included."""
    snapshot = read(source)
    problem = Problem(snapshot, read_rules(source) if rules is None else rules)
    return tuple(problem.check(problem.today))


def solve(
    problem: Problem,
    *,
    solver: str = "auto",
    time_s: float | None = 30.0,
    iterations: int | None = None,
    seed: int = 0,
    stop: Stop | None = None,
    on_progress: OnProgress | None = None,
) -> Result:
    """The best placement within a budget, with a bound, re-checked by the rules themselves.

    With `iterations` and no `time_s` the same seed gives the same answer on any machine.

    Raises
    ------
    InternalError : when a solver's answer and the rules' own checks disagree.
    """
    engine = solvers.find(solver)
    stop = (stop or Stop(time_s, iterations)).begin()
    answer = _worthwhile(problem.lowered, _ask(engine, problem, stop, seed, on_progress))
    for _ in range(3):
        # Each VM alone was promised room for its disks; those that found none together stay where they are.
        lost = problem.left_behind(problem.placement(answer.assign)) if problem.policy.storage_moves else []
        if not lost:
            break
        problem = problem.holding(lost, "no room for its disks")
        again = Stop(min(5.0, stop.time_s or 5.0), stop.iterations)
        answer = _worthwhile(problem.lowered, _ask(engine, problem, again, seed, on_progress))
    return _result(problem, answer, seed)


def _ask(engine: Solver, problem: Problem, stop: Stop, seed: int, on_progress: OnProgress | None) -> Answer:
    return engine(problem.lowered, np.array(problem.lowered.start), stop.begin(), seed, on_progress)


def _worthwhile(lowered: Lowered, answer: Answer) -> Answer:
    """Today's placement instead, when nothing is repaired and no goal gains what makes moving worth it."""
    before = lowered.scores(lowered.start)
    for level, old, new in zip(lowered.levels, before, answer.scores, strict=True):
        gain = old - new
        if gain <= ROUNDING * max(1.0, abs(old)):
            continue
        if level.worth_ratio == 0.0 or gain >= level.worth_ratio * old:
            return answer
        break
    return dataclasses.replace(answer, assign=np.array(lowered.start), scores=before)


def _result(problem: Problem, answer: Answer, seed: int) -> Result:
    lowered = problem.lowered
    placement = problem.placement(answer.assign)
    before = lowered.scores(lowered.start)
    goals = tuple(
        GoalScore(level.name, level.unit, float(old), float(new), float(min(bound, new)))
        for level, old, new, bound in zip(lowered.levels, before, answer.scores, answer.bounds, strict=True)
    )
    result = Result(
        problem,
        answer.status,
        placement,
        goals,
        tuple(problem.check(problem.today)),
        tuple(problem.check(placement)),
        answer.solver,
        seed,
        answer.elapsed_s,
        answer.iterations,
        answer.interrupted,
        immovable=explain.immovable(problem),
        stats=dict(answer.stats),
    )
    _verify(result)
    return result


def _verify(result: Result) -> None:
    """The rules' own checks against what the solver said. They share no code with terms or solvers."""
    problem = result.problem
    lowered, assign = problem.lowered, np.asarray(result.placement.host_idx)
    crossed = [wall.origin for wall in lowered.broken_walls(assign)]
    if crossed:
        raise InternalError(f"the solver {result.solver!r} crossed {', '.join(sorted(set(crossed)))}")
    policies = {rule.label: rule.policy for rule in problem.rules_in_force}
    total: dict[str, float] = {}
    for sign, violations in ((-1.0, result.violations_before), (1.0, result.violations_after)):
        for violation in violations:
            total[violation.rule] = total.get(violation.rule, 0.0) + sign * violation.amount
    worse = [name for name, change in total.items() if change > 1e-3 and policies.get(name) != "soft"]
    if worse and not (problem.snapshot.vms.host_idx < 0).any():
        raise InternalError(f"the solver {result.solver!r} made {', '.join(sorted(worse))} worse than today")
    hard = sorted({v.rule for v in result.violations_after if policies.get(v.rule) == "hard"})
    if hard and result.status in ("optimal", "feasible"):
        raise InternalError(f"status {result.status} with broken hard rules: {', '.join(hard)}")
    own = result.goals[len(result.goals) - len(problem.goals) :]
    for goal, score in zip(problem.goals, own, strict=True):
        said = score.after
        found = goal.measure(problem.snapshot, result.placement, problem.prices)
        if not math.isclose(said, found, rel_tol=1e-6, abs_tol=1e-6):
            raise InternalError(f"goal {goal.type}: the solver says {said}, its own measure {found}")


def plan(
    result: Result,
    *,
    seed: int = 0,
    stop: Stop | None = None,
    on_progress: OnProgress | None = None,
) -> Plan:
    """The moves of a result in a safe order, priced with the pre-copy model and timed."""
    return _plan(result, seed=seed, stop=stop, on_progress=on_progress)[0]


def _plan(
    result: Result,
    *,
    priorities: Mapping[int, float] | None = None,
    seed: int = 0,
    stop: Stop | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[Plan, tuple[explain.Reason, ...]]:
    """The plan, and why each VM in it moves."""
    problem = result.problem
    reasons = explain.reasons(problem, result.placement)
    made = planning.make_plan(
        problem.snapshot,
        result.placement,
        problem.lowered.during,
        concurrency=problem.policy.concurrency,
        profile=problem.policy.profile,
        reasons={vm: reason.text for vm, reason in reasons.items()},
        allowed=problem.parking_hosts,
        priorities=priorities,
        seed=seed,
        stop=stop,
        on_progress=on_progress,
    )
    return explain.annotate(problem, made, reasons)


def estimate(
    source: Source, moves: Iterable[Mapping[str, Any]] | str | Path, *, profile: str | None = None
) -> list[Move]:
    """Price moves chosen by hand, in any of the five kinds.

    Parameters
    ----------
    moves : a CSV file, or mappings with `vm` and any of `to_host`, `to_datastore`, `kind`.
    profile : of the cost model, by name or the TOML file of a fitted one; the policy's where not given.

    Raises
    ------
    InputError : naming the row and field of every fault.
    """
    from drs import io

    snapshot = read(source)
    rows = (
        io.read_moves(Path(moves), snapshot)
        if isinstance(moves, (str, Path))
        else io.moves_from(moves, snapshot)
    )
    return planning.price_moves(snapshot, **rows, profile=profile or read_policy(source).profile)


def advise(
    source: Source,
    *,
    mode: str = "balance",
    evacuate: Sequence[str] = (),
    options: modes.Options | None = None,
    rules: Sequence[Rule] | None = None,
    policy: Policy | None = None,
    max_moves: int | None = None,
    solver: str = "auto",
    time_s: float | None = 30.0,
    iterations: int | None = None,
    seed: int = 0,
    stop: Stop | None = None,
    on_progress: OnProgress | None = None,
) -> Result:
    """From a cluster to a verified, priced plan: read, pose the problem, solve, order and time the moves.

    Parameters
    ----------
    source : folder, dataset name, Snapshot, or mapping of table name to DataFrame.
    mode : one of `drs.modes.MODES`.
    evacuate : hosts to empty (implies mode `evacuate`; with mode `recover`, hosts that are lost).
    options : what else the mode is asked for: a site, a deadline, new VMs, datastores to empty, a baseline.
    rules, policy : those beside the snapshot (`rules.toml`, `policy.toml`) where not given.
    max_moves : overrides the policy's limit.
    """
    snapshot = read(source)
    rules = read_rules(source) if rules is None else rules
    policy = read_policy(source) if policy is None else policy
    if max_moves is not None:
        policy = dataclasses.replace(policy, limits=dataclasses.replace(policy.limits, max_moves=max_moves))
    options = options or modes.Options()
    if len(evacuate):
        options = dataclasses.replace(options, evacuate=(*options.evacuate, *evacuate))
    problem = modes.pose(mode, snapshot, rules, policy, options)
    mode = modes.name(mode, options)
    _warn_of_contradictions(problem)
    stop = (stop or Stop(time_s, iterations)).begin()
    answer = modes.MODES[mode].answer
    if answer is None:
        result = solve(problem, solver=solver, seed=seed, stop=stop, on_progress=on_progress)
    else:
        result = answer(
            problem,
            solve=solve,
            options=options,
            solver=solver,
            seed=seed,
            stop=stop,
            on_progress=on_progress,
        )
    result = _with_plan(result, mode, options, solver, seed, stop, on_progress)
    result = _with_conflicts(result, stop, seed)
    return dataclasses.replace(result, report=modes.report(mode, result, options), elapsed_s=stop.elapsed_s)


def _warn_of_contradictions(problem: Problem) -> None:
    """Tell at once, before any search, which rules cannot all be kept.

    It is no error: what can be done without them is planned, and the result names them and what would help.
    """
    from drs.io import InputWarning

    for each in conflicts(problem.rules_in_force, problem.snapshot):
        warnings.warn(f"{each}; no plan can keep them all", InputWarning, stacklevel=3)


def _with_conflicts(result: Result, stop: Stop, seed: int) -> Result:
    """Where nothing satisfies the hard rules: which of them cannot hold together."""
    if result.status not in ("infeasible", "no_solution"):
        return result
    # What is left of the budget, or else a tenth of it on top.
    time_s = 10.0
    if stop.time_s is not None:
        time_s = min(10.0, max(1.0, 0.1 * stop.time_s, stop.remaining_s))
    found = explain.conflicts(result.problem, time_s=time_s, seed=seed)
    status = "infeasible" if found else result.status
    return dataclasses.replace(result, conflicts=found, status=status)


def _with_plan(
    result: Result,
    mode: str,
    options: modes.Options,
    solver: str,
    seed: int,
    stop: Stop,
    on_progress: OnProgress | None,
) -> Result:
    """Adds the plan; moves that no safe order reaches are given up and the rest is solved again."""
    problem = result.problem
    priorities = modes.priorities(mode, problem, options)
    # Scheduling comes after the search and gets a share of its own; under an iteration budget a fixed amount
    # of work, so that the clock is never read.
    budget_s = None if stop.time_s is None else min(5.0, max(1.0, 0.1 * stop.time_s))
    budget = stop.followed_by(budget_s)
    made, reasons = _plan(result, priorities=priorities, seed=seed, stop=budget, on_progress=on_progress)
    warnings = list(result.warnings)
    stranded: list[planning.Stranded] = []
    # What goes round again shares a fifth of the budget; under an iteration budget it has as many steps again.
    spare = stop.followed_by(None if stop.time_s is None else max(1.0, 0.2 * stop.time_s))
    for _ in range(3):
        if not made.stranded or not modes.MODES[mode].replans or spare.reached(0):
            break
        # A placement that is reached only in part may break a rule that the whole one kept, so the
        # stranded VMs are held where they are and the others are placed anew around them.
        stranded += made.stranded
        problem = problem.holding([move.vm for move in stranded], "no safe order")
        again = Stop(None if spare.time_s is None else min(5.0, spare.remaining_s / 2), stop.iterations)
        result = solve(problem, solver=solver, seed=seed, stop=again, on_progress=on_progress)
        made, reasons = _plan(result, priorities=priorities, seed=seed, stop=spare.part(0.5))
    made = dataclasses.replace(made, stranded=(*stranded, *made.stranded))
    for move in made.stranded:
        warnings.append(f"{move.vm} stays on {move.from_host}: {move.reason}")
    status = result.status
    if made.stranded and status == "optimal":
        status = "feasible"
    if any(not move.converged for move in made.moves):
        names = ", ".join(move.vm for move in made.moves if not move.converged)
        warnings.append(f"live migration may not converge: {names}")
    return dataclasses.replace(
        result,
        status=status,
        plan=made,
        reasons=reasons,
        warnings=(*warnings, *made.warnings),
        mode=mode,
        elapsed_s=stop.elapsed_s,
    )
