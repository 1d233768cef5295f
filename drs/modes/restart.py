"""VMs that are to be started: where, in which order, and why one cannot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from drs.modes.reservations import Reservations
from drs.problem import Problem
from drs.result import Result
from drs.terms import Allowed, Capacity
from drs.terms.base import Ints


@dataclass(frozen=True, slots=True)
class Restart:
    """One VM to start. `after_steps`: moves of the plan that must be done before, for they make its room."""

    order: int
    vm: str
    host: str
    priority: str
    after_steps: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """One VM that no host takes."""

    vm: str
    priority: str
    reason: str


def restarts(result: Result) -> tuple[Restart, ...]:
    """The VMs that had no host and have one now, most important first, large ones first among equals."""
    problem = result.problem
    snapshot, after = problem.snapshot, result.placement.host_idx
    rank = problem.policy.restart.rank(snapshot)
    names = problem.policy.restart.NAMES
    started = np.flatnonzero((snapshot.vms.host_idx < 0) & (after >= 0))
    started = started[np.lexsort((started, -snapshot.vms.memory_mib[started], rank[started]))]
    leaving: dict[str, list[int]] = {}
    for move in result.plan.moves if result.plan else ():
        if move.from_host != move.to_host:
            leaving.setdefault(move.from_host, []).append(move.step)
    found = []
    for order, vm in enumerate(started.tolist(), start=1):
        host = str(snapshot.hosts.name[after[vm]])
        steps = tuple(sorted(leaving.get(host, ()))) if snapshot.vms.on[vm] else ()
        found.append(Restart(order, str(snapshot.vms.name[vm]), host, names[rank[vm]], steps))
    return tuple(found)


def waiting(result: Result) -> tuple[Waiting, ...]:
    """The VMs that still have no host, and what is in the way."""
    problem = result.problem
    snapshot, after = problem.snapshot, np.asarray(result.placement.host_idx)
    rank = problem.policy.restart.rank(snapshot)
    names = problem.policy.restart.NAMES
    unplaced = np.flatnonzero(after < 0)
    unplaced = unplaced[np.lexsort((unplaced, rank[unplaced]))]
    return tuple(
        Waiting(str(snapshot.vms.name[vm]), names[rank[vm]], why_nowhere(problem, after, int(vm)))
        for vm in unplaced.tolist()
    )


def why_nowhere(problem: Problem, after: Ints, vm: int) -> str:
    """Why a VM has no host in a placement: what cannot be reserved for it, rules that leave it no host, or the room
    that is missing."""
    snapshot, lowered = problem.snapshot, problem.lowered
    for rule in problem.rules_in_force:
        if isinstance(rule, Reservations) and (reason := rule.why(vm, snapshot)):
            return reason
    rows = [
        (wall.origin, wall.term.mask[wall.term.class_idx[vm]])
        for wall in lowered.walls
        if isinstance(wall.term, Allowed)
    ]
    allowed = np.ones(snapshot.n_hosts, dtype=np.bool_)
    for _, row in rows:
        allowed &= row
    if not allowed.any():
        closed = [origin for origin, row in rows if not row.any()]
        some = [origin for origin, row in rows if not row.all()]
        names = list(dict.fromkeys(closed or some))
        return f"{' and '.join(names)} {'leaves' if len(names) == 1 else 'together leave'} it no host"
    best = ""
    rooms = list(_rooms(problem, after))
    fits = np.array(allowed)
    for _, _, free, demand in rooms:
        fits &= free >= demand[vm] * (1 - 1e-9)
    if fits.any():
        group = [
            wall.origin
            for wall in lowered.walls
            if not isinstance(wall.term, (Allowed, Capacity)) and vm in getattr(wall.term, "items", ())
        ]
        if group:
            return f"{', '.join(dict.fromkeys(group))} bars the hosts that have room"
        return "no arrangement with room for it was found"
    tightest = -np.inf
    for origin, unit, free, demand in rooms:
        if demand[vm] <= 0:
            continue
        most = float(free[allowed].max())
        share = (float(demand[vm]) - most) / float(demand[vm])
        if share > tightest:
            tightest = share
            host = str(snapshot.hosts.name[np.flatnonzero(allowed)[np.argmax(free[allowed])]])
            best = (
                f"{origin}: it needs {demand[vm]:,.0f}{unit}, and of the {int(allowed.sum())} hosts that it may "
                f"run on the roomiest, {host}, has {max(0.0, most):,.0f} left"
            )
    return best if tightest > 0 else f"{best}; no host has all that it needs at once"


def _rooms(problem: Problem, after: Ints) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    units = {"cpu": " MHz", "memory": " MiB"}
    for wall in problem.lowered.walls:
        if isinstance(wall.term, Capacity):
            free = wall.term.limit - wall.term.use(after, problem.lowered.start)
            yield wall.origin, units.get(wall.term.resource, ""), free, wall.term.demand
