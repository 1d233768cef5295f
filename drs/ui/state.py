"""What the app remembers: one frozen state under one session key.

A widget's own key vanishes when its page is left, so widgets are filled from here and written back to here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from drs import api
from drs.goals import Balance, Moves
from drs.options import OPTIONS, Option, Options, asked_by
from drs.plotting.data import LinkUse
from drs.problem.policy import Policy
from drs.result import Result
from drs.rules import Rule
from drs.stop import OnProgress, Stop
from drs.ui.clusters import Cluster
from drs.ui.job import Job, Search

KEY = "drs"

GOALS = {
    "policy": "As the cluster's policy says",
    "threshold": "Balance to the migration threshold",
    "full": "Balance as far as worthwhile",
    "max": "Lower the highest load",
    "range": "Narrow the gap between highest and lowest",
}
"""Choices of goals by key."""


@dataclass(frozen=True)
class AdviseAsk:
    """What the advice page asks for."""

    mode: str = "balance"
    goals: str = "policy"
    asked: Options = field(default_factory=Options)
    """What the modes are asked for; those of the other modes wait here."""
    time_s: int = 10
    seed: int = 0
    solver: str = "auto"
    max_moves: int | None = None
    max_downtime_ms: float | None = None
    max_migration_s: float | None = None

    def policy(self, base: Policy) -> Policy:
        """The cluster's policy, with what was chosen here in its place."""
        limits = base.limits
        for name in ("max_moves", "max_downtime_ms", "max_migration_s"):
            if getattr(self, name) is not None:
                limits = dataclasses.replace(limits, **{name: getattr(self, name)})
        chosen = {
            "threshold": Balance(),
            "full": Balance(target=0.0),
            "max": Balance(measure_by="max", target=0.0),
            "range": Balance(measure_by="range", target=0.0),
        }.get(self.goals)
        goals: Sequence[Any] = base.goals if chosen is None else (chosen, Moves())
        return dataclasses.replace(base, goals=tuple(goals), limits=limits)

    def options(self) -> Options:
        """What is asked for besides the mode, as far as the mode takes it."""
        return Options(**{option.name: getattr(self.asked, option.name) for option in asked_by(self.mode)})

    def search(self, cluster: Cluster) -> Search:
        """The search that answers this, to be run in the background."""
        rules: tuple[Rule, ...] = cluster.rules
        options = self.options()

        def run(stop: Stop, on_progress: OnProgress) -> Result:
            return api.advise(
                cluster.snapshot,
                mode=self.mode,
                options=options,
                rules=rules,
                policy=self.policy(cluster.policy),
                solver=self.solver,
                seed=self.seed,
                stop=stop,
                on_progress=on_progress,
            )

        return run


@dataclass(frozen=True)
class MigrationAsk:
    """One VM and one path, as the calculator's sliders stand."""

    memory_gib: int = 16
    dirty_rate_mibps: int = 80
    working_set_percent: int = 10
    zero_percent: int = 0
    bandwidth_mbps: int = 10_000
    rtt_ms: float = 0.0
    loss_percent: float = 0.0
    disk_gib: int = 100
    disk_write_mibps: int = 5
    datastore_mibps: int = 400
    profile: str = "vmware"
    downtime_limit_ms: int | None = None
    encrypted: bool = False

    def arguments(self) -> dict[str, Any]:
        """The arguments of `drs.precopy.estimate` for a live migration of the memory."""
        memory_mib = self.memory_gib * 1024
        return {
            "memory_mib": float(memory_mib),
            "dirty_rate_mibps": float(self.dirty_rate_mibps),
            "working_set_mib": memory_mib * self.working_set_percent / 100,
            "zero_ratio": self.zero_percent / 100,
            "bandwidth_mbps": float(self.bandwidth_mbps),
            "rtt_ms": self.rtt_ms,
            "loss_ratio": self.loss_percent / 100,
            "encrypted": self.encrypted,
            "downtime_limit_ms": self.downtime_limit_ms,
            "profile": self.profile,
        }

    def with_disk(self, kind: str) -> dict[str, Any]:
        """The arguments for a kind of migration, its disk included."""
        return {
            **self.arguments(),
            "kind": kind,
            "disk_gib": float(self.disk_gib),
            "disk_write_mibps": float(self.disk_write_mibps),
            "datastore_mibps": float(self.datastore_mibps),
        }


@dataclass(frozen=True, eq=False)
class AppState:
    """All that outlives a page."""

    source: str = ""
    """What is open: a folder, a dataset's name, or `UPLOADED`."""
    cluster: Cluster | None = None
    uploaded: Cluster | None = None
    faults: tuple[str, ...] = ()
    """Why the last input could not be read."""
    advise: AdviseAsk = field(default_factory=AdviseAsk)
    job: Job | None = None
    result: Result | None = None
    uses: tuple[LinkUse, ...] = ()
    """The use of links by the plan."""
    trouble: tuple[str, ...] = ()
    """Why the last search gave no result."""
    migration: MigrationAsk = field(default_factory=MigrationAsk)


UPLOADED = "uploaded cluster"


def state() -> AppState:
    """The session's state."""
    found: AppState = st.session_state.setdefault(KEY, AppState())
    return found


def update(**changes: Any) -> AppState:
    """Replace fields of the session's state; returns the new one."""
    new = dataclasses.replace(state(), **changes)
    st.session_state[KEY] = new
    return new


OF_NO_CLUSTER = ("baseline", "duration_s", "count", "hours", "moment", "stage", "flavour")
"""Kinds of options that mean the same in every cluster."""


def open_cluster(source: str, cluster: Cluster | None, faults: Sequence[str] = (), **changes: Any) -> None:
    """Change the cluster: what was found for the last one is let go, and its search is stopped."""
    old = state()
    if old.job is not None:
        old.job.stop.interrupt()
    of_cluster = [each for each in OPTIONS.values() if each.kind not in OF_NO_CLUSTER]
    update(
        source=source,
        cluster=cluster,
        faults=tuple(faults),
        job=None,
        result=None,
        trouble=(),
        advise=dataclasses.replace(
            old.advise, asked=dataclasses.replace(old.advise.asked, **{o.name: o.default for o in of_cluster})
        ),
        **changes,
    )
    for option in of_cluster:
        for key in widget_keys(option):
            st.session_state.pop(key, None)


def widget_keys(option: Option) -> tuple[str, ...]:
    """The keys of the widgets of an option: a new VM has two, a duration is asked in hours."""
    if option.kind == "new":
        return f"advise.{option.name}_like", f"advise.{option.name}_count"
    if option.kind == "duration_s":
        return (f"advise.{option.name.removesuffix('_s')}_h",)
    return (f"advise.{option.name}",)


def filled(key: str, value: Any) -> str:
    """Fill a widget from the state the first time that it is shown; returns its key."""
    if key not in st.session_state:
        st.session_state[key] = value
    return key


__all__ = [
    "GOALS",
    "KEY",
    "UPLOADED",
    "AdviseAsk",
    "AppState",
    "MigrationAsk",
    "filled",
    "open_cluster",
    "state",
    "update",
    "widget_keys",
]
