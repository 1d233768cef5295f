"""Drives a load history through the loop of snapshot, trigger and advice, beside doing nothing."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from drs.automatic.trigger import Observation, decide, dispose, observe, reached, stable_for, worthwhile
from drs.errors import Fault, InputError
from drs.frame import DataFrame, frame
from drs.io.table_file import check_table_path, write_table
from drs.model import LoadHistory, Placement, Snapshot
from drs.model.load import metrics
from drs.model.selector import Selector
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.problem.scope import Scope, hosts_of, within
from drs.rules import Rule
from drs.stop import OnProgress, Progress


def at_time(snapshot: Snapshot, step: int) -> Snapshot:
    """The snapshot as it was at one moment of its history: the demand of then, and the history up to then.

    A VM without a sample keeps its own demand.
    """
    loads = snapshot.loads
    if loads is None:
        raise InputError(Fault("loads", "no load history", "a table `loads` with VM, time and cpu_mhz"))
    vms = snapshot.vms
    cpu = loads.cpu_mhz[step].astype(np.float64)
    active = loads.memory_active_mib[step].astype(np.float64)
    changed = dataclasses.replace(
        vms,
        cpu_demand_mhz=np.where(np.isnan(cpu), vms.cpu_demand_mhz, cpu),
        memory_active_mib=np.where(
            np.isnan(active), vms.memory_active_mib, np.minimum(active, vms.memory_mib)
        ),
    )
    past = LoadHistory(loads.time[: step + 1], loads.cpu_mhz[: step + 1], loads.memory_active_mib[: step + 1])
    return dataclasses.replace(snapshot, vms=changed, loads=past)


def replay(
    snapshot: Snapshot,
    *,
    rules: Sequence[Rule] = (),
    policy: Policy | None = None,
    cluster: Selector = (),
    out: Path | None = None,
    time_s: float | None = 2.0,
    iterations: int | None = None,
    seed: int = 0,
    solver: str = "auto",
    on_progress: OnProgress | None = None,
) -> DataFrame:
    """One row for each moment of the history: what the trigger decided, what was moved, and the load that
    the hosts then had, with the same figures for a cluster in which nothing is ever moved (`..._idle`).

    `undelivered_mhz` is the CPU demand above the hosts' capacity. Goals that look at the history see what came
    before each moment, never what came after.

    Parameters
    ----------
    cluster : the clusters that take part, names or patterns: they alone are watched, moved and shown; all others
        are read and counted, and stay.

    Raises
    ------
    InputError : when the snapshot has no load history, or no such cluster.
    """
    from drs import api

    if out is not None:
        check_table_path(out)
    policy = policy or Policy()
    if snapshot.loads is None or not len(snapshot.loads):
        raise InputError(Fault("loads", "no load history", "a table `loads` with VM, time and cpu_mhz"))
    scope = hosts_of(snapshot, cluster)
    times = snapshot.loads.time
    placement, idle = Placement.of(snapshot), Placement.of(snapshot)
    history: list[Observation] = []
    last_plan_s: float | None = None
    left_violations = 0
    rows: list[dict[str, Any]] = []
    began = time.monotonic()
    try:
        for step in range(len(times)):
            moment = at_time(snapshot, step)
            now = placement.apply(moment)
            now_s = float((times[step] - times[0]) / np.timedelta64(1, "s"))
            now = now.counting(policy.memory)
            problem = Problem(now, rules, policy)
            broken = within(now, scope, problem.check(problem.today))[0]
            history.append(observe(now, now_s, len(broken), scope))
            decision = decide(history, policy.trigger, last_plan_s, left_violations)
            n_moves, n_proposed, downtime_ms, moved_mib, said = 0, 0, 0.0, 0.0, decision.reason
            if decision.act:
                result = api.advise(
                    now, cluster=cluster, rules=rules, policy=policy, solver=solver, time_s=time_s,
                    iterations=iterations, seed=seed,
                )  # fmt: skip
                verdict = worthwhile(result, policy.trigger, stable_for(history, policy.trigger))
                said = f"{decision.reason}; {verdict.reason}"
                if verdict.act and result.plan is not None:
                    chosen = dispose(result)
                    placement, last_plan_s = reached(result, chosen.done).placement, now_s
                    left_violations = len(within(now, scope, problem.check(placement))[0])
                    n_moves, n_proposed = len(chosen.done), len(chosen.proposed)
                    downtime_ms = sum(move.downtime_ms for move in chosen.done)
                    moved_mib = sum(move.transferred_mib for move in chosen.done)
            rows.append(
                {
                    "time": times[step],
                    "act": decision.act,
                    "reason": said,
                    "n_moves": n_moves,
                    "n_proposed": n_proposed,
                    "downtime_ms": downtime_ms,
                    "transferred_mib": moved_mib,
                    "n_violations": history[-1].n_violations,
                    **_figures(moment, placement, "", scope),
                    **_figures(moment, idle, "_idle", scope),
                }
            )
            if on_progress:
                done = (step + 1) / len(times)
                note = f"{times[step]}, {n_moves} moves"
                on_progress(Progress("replay", time.monotonic() - began, done, float(step + 1), note=note))
    except KeyboardInterrupt:
        if not rows:
            raise
    table = frame(rows)
    if out is not None:
        write_table(table, out)
    return table


def _figures(snapshot: Snapshot, placement: Placement, suffix: str, scope: Scope | None) -> dict[str, float]:
    table = metrics(snapshot, placement, scope)
    return {
        f"cpu_std{suffix}": table["cpu"]["std"],
        f"memory_std{suffix}": table["memory"]["std"],
        f"cpu_max{suffix}": table["cpu"]["max"],
        f"undelivered_mhz{suffix}": table["cpu"]["over_capacity"],
    }
