"""Drives a load history through the loop of snapshot, trigger and advice, and lives with what was decided.

Causal: a policy observes at t, plans on what it saw, and the moves that it starts meet the load of the samples that
follow. A migration takes its modelled time: its VM counts on both hosts until it has moved, loses a part of its speed
while it is copied, and all of it while it stands still; no new plan begins before the last has ended.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from drs.automatic.contenders import Advised, Budget, Contender, State, Wish
from drs.automatic.trigger import SLOWDOWN_RATIO, observe
from drs.errors import Fault, InputError
from drs.frame import DataFrame, frame
from drs.io.table_file import check_table_path, write_table
from drs.model import LoadHistory, Placement, Snapshot
from drs.model.load import metrics
from drs.model.selector import Selector
from drs.model.snapshot import Floats
from drs.planning import Move
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.problem.scope import hosts_of, within
from drs.rules import Rule
from drs.stop import OnProgress, Progress

MAX_AGE_S = 3600.0
"""The last sample of a VM holds for so long at most; then its demand is that of the snapshot."""
RETURN_S = 3600.0
"""A VM that comes back to a host that it left within so long counts as a return."""
MIGRATION_CPU_RATIO = 0.1
"""CPU that sending and receiving a VM take on each of its two hosts, of its own demand."""


def at_time(snapshot: Snapshot, step: int, max_age_s: float = MAX_AGE_S) -> Snapshot:
    """The snapshot as it was at one moment of its history: the demand of then, and the history up to then.

    A VM without a sample at that moment keeps its last one, up to an age; then it has its own demand.
    """
    loads = _loads(snapshot)
    vms = snapshot.vms
    cpu, active = _held(loads, step, max_age_s)
    changed = dataclasses.replace(
        vms,
        cpu_demand_mhz=np.where(np.isnan(cpu), vms.cpu_demand_mhz, cpu),
        memory_active_mib=np.where(
            np.isnan(active), vms.memory_active_mib, np.minimum(active, vms.memory_mib)
        ),
    )
    past = LoadHistory(loads.time[: step + 1], loads.cpu_mhz[: step + 1], loads.memory_active_mib[: step + 1])
    return dataclasses.replace(snapshot, vms=changed, loads=past)


def _loads(snapshot: Snapshot) -> LoadHistory:
    if snapshot.loads is None or not len(snapshot.loads):
        raise InputError(Fault("loads", "no load history", "a table `loads` with VM, time and cpu_mhz"))
    return snapshot.loads


def _held(loads: LoadHistory, step: int, max_age_s: float) -> tuple[Floats, Floats]:
    """The last sample of each VM that is not too old; NaN where there is none."""
    oldest = loads.time[step] - np.timedelta64(int(max_age_s), "s")
    first = int(np.searchsorted(loads.time, oldest))
    found = []
    for history in (loads.cpu_mhz, loads.memory_active_mib):
        value = history[step].astype(np.float64)
        for back in range(step - 1, first - 1, -1):
            missing = np.isnan(value)
            if not missing.any():
                break
            value[missing] = history[back][missing]
        found.append(value)
    return found[0], found[1]


@dataclass
class _Life:
    """One policy on one history."""

    snapshot: Snapshot
    placement: Placement
    state: State = field(default_factory=State)
    running: list[tuple[float, float, Move]] = field(default_factory=list)
    """(start, end, move) of what is not over, in seconds since the first sample."""
    left: dict[tuple[str, str], float] = field(default_factory=dict)
    """When a VM left a host."""
    short_mhz_s: Floats = field(default_factory=lambda: np.empty(0))
    """Demand that was not delivered, of each VM."""

    def begin(self, moves: Sequence[Move], now_s: float) -> int:
        """Start a plan; how many of its moves bring a VM back to where it was."""
        returns = 0
        for move in moves:
            self.running.append((now_s + move.start_s, now_s + move.start_s + move.total_s, move))
            gone = self.left.get((move.vm, move.to_host))
            if gone is not None and now_s - gone <= RETURN_S:
                returns += 1
            self.left[(move.vm, move.from_host)] = now_s
        return returns

    def live(self, moment: Snapshot, from_s: float, to_s: float) -> dict[str, float]:
        """Live through an interval with the load of its end; the moves that end in it are made."""
        cuts = sorted(
            {from_s, to_s, *(t for start, end, _ in self.running for t in (start, end) if from_s < t < to_s)}
        )
        demand, capacity = moment.demand("cpu"), moment.capacity("cpu")
        over_s = over_memory_s = 0.0
        lost = np.zeros(moment.n_vms)
        memory, room = moment.demand("memory"), moment.capacity("memory")
        for start, end in itertools.pairwise(cuts):
            self._arrive(start, demand, lost)
            host = self.placement.host_idx
            placed = host >= 0
            use = np.bincount(host[placed], weights=demand[placed], minlength=moment.n_hosts)
            held = np.bincount(host[placed], weights=memory[placed], minlength=moment.n_hosts)
            for began, ends, move in self.running:
                if began <= start < ends:
                    vm = moment.vms.position[move.vm]
                    for name in {move.from_host, move.to_host}:
                        use[moment.hosts.position[name]] += MIGRATION_CPU_RATIO * demand[vm]
                    if move.to_host != move.from_host:
                        held[moment.hosts.position[move.to_host]] += memory[vm]
                    lost[vm] += SLOWDOWN_RATIO * demand[vm] * (end - start)
            over = np.maximum(0.0, use - capacity)
            over_s += float(over.sum()) * (end - start)
            over_memory_s += float(np.maximum(0.0, held - room).sum()) * (end - start)
            share = np.where(use > 0, over / np.maximum(use, 1e-9), 0.0)
            lost[placed] += demand[placed] * share[host[placed]] * (end - start)
        self._arrive(to_s, demand, lost)
        self.short_mhz_s = lost if not len(self.short_mhz_s) else self.short_mhz_s + lost
        length = max(to_s - from_s, 1e-9)
        worst = int(np.argmax(lost))
        return {
            "undelivered_mhz_s": float(lost.sum()), "undelivered_mhz": over_s / length,
            "memory_over_mib": over_memory_s / length,
            "worst_vm": str(moment.vms.name[worst]) if lost[worst] > 0 else "",  # type: ignore[dict-item]
        }  # fmt: skip

    def _arrive(self, now_s: float, demand: Floats, lost: Floats) -> None:
        """The moves that have ended by now, each with the standstill of its VM."""
        over = sorted((each for each in self.running if each[1] <= now_s + 1e-9), key=lambda each: each[1])
        if not over:
            return
        self.running = [each for each in self.running if each[1] > now_s + 1e-9]
        host, store = np.array(self.placement.host_idx), np.array(self.placement.datastore_idx)
        start, order = self.snapshot.disks_of_vm
        for _, _, move in over:
            vm = self.snapshot.vms.position[move.vm]
            host[vm] = self.snapshot.hosts.position[move.to_host]
            lost[vm] += demand[vm] * move.downtime_ms / 1000
            for disk, name in zip(order[start[vm] : start[vm + 1]], move.to_datastores, strict=False):
                store[disk] = self.snapshot.datastores.position[name]
        self.placement = Placement(host.astype(np.int32), store.astype(np.int32))


def _lived(
    snapshot: Snapshot, contender: Contender, rules: Sequence[Rule], policy: Policy, cluster: Selector, budget: Budget,
    max_age_s: float,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """A row for each moment of one policy's life."""
    loads = _loads(snapshot)
    scope = hosts_of(snapshot, cluster)
    life = _Life(snapshot, Placement.of(snapshot))
    seconds = ((loads.time - loads.time[0]) / np.timedelta64(1, "s")).astype(np.float64)
    for step, now_s in enumerate(seconds.tolist()):
        now = life.placement.apply(at_time(snapshot, step, max_age_s)).counting(policy.memory)
        problem = Problem(now, rules, policy, scope=scope)
        broken = within(now, scope, problem.check(problem.today))[0]
        life.state.history.append(observe(now, now_s, len(broken), scope))
        busy = bool(life.running)
        wish = (
            Wish(reason="the last plan is under way")
            if busy
            else contender.wish(now, rules, cluster, life.state, budget)
        )
        returns = life.begin(wish.moves, now_s)
        if wish.moves:
            life.state.last_plan_s = now_s
        last = step + 1 == len(seconds)
        then = at_time(snapshot, step if last else step + 1, max_age_s)
        to_s = (
            now_s + (seconds[step] - seconds[step - 1] if step else 0.0) if last else float(seconds[step + 1])
        )
        lived = life.live(then, now_s, to_s)
        if wish.moves:
            after = Problem(life.placement.apply(now), rules, policy, scope=scope)
            life.state.left_violations = len(within(now, scope, after.check(after.today))[0])
        figures = metrics(then, life.placement, scope)
        yield {
            "time": loads.time[step], "act": wish.acted, "reason": wish.reason, "n_moves": len(wish.moves),
            "n_proposed": wish.n_proposed, "n_returns": returns, "n_running": len(life.running),
            "downtime_ms": sum(move.downtime_ms for move in wish.moves),
            "transferred_mib": sum(move.transferred_mib for move in wish.moves),
            "n_violations": len(broken), "violations_s": len(broken) * (to_s - now_s),
            "cpu_std": figures["cpu"]["std"], "memory_std": figures["memory"]["std"],
            "cpu_max": figures["cpu"]["max"], **lived,
        }  # fmt: skip


def compare(
    snapshot: Snapshot,
    contenders: Mapping[str, Contender],
    *,
    rules: Sequence[Rule] = (),
    policy: Policy | None = None,
    cluster: Selector = (),
    seeds: Sequence[int] = (0,),
    out: Path | None = None,
    time_s: float | None = 2.0,
    iterations: int | None = None,
    max_age_s: float = MAX_AGE_S,
    on_progress: OnProgress | None = None,
) -> DataFrame:
    """Several policies on the same load: a row for each policy, seed and moment.

    Columns: `policy`, `seed`, `time`; `undelivered_mhz_s`, the demand that was not delivered until the next sample,
    with what migrations cost their VMs, and `worst_vm`, who had most of it; `undelivered_mhz`, the mean demand above
    the hosts' capacity; `violations_s`, broken rules times seconds; `n_returns`, VMs that come back within an hour.

    Parameters
    ----------
    policy : whose rules count as broken. max_age_s : the last sample of a VM holds for so long.

    Raises
    ------
    InputError : when the snapshot has no load history, or no such cluster.
    """
    if out is not None:
        check_table_path(out)
    n_steps = len(_loads(snapshot).time)
    hosts_of(snapshot, cluster)
    rows: list[dict[str, Any]] = []
    began = time.monotonic()
    total = len(contenders) * len(seeds) * n_steps
    try:
        for name, each in contenders.items():
            for seed in seeds:
                budget = Budget(time_s, iterations, seed)
                for row in _lived(snapshot, each, rules, policy or Policy(), cluster, budget, max_age_s):
                    rows.append({"policy": name, "seed": seed, **row})
                    if on_progress:
                        note = f"{name}: {row['time']}, {row['n_moves']} moves"
                        on_progress(
                            Progress(
                                "replay",
                                time.monotonic() - began,
                                len(rows) / total,
                                float(len(rows)),
                                note=note,
                            )
                        )
    except KeyboardInterrupt:
        if not rows:
            raise
    table = frame(rows)
    if out is not None:
        write_table(table, out)
    return table


def summary(table: DataFrame) -> DataFrame:
    """A row for each policy: sums over time, the mean over seeds, and half of a 95 % interval (Student's t)."""
    from scipy import stats

    columns = ("undelivered_mhz_s", "violations_s", "n_moves", "n_returns", "transferred_mib", "downtime_ms")
    rows = []
    for name in dict.fromkeys(table["policy"]):
        own = table[table["policy"] == name]
        sums = own.groupby("seed")[list(columns)].sum()
        row: dict[str, Any] = {"policy": name, "n_seeds": len(sums), "cpu_std": float(own["cpu_std"].mean())}
        for column in columns:
            row[column] = float(sums[column].mean())
            if len(sums) > 1:
                half = stats.t.ppf(0.975, len(sums) - 1) * sums[column].std(ddof=1) / np.sqrt(len(sums))
                row[f"{column}_ci95"] = float(half)
        rows.append(row)
    return frame(rows)


IDLE = ("cpu_std", "memory_std", "cpu_max", "undelivered_mhz", "undelivered_mhz_s")


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
    """One row for each moment of the history: what the trigger decided, what was moved, and what the time until the
    next sample was like, with the same figures for a cluster in which nothing is ever moved (`..._idle`).

    Goals that look at the history see what came before each moment, never what came after. See `compare` for the
    columns, and for several policies.

    Parameters
    ----------
    cluster : the clusters that take part, names or patterns: they alone are watched, moved and shown; all others
        are read and counted, and stay.

    Raises
    ------
    InputError : when the snapshot has no load history, or no such cluster.
    """
    if out is not None:
        check_table_path(out)
    policy = policy or Policy()
    sides: dict[str, Contender] = {"drs": Advised(policy, solver), "never": Contender()}
    both = compare(snapshot, sides, rules=rules, policy=policy, cluster=cluster, seeds=(seed,), time_s=time_s,
                   iterations=iterations, on_progress=on_progress)  # fmt: skip
    table = both[both["policy"] == "drs"].drop(columns=["policy", "seed"]).reset_index(drop=True)
    idle = both[both["policy"] == "never"].reset_index(drop=True)
    for column in IDLE:
        table[f"{column}_idle"] = idle[column]
    if out is not None:
        write_table(table, out)
    return table
