"""From a target placement to a plan: order, schedule, price, bound and check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from drs.model import Placement, Snapshot
from drs.model.network import Network
from drs.planning import order as ordering
from drs.planning.limits import Concurrency
from drs.planning.list_schedule import run_list, with_links
from drs.planning.plan import Move, Plan, Stranded
from drs.planning.pricing import Leg, Pricer, legs_between, move_of
from drs.planning.rooms import Rooms
from drs.planning.tasks import Hours, build_tasks
from drs.stop import OnProgress, Stop
from drs.terms import During

Floats = NDArray[np.float64]
Method = Literal["auto", "list", "cpsat"]


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
    stop: Stop | None = None,
    seed: int = 0,
    method: Method = "auto",
    strict: bool = False,
    on_progress: OnProgress | None = None,
) -> Plan:
    """The moves from today's placement to `target` in a safe order, priced and timed."""
    concurrency = concurrency or Concurrency()
    reasons = reasons or {}
    network = Network.of(snapshot)
    pricer = Pricer(snapshot, profile, network)
    legs = legs_between(snapshot, target)
    rooms = Rooms.of(snapshot, during, [leg.vm for leg in legs])
    priced = pricer.price(legs)
    lost = []
    ok = []
    for leg, why in zip(legs, priced.refused, strict=True):
        forbids = rooms.forbids(leg.vm, leg.dst)
        if why or forbids:
            lost.append(ordering.Lost(leg, why or f"{forbids} does not allow it there"))
        else:
            ok.append(leg)
    found = ordering.find_order(
        ok, rooms, pricer, allowed or ordering.default_hosts(snapshot), priorities=priorities, seed=seed
    )
    lost.extend(found.lost)
    legs = list(found.legs)
    priced = pricer.price(legs)
    tasks = build_tasks(
        snapshot, network, legs, priced, rooms.free, found.take, found.give, found.before, concurrency,
        pricer.profile.link_ratio, forbidden, priorities,
    )  # fmt: skip
    shares = with_links(tasks, np.ones(len(legs)), priced.total_s)
    start = run_list(tasks, shares, np.arange(len(legs)))
    assert not np.isnan(start).any()
    end = start + priced.total_s
    by_start = sorted(range(len(legs)), key=lambda i: (start[i], i))
    edges = ordering.tokens(by_start, rooms.free, found.take, found.give, end.tolist(), start.tolist())
    step = {i: k + 1 for k, i in enumerate(by_start)}
    wave: dict[int, int] = {}
    moves: list[Move] = []
    import dataclasses

    for i in by_start:
        after = sorted({*edges[i], *found.before[i]})
        wave[i] = 1 + max((wave[j] for j in after), default=0)
        moves.append(dataclasses.replace(
            move_of(snapshot, legs[i], priced, i, step=step[i], reason=reasons.get(legs[i].vm, "")),
            wave=wave[i], after_steps=tuple(sorted(step[j] for j in after)), start_s=float(start[i]),
        ))  # fmt: skip
    return Plan(
        snapshot,
        target,
        _reached(snapshot, [legs[i] for i in by_start]),
        tuple(moves),
        tuple(_stranded(snapshot, entry) for entry in lost),
        makespan_s=max((move.end_s for move in moves), default=0.0),
        makespan_bound_s=float(np.max(priced.total_s, initial=0.0)),
    )


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
