"""The form of the plan page: what is wanted, made from the modes' own declarations of their options."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import streamlit as st

from drs import solvers
from drs.model import Snapshot, cpu
from drs.options import ALSO, MOST_NEW, ROLLING, Option, Options, RollingOptions, asked_by
from drs.ui.clusters import Cluster
from drs.ui.state import ALL_MODES, GOALS, AdviseAsk, filled, state, widget_keys

MANY_VMS = 5_000
"""In a cluster with more VMs, a plan without a limit is asked for in so many words."""
FEW_MOVES = 200
OWN = "each cluster's own"


def form(cluster: Cluster) -> AdviseAsk:
    """The controls; returns what they ask."""
    ask = state().advise
    left, middle, right = st.columns([2.2, 2, 1.3])
    with left:
        mode = st.selectbox(
            "What is wanted",
            list(ALL_MODES),
            key=filled("advise.mode", ask.mode),
            format_func=lambda mode: f"{mode}: {ALL_MODES[mode]}",
        )
    with middle:
        goals = st.selectbox(
            "Goal",
            list(GOALS),
            key=filled("advise.goals", ask.goals),
            format_func=lambda g: _goal_words(g, cluster),
            disabled=mode in ("consolidate", "rolling"),
        )
        threshold = ask.threshold
        if goals == "threshold" and mode not in ("consolidate", "rolling"):
            level = st.select_slider(
                "Migration threshold",
                [OWN, "1", "2", "3", "4", "5"],
                key=filled("advise.threshold", str(ask.threshold or OWN)),
                help="1 makes mandatory moves only, 5 every move that gains something.",
            )
            threshold = None if level == OWN else int(level)
    with right:
        time_s = st.number_input(
            "Time for the search, s", 1, 3600, key=filled("advise.time_s", ask.time_s), step=5
        )
    if mode == "rolling":
        said = _asked(cluster, "rolling", list(ROLLING.values()), ask.rolling)
        ask = dataclasses.replace(ask, rolling=RollingOptions(**said))
    else:
        said = _asked(cluster, "advise", asked_by(str(mode)), ask.asked)
        ask = dataclasses.replace(ask, asked=dataclasses.replace(ask.asked, **said))
    with st.expander("Limits and solver", icon=":material/tune:"):
        one, two, three, four, five = st.columns(5)
        max_moves = one.number_input(
            "Moves, at most",
            0,
            None,
            key=filled("advise.max_moves", ask.max_moves),
            placeholder="no limit",
            step=1,
        )
        max_downtime_ms = two.number_input(
            "Downtime of a VM, ms",
            1.0,
            None,
            key=filled("advise.max_downtime_ms", ask.max_downtime_ms),
            placeholder="no limit",
            step=100.0,
            format="%.0f",
        )
        max_migration_s = three.number_input(
            "Duration of a move, s",
            1.0,
            None,
            key=filled("advise.max_migration_s", ask.max_migration_s),
            placeholder="no limit",
            step=30.0,
            format="%.0f",
        )
        known = tuple(getattr(solvers, "names", lambda: ("auto",))())
        options = ["auto", *[name for name in known if name != "auto"]]
        solver = four.selectbox("Solver", options, key=filled("advise.solver", ask.solver))
        seed = five.number_input("Seed", 0, None, key=filled("advise.seed", ask.seed), step=1)
    return dataclasses.replace(
        ask,
        mode=str(mode),
        goals=str(goals),
        time_s=int(time_s or 1),
        threshold=threshold,
        max_moves=max_moves if max_moves is not None else _of_many(cluster, str(mode)),
        max_downtime_ms=max_downtime_ms,
        max_migration_s=max_migration_s,
        solver=str(solver),
        seed=int(seed or 0),
    )


def _of_many(cluster: Cluster, mode: str) -> int | None:
    """In a large cluster: whether the moves that gain the most are enough."""
    snapshot = cluster.snapshot
    scoped = state().scope or state().advise.asked.cluster
    if mode not in ("balance", "consolidate") or scoped or snapshot.n_vms <= MANY_VMS:
        return None
    few = st.toggle(
        f"At most {FEW_MOVES} moves, those that gain the most",
        key=filled("advise.few", True),
        help=f"All {snapshot.n_vms:,} VMs take part. Without a limit the plan may have thousands of moves.",
    )
    return FEW_MOVES if few else None


def _asked(
    cluster: Cluster, form: str, options: Sequence[Option], asked: Options | RollingOptions
) -> dict[str, Any]:
    """The controls of a mode's options; returns what they say by name."""
    shown = [
        option
        for option in options
        if option.kind != "file" and (option.kind != "site" or len(_choices(cluster.snapshot, "site")) > 1)
    ]
    said: dict[str, Any] = {}
    for start in range(0, len(shown), 4):
        row = shown[start : start + 4]
        columns = st.columns([3.0 if option.repeatable else 1.5 for option in row])
        for column, option in zip(columns, row, strict=True):
            keys = widget_keys(option, form)
            said[option.name] = _control(column, option, cluster.snapshot, getattr(asked, option.name), keys)
    return said


def _choices(snapshot: Snapshot, kind: str) -> list[str]:
    """What an option of this kind can name."""
    if kind == "site":
        return sorted(set(snapshot.hosts.site.tolist()) - {""})
    if kind == "baseline":
        return list(cpu.BASELINES)
    if kind == "also":
        return list(ALSO)
    table = {"host": "hosts", "datastore": "datastores", "cluster": "clusters", "new": "vms", "vm": "vms"}[
        kind
    ]
    return list(getattr(snapshot, table).name.tolist())


def _control(column: Any, option: Option, snapshot: Snapshot, value: Any, keys: tuple[str, ...]) -> Any:
    """One option's control; returns its value."""
    if option.kind == "duration_s":
        hours = column.number_input(
            f"{option.title}, h", 0.0 if option.least == 0.0 else 0.1, None,
            key=filled(keys[0], None if value is None else value / 3600.0),
            placeholder="none", step=1.0, format="%.1f", help=option.help,
        )  # fmt: skip
        return option.default if hours is None else 3600.0 * hours
    if option.kind == "count":
        return column.number_input(
            option.title, int(option.least), None, key=filled(keys[0], value), step=1, help=option.help
        )
    if option.kind == "move":
        text = column.text_area(
            option.title, key=filled(keys[0], "\n".join(value)), placeholder="one VM=TARGET in a line",
            help=option.help,
        )  # fmt: skip
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    if option.kind == "flavour":
        text = column.text_input(
            option.title,
            key=filled(keys[0], ", ".join(value)),
            placeholder="16c/32g, 32c/64g=2",
            help=option.help,
        )
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if option.kind in ("hours", "moment", "stage"):
        return column.text_input(
            option.title, key=filled(keys[0], value), placeholder=option.metavar, help=option.help
        )
    names = _choices(snapshot, option.kind)
    if option.kind == "new":
        like, _, count = value[0].rpartition("=") if value else ("", "", "1")
        left, right = column.columns([3, 1])
        like = _one(left, option, keys[0], names, like)
        count = right.number_input("How many", 1, MOST_NEW, key=filled(keys[1], int(count)))
        return (f"{like}={int(count or 1)}",) if like else ()
    if option.repeatable:
        return tuple(
            column.multiselect(
                option.title, names, key=filled(keys[0], list(value)), placeholder=option.unset
            )
        )
    return _one(column, option, keys[0], names, value)


def _one(column: Any, option: Option, key: str, names: list[str], value: str) -> str:
    """A choice of one name, or none."""
    chosen = column.selectbox(
        option.title, ["", *names], key=filled(key, value), format_func=lambda name: name or option.unset
    )
    return str(chosen or "")


def _goal_words(goal: str, cluster: Cluster) -> str:
    if goal != "policy":
        return GOALS[goal]
    names = ", then ".join(one.type.replace("-", " ") for one in cluster.policy.goals)
    return f"{GOALS[goal]} ({names})" if names else GOALS[goal]


__all__ = ["FEW_MOVES", "MANY_VMS", "form"]
