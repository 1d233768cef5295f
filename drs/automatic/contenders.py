"""Policies that a replay sets side by side: do nothing, the classical greedy DRS, this solver, and what other platforms
publish as their rules.

A contender looks at one snapshot and its own history of observations and says which moves it wants, with their
schedule. It never sees what comes after.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drs.automatic.trigger import Observation, decide, dispose, stable_for, worthwhile
from drs.errors import UnknownNameError
from drs.model import Snapshot
from drs.model.snapshot import Floats, Ints
from drs.modes import Options
from drs.planning import Move
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.rules import Rule


@dataclass(frozen=True)
class Wish:
    """What a contender wants now: moves with their schedule, and why (not). acted : whether it asked for a plan."""

    moves: tuple[Move, ...] = ()
    reason: str = ""
    acted: bool = False
    n_proposed: int = 0


@dataclass
class State:
    """What a contender remembers of one replay."""

    history: list[Observation] = field(default_factory=list)
    last_plan_s: float | None = None
    left_violations: int = 0
    held: int = 0
    """Observations in a row over a published rule's threshold."""


@dataclass(frozen=True)
class Budget:
    """Of each search."""

    time_s: float | None = 2.0
    iterations: int | None = None
    seed: int = 0


class Contender:
    """Asks for nothing; the others say more."""

    def wish(
        self, now: Snapshot, rules: Sequence[Rule], cluster: Any, state: State, budget: Budget
    ) -> Wish:  # fmt: skip
        """What it wants at this moment."""
        return Wish(reason="never")


@dataclass(frozen=True)
class Advised(Contender):
    """The loop of trigger, advice and worth. solver : `greedy` is the classical DRS, `auto` this one."""

    policy: Policy = field(default_factory=Policy)
    solver: str = "auto"

    def wish(self, now: Snapshot, rules: Sequence[Rule], cluster: Any, state: State, budget: Budget) -> Wish:
        """What it wants at this moment."""
        from drs import api

        trigger = self.policy.trigger
        decision = decide(state.history, trigger, state.last_plan_s, state.left_violations)
        if not decision.act:
            return Wish(reason=decision.reason)
        result = api.advise(
            now, cluster=cluster, rules=rules, policy=self.policy, solver=self.solver, time_s=budget.time_s,
            iterations=budget.iterations, seed=budget.seed,
        )  # fmt: skip
        verdict = worthwhile(result, trigger, stable_for(state.history, trigger))
        said = f"{decision.reason}; {verdict.reason}"
        if not verdict.act or result.plan is None:
            return Wish(reason=said, acted=True)
        chosen = dispose(result)
        return Wish(chosen.done, said, True, len(chosen.proposed))


@dataclass(frozen=True)
class Published(Contender):
    """A rule of another platform: while a measure of imbalance is above a threshold, the one move that lowers it most.

    threshold : of the measure. hold_n : so many observations in a row. gain_ratio : a move lowers it by so much.
    most : moves at a time.

    CloudStack: the standard deviation over the mean of used memory (`drs.metric`), above 1 - `drs.imbalance` = 0.6, 50
    moves at most. Proxmox VE's dynamic cluster resource scheduling: the same of the mean of CPU and memory load, over
    the root of n - 1, above 0.3 three times in a row, each move lowers it by a tenth.
    """

    threshold: float
    cpu: bool = False
    scaled: bool = False
    hold_n: int = 1
    gain_ratio: float = 0.0
    most: int = 50

    def measure(self, load: Floats) -> float:
        """Of the loads of the hosts of one cluster."""
        if len(load) < 2 or load.mean() <= 0:
            return 0.0
        return float(load.std() / load.mean() / (math.sqrt(len(load) - 1) if self.scaled else 1.0))

    def wish(self, now: Snapshot, rules: Sequence[Rule], cluster: Any, state: State, budget: Budget) -> Wish:
        """What it wants at this moment."""
        from drs import api
        from drs.problem.scope import hosts_of

        scope = hosts_of(now, cluster)
        problem = Problem(now, rules, Policy(), scope=scope)
        pairs, worst = self._pairs(now, problem)
        state.held = state.held + 1 if worst > self.threshold else 0
        if worst <= self.threshold:
            return Wish(reason=f"imbalance {worst:.2f} is within {self.threshold:g}")
        if state.held < self.hold_n:
            return Wish(reason=f"imbalance {worst:.2f}, {state.held} of {self.hold_n} observations")
        if not pairs:
            return Wish(reason=f"imbalance {worst:.2f}, no move lowers it", acted=True)
        wanted = tuple(f"{now.vms.name[vm]}={now.hosts.name[host]}" for vm, host in pairs)
        result = api.advise(now, mode="move", options=Options(move=wanted), rules=rules, solver="greedy",
                            iterations=max(200, 4 * len(pairs)), seed=budget.seed)  # fmt: skip
        moves = result.plan.moves if result.plan else ()
        return Wish(tuple(moves), f"imbalance {worst:.2f} is above {self.threshold:g}", True)

    def _pairs(self, now: Snapshot, problem: Problem) -> tuple[list[tuple[int, int]], float]:
        """The moves of all clusters, one after the other, and the worst measure before them."""
        host_of = np.array(now.vms.host_idx)
        shares = [now.demand(r) for r in (("cpu", "memory") if self.cpu else ("memory",))]
        rooms = [now.capacity(r) for r in (("cpu", "memory") if self.cpu else ("memory",))]
        pairs: list[tuple[int, int]] = []
        worst = 0.0
        for at in range(len(now.clusters)):
            member = np.flatnonzero((now.hosts.cluster_idx == at) & (now.hosts.state == "connected"))
            if problem.scope is not None:
                member = member[problem.scope[member]]
            if len(member) < 2:
                continue
            worst = max(worst, self.measure(_load(host_of, shares, rooms)[member]))
            moved: set[int] = set()
            while len(pairs) < self.most:
                best = self._best(problem, host_of, shares, rooms, member, moved)
                if best is None:
                    break
                vm, host = best
                host_of[vm] = host
                moved.add(vm)
                pairs.append(best)
        return pairs, worst

    def _best(
        self, problem: Problem, host_of: Ints, shares: list[Floats], rooms: list[Floats], member: NDArray[np.intp],
        moved: set[int],
    ) -> tuple[int, int] | None:  # fmt: skip
        """The move from the most loaded host that lowers the measure most; None where none does enough."""
        load = _load(host_of, shares, rooms)
        measure = self.measure(load[member])
        if measure <= self.threshold:
            return None
        source = int(member[np.argmax(load[member])])
        found, least = None, measure * (1.0 - self.gain_ratio) - 1e-12
        memory, room = problem.snapshot.demand("memory"), problem.snapshot.capacity("memory")
        used = np.bincount(host_of[host_of >= 0], weights=memory[host_of >= 0], minlength=len(room))
        for vm in np.flatnonzero(host_of == source).tolist():
            if vm in moved or memory[vm] == 0:
                continue
            allowed = problem.allowed_hosts(vm)
            delta = sum(
                share[vm] / np.maximum(space, 1e-9) for share, space in zip(shares, rooms, strict=True)
            )
            delta = delta / len(shares)
            for host in member.tolist():
                if host == source or not allowed[host] or used[host] + memory[vm] > room[host]:
                    continue
                then = load.copy()
                then[source] -= delta[source]
                then[host] += delta[host]
                value = self.measure(then[member])
                if value < least:
                    found, least = (vm, host), value
        return found


def _load(host_of: Ints, shares: list[Floats], rooms: list[Floats]) -> Floats:
    placed = host_of >= 0
    each = [
        np.bincount(host_of[placed], weights=share[placed], minlength=len(room)) / np.maximum(room, 1e-9)
        for share, room in zip(shares, rooms, strict=True)
    ]
    return np.asarray(np.mean(each, axis=0))


def contender(name: str, policy: Policy | None = None) -> Contender:
    """A contender by name: `never`, `greedy`, `drs`, `drs-over-time`, `cloudstack`, `proxmox`.

    Raises
    ------
    UnknownNameError : with the near miss.
    """
    policy = policy or Policy()
    if name == "drs-over-time":
        from drs.goals import BalanceOverTime, Moves

        return Advised(dataclasses.replace(policy, goals=(BalanceOverTime(), Moves())))
    known: dict[str, Contender] = {
        "never": Contender(), "greedy": Advised(policy, "greedy"), "drs": Advised(policy),
        "cloudstack": Published(0.6), "proxmox": Published(0.3, cpu=True, scaled=True, hold_n=3, gain_ratio=0.1),
    }  # fmt: skip
    if name not in known:
        raise UnknownNameError.of("against", name, NAMES, "policy")
    return known[name]


NAMES = ("never", "greedy", "drs", "drs-over-time", "cloudstack", "proxmox")
