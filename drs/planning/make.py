"""From a target placement to a plan: order, schedule, price, bound and check."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from drs.errors import InternalError, NoSafeOrderError
from drs.model import Placement, Snapshot
from drs.model.network import Network
from drs.planning import order as ordering
from drs.planning.limits import Concurrency
from drs.planning.plan import Plan, Stranded
from drs.planning.prefixes import prefix_warnings
from drs.planning.pricing import Leg, Pricer, legs_between, move_of
from drs.planning.replay import replay
from drs.planning.rooms import Rooms
from drs.planning.schedule.fluid import flows_of, run_fluid
from drs.planning.schedule.search import Found, schedule_all, search
from drs.planning.schedule.serial import Serial
from drs.planning.schedule.shares import with_links
from drs.planning.schedule.tasks import Hours, Tasks, build_tasks, slot_limit, slots_of
from drs.planning.waves import by_start, edges_of, waves_of
from drs.planning.windows import what_fits
from drs.stop import Run
from drs.terms import During
from drs.words import seconds

Floats = NDArray[np.float64]
Method = Literal["auto", "list", "cpsat"]

LOADED_WITH = 50
"""Legs that are asked for one with which the compiled kernels can be loaded."""

_loaded = threading.Event()

REPLAYED_IN_FULL = 60
"""Moves up to which a plan has its durations replayed before it is returned; its safety always is."""


def make_plan(
    snapshot: Snapshot,
    target: Placement,
    during: Sequence[During] = (),
    *,
    concurrency: Concurrency | None = None,
    profile: Any = "vmware",
    reasons: Mapping[int, str] | None = None,
    allowed: Callable[[int], NDArray[np.bool_]] | None = None,
    priorities: Mapping[int, float] | None = None,
    window: float | None = None,
    deadline_s: float | Mapping[int, float] | None = None,
    forbidden: Mapping[int, Hours] | None = None,
    run: Run | None = None,
    method: Method = "auto",
    strict: bool = False,
) -> Plan:
    """The moves from today's placement to `target` in a safe order, priced, timed and checked.

    Every `during` limit holds at every instant, a VM in flight counting on both hosts; one that is broken
    today becomes no worse. The same arguments and seed give the same plan, unless `run` limits the time.

    Parameters
    ----------
    target : where everything is to be; a changed `datastore_idx` is a storage move.
    during : limits on the way.
    concurrency : how many migrations may run at once (default: vSphere's cost units).
    profile : hypervisor profile of the pre-copy model.
    reasons : by VM, why it moves.
    allowed : where a VM may be parked, bool[n_hosts]; default: its cluster's hosts that can run it.
    priorities : by VM, higher moves sooner, and stays in when a window is too short for all.
    window : seconds; what does not fit is stranded, best first.
    deadline_s : by host, when all that leaves it must have left (or one figure for all); a warning if late.
    forbidden : by VM, spans in seconds from the start in which it may not migrate (`windows.daily`).
    run : budget, interrupt, seed and progress; without, a fixed amount of work under seed 0.
    method : `list` only the list schedule, `cpsat` always CP-SAT, `auto` where it helps.
    strict : raise instead of stranding.

    Raises
    ------
    NoSafeOrderError : with `strict`, where a move cannot be reached; `cycle` names who waits for whom.
    InternalError : when the independent replay finds a limit broken.
    """
    concurrency = concurrency or Concurrency()
    run = run or Run()
    network = Network.of(snapshot)
    pricer = Pricer(snapshot, profile, network)
    asked = legs_between(snapshot, target)
    rooms = Rooms.of(snapshot, during, [leg.vm for leg in asked])
    job = _Job(
        snapshot, network, pricer, rooms, concurrency, forbidden or {}, priorities or {}, deadline_s, method,
        run,
    )  # fmt: skip
    with run.stop.paused():  # no plan pays for compilation
        job.load_kernels(asked)
    lost, possible = _possible(snapshot, network, pricer, rooms, asked, concurrency)
    found = ordering.find_order(
        possible,
        rooms,
        pricer,
        allowed or ordering.default_hosts(snapshot),
        priorities=priorities,
        seed=run.seed,
        stop=run.stop,
    )
    lost.extend(found.lost)
    if strict and lost:
        cycle = next((entry.cycle for entry in lost if entry.cycle), (lost[0].leg.vm,))
        raise NoSafeOrderError(
            f"{snapshot.vms.name[lost[0].leg.vm]}: {lost[0].reason}",
            [str(snapshot.vms.name[vm]) for vm in cycle],
        )
    tasks = job.tasks(found, range(len(found.legs)))
    schedule = job.schedule(tasks)
    if window is not None and schedule.timed.makespan_s > window:
        chosen = job.fitting(found, window)
        dropped = {leg.vm: leg for i, leg in enumerate(found.legs) if i not in set(chosen)}
        whole = {leg.vm: leg for leg in asked}
        lost.extend(
            ordering.Lost(whole.get(vm, leg), f"does not fit into the window of {seconds(window)}")
            for vm, leg in dropped.items()
        )
        tasks = job.tasks(found, chosen)
        schedule = job.schedule(tasks)
    if not math.isfinite(schedule.timed.makespan_s):
        never = [tasks.legs[i] for i in np.flatnonzero(np.isnan(schedule.timed.end_s)).tolist()]
        raise InternalError(f"no end was found for the migrations of {[leg.vm for leg in never]}")
    plan = job.plan(tasks, schedule, target, lost, reasons or {})
    report = replay(plan, during, concurrency=concurrency, profile=pricer.profile,
                    times=len(plan.moves) <= REPLAYED_IN_FULL)  # fmt: skip
    if not report.safe:
        raise InternalError(
            "the replay of the plan finds: " + "; ".join(d.sentence for d in report.differences[:5])
        )
    late = [d.sentence for d in report.differences if d.kind == "time"]
    return dataclasses.replace(
        plan,
        warnings=(*plan.warnings, *late, *prefix_warnings(plan)),
        stats={**plan.stats, "n_replay_differences": len(report.differences)},
    )


def _possible(
    snapshot: Snapshot, network: Network, pricer: Pricer, rooms: Rooms, legs: Sequence[Leg],
    concurrency: Concurrency,
) -> tuple[list[ordering.Lost], list[Leg]]:  # fmt: skip
    """Legs that can never go, whatever the others do, and the rest."""
    priced = pricer.price(legs)
    lost, possible = [], []
    for i, leg in enumerate(legs):
        why = priced.refused[i]
        forbids = rooms.forbids(leg.vm, leg.dst)
        if not why and forbids:
            why = f"{forbids} does not allow it there"
        if not why:
            need = slots_of(snapshot, network, leg, priced.kind[i], bool(priced.moves_disks[i]), concurrency)
            for (limit, place), amount in need.items():
                if amount > slot_limit(snapshot, concurrency, limit, place):
                    why = f"the concurrency limit {limit} allows no such migration"
        if why:
            lost.append(ordering.Lost(leg, why))
        else:
            possible.append(leg)
    return lost, possible


@dataclass(frozen=True)
class _Job:
    """What all stages of one plan share."""

    snapshot: Snapshot
    network: Network
    pricer: Pricer
    rooms: Rooms
    concurrency: Concurrency
    forbidden: Mapping[int, Hours]
    priorities: Mapping[int, float]
    deadline_s: float | Mapping[int, float] | None
    method: Method
    run: Run

    def tasks(self, order: ordering.Order, chosen: Sequence[int]) -> Tasks:
        """The chosen legs of a safe order as tasks."""
        new = {i: k for k, i in enumerate(chosen)}
        legs = [order.legs[i] for i in chosen]
        flows = flows_of(self.pricer, legs)
        return build_tasks(
            self.snapshot, self.network, legs, self.pricer.price(legs), self.rooms.free,
            [order.take[i] for i in chosen], [order.give[i] for i in chosen],
            [tuple(new[j] for j in order.before[i] if j in new) for i in chosen],
            self.concurrency, self.pricer.profile.link_ratio, flows.beside_s,
            hours=self.forbidden, priorities=self.priorities,
        )  # fmt: skip

    def load_kernels(self, legs: Sequence[Leg]) -> None:
        """Call everything that is compiled once, with the first leg that is possible."""
        if _loaded.is_set():
            return
        refused = self.pricer.price(legs[:LOADED_WITH]).refused
        leg = next((leg for leg, why in zip(legs, refused, strict=False) if not why), None)
        if leg is None:
            return
        tasks = self.tasks(ordering.Order((leg,), ((),), ((),), ((),), ()), [0])
        schedule_all(tasks, self.pricer.price([leg]), flows_of(self.pricer, [leg]))
        _loaded.set()

    def due_s(self, tasks: Tasks) -> Floats | None:
        """When each leg must have ended, inf for no matter when."""
        if self.deadline_s is None:
            return None
        if not isinstance(self.deadline_s, Mapping):
            return np.full(len(tasks), float(self.deadline_s))
        return np.array([float(self.deadline_s.get(leg.src, np.inf)) for leg in tasks.legs])

    def schedule(self, tasks: Tasks) -> Found:
        """A short schedule."""
        return search(
            tasks, self.pricer, self.pricer.price(tasks.legs), flows_of(self.pricer, tasks.legs),
            method=self.method, run=self.run, due_s=self.due_s(tasks),
        )  # fmt: skip

    def fitting(self, order: ordering.Order, window_s: float) -> list[int]:
        """The legs that a window has time for."""
        room = ordering.tokens(range(len(order.legs)), self.rooms.free, order.take, order.give)
        edges = [tuple({*room[i], *order.before[i]}) for i in range(len(order.legs))]
        price = self.pricer.price(order.legs)
        urgent = np.array([self.priorities.get(leg.vm, 0.0) for leg in order.legs])

        def makespan_of(chosen: list[int]) -> float:
            if not chosen:
                return 0.0
            tasks = self.tasks(order, chosen)
            shares = with_links(tasks, np.ones(len(tasks)), price.total_s[chosen])
            serial = Serial(tasks, shares)
            by_length = np.lexsort((-price.total_s[chosen], -tasks.priority))
            start = serial.starts(serial.safe_order(by_length, np.arange(len(tasks))))
            timed = run_fluid(
                tasks, shares, flows_of(self.pricer, tasks.legs), np.argsort(start, kind="stable")
            )
            return min(timed.makespan_s, float((start + shares.total_s).max()) + 0.05)

        return what_fits(order.legs, edges, price.total_s, urgent, window_s * 0.999, makespan_of)

    def plan(
        self, tasks: Tasks, found: Found, target: Placement, lost: Sequence[ordering.Lost],
        reasons: Mapping[int, str],
    ) -> Plan:  # fmt: skip
        """The schedule in words and figures."""
        snapshot, timed = self.snapshot, found.timed
        legs = tasks.legs
        alone = self.pricer.price(legs)
        priced = dataclasses.replace(
            alone,
            total_s=timed.end_s - timed.start_s,
            precopy_s=np.maximum(0.0, timed.end_s - timed.start_s - timed.downtime_ms / 1e3 - timed.setup_s),
            downtime_ms=timed.downtime_ms,
            transferred_mib=timed.transferred_mib,
            rounds=timed.rounds.astype(np.int32),
            converged=timed.converged,
        )
        edges = edges_of(tasks, timed, self.rooms.free)
        waves = waves_of(tasks, timed, edges)
        order = by_start(timed)
        step = {i: k + 1 for k, i in enumerate(order)}
        moves = [
            dataclasses.replace(
                move_of(snapshot, legs[i], priced, i, step=step[i], reason=self._reason(legs[i], reasons)),
                wave=waves[i],
                after_steps=tuple(sorted(step[j] for j in edges[i])),
                start_s=float(timed.start_s[i]),
            )
            for i in order
        ]
        makespan = max((move.end_s for move in moves), default=0.0)
        bound = min(found.bound.makespan_s, makespan)
        stats: dict[str, float | int | str] = {
            "method": found.method,
            "bound_from": found.bound.why,
            "planned_optimal": int(found.optimal),
            "planned_bound_s": found.planned_bound_s,
            "n_parked": sum(leg.parking for leg in legs),
            **{f"bound_{name}_s": value for name, value in found.bound.parts_s.items()},
            **found.stats,
        }
        return Plan(
            snapshot,
            target,
            _reached(snapshot, [legs[i] for i in order]),
            tuple(moves),
            tuple(_stranded(snapshot, entry) for entry in lost),
            makespan_s=makespan,
            makespan_bound_s=bound,
            warnings=tuple(self._warnings(tasks, timed.end_s, timed.start_s)),
            stats=stats,
        )

    def _reason(self, leg: Leg, reasons: Mapping[int, str]) -> str:
        if not leg.parking:
            return reasons.get(leg.vm, "")
        if leg.src == leg.dst:
            stores = sorted({str(self.snapshot.datastores.name[store]) for store in leg.to_datastores})
            return f"makes room: its disks wait on {', '.join(stores)} until they can go on"
        return f"makes room: parked on {self.snapshot.hosts.name[leg.dst]} until it can go on"

    def _warnings(self, tasks: Tasks, end_s: Floats, start_s: Floats) -> list[str]:
        names, hosts = self.snapshot.vms.name, self.snapshot.hosts.name
        warnings = []
        due = self.due_s(tasks)
        if due is not None:
            late = [i for i in range(len(tasks)) if end_s[i] > due[i] + 1e-6]
            by_host: dict[int, list[int]] = {}
            for i in late:
                by_host.setdefault(tasks.legs[i].src, []).append(i)
            for host, those in sorted(by_host.items()):
                worst = max(those, key=lambda i: end_s[i])
                warnings.append(
                    f"{hosts[host]} is left by {names[tasks.legs[worst].vm]} after {seconds(end_s[worst])}, "
                    f"later than its deadline of {seconds(due[worst])}"
                )
        for i, leg in enumerate(tasks.legs):
            for begin, end in self.forbidden.get(leg.vm, ()):
                if start_s[i] < end - 1e-6 and end_s[i] > begin + 1e-6:
                    warnings.append(
                        f"{names[leg.vm]} migrates within its forbidden hours, until {seconds(end_s[i])}"
                    )
        return warnings


def _reached(snapshot: Snapshot, legs: Sequence[Leg]) -> Placement:
    host = snapshot.vms.host_idx.copy()
    store = snapshot.disks.datastore_idx.copy()
    for leg in legs:
        host[leg.vm] = leg.dst
        for disk, to in zip(leg.disks, leg.to_datastores, strict=True):
            store[disk] = to
    return Placement(host, store)


def _stranded(snapshot: Snapshot, lost: ordering.Lost) -> Stranded:
    names = snapshot.vms.name
    return Stranded(
        str(names[lost.leg.vm]),
        str(snapshot.hosts.name[lost.leg.src]),
        str(snapshot.hosts.name[lost.leg.dst]),
        lost.reason,
        tuple(str(names[vm]) for vm in lost.cycle),
    )
