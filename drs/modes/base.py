"""What a mode is: it poses its own problem over the same snapshot and rules, and reports in its own words."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from drs.errors import Fault, did_you_mean
from drs.model import Snapshot
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.result import Report, Result
from drs.rules import Rule
from drs.stop import OnProgress, Run, Stop

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Options:
    """What is asked for besides the mode.

    evacuate : hosts to empty, names or patterns; in `recover`, hosts that are lost.
    lost : hosts that are lost. site : all hosts of a site, to be emptied or lost.
    deadline_s : by when the hosts must be empty.
    datastores : datastores to empty. new : VMs to place, `LIKE` or `LIKE=COUNT`, made after an existing one.
    baseline : EVC baseline to reach. cluster : the cluster that is meant, every one where not given.
    """

    evacuate: Sequence[str] = ()
    lost: Sequence[str] = ()
    site: str = ""
    deadline_s: float | None = None
    datastores: Sequence[str] = ()
    new: Sequence[str] = ()
    baseline: str = ""
    cluster: str = ""

    def given(self) -> list[str]:
        """Names of the options that are set."""
        return [
            field.name
            for field in dataclasses.fields(self)
            if getattr(self, field.name) not in ((), [], "", None)
        ]


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
Reports = Callable[[Result, Options], Report | None]
Priorities = Callable[[Problem, Options], Mapping[int, float]]


@dataclass(frozen=True)
class Mode:
    """One mode.

    takes : the options that mean something in it.
    pose : the problem. answer : its own way to a result, handed the library's `solve`.
    replans : whether what no safe order reaches may be solved again as a problem of VMs on hosts.
    report : what is to be said besides the plan. priorities : which VMs move first, higher first.
    """

    pose: Pose
    takes: Collection[str] = ()
    answer: Answers | None = None
    report: Reports | None = None
    priorities: Priorities | None = None
    replans: bool = True


def hosts_named(snapshot: Snapshot, names: Iterable[str], where: str, faults: list[Fault]) -> list[str]:
    """Hosts by name or pattern, each once; a fault for what names none."""
    known = snapshot.hosts.position
    found: dict[str, None] = {}
    for name in names:
        hits = [name] if name in known else fnmatch.filter(known, name)
        if not hits:
            what = "unknown host" if not set(name) & set("*?[") else "no host is called"
            faults.append(Fault(where, f"{what} {name!r}", "the name of a host", did_you_mean(name, known)))
        found.update(dict.fromkeys(hits))
    return list(found)


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
