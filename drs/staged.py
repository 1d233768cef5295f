"""What a plan's moves bring one after the other, and the part of it that is asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from drs import in_time
from drs.model import Placement
from drs.modes import When
from drs.planning import Plan
from drs.result import Curve, Reason, Result, Stage
from drs.solvers.stages import stages
from drs.solving import settled
from drs.stop import Run
from drs.terms.base import Floats
from drs.units import MIB_PER_GIB
from drs.words import stage_of

LEAST_PRICE_S = 1e-3
"""What a move costs at least: a powered-off VM that moves at once still is a task."""

ROUNDING = 1e-6
"""A score below this, relative to today's, is 0."""

TRIES = 12
"""How often a stage of so many minutes is planned until it fits."""


def curve(result: Result) -> Curve | None:
    """The moves of a result's plan in the order in which they are worth making.

    None where no VM changes its host, or where VMs start in the same plan: a start waits for its room.
    """
    lowered, plan = result.problem.lowered, result.plan
    today, there = result.problem.today, result.placement
    if plan is None or len(lowered.start) != result.snapshot.n_vms:
        return None
    after = np.where(today.host_idx >= 0, there.host_idx, today.host_idx)
    if not (after != today.host_idx).any() or (today.host_idx != there.host_idx)[today.host_idx < 0].any():
        return None
    position = result.snapshot.vms.position
    price, gib = np.full(len(after), LEAST_PRICE_S), np.zeros(len(after))
    for move in plan.moves:
        price[position[move.vm]] += max(0.0, move.total_s)
        gib[position[move.vm]] += move.transferred_mib / MIB_PER_GIB
    order = stages(lowered, after, price)
    # Sums that grew and shrank leave rounding where nothing is left.
    scores = np.where(np.abs(order.scores) <= ROUNDING * (1.0 + np.abs(order.scores[0])), 0.0, order.scores)
    goals = {
        level.name: tuple(scores[:, k].tolist())
        for k, level in enumerate(lowered.levels)
        if level.name != "moves"
    }
    return Curve(
        tuple(str(name) for name in result.snapshot.vms.name[order.items]),
        _sums(gib[order.items]),
        _sums(price[order.items] - LEAST_PRICE_S),
        goals,
        tuple(order.may_end.tolist()),
    )


def _sums(each: Floats) -> tuple[float, ...]:
    return (0.0, *np.cumsum(each).tolist())


def stage(
    result: Result, text: str, time: When, run: Run
) -> tuple[Result, Plan, tuple[Reason, ...], Stage] | None:
    """The part of a result that was asked for: `text` as `drs.words.stage_of` reads it.

    Returns
    -------
    The result where the stage leads, its plan, its reasons, and what it leaves; None where there is nothing to cut.
    """
    whole = result.curve
    if whole is None or result.plan is None:
        return None
    unit, amount = stage_of(text)
    n = len(whole)
    ends = [k for k in range(1, n + 1) if whole.may_end[k]]
    fitting = ends
    if unit == "moves":
        fitting = [k for k in ends if k <= amount]
    elif unit == "gib":
        fitting = [k for k in ends if whole.gib[k] <= amount]
    note = ""
    if not fitting:
        fitting = ends[:1] or [n]
        note = "The least part that a plan may end with is larger than asked for."

    def planned(k: int) -> tuple[Result, Plan, tuple[Reason, ...]]:
        part = dataclasses.replace(result, placement=_first(result, whole.vms[:k]))
        made, reasons = in_time.plan(part, run, time)
        return settled(part, made.placement), made, reasons

    reached, made, reasons = planned(fitting[-1])
    too_much = _is_more(made, unit, amount)
    low, high = 0, len(fitting) - 1
    if too_much:  # detours count too, and minutes are known once they are planned
        for _ in range(TRIES):
            if low >= high:
                break
            middle = (low + high) // 2
            candidate = planned(fitting[middle])
            if _is_more(candidate[1], unit, amount):
                high = middle
            else:
                low, (reached, made, reasons), too_much = middle + 1, candidate, False
        if too_much:
            reached, made, reasons = planned(fitting[0])
            note = "The least part that a plan may end with is larger than asked for."
    after = reached.problem.lowered.scores(np.asarray(reached.placement.host_idx))
    left = {
        level.name: (float(now), whole.goals[level.name][-1])
        for level, now in zip(reached.problem.lowered.levels, after, strict=True)
        if level.name in whole.goals and now - whole.goals[level.name][-1] > ROUNDING * max(1.0, abs(now))
    }
    said = Stage(text, len({move.vm for move in made.moves}), n, left, note)
    return reached, made, reasons, said


def _is_more(made: Plan, unit: str, amount: float) -> bool:
    """Whether a plan is more than was asked for."""
    took = {
        "moves": float(len(made.moves)),
        "gib": made.total_transferred_mib / MIB_PER_GIB,
        "s": made.makespan_s,
    }
    return took[unit] > amount * (1.0 + 1e-9)


def _first(result: Result, vms: Sequence[str]) -> Placement:
    """The placement where only these VMs have moved."""
    snapshot, today, there = result.snapshot, result.problem.today, result.placement
    moves = np.zeros(snapshot.n_vms, dtype=bool)
    moves[[snapshot.vms.position[vm] for vm in vms]] = True
    return Placement(
        np.where(moves, there.host_idx, today.host_idx).astype(np.int32),
        np.where(moves[snapshot.disks.vm_idx], there.datastore_idx, today.datastore_idx).astype(np.int32),
    )
