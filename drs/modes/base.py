"""What a mode is: it poses its own problem over the same snapshot and rules, and reports in its own words."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from drs.errors import Fault, did_you_mean
from drs.model import Placement, Snapshot
from drs.model.selector import is_pattern
from drs.options import Options
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.problem.scope import Scope, hosts_of
from drs.result import Report, Result
from drs.rules import Rule
from drs.stop import OnProgress, Run, Stop
from drs.terms import Lowered
from drs.terms.base import Floats

Bools = NDArray[np.bool_]


class Advise(Protocol):
    """`drs.advise`, handed to the modes that need several rounds of advice."""

    def __call__(
        self,
        source: Snapshot,
        *,
        mode: str = ...,
        evacuate: Sequence[str] = ...,
        options: Options | None = ...,
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
Check = Callable[[Snapshot, Policy, Options], Iterator[Fault]]
Answers = Callable[..., Result]
Reports = Callable[[Result, Options], Report | None]
Replans = Callable[[Problem], bool]
Scores = Callable[[Problem, Placement], tuple[Lowered, Floats]]


@dataclass(frozen=True)
class Mode:
    """One mode.

    pose : the problem, of what `check` has found nothing wrong with.
    check : what is wrong with what was asked, for this cluster and policy.
    answer : its own way to a result, handed the library's `solve`.
    replans : whether what no safe order reaches may be solved again as a problem of VMs on hosts.
    scores : of a placement, what its levels are where they are no problem of VMs on hosts.
    report : what is to be said besides the plan.
    """

    pose: Pose
    check: Check | None = None
    answer: Answers | None = None
    report: Reports | None = None
    replans: Replans = lambda problem: True
    scores: Scores | None = None


def named(names: Iterable[str], known: Collection[str]) -> list[str]:
    """The known names that names or patterns mean, each once."""
    found: dict[str, None] = {}
    for name in names:
        found.update(dict.fromkeys([name] if name in known else fnmatch.filter(known, name)))
    return list(found)


def unknown(where: str, names: Iterable[str], known: Collection[str], what: str) -> Iterator[Fault]:
    """A fault for each name or pattern that means nothing; `what` is the kind of thing, such as "host"."""
    for name in names:
        if not named([name], known):
            said = f"no {what} is called" if is_pattern(name) else f"unknown {what}"
            expected = f"the name of a {what}, or a pattern"
            if 0 < len(known) <= 12:
                expected = f"one of {', '.join(sorted(known))}, or a pattern"
            yield Fault(where, f"{said} {name!r}", expected, did_you_mean(name, known))


def scope_of(
    snapshot: Snapshot, policy: Policy, options: Options, hosts: Bools | None = None
) -> Scope | None:
    """The hosts that take part: those of the clusters asked for, else of the clusters that a request is about.

    hosts : bool[n_hosts], those that a request is about; None where it is about all. Where VMs may leave their
        cluster, all hosts take part in a request about some.
    """
    asked = hosts_of(snapshot, options.cluster)
    if options.cluster or hosts is None or policy.migration_scope != "cluster":
        return asked
    taking = np.isin(snapshot.hosts.cluster_idx, np.unique(snapshot.hosts.cluster_idx[hosts]))
    return None if taking.all() or not hosts.any() else taking


def sites(snapshot: Snapshot) -> list[str]:
    """The sites of hosts, sorted."""
    return sorted(set(snapshot.hosts.site.tolist()) - {""})


def site_faults(snapshot: Snapshot, site: str) -> Iterator[Fault]:
    """A fault where there is no such site."""
    if site and not sites(snapshot):
        yield Fault("site", f"unknown site {site!r}", "the column site in hosts")
    elif site:
        yield from unknown("site", [site], sites(snapshot), "site")


def hosts_meant(snapshot: Snapshot, names: Iterable[str], site: str = "") -> list[str]:
    """Hosts by name or pattern, and all of a site, each once."""
    there = np.isin(snapshot.hosts.site, named([site], sites(snapshot)))
    found = named(names, snapshot.hosts.position)
    return list(dict.fromkeys([*found, *(str(name) for name in snapshot.hosts.name[there])]))


def members(snapshot: Snapshot, cluster: int) -> NDArray[np.intp]:
    """Positions of the hosts of a cluster."""
    return np.flatnonzero(snapshot.hosts.cluster_idx == cluster)
