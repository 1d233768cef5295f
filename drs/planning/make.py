"""From a target placement to a plan: order, schedule, price, bound and check."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
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
from drs.planning.schedule.fluid import Timed, flows_of
from drs.planning.schedule.interval import interval_of
from drs.planning.schedule.search import Found, best_fluid, merged, schedule_all, search
from drs.planning.schedule.serial import Serial
from drs.planning.schedule.shares import with_links
from drs.planning.schedule.tasks import Tasks, build_tasks, slot_limit, slots_of
from drs.planning.waves import by_start, edges_of, waves_of
from drs.planning.windows import Hours, Times, Worth, by_position, times_of, what_fits
from drs.stop import Run
from drs.terms import During
from drs.words import seconds

Floats = NDArray[np.float64]
Method = Literal["auto", "list", "cpsat"]

LOADED_WITH = 50
"""Legs that are asked for one with which the compiled kernels can be loaded."""

_loaded = threading.Event()

LISTED_AGAIN = 6
"""How often a list schedule in which a migration runs into its forbidden hours is made anew."""

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
    priorities: Mapping[int, float] | Mapping[str, float] | None = None,
    needed: Collection[int] = (),
    window: float | None = None,
    deadline_s: float | Mapping[int, float] | Mapping[str, float] | None = None,
    forbidden: Mapping[int, Hours] | Mapping[str, Hours] | None = None,
    forbidden_hosts: Mapping[int, Hours] | Mapping[str, Hours] | None = None,
    worth: Worth | None = None,
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
    priorities : by VM, higher moves sooner, and stays in when there is no time for all.
    needed : VMs that move for more than an improvement: detours are made for them before any other moves.
    window : seconds; no migration ends later. As many VMs as fit move, the more important first; the others
        are stranded.
    deadline_s : by host, when all that leaves it should have left (or one figure for all): as many VMs as
        make it go first; a warning if one is late.
    forbidden : by VM, spans in seconds from the start in which it may not migrate (`windows.daily`): a
        migration that cannot end before one begins after it, or is stranded.
    forbidden_hosts : by host, the same for all that leaves or reaches it.
    worth : what states are worth, where there is no time for all: then the VMs that gain most for their time
        move, and the plan ends only where `worth.holds`. Without, as many as can be.
    run : budget, interrupt, seed and progress; without, a fixed amount of work under seed 0.
    method : `list` only the list schedule, `cpsat` always CP-SAT, `auto` where it helps.
    strict : raise instead of stranding.

    VMs and hosts are given by name or by position.

    Raises
    ------
    UnknownNameError : for a VM or host that is not there.
    NoSafeOrderError : with `strict`, where a move cannot be reached; `cycle` names who waits for whom.
    InternalError : when the independent replay finds a limit broken.
    """
    concurrency = concurrency or Concurrency()
    run = run or Run()
    network = Network.of(snapshot)
    pricer = Pricer(snapshot, profile, network)
    asked = legs_between(snapshot, target)
    rooms = Rooms.of(snapshot, during, [leg.vm for leg in asked])
    times = times_of(
        snapshot, window=window, forbidden=forbidden, forbidden_hosts=forbidden_hosts, deadline_s=deadline_s
    )
    urgent = by_position(priorities, snapshot.vms.name, snapshot.vms.position, "priorities", "VM")
    job = _Job(snapshot, network, pricer, rooms, concurrency, times, urgent, worth, method, run)
    with run.stop.paused():  # no plan pays for compilation
        job.load_kernels(asked)
    lost, possible = _possible(snapshot, network, pricer, rooms, asked, concurrency)
    found = ordering.find_order(
        possible,
        rooms,
        pricer,
        allowed or ordering.default_hosts(snapshot),
        priorities=urgent,
        needed=needed,
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
    chosen, no_time = job.in_time(found)
    if no_time:
        whole = {leg.vm: leg for leg in asked}
        late = {found.legs[i].vm: text for i, text in no_time.items()}
        lost.extend(
            ordering.Lost(whole.get(leg.vm, leg), late.pop(leg.vm), no_time=True)
            for leg in found.legs
            if leg.vm in late
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
    differs = [d.sentence for d in report.differences if d.kind == "time"]
    return dataclasses.replace(
        plan,
        warnings=(*plan.warnings, *differs, *prefix_warnings(plan)),
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
    times: Times
    priorities: Mapping[int, float]
    worth: Worth | None
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
            times=self.times, priorities=self.priorities,
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

    def schedule(self, tasks: Tasks) -> Found:
        """A short schedule, in which every leg runs when it may."""
        tasks = self._due_first(tasks)
        priced, flows = self.pricer.price(tasks.legs), flows_of(self.pricer, tasks.legs)
        found = search(tasks, self.pricer, priced, flows, method=self.method, run=self.run)
        if tasks.late(found.timed.start_s, found.timed.end_s)[0]:
            listed = self._listed(tasks, priced.total_s)
            if listed is None:
                raise InternalError("no schedule was found for migrations that had one")
            found.timed, found.method, found.optimal = listed, "list in time", False
        return found

    def _due_first(self, tasks: Tasks) -> Tasks:
        """The tasks, those that make their deadline before all others."""
        if not np.isfinite(tasks.due_s).any():
            return tasks
        hard = dataclasses.replace(tasks, end_by_s=np.minimum(tasks.end_by_s, tasks.due_s))
        total_s = self.pricer.price(tasks.legs).total_s
        possible = [math.isfinite(hard.due_s[i]) for i in range(len(tasks))]
        order = ordering.Order(tasks.legs, tasks.take_raw, tasks.give_raw, _before(tasks), ())
        timely = set(self._fitting(order, total_s, possible, hard.end_by_s))
        above = 1.0 + float(np.ptp(tasks.priority))
        return dataclasses.replace(
            tasks, priority=tasks.priority + above * np.array([float(i in timely) for i in range(len(tasks))])
        )

    def in_time(self, order: ordering.Order) -> tuple[list[int], dict[int, str]]:
        """The legs that there is time for, and of each other one why it stays."""
        everything = list(range(len(order.legs)))
        if self.times.unlimited or not everything:
            return everything, {}
        total_s = self.pricer.price(order.legs).total_s
        starts = [self.times.starts_at(leg, float(total_s[i])) for i, leg in enumerate(order.legs)]
        chosen = self._fitting(order, total_s, [math.isfinite(start) for start in starts])
        why = {}
        for i in sorted(set(everything) - set(chosen)):
            lasts = f"takes {seconds(float(total_s[i]))}"
            if self.times.forbidden(order.legs[i]):
                lasts += " and may not run in its forbidden hours"
            what = "" if math.isinf(self.times.within_s) else f" of {seconds(self.times.within_s)}"
            why[i] = (
                f"does not fit into the window{what}: it {lasts}" if what else f"finds no time: it {lasts}"
            )
        return chosen, why

    def _fitting(
        self, order: ordering.Order, total_s: Floats, possible: Sequence[bool], end_by_s: Floats | None = None
    ) -> list[int]:
        """The most important legs that all end in time."""
        room = ordering.tokens(range(len(order.legs)), self.rooms.free, order.take, order.give)
        edges = [tuple({*room[i], *order.before[i]}) for i in range(len(order.legs))]
        urgent = np.array([self.priorities.get(leg.vm, 0.0) for leg in order.legs])

        def all_end(chosen: list[int]) -> bool:
            if not chosen:
                return True
            tasks = self.tasks(order, chosen)
            if end_by_s is not None:
                tasks = dataclasses.replace(tasks, end_by_s=end_by_s[chosen])
            return self._listed(tasks, total_s[chosen]) is not None

        worth = None
        if self.worth is not None and end_by_s is None:
            worth = self.worth, np.array(self.snapshot.vms.host_idx, dtype=np.int32)
            everything = list(range(len(order.legs)))
            if all(possible) and all_end(everything):
                return everything
        return what_fits(order.legs, edges, total_s, urgent, possible, all_end, worth)

    def _listed(self, tasks: Tasks, total_s: Floats) -> Timed | None:
        """A schedule of the tasks by one list, in which every leg runs when it may; None where that fails.

        Where sharing a link makes a leg run into its forbidden hours, it is planned to take as long as it did.
        """
        flows = flows_of(self.pricer, tasks.legs)
        n = len(tasks)
        planned = total_s
        for _ in range(LISTED_AGAIN):
            shares = with_links(tasks, np.ones(n), planned)
            serial = Serial(tasks, shares)
            by_length = np.lexsort((-total_s, -tasks.priority))
            start = serial.starts(serial.safe_order(by_length, np.arange(n)))
            if np.isnan(start).any():
                return None
            timed = best_fluid(tasks, shares, flows, start, 0.0)
            if not tasks.late(timed.start_s, timed.end_s)[0]:
                return timed
            lasted = np.nan_to_num(timed.end_s - timed.start_s)
            if not len(tasks.hours.row) or (lasted <= planned + 1e-6).all():
                return None
            planned = np.maximum(planned, lasted)
        return None

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
        about = interval_of(
            tasks, flows_of(self.pricer, legs), timed, merged(tasks, edges), self.pricer.profile
        )
        waves = waves_of(tasks, timed, edges)
        order = by_start(timed)
        step = {i: k + 1 for k, i in enumerate(order)}
        moves = [
            dataclasses.replace(
                move_of(snapshot, legs[i], priced, i, step=step[i], reason=self._reason(legs[i], reasons)),
                wave=waves[i],
                after_steps=tuple(sorted(step[j] for j in edges[i])),
                start_s=float(timed.start_s[i]),
                total_low_s=float(about.low_s[i]),
                total_high_s=float(about.high_s[i]),
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
            makespan_low_s=min(about.makespan_low_s, makespan),
            makespan_high_s=max(about.makespan_high_s, makespan),
            makespan_bound_s=bound,
            warnings=tuple(self._warnings(tasks, timed.end_s)),
            stats=stats,
        )

    def _reason(self, leg: Leg, reasons: Mapping[int, str]) -> str:
        if not leg.parking:
            return reasons.get(leg.vm, "")
        if leg.src == leg.dst:
            stores = sorted({str(self.snapshot.datastores.name[store]) for store in leg.to_datastores})
            return f"makes room: its disks wait on {', '.join(stores)} until they can go on"
        return f"makes room: parked on {self.snapshot.hosts.name[leg.dst]} until it can go on"

    def _warnings(self, tasks: Tasks, end_s: Floats) -> list[str]:
        names, hosts = self.snapshot.vms.name, self.snapshot.hosts.name
        warnings = []
        by_host: dict[int, list[int]] = {}
        for i in np.flatnonzero(end_s > tasks.due_s + 1e-6).tolist():
            by_host.setdefault(tasks.legs[i].src, []).append(i)
        for host, those in sorted(by_host.items()):
            worst = max(those, key=lambda i: end_s[i])
            warnings.append(
                f"{hosts[host]} is left by {names[tasks.legs[worst].vm]} after {seconds(end_s[worst])}, "
                f"later than its deadline of {seconds(tasks.due_s[worst])}"
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
        lost.no_time,
    )


def _before(tasks: Tasks) -> tuple[tuple[int, ...], ...]:
    """The legs that must have ended before each one for other reasons than room."""
    own = tasks.before
    return tuple(tuple(own.row[own.start[i] : own.start[i + 1]].tolist()) for i in range(len(tasks)))
