"""What the app remembers: one frozen state under one session key.

A widget's own key vanishes when its page is left, so widgets are filled from here and written back to here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import streamlit as st

from drs import words
from drs.goals import Balance, Moves
from drs.model import Snapshot
from drs.options import MODES, OPTIONS, ROLLING, Option, Options, RollingOptions, asked_by
from drs.problem.policy import Policy
from drs.rules import Rule
from drs.ui.clusters import Cluster
from drs.ui.work import request_of

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
    rolling: RollingOptions = field(default_factory=RollingOptions)
    threshold: int | None = None
    """The migration threshold, 1 to 5; each cluster's own where None."""
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

    def options(self) -> Options | RollingOptions:
        """What is asked for besides the mode, as far as the mode takes it."""
        if self.mode == "rolling":
            return self.rolling
        return Options(**{option.name: getattr(self.asked, option.name) for option in asked_by(self.mode)})

    def snapshot(self, base: Snapshot) -> Snapshot:
        """The cluster as it is asked about: with the migration threshold that was chosen here."""
        if self.goals != "threshold" or self.threshold is None:
            return base
        levels = np.full(len(base.clusters), self.threshold, dtype=base.clusters.migration_threshold.dtype)
        return dataclasses.replace(
            base, clusters=dataclasses.replace(base.clusters, migration_threshold=levels)
        )

    def request(self, cluster: Cluster, more: Sequence[Rule] = ()) -> dict[str, Any]:
        """All of it as plain values, to be kept and asked; `more` are rules besides the cluster's own."""
        said = request_of(
            self.mode,
            self.options(),
            (*cluster.rules, *more),
            self.policy(cluster.policy),
            self.solver,
            self.seed,
        )
        return {**said, "time_s": self.time_s}

    def question(self) -> str:
        """What is asked, in a sentence that stands above the answer."""
        options = self.options()
        known = ROLLING if isinstance(options, RollingOptions) else OPTIONS
        parts = []
        for name in options.given():
            value, option = getattr(options, name), known[name]
            if option.kind == "duration_s":
                said = words.seconds(value)
            elif isinstance(value, (tuple, list)):
                said = words.some([str(each) for each in value])
            else:
                said = str(value)
            parts.append(f"{option.title[:1].lower()}{option.title[1:]}: {said}")
        if self.goals != "policy" and self.mode in ("balance", "evacuate", "move"):
            goal = GOALS[self.goals]
            if self.goals == "threshold" and self.threshold is not None:
                goal += f" {self.threshold}"
            parts.append(f"goal: {goal[:1].lower()}{goal[1:]}")
        if self.max_moves is not None:
            parts.append(f"at most {words.count(self.max_moves, 'move')}")
        if self.max_downtime_ms is not None:
            parts.append(f"downtime at most {words.milliseconds(self.max_downtime_ms)}")
        if self.max_migration_s is not None:
            parts.append(f"each move at most {words.seconds(self.max_migration_s)}")
        what = ALL_MODES[self.mode]
        return f"{what[:1].upper()}{what[1:]}{'; ' if parts else ''}{'; '.join(parts)}"


ALL_MODES: Mapping[str, str] = {**MODES, "rolling": "every host of a cluster in turn, emptied and back"}
"""The modes, the rolling campaign among them, and what each is for."""


@dataclass(frozen=True)
class MigrationAsk:
    """One VM and one path, as the calculator's sliders stand."""

    memory_gib: float = 16.0
    dirty_rate_mibps: float = 80.0
    working_set_percent: float = 10.0
    zero_percent: int = 0
    bandwidth_mbps: float = 10_000.0
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
    """What is open: a folder, a dataset's name, or `STORED` with the key of a kept snapshot."""
    cluster: Cluster | None = None
    faults: tuple[str, ...] = ()
    """Why the last input could not be read."""
    advise: AdviseAsk = field(default_factory=AdviseAsk)
    desk: str = ""
    """Whose plans and jobs these are; a link that names it opens it."""
    scope: str = ""
    """The cluster that the pages are about; every one where empty."""
    thing: tuple[str, str] | None = None
    """The host, VM or datastore that is looked at: kind and name."""
    job: str = ""
    """The search whose end this page waits for."""
    plan: str = ""
    """The plan in hand, by id."""
    pins: tuple[str, ...] = ()
    """VMs that stay where they are in every plan that is asked for."""
    trouble: tuple[str, ...] = ()
    """Why the last search gave no result."""
    migration: MigrationAsk = field(default_factory=MigrationAsk)


STORED = "stored:"
"""How the source of a kept snapshot begins."""


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
    """Change the cluster: the plan in hand is put back, and a search goes on without the page."""
    old = state()
    of_cluster = [each for each in OPTIONS.values() if each.kind not in OF_NO_CLUSTER]
    update(
        source=source,
        cluster=cluster,
        faults=tuple(faults),
        **{"job": "", "plan": "", "scope": "", "thing": None, "pins": (), "trouble": (), **changes},
        advise=dataclasses.replace(
            old.advise,
            rolling=RollingOptions(),
            asked=dataclasses.replace(old.advise.asked, **{o.name: o.default for o in of_cluster}),
        ),
    )
    for option in (*of_cluster, *ROLLING.values()):
        for key in (*widget_keys(option), *widget_keys(option, "rolling")):
            st.session_state.pop(key, None)


def widget_keys(option: Option, form: str = "advise") -> tuple[str, ...]:
    """The keys of the widgets of an option: a new VM has two, a duration is asked in hours."""
    if option.kind == "new":
        return f"{form}.{option.name}_like", f"{form}.{option.name}_count"
    if option.kind == "duration_s":
        return (f"{form}.{option.name.removesuffix('_s')}_h",)
    return (f"{form}.{option.name}",)


def filled(key: str, value: Any) -> str:
    """Fill a widget from the state the first time that it is shown; returns its key."""
    if key not in st.session_state:
        st.session_state[key] = value
    return key


__all__ = [
    "ALL_MODES",
    "GOALS",
    "KEY",
    "STORED",
    "AdviseAsk",
    "AppState",
    "MigrationAsk",
    "filled",
    "open_cluster",
    "state",
    "update",
    "widget_keys",
]
