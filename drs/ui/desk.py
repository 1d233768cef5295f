"""The desk of a session: its store, the plan in hand, the searches that run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import streamlit as st

from drs import words
from drs.errors import DrsError, Fault, InputError
from drs.plotting.data import LinkUse, replayed_link_use
from drs.result import Result
from drs.rules import Pinned, Rule
from drs.ui import kept, work
from drs.ui.clusters import Cluster, opened, words_of
from drs.ui.state import STORED, AdviseAsk, state, update
from drs.ui.store import KeptJob, KeptPlan, Store, default_folder


@st.cache_resource(max_entries=4)
def _store(folder: str) -> Store:
    return Store(Path(folder))


def store() -> Store:
    """The store of this server."""
    return _store(str(default_folder()))


def open_source(source: str) -> Cluster:
    """The cluster of a source: a folder, a dataset, or a kept snapshot of this desk.

    Raises
    ------
    InputError : with every fault of the input; a kept snapshot that is not on this desk counts as one.
    """
    if not source.startswith(STORED):
        return opened(source)
    key = source.removeprefix(STORED)
    kept_here = {each.key: each for each in store().snapshots(state().desk)}
    if key not in kept_here:
        raise InputError(Fault("store", f"no snapshot {key!r} on this desk", "a snapshot that was kept here"))
    found = opened(str(store().problem_file(key)))
    one = kept_here[key]
    return dataclasses.replace(
        found, label=one.label, warnings=tuple(dict.fromkeys((*one.notes, *found.warnings)))
    )


def key_of(cluster: Cluster, ask: AdviseAsk | None = None) -> str:
    """Keep the open cluster, as it is asked about, for the searches and plans; returns its key."""
    snapshot = cluster.snapshot if ask is None else ask.snapshot(cluster.snapshot)
    return store().keep_snapshot(
        state().desk, snapshot, cluster.rules, cluster.policy, cluster.label, state().source, cluster.warnings
    )


def begin(
    cluster: Cluster, ask: AdviseAsk, more: tuple[Rule, ...] = (), *, question: str = "", parent: str = ""
) -> str:
    """Begin a search in the background; returns the job's id."""
    pins = state().pins
    stay = (Pinned(list(pins), name="pinned in the app", policy="hard"),) if pins else ()
    request = {**ask.request(cluster, (*stay, *more)), "source": state().source}
    said = question or ask.question()
    if pins:
        said += f"; {words.some(list(pins))} pinned"
    return begin_request(key_of(cluster, ask), request, said, float(ask.time_s), parent)


def begin_request(key: str, request: dict[str, Any], question: str, time_s: float, parent: str = "") -> str:
    """Begin a search for a kept snapshot; returns the job's id."""
    job = store().add_job(state().desk, key, question, request, time_s, parent)
    update(job=job, trouble=())
    work.begin(store(), job)
    return job


def jobs() -> list[KeptJob]:
    """The searches of this desk that run, or whose end nobody has seen."""
    return [work.looked_after(store(), job) for job in store().jobs(state().desk)]


def running() -> list[KeptJob]:
    """Those that run."""
    return [job for job in jobs() if job.running]


def take(job: KeptJob) -> None:
    """Take over how a search ended: its plan is in hand, or its faults are shown."""
    store().tell(job.id, seen=1)
    if job.plan:
        update(job="", plan=job.plan, trouble=())
    else:
        update(job="", trouble=job.faults or ("It ended without a word.",))


def plan_in_hand() -> KeptPlan | None:
    """What the store knows of the plan in hand; None where there is none."""
    return store().plan(state().desk, state().plan) if state().plan else None


def plans_here() -> list[KeptPlan]:
    """The plans of this desk for the source that is open, the newest first."""
    return [plan for plan in store().plans(state().desk) if plan.request.get("source") == state().source]


@st.cache_resource(max_entries=6, show_spinner="Opening the plan …")
def _result(folder: str) -> Result:
    return kept.restored(Path(folder))


@st.cache_resource(max_entries=6, show_spinner="Replaying the plan …")
def _uses(folder: str) -> tuple[LinkUse, ...]:
    result = _result(folder)
    return () if result.plan is None else replayed_link_use(result.plan, result.problem.policy.cost_profile)


def result_of(plan: KeptPlan) -> Result | None:
    """A kept plan as a result; None, with a message on the page, where it cannot be read."""
    if plan.mode == work.ROLLING:
        return None
    try:
        return _result(str(store().plan_folder(plan.id)))
    except DrsError as error:
        st.error("\n".join(words_of(error)), icon=":material/error:")
        return None


def result_in_hand() -> Result | None:
    """The plan in hand as a result."""
    plan = plan_in_hand()
    return None if plan is None else result_of(plan)


def uses_in_hand() -> tuple[LinkUse, ...]:
    """The use of links by the plan in hand."""
    plan = plan_in_hand()
    return () if plan is None or plan.mode == work.ROLLING else _uses(str(store().plan_folder(plan.id)))


def campaign_of(plan: KeptPlan) -> dict[str, Any]:
    """The document of a rolling campaign."""
    text = (store().plan_folder(plan.id) / "rolling.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


__all__ = [
    "begin",
    "begin_request",
    "campaign_of",
    "jobs",
    "key_of",
    "open_source",
    "plan_in_hand",
    "plans_here",
    "result_in_hand",
    "result_of",
    "running",
    "store",
    "take",
    "uses_in_hand",
]
