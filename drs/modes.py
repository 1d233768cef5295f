"""What is wanted of the cluster: each mode poses its own problem over the same snapshot and rules."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from drs.errors import Fault, InputError, UnknownNameError, did_you_mean
from drs.goals import Consolidate, Moves
from drs.model import Snapshot
from drs.policy import Policy
from drs.problem import Problem
from drs.rules import Rule

Pose = Callable[[Snapshot, Sequence[Rule], Policy, Sequence[str]], Problem]


def _hosts_in_state(snapshot: Snapshot, hosts: Sequence[str], state: str) -> Snapshot:
    states = snapshot.hosts.state.astype(f"<U{max(12, len(state))}")
    states[[snapshot.hosts.position[host] for host in hosts]] = state
    return dataclasses.replace(snapshot, hosts=dataclasses.replace(snapshot.hosts, state=states))


def balance(snapshot: Snapshot, rules: Sequence[Rule], policy: Policy, hosts: Sequence[str]) -> Problem:
    """Repair what is broken, then even out the load with few and cheap moves."""
    return Problem(snapshot, rules, policy)


def evacuate(snapshot: Snapshot, rules: Sequence[Rule], policy: Policy, hosts: Sequence[str]) -> Problem:
    """Empty the hosts named, as if they entered maintenance, and leave the rest balanced."""
    return Problem(_hosts_in_state(snapshot, hosts, "maintenance"), rules, policy)


def consolidate(snapshot: Snapshot, rules: Sequence[Rule], policy: Policy, hosts: Sequence[str]) -> Problem:
    """As few and as thrifty hosts on as the rules allow, with cheap moves."""
    goals = tuple(goal for goal in policy.goals if isinstance(goal, Consolidate)) or (Consolidate(),)
    moves = tuple(goal for goal in policy.goals if isinstance(goal, Moves)) or (Moves(),)
    return Problem(snapshot, rules, dataclasses.replace(policy, goals=(*goals, *moves)))


def recover(snapshot: Snapshot, rules: Sequence[Rule], policy: Policy, hosts: Sequence[str]) -> Problem:
    """The hosts named are lost (and those that are disconnected): restart their VMs elsewhere."""
    lost = _hosts_in_state(snapshot, hosts, "disconnected")
    down = lost.hosts.state == "disconnected"
    on_lost = (lost.vms.host_idx >= 0) & down[lost.vms.host_idx] & lost.vms.on
    host_idx = np.where(on_lost, -1, lost.vms.host_idx).astype(np.int32)
    return Problem(
        dataclasses.replace(lost, vms=dataclasses.replace(lost.vms, host_idx=host_idx)), rules, policy
    )


def place(snapshot: Snapshot, rules: Sequence[Rule], policy: Policy, hosts: Sequence[str]) -> Problem:
    """Find a host for every VM that has none, moving others where that makes room."""
    if not (snapshot.vms.host_idx < 0).any():
        raise InputError(
            Fault("vms, field host", "every VM has a host", "VMs with an empty host, to be placed")
        )
    return Problem(snapshot, rules, policy)


MODES: dict[str, Pose] = {
    "balance": balance,
    "evacuate": evacuate,
    "consolidate": consolidate,
    "recover": recover,
    "place": place,
}


def name(mode: str, evacuating: Sequence[str]) -> str:
    """Hosts to evacuate turn `balance`, the default, into `evacuate`."""
    return "evacuate" if evacuating and mode == "balance" else mode


def pose(
    mode: str, snapshot: Snapshot, rules: Sequence[Rule], policy: Policy, hosts: Sequence[str] = ()
) -> Problem:
    """The problem of a mode. `hosts` are those to evacuate, or, in `recover`, those that are lost."""
    mode = name(mode, hosts)
    if mode not in MODES:
        raise UnknownNameError.of("mode", mode, MODES, "mode")
    known = snapshot.hosts.position
    faults = [
        Fault("evacuate", f"unknown host {host!r}", "the name of a host", did_you_mean(host, known))
        for host in hosts
        if host not in known
    ]
    if faults:
        raise UnknownNameError(faults)
    if mode == "evacuate" and not hosts and not (snapshot.hosts.state == "maintenance").any():
        raise InputError(Fault("evacuate", "no host", "the name of at least one host to empty"))
    return MODES[mode](snapshot, rules, policy, hosts)
