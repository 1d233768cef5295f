"""One host, VM or datastore: what runs there and why it is hot, its limits, where a VM may go and at what price."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import streamlit as st

from drs import explain, planning, words
from drs.frame import frame as as_frame
from drs.model import Snapshot
from drs.options import Options
from drs.plotting.data import history_ratio, host_loads
from drs.problem import Problem
from drs.ui import desk
from drs.ui.clusters import Cluster
from drs.ui.items import KINDS, in_scope, listing, vms_in_scope
from drs.ui.parts import heading, md, needs_cluster, page_file, tiles, violations_table
from drs.ui.state import AdviseAsk, state, update

MOST_ROWS = 500
MOST_HOSTS = 64
"""Where a VM may go is told for its own cluster first, and for so many hosts at most."""


@st.cache_resource(max_entries=3, show_spinner="Posing the problem …")
def _problem(_cluster: Cluster, key: str) -> Problem:
    """The cluster with its rules; `key` says which, since a problem is no key itself."""
    return Problem(_cluster.snapshot, _cluster.rules, _cluster.policy)


def problem_of(cluster: Cluster) -> Problem:
    """The same for the open cluster, made once."""
    return _problem(cluster, f"{state().source}:{cluster.stamp}:{cluster.snapshot.digest}")


def choose(cluster: Cluster) -> tuple[str, str] | None:
    """Which thing; the choice of a link or of a click stands first."""
    kinds = [kind for kind in KINDS if KINDS[kind].names(cluster.snapshot)]
    if not kinds:
        st.info("This cluster has no hosts and no VMs.")
        return None
    thing = state().thing
    if thing is not None and thing[0] in kinds and "item.kind" not in st.session_state:
        st.session_state["item.kind"] = thing[0]
        st.session_state[f"item.name.{thing[0]}"] = thing[1]
    left, right = st.columns([1, 3])
    kind = left.segmented_control(
        "Kind", kinds, key="item.kind", default=None if "item.kind" in st.session_state else kinds[0],
        format_func=lambda each: KINDS[each].title,
    ) or kinds[0]  # fmt: skip
    names = _names(cluster.snapshot, kind)
    key = f"item.name.{kind}"
    chosen = st.session_state.get(key)
    if chosen not in names:
        every = KINDS[kind].names(cluster.snapshot)
        if chosen in every:
            names = [str(chosen), *names]
        else:
            st.session_state.pop(key, None)
    if not names:
        st.info("There is none in this cluster.")
        return None
    name = right.selectbox(KINDS[kind].title, names, key=key)
    update(thing=(kind, str(name)))
    return kind, str(name)


def _names(snapshot: Snapshot, kind: str) -> list[str]:
    """Those of the cluster that the pages are about; the hosts with the highest load first."""
    if kind == "host":
        load = np.nan_to_num(host_loads(snapshot, resource="cpu").before_ratio)
        mine = np.flatnonzero(in_scope(snapshot))
        return [str(snapshot.hosts.name[i]) for i in mine[np.argsort(-load[mine], kind="stable")]]
    if kind == "vm":
        return [str(name) for name in snapshot.vms.name[vms_in_scope(snapshot)]]
    return KINDS[kind].names(snapshot)


def _broken(cluster: Cluster, kind: str, name: str) -> None:
    about = [v for v in cluster.violations if name in (v.hosts if kind == "host" else v.vms)]
    if about:
        st.markdown(f"##### Broken here ({len(about)})")
        violations_table(about, "item.violations")


def host(cluster: Cluster, name: str) -> None:
    """What runs on a host and why it is hot."""
    snapshot = cluster.snapshot
    i = snapshot.hosts.position[name]
    here = np.flatnonzero(snapshot.vms.host_idx == i)
    rows: list[tuple[str, str, str | None]] = []
    for resource in snapshot.resources:
        load = host_loads(snapshot, resource=resource)
        if load.capacity[i] > 0:
            rank = 1 + int((np.nan_to_num(load.before_ratio) > load.before_ratio[i]).sum())
            rows.append(
                (
                    f"{words.resource_title(resource)} load", words.percent(float(load.before_ratio[i])),
                    f"place {rank} of {snapshot.n_hosts}, mean {words.percent(load.mean_ratio)}",
                )
            )  # fmt: skip
    rows.append(("VMs", f"{len(here):,}", f"{int(snapshot.vms.on[here].sum())} powered on"))
    hosts = snapshot.hosts
    rows.append(
        ("State", str(hosts.state[i]), f"{hosts.cpu_vendor[i]}, EVC up to {hosts.evc_max[i] or 'unknown'}")
    )
    tiles(rows)
    one, two, _ = st.columns([1.2, 1.2, 3])
    if one.button(
        "Empty this host", key="item.empty", icon=":material/output:", width="stretch", disabled=bool(desk.running()),
        help="Asks for a plan that brings all of its VMs elsewhere.",
    ):  # fmt: skip
        ask = dataclasses.replace(AdviseAsk(), mode="evacuate", asked=Options(evacuate=(name,)))
        desk.begin(cluster, ask)
        st.switch_page(page_file("advise"))
    left = [str(snapshot.vms.name[vm]) for vm in here]
    two.caption(f"{words.count(len(left), 'VM')} would have to leave.")
    _why_hot(snapshot, i, here)
    _broken(cluster, "host", name)
    _history(snapshot, i)


def _why_hot(snapshot: Snapshot, i: int, here: Any) -> None:
    """The VMs of a host, those that ask for most first."""
    if not len(here):
        st.caption("No VM is here.")
        return
    cpu, memory = snapshot.demand("cpu"), snapshot.demand("memory")
    total, capacity = float(cpu[here].sum()), float(snapshot.capacity("cpu")[i])
    order = here[np.argsort(-cpu[here], kind="stable")]
    top, n = float(cpu[order[:3]].sum()), min(3, len(order))
    if total > 0 and capacity > 0:
        most = md(words.some([str(snapshot.vms.name[vm]) for vm in order[:n]]))
        st.markdown(
            f"Its VMs ask for {total:,.0f} MHz of {capacity:,.0f} MHz; the {words.count(n, 'VM')} that ask for most "
            f"({most}) take {words.percent(top / total, 0)} of it."
        )
    if len(order) > MOST_ROWS:
        st.caption(f"The {MOST_ROWS} of {len(order):,} VMs that ask for most.")
        order = order[:MOST_ROWS]
    names = [str(snapshot.vms.name[vm]) for vm in order]
    share = np.divide(cpu[order], capacity) if capacity > 0 else np.zeros(len(order))
    table = as_frame(
        {
            "VM": names,
            "CPU, MHz": cpu[order].round(0),
            "of the host": share.tolist(),
            "Memory, GiB": (memory[order] / 1024).round(1),
            "vCPUs": snapshot.vms.vcpus[order],
            "Power": [str(snapshot.vms.power[vm]) for vm in order],
        }
    )
    share_column = st.column_config.ProgressColumn(
        format="percent", min_value=0.0, max_value=max(0.1, float(share.max()))
    )
    listing(
        table, "vm", names, "item.vms", height=40 + 35 * min(12, len(names)), **{"of the host": share_column}
    )


def _history(snapshot: Snapshot, i: int) -> None:
    """The load of a host over time."""
    if snapshot.loads is None or not len(snapshot.loads):
        st.caption("There is no load history (loads.csv).")
        return
    st.markdown("##### History")
    st.line_chart(
        as_frame(
            {
                "time": list(snapshot.loads.time),
                "CPU, %": 100 * history_ratio(snapshot, resource="cpu")[i],
                "Memory (active), %": 100 * history_ratio(snapshot, resource="memory")[i],
            }
        ),
        x="time", y=["CPU, %", "Memory (active), %"], height=240,
    )  # fmt: skip


def vm(cluster: Cluster, name: str) -> None:
    """One VM: what it asks for and gets, and where it may go."""
    snapshot = cluster.snapshot
    vms, i = snapshot.vms, snapshot.vms.position[name]
    home = int(vms.host_idx[i])
    where = str(snapshot.hosts.name[home]) if home >= 0 else "no host"
    limit = float(vms.cpu_limit_mhz[i])
    tiles(
        [
            ("Runs on", where, str(vms.power[i])),
            ("CPU", f"{float(vms.cpu_demand_mhz[i]):,.0f} MHz",
             f"{int(vms.vcpus[i])} vCPUs, limit {f'{limit:,.0f} MHz' if math.isfinite(limit) else 'none'}"),
            ("Memory", words.mebibytes(float(vms.memory_mib[i])),
             f"{words.mebibytes(float(vms.memory_reservation_mib[i]))} reserved"),
            ("VM score", f"{float(cluster.happy.score[i]):.0f}", "of 100: what it gets of what it asks for"),
        ]
    )  # fmt: skip
    stuck = {each.vm: each.reason for each in cluster.immovable}
    if name in stuck:
        st.warning(f"It cannot move: {md(stuck[name])}.", icon=":material/lock:")
    mine = [rule for rule in cluster.rules if name in _vms_of(rule)]
    if mine:
        st.markdown(f"Rules that name it: {', '.join(md(rule.label) for rule in mine)}")
    one, two, _ = st.columns([1.2, 1.6, 3])
    pinned = set(state().pins)
    on = one.toggle(
        "Pin", name in pinned, key=f"item.pin.{name}", help="It stays where it is in every plan you ask for."
    )
    if on != (name in pinned):
        update(pins=tuple(sorted(pinned | {name} if on else pinned - {name})))
    if home >= 0 and two.button(
        "Price in the calculator", key="item.price", icon=":material/calculate:", width="stretch"
    ):
        st.session_state["calculator.vm"] = name
        st.switch_page(page_file("calculator"))
    _where_to(cluster, i, name)
    _disks(snapshot, i)
    _broken(cluster, "vm", name)


def _vms_of(rule: Any) -> tuple[str, ...]:
    value = getattr(rule, "vms", ())
    return tuple(value) if isinstance(value, (list, tuple)) else (value,) if isinstance(value, str) else ()


def _where_to(cluster: Cluster, i: int, name: str) -> None:
    """Host by host: the rule that forbids, or the price."""
    snapshot = cluster.snapshot
    home = int(snapshot.vms.host_idx[i])
    st.markdown("##### Where it may go")
    mine = in_scope(snapshot)
    if home >= 0 and snapshot.n_hosts > MOST_HOSTS and not state().scope:
        mine = snapshot.hosts.cluster_idx == snapshot.hosts.cluster_idx[home]
        st.caption(
            f"The hosts of its own cluster; choose another cluster at the left. {snapshot.n_hosts:,} hosts in all."
        )
    rows = [h for h in np.flatnonzero(mine).tolist() if h != home][:MOST_HOSTS]
    problem = problem_of(cluster)
    answers = [explain.why(problem, name, str(snapshot.hosts.name[h]))[0] for h in rows]
    allowed = [h for h, answer in zip(rows, answers, strict=True) if answer.allowed and home >= 0]
    prices = (
        dict(
            zip(
                allowed,
                planning.price_moves(
                    snapshot, [i] * len(allowed), allowed, profile=cluster.policy.cost_profile
                ),
                strict=True,
            )
        )
        if allowed
        else {}
    )
    table: dict[str, list[Any]] = {
        title: []
        for title in ("Host", "May it", "Why not", "CPU load then", "Lasts, s", "Downtime, ms", "Data, GiB")
    }
    order = sorted(
        zip(rows, answers, strict=True),
        key=lambda pair: (not pair[1].allowed, pair[1].load_after.get("cpu", 0)),
    )
    for h, answer in order:
        move = prices.get(h)
        priced = move is not None and math.isfinite(move.total_s)
        reasons = [obstacle.sentence for obstacle in answer.obstacles]
        if move is not None and not priced:
            reasons.append(move.reason)
        table["Host"].append(answer.host)
        table["May it"].append("yes" if answer.allowed and (priced or home < 0) else "no")
        table["Why not"].append("; ".join(reasons))
        table["CPU load then"].append(answer.load_after.get("cpu"))
        table["Lasts, s"].append(round(move.total_s, 1) if move is not None and priced else None)
        table["Downtime, ms"].append(round(move.downtime_ms) if move is not None and priced else None)
        table["Data, GiB"].append(
            round(move.transferred_mib / 1024, 2) if move is not None and priced else None
        )
    listing(
        as_frame(table), "host", table["Host"], "item.where", height=40 + 35 * min(14, len(rows)),
        **{
            "CPU load then": st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.2),
            "Why not": st.column_config.TextColumn(width="large"),
        },
    )  # fmt: skip


def _disks(snapshot: Snapshot, i: int) -> None:
    first, order = snapshot.disks_of_vm
    own = order[first[i] : first[i + 1]]
    if not len(own):
        return
    stores = snapshot.disks.datastore_idx[own]
    names = [str(snapshot.datastores.name[s]) if s >= 0 else "" for s in stores]
    st.markdown("##### Disks")
    table = as_frame({"Datastore": names, "Used, GiB": snapshot.disks.used_gib[own].round(1).tolist()})
    listing(table, "datastore", names, "item.disks")


def datastore(cluster: Cluster, name: str) -> None:
    """What lies on a datastore."""
    snapshot = cluster.snapshot
    stores, i = snapshot.datastores, snapshot.datastores.position[name]
    on = np.flatnonzero(snapshot.disks.datastore_idx == i)
    capacity, free = float(stores.capacity_gib[i]), float(stores.free_gib[i])
    latency = float(stores.latency_ms[i])
    tiles(
        [
            ("Used", words.percent((capacity - free) / capacity) if capacity > 0 else "–", f"{free:,.0f} GiB free"),
            ("Capacity", f"{capacity:,.0f} GiB", str(stores.datastore_cluster[i]) or None),
            ("Latency", f"{latency:.1f} ms" if math.isfinite(latency) else "not measured", None),
            ("Disks", f"{len(on):,}", f"seen by {words.count(int(snapshot.mounts[:, i].sum()), 'host')}"),
        ]
    )  # fmt: skip
    if st.button(
        "Empty this datastore",
        key="item.empty_store",
        icon=":material/output:",
        disabled=bool(desk.running()),
    ):
        ask = dataclasses.replace(AdviseAsk(), mode="storage", asked=Options(datastores=(name,)))
        desk.begin(cluster, ask)
        st.switch_page(page_file("advise"))
    used = snapshot.disks.used_gib[on]
    order = on[np.argsort(-used, kind="stable")][:MOST_ROWS]
    names = [str(snapshot.vms.name[vm]) for vm in snapshot.disks.vm_idx[order]]
    st.markdown("##### Disks here, the largest first")
    table = as_frame({"VM": names, "Used, GiB": snapshot.disks.used_gib[order].round(1).tolist()})
    listing(table, "vm", names, "item.store_vms", height=40 + 35 * min(14, max(1, len(names))))


def page() -> None:
    """Draw the page."""
    above = st.container()
    cluster = needs_cluster()
    thing = choose(cluster)
    with above:
        heading(md(thing[1]) if thing else "Host, VM, datastore")
    if thing is None:
        return
    {"host": host, "vm": vm, "datastore": datastore}[thing[0]](cluster, thing[1])


if __name__ == "__main__":
    page()
