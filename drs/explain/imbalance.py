"""How uneven clusters are, what of it is tolerated, and where that comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drs.goals import Balance
from drs.goals.balance import threshold
from drs.problem import Problem
from drs.terms.base import Floats, Ints
from drs.terms.costs import Measure
from drs.terms.limits import usage
from drs.words import number


@dataclass(frozen=True, slots=True)
class Imbalance:
    """The spread of host load of one cluster and resource.

    counted : the resource as the goal counts it, such as `active memory`. value, tolerated : of load over capacity, in
    the goal's measure. source : where the tolerance comes from, in words. hosts : positions, i4[n].
    """

    cluster: str
    resource: str
    counted: str
    value: float
    tolerated: float
    source: str
    hosts: Ints


def balance_goal(problem: Problem) -> Balance | None:
    """The first goal of type balance; None where the policy has none."""
    return next((goal for goal in problem.goals if type(goal) is Balance), None)


def spread(loads: Floats, measure: Measure) -> Floats:
    """The measure of loads along the last axis."""
    if measure == "std":
        return np.asarray(loads.std(axis=-1))
    if measure == "mad":
        return np.asarray(np.abs(loads - loads.mean(axis=-1, keepdims=True)).mean(axis=-1))
    top = loads.max(axis=-1)
    return np.asarray(top if measure == "max" else top - loads.min(axis=-1))


def imbalances(problem: Problem, host_idx: Ints) -> list[Imbalance]:
    """Each cluster with two connected hosts or more, per resource of the goal balance; none without that goal.

    Parameters
    ----------
    host_idx : where the VMs are, i4[n_vms].
    """
    goal, snapshot = balance_goal(problem), problem.snapshot
    if goal is None:
        return []
    found = []
    connected = snapshot.hosts.state == "connected"
    for resource in goal.resources:
        if resource not in snapshot.resources:
            continue
        capacity = snapshot.capacity(resource)
        use = usage(host_idx, goal.load_demand(snapshot, resource), snapshot.n_hosts)
        counted = resource
        if resource == "memory" and goal.by == "demand":
            which = goal.memory or snapshot.memory_counts
            counted = resource if which == "configured" else f"{which} {resource}"
        for c in range(len(snapshot.clusters)):
            hosts = np.flatnonzero(connected & (snapshot.hosts.cluster_idx == c) & (capacity > 0))
            if len(hosts) < 2:
                continue
            value = float(spread(use[hosts] / capacity[hosts], goal.measure_by))
            level = int(snapshot.clusters.migration_threshold[c])
            if goal.target == "threshold":
                tolerated, source = threshold(level, len(hosts)), f"migration threshold {level}"
            else:
                tolerated, source = float(goal.target), f"target {number(float(goal.target))} of the policy"
            name = str(snapshot.clusters.name[c])
            found.append(Imbalance(name, resource, counted, value, tolerated, source, hosts.astype(np.int32)))
    return found
