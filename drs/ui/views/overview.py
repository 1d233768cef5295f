"""Cockpit: what wants somebody to act, the clusters, the hosts by load; a click leads to the thing itself."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import streamlit as st

from drs import plotting, words
from drs.errors import DrsError
from drs.frame import frame as as_frame
from drs.model import Snapshot
from drs.options import Options
from drs.plotting.data import host_loads
from drs.report.tables import IMMOVABLE, frame
from drs.rules import Violation
from drs.ui import desk
from drs.ui.clusters import Cluster, Upload, from_uploads, words_of
from drs.ui.items import in_scope, listing, look_at, short_names, vms_in_scope
from drs.ui.parts import chart, heading, md, needs_cluster, page_file, rests_on, tiles, violations_table
from drs.ui.state import STORED, AdviseAsk, filled, open_cluster, state, update

TOP = 20
MOST_CAUSES = 4


def upload() -> None:
    """The form for a user's own cluster."""
    with st.expander(
        "Open your own cluster", icon=":material/upload_file:", expanded=state().cluster is None
    ):
        st.caption(
            "A zip of a snapshot folder, or its tables one by one (hosts.csv and vms.csv are needed; disks, "
            "datastores, mounts, links, loads, rules.toml and policy.toml if you have them), or an RVTools "
            "workbook. It is kept in the store of this app alone; the page About this data deletes it."
        )
        files = st.file_uploader(
            "Files",
            ["zip", "csv", "parquet", "toml", "xlsx", "xlsm", "json"],
            accept_multiple_files=True,
            key="overview.files",
            label_visibility="collapsed",
        )
        if st.button("Open", type="primary", disabled=not files, key="overview.open") and files:
            with st.spinner("Reading …"):
                try:
                    cluster = from_uploads([Upload(item.name, item.getvalue()) for item in files])
                except DrsError as error:
                    was = state().cluster
                    shown = f"Not opened; still showing {was.label}." if was else "Not opened."
                    update(faults=(shown, *words_of(error)))
                else:
                    key = desk.store().keep_snapshot(
                        state().desk, cluster.snapshot, cluster.rules, cluster.policy, cluster.label, "upload",
                        cluster.warnings,
                    )  # fmt: skip
                    open_cluster(STORED + key, cluster)
            st.rerun()


def wants(cluster: Cluster) -> None:
    """What wants somebody to act, in one line, then by cause with what to do."""
    groups = by_cause(mine(cluster))
    if not groups:
        st.success("Nothing wants you: no rule is broken today.", icon=":material/check_circle:")
        return
    causes = ", ".join(f"{md(cause)} ({len(found)})" for cause, found in groups[:4])
    more = f" and {len(groups) - 4} more" if len(groups) > 4 else ""
    verb = "wants" if len(groups) == 1 else "want"
    st.markdown(f"**{words.count(len(groups), 'thing')} {verb} you:** {causes}{more}")
    for number, (cause, found) in enumerate(groups[:MOST_CAUSES]):
        left, show, repair = st.columns([5, 1, 1], vertical_alignment="center")
        sentences = list(dict.fromkeys(violation.sentence for violation in found))
        rest = f" … and {len(sentences) - 1} more" if len(sentences) > 1 else ""
        left.markdown(f"{md(cause)} · {md(sentences[0])}{rest}")
        hosts = list(dict.fromkeys(host for violation in found for host in violation.hosts))
        vms = list(dict.fromkeys(vm for violation in found for vm in violation.vms))
        if show.button(
            "Show", key=f"overview.show.{number}", width="stretch", disabled=not (hosts or vms),
            help=f"The first of {words.count(len(hosts), 'host') if hosts else words.count(len(vms), 'VM')}",
        ):  # fmt: skip
            look_at("host", hosts[0]) if hosts else look_at("vm", vms[0])
        if repair.button(
            "Repair", key=f"overview.repair.{number}", width="stretch", disabled=bool(desk.running()),
            help="Asks for a plan that repairs what is broken in the clusters of this problem.",
        ):  # fmt: skip
            _repair(cluster, cause, found)
    with st.expander(f"All {words.count(len(mine(cluster)), 'broken rule')}"):
        violations_table(mine(cluster), "overview.violations")


def mine(cluster: Cluster) -> tuple[Violation, ...]:
    """What is broken in the cluster that the pages are about."""
    snapshot = cluster.snapshot
    if not state().scope:
        return cluster.violations
    hosts = set(snapshot.hosts.name[in_scope(snapshot)].tolist())
    vms = set(snapshot.vms.name[vms_in_scope(snapshot)].tolist())
    return tuple(
        v for v in cluster.violations if (hosts & set(v.hosts)) or (not v.hosts and vms & set(v.vms))
    )


def by_cause(violations: Sequence[Violation]) -> list[tuple[str, list[Violation]]]:
    """Broken rules by the rule that they break, the most first."""
    groups: dict[str, list[Violation]] = {}
    for violation in violations:
        groups.setdefault(violation.rule, []).append(violation)
    return sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))


def _repair(cluster: Cluster, cause: str, found: Sequence[Violation]) -> None:
    """A plan for the clusters where the problem is."""
    snapshot = cluster.snapshot
    hosts = {host for violation in found for host in violation.hosts}
    at = {
        int(snapshot.hosts.cluster_idx[snapshot.hosts.position[h]])
        for h in hosts
        if h in snapshot.hosts.position
    }
    names = tuple(sorted(str(snapshot.clusters.name[c]) for c in at))
    if len(names) == len(snapshot.clusters):
        names = ()
    ask = dataclasses.replace(AdviseAsk(), asked=Options(cluster=names))
    where = f" in {words.some(list(names))}" if names else ""
    desk.begin(cluster, ask, question=f"Repair {cause}{where}, then even out the load")
    st.switch_page(page_file("advise"))


def figures(cluster: Cluster) -> None:
    """Key figures of the cluster."""
    snapshot = cluster.snapshot
    rows: list[tuple[str, str, str | None]] = [
        ("Hosts", f"{snapshot.n_hosts:,}", _states(cluster)),
        ("VMs", f"{snapshot.n_vms:,}", f"{int(snapshot.vms.on.sum()):,} powered on"),
    ]
    for resource in ("cpu", "memory"):
        load = cluster.metrics[resource]
        rows.append(
            (
                f"{words.resource_title(resource, snapshot.memory_counts)} load, mean",
                words.percent(load["mean"]),
                f"peak {words.percent(load['max'])}, σ {words.percent(load['std'])}",
            )
        )
    rows.append(
        (
            "VM score",
            f"{cluster.happy.cluster_score:.1f}",
            f"{words.count(len(cluster.happy.short()), 'VM')} short"
            if cluster.happy.short()
            else "none is short",
        )
    )
    tiles(rows)


def _states(cluster: Cluster) -> str:
    state_of = cluster.snapshot.hosts.state
    odd = [
        f"{int((state_of == s).sum())} {s}"
        for s in ("maintenance", "quarantine", "disconnected")
        if (state_of == s).any()
    ]
    return ", ".join(odd) or "all connected"


def loads(cluster: Cluster) -> None:
    """The hosts with the highest load, as bars that lead to them."""
    snapshot = cluster.snapshot
    names = {words.resource_title(resource): resource for resource in snapshot.resources}
    picked = st.segmented_control(
        "Resource",
        list(names),
        default=None,
        key=filled("overview.resource", next(iter(names))),
        label_visibility="collapsed",
    )
    resource = names.get(picked or "", "cpu")
    bars(snapshot, resource)
    with st.expander("Distribution and history", icon=":material/bar_chart:"):
        left, right = st.columns(2)
        with left:
            chart(plotting.load_distribution(snapshot, resource=resource), "overview.distribution")
        with right:
            if snapshot.loads is not None and resource in ("cpu", "memory"):
                chart(plotting.load_history(snapshot, resource=resource), "overview.history")
            else:
                chart(plotting.load_balance(snapshot), "overview.balance")


def bars(snapshot: Snapshot, resource: str) -> None:
    """The top hosts by load; a row leads to its host."""
    load = host_loads(snapshot, resource=resource).before_ratio
    of = np.flatnonzero(in_scope(snapshot))
    top = of[np.argsort(-np.nan_to_num(load[of]), kind="stable")][:TOP]
    names = [str(snapshot.hosts.name[i]) for i in top]
    table: dict[str, Any] = {
        "Host": short_names(names),
        f"{words.resource_title(resource)} load": [float(load[i]) for i in top],
    }
    for other in ("cpu", "memory"):
        if other != resource:
            ratio = host_loads(snapshot, resource=other).before_ratio
            table[f"{words.resource_title(other)} load"] = [float(ratio[i]) for i in top]
    counts = np.bincount(snapshot.vms.host_idx[snapshot.vms.host_idx >= 0], minlength=snapshot.n_hosts)
    table["VMs"] = [int(counts[i]) for i in top]
    table["Cluster"] = [str(snapshot.clusters.name[snapshot.hosts.cluster_idx[i]]) for i in top]
    table["State"] = [str(snapshot.hosts.state[i]) for i in top]
    st.markdown(
        f"##### The {words.count(len(top), 'host')} with the highest load"
        if len(of) > TOP
        else "##### Hosts by load"
    )
    columns = {
        title: st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.2)
        for title in table if title.endswith(" load")
    }  # fmt: skip
    listing(as_frame(table), "host", names, "overview.hosts", height=40 + 35 * min(len(top), 12), **columns)
    st.caption("Choose a row to see what runs there and why it is hot.")


def clusters(cluster: Cluster) -> None:
    """The clusters as a table: hosts, VMs, spread, failures tolerated, broken rules."""
    snapshot = cluster.snapshot
    if len(snapshot.clusters) < 2:
        return
    ratio = {resource: host_loads(snapshot, resource=resource) for resource in ("cpu", "memory")}
    home = snapshot.vms.host_idx
    of_vm = np.where(home >= 0, snapshot.hosts.cluster_idx[np.maximum(home, 0)], -1)
    broken = dict.fromkeys(snapshot.clusters.name.tolist(), 0)
    for violation in cluster.violations:
        at = {
            int(snapshot.hosts.cluster_idx[snapshot.hosts.position[h]])
            for h in violation.hosts
            if h in snapshot.hosts.position
        }
        for c in at:
            broken[str(snapshot.clusters.name[c])] += 1
    rows: dict[str, list[Any]] = {title: [] for title in ("Cluster", "Hosts", "VMs", "CPU mean", "CPU σ",
                                  "Memory mean", "Memory σ", "Host failures tolerated", "Rules broken")}  # fmt: skip
    for c, name in enumerate(snapshot.clusters.name.tolist()):
        members = snapshot.hosts.cluster_idx == c
        rows["Cluster"].append(name)
        rows["Hosts"].append(int(members.sum()))
        rows["VMs"].append(int((of_vm == c).sum()))
        for resource, title in (("cpu", "CPU"), ("memory", "Memory")):
            values = ratio[resource].before_ratio[members & ratio[resource].usable]
            rows[f"{title} mean"].append(float(values.mean()) if len(values) else None)
            rows[f"{title} σ"].append(float(values.std()) if len(values) else None)
        rows["Host failures tolerated"].append(int(snapshot.clusters.ha_failover_hosts[c]))
        rows["Rules broken"].append(broken[name])
    st.markdown("##### Clusters")
    percent = st.column_config.NumberColumn(format="percent")
    picked = st.dataframe(
        as_frame(rows), hide_index=True, width="stretch", key="overview.clusters", on_select="rerun",
        selection_mode="single-row", height=40 + 35 * min(8, len(snapshot.clusters)),
        column_config={title: percent for title in rows if title.endswith((" mean", " σ"))},
    )  # fmt: skip
    chosen = picked["selection"]["rows"]
    if chosen and rows["Cluster"][chosen[0]] != state().scope:
        update(scope=rows["Cluster"][chosen[0]])
        st.session_state.pop("sidebar.cluster", None)
        st.rerun()


def details(cluster: Cluster) -> None:
    """What no plan can move, the rules, the resource pools."""
    titles = [f"VMs that cannot move ({len(cluster.immovable)})", f"Rules ({len(cluster.rules)})"]
    if cluster.pools:
        titles.append(f"Resource pools ({len(cluster.pools)})")
    fixed, rules, *pools = st.tabs(titles)
    with fixed:
        if cluster.immovable:
            listing(
                frame(IMMOVABLE, cluster.immovable),
                "vm",
                [each.vm for each in cluster.immovable],
                "overview.immovable",
            )
        else:
            st.caption("Every VM can move somewhere.")
    with rules:
        if cluster.rules:
            st.dataframe(
                {
                    "name": [r.label for r in cluster.rules],
                    "type": [r.type for r in cluster.rules],
                    "policy": [r.policy for r in cluster.rules],
                    "holds": [r.holds for r in cluster.rules],
                },
                hide_index=True,
                width="stretch",
                key="overview.rules",
            )
        else:
            st.caption("No rules of its own. Capacity, EVC, datastore and network visibility always hold.")
    for tab in pools:
        with tab:
            _pools(cluster)


def _pools(cluster: Cluster) -> None:
    """The tree of resource pools, with what each is due."""
    table: dict[str, list[object]] = {
        "pool": ["\u2003" * pool.depth + pool.name for pool in cluster.pools],
        "cluster": [pool.cluster for pool in cluster.pools],
        "VMs": [pool.n_vms for pool in cluster.pools],
    }
    for resource, unit in (("cpu", "MHz"), ("memory", "MiB")):
        parts = [getattr(pool, resource) for pool in cluster.pools]
        title = words.resource_title(resource)
        table[f"{title} reserved, {unit}"] = [part.reservation for part in parts]
        table[f"{title} limit, {unit}"] = [
            part.limit if math.isfinite(part.limit) else None for part in parts
        ]
        table[f"{title} asked for, {unit}"] = [part.demand for part in parts]
        table[f"{title} due, {unit}"] = [part.entitlement for part in parts]
    st.dataframe(table, hide_index=True, width="stretch", key="overview.pools")


def page() -> None:
    """Draw the page."""
    now = state()
    if now.cluster is None:
        heading("Cockpit")
    else:
        heading(md(now.cluster.label), md(now.cluster.snapshot.description))
    cluster = needs_cluster_or(upload)
    rests_on(cluster.snapshot)
    figures(cluster)
    wants(cluster)
    clusters(cluster)
    if cluster.snapshot.n_hosts:
        loads(cluster)
    details(cluster)
    upload()


def needs_cluster_or(form: Callable[[], None]) -> Cluster:
    """The open cluster; where there is none, the form to open one stands below what is wrong."""
    if state().cluster is None:
        form()
    return needs_cluster()


if __name__ == "__main__":
    page()
