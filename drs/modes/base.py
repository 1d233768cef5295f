"""What a mode is: it poses its own problem over the same snapshot and rules, and reports in its own words."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from drs.errors import Fault, InputError, did_you_mean
from drs.model import Snapshot
from drs.modes.options import Options
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.problem.request import Scope
from drs.result import Report, Result
from drs.rules import Rule
from drs.stop import OnProgress, Run, Stop

Bools = NDArray[np.bool_]


class Advise(Protocol):
    """`drs.advise`, handed to the modes that need several rounds of advice."""

    def __call__(
        self,
        source: Snapshot,
        *,
        mode: str = ...,
        evacuate: Sequence[str] = ...,
        rules: Sequence[Rule] | None = ...,
        policy: Policy | None = ...,
        solver: str = ...,
        time_s: float | None = ...,
        iterations: int | None = ...,
        seed: int = ...,
        stop: Stop | None = ...,
        on_progress: OnProgress | None = ...,
    ) -> Result: ...


class Solve(Protocol):
    """`drs.solving.solve`, handed to the modes that solve in their own way."""

    def __call__(
        self,
        problem: Problem,
        *,
        solver: str,
        run: Run,
    ) -> Result: ...


Pose = Callable[[Snapshot, Sequence[Rule], Policy, Options], Problem]
Answers = Callable[..., Result]
Checks = Callable[[Snapshot, Policy, Options], Iterator[Fault]]
Reports = Callable[[Result, Options], Report | None]
Priorities = Callable[[Problem, Options], Mapping[int, float]]


@dataclass(frozen=True)
class Mode:
    """One mode.

    title : what it does, for a list of modes. takes : the options that mean something in it.
    check : what is wrong with its options and its part of the policy.
    pose : the problem. answer : its own way to a result, handed the library's `solve`.
    replans : whether what no safe order reaches may be solved again as a problem of VMs on hosts.
    report : what is to be said besides the plan. priorities : which VMs move first, higher first.
    """

    title: str
    pose: Pose
    takes: Collection[str] = ()
    check: Checks | None = None
    answer: Answers | None = None
    report: Reports | None = None
    priorities: Priorities | None = None
    replans: bool = True


def names_of(
    what: str, known: Mapping[str, int], names: Iterable[str], where: str, faults: list[Fault]
) -> list[str]:
    """What names or patterns mean, each once, in their order; a fault for each that means nothing.

    what : `host`, `cluster`, `datastore`. where : the argument, for the fault.
    """
    found: dict[str, None] = {}
    for name in names:
        hits = [name] if name in known else fnmatch.filter(known, name)
        if not hits:
            said = f"unknown {what}" if not set(name) & set("*?[") else f"no {what} is called"
            faults.append(
                Fault(where, f"{said} {name!r}", f"the name of a {what}", did_you_mean(name, known))
            )
        found.update(dict.fromkeys(hits))
    return list(found)


def hosts_named(snapshot: Snapshot, names: Iterable[str], where: str, faults: list[Fault]) -> list[str]:
    """Hosts by name or pattern, each once; a fault for what names none."""
    return names_of("host", snapshot.hosts.position, names, where, faults)


def scope_of(
    snapshot: Snapshot, policy: Policy, options: Options, hosts: Bools | None = None
) -> Scope | None:
    """The hosts that take part: those of the clusters asked for, else of the clusters that a request speaks of.

    hosts : bool[n_hosts], those that a request is about; None where it is about all. Where VMs may leave their
        cluster a request about some hosts takes all.
    """
    faults: list[Fault] = []
    named = names_of("cluster", snapshot.clusters.position, options.cluster, "cluster", faults)
    if faults:
        raise InputError(faults)
    clusters = [snapshot.clusters.position[name] for name in named]
    if not clusters and hosts is not None and policy.migration_scope == "cluster":
        clusters = np.unique(snapshot.hosts.cluster_idx[hosts]).tolist()
    taking = np.isin(snapshot.hosts.cluster_idx, clusters)
    return None if not clusters or taking.all() else taking


def hosts_of_site(snapshot: Snapshot, site: str, faults: list[Fault]) -> list[str]:
    """All hosts of a site; a fault where there is no such site."""
    if not site:
        return []
    sites = sorted(set(snapshot.hosts.site.tolist()) - {""})
    if site not in sites:
        expected = f"one of {', '.join(sites)}" if sites else "the column site in hosts"
        faults.append(Fault("site", f"unknown site {site!r}", expected, did_you_mean(site, sites)))
    return [str(name) for name in snapshot.hosts.name[snapshot.hosts.site == site]]


def members(snapshot: Snapshot, cluster: int) -> NDArray[np.intp]:
    """Positions of the hosts of a cluster."""
    return np.flatnonzero(snapshot.hosts.cluster_idx == cluster)
