"""The way back: a plan that brings the VMs of an earlier plan to where they were before it."""

from __future__ import annotations

import time
from collections.abc import Collection

import numpy as np

from drs import planning
from drs.audit import audit
from drs.errors import Fault, InputError
from drs.io.plan_file import SavedPlan
from drs.model import Placement, Snapshot
from drs.options import Options
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.result import Asked, Result

REASON = "back to where it was before the plan"


def undo(saved: SavedPlan, today: Snapshot | None = None, steps: Collection[int] | None = None) -> Result:
    """A verified plan from today's placement back to the one before a plan.

    A VM of the plan goes back to the host and the datastores that it had before. One that is neither where the
    plan put it nor where it was stays where it is, and so does one that is there no more; the result's warnings
    name both.

    Parameters
    ----------
    today : the cluster now; as the plan leaves it, where not given.
    steps : of the plan, those that were made; all of them where not given.

    Raises
    ------
    InputError : when a VM should go back to a host or datastore that is there no more.
    """
    began = time.monotonic()
    asked = saved.asked
    made = [move for move in saved.plan.moves if steps is None or move.step in steps]
    start = planning.plan.placement_after(saved.today, made)
    now = start.apply(saved.today) if today is None else today
    target, told = _target(saved.today, start, now, sorted({move.vm for move in made}))
    rules, policy = (asked.rules, asked.policy) if asked else ((), Policy())
    problem = Problem(now, rules, policy)
    plan = planning.make_plan(
        now,
        target,
        problem.lowered.during,
        concurrency=policy.concurrency,
        profile=policy.profile,
        reasons={now.vms.position[move.vm]: REASON for move in made if move.vm in now.vms.position},
        allowed=problem.parking_hosts,
    )
    stays = [f"{each.vm} stays on {each.from_host}: {each.reason}" for each in plan.stranded]
    return Result(
        problem,
        "feasible",
        plan.placement,
        (),
        tuple(problem.check(problem.today)),
        tuple(problem.check(plan.placement)),
        solver="undo",
        seed=0,
        elapsed_s=time.monotonic() - began,
        plan=plan,
        warnings=(*told, *stays, *plan.warnings),
        mode="undo",
        findings=audit(problem, plan.placement, moves=plan.moves),
        asked=Asked(now, tuple(rules), policy, "balance", Options(), "undo", 0),
    )


def _target(before: Snapshot, start: Placement, now: Snapshot, vms: list[str]) -> tuple[Placement, list[str]]:
    """Where everything should be, by positions of `now`, and what is left alone."""
    host_idx, datastore_idx = now.vms.host_idx.copy(), now.disks.datastore_idx.copy()
    told: list[str] = []
    faults: list[Fault] = []
    old_first, old_order = before.disks_of_vm
    first, order = now.disks_of_vm
    for name in vms:
        if name not in now.vms.position:
            told.append(f"{name} is there no more")
            continue
        vm, old = now.vms.position[name], before.vms.position[name]
        was = str(before.hosts.name[before.vms.host_idx[old]])
        put = str(before.hosts.name[start.host_idx[old]])
        at = str(now.hosts.name[now.vms.host_idx[vm]]) if now.vms.host_idx[vm] >= 0 else "no host"
        if at not in (was, put):
            told.append(f"{name} stays on {at}: somebody moved it after the plan, which had put it on {put}")
            continue
        if was not in now.hosts.position:
            faults.append(
                Fault(name, f"it was on {was}, a host that is there no more", "a host to go back to")
            )
            continue
        host_idx[vm] = now.hosts.position[was]
        by_name = {str(now.disks.name[disk]): disk for disk in order[first[vm] : first[vm + 1]].tolist()}
        for disk in old_order[old_first[old] : old_first[old + 1]].tolist():
            store = str(before.datastores.name[before.disks.datastore_idx[disk]])
            same = by_name.get(str(before.disks.name[disk]))
            if same is None or start.datastore_idx[disk] == before.disks.datastore_idx[disk]:
                continue
            if store not in now.datastores.position:
                given = f"its disk was on {store}, a datastore that is there no more"
                faults.append(Fault(name, given, "a datastore to go back to"))
                continue
            datastore_idx[same] = now.datastores.position[store]
    if faults:
        raise InputError(faults)
    return Placement(np.asarray(host_idx), np.asarray(datastore_idx)), told
