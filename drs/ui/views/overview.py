"""Overview: open or upload a cluster, see the load of its hosts and what is broken today."""

from __future__ import annotations

import math

import streamlit as st

from drs import plotting, words
from drs.errors import DrsError
from drs.report.tables import IMMOVABLE, frame
from drs.ui.clusters import Cluster, Upload, from_uploads, words_of
from drs.ui.parts import chart, heading, md, needs_cluster, rests_on, tiles, violations_table
from drs.ui.state import UPLOADED, filled, open_cluster, state, update


def upload() -> None:
    """The form for a user's own cluster."""
    with st.expander(
        "Open your own cluster", icon=":material/upload_file:", expanded=state().cluster is None
    ):
        st.caption(
            "A zip of a snapshot folder, or its tables one by one (hosts.csv and vms.csv are needed; disks, "
            "datastores, mounts, links, loads, rules.toml and policy.toml if you have them), or an RVTools "
            "workbook. Files stay in this process and are not kept."
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
                    update(faults=tuple(words_of(error)))
                else:
                    open_cluster(UPLOADED, cluster, uploaded=cluster)
            st.rerun()


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
            "Rules broken",
            f"{len(cluster.violations):,}",
            "listed below" if cluster.violations else "all is well",
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
    """Load of each host, its distribution and its history."""
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
    chart(plotting.host_load(snapshot, resource=resource), "overview.load")
    st.caption("Red: above capacity. Grey: not in service. σ is the spread that balancing lowers.")
    left, right = st.columns(2)
    with left:
        chart(plotting.load_distribution(snapshot, resource=resource), "overview.distribution")
    with right:
        if snapshot.loads is not None and resource in ("cpu", "memory"):
            chart(plotting.load_history(snapshot, resource=resource), "overview.history")
        else:
            chart(plotting.load_balance(snapshot), "overview.balance")


def problems(cluster: Cluster) -> None:
    """What is broken today, and what no plan can move."""
    titles = [
        f"Problems found ({len(cluster.violations)})",
        f"VMs that cannot move ({len(cluster.immovable)})",
        f"Rules ({len(cluster.rules)})",
        "Hosts",
    ]
    if cluster.pools:
        titles.append(f"Resource pools ({len(cluster.pools)})")
    broken, fixed, rules, hosts, *pools = st.tabs(titles)
    with broken:
        if cluster.violations:
            violations_table(cluster.violations, "overview.violations")
            st.page_link(
                _page("advise"),
                label="Let drs propose the moves that repair this",
                icon=":material/arrow_forward:",
            )
        else:
            st.success("No rule is broken today.", icon=":material/check_circle:")
    with fixed:
        if cluster.immovable:
            st.dataframe(
                frame(IMMOVABLE, cluster.immovable),
                hide_index=True,
                width="stretch",
                key="overview.immovable",
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
    with hosts:
        _hosts(cluster)
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


def _hosts(cluster: Cluster) -> None:
    from drs.plotting.data import host_loads

    snapshot = cluster.snapshot
    if not snapshot.n_hosts:
        st.caption("No hosts.")
        return
    table: dict[str, object] = {
        "host": snapshot.hosts.name.tolist(),
        "cluster": [str(snapshot.clusters.name[i]) if i >= 0 else "" for i in snapshot.hosts.cluster_idx],
        "site": snapshot.hosts.site.tolist(),
        "state": snapshot.hosts.state.tolist(),
        "EVC": snapshot.hosts.evc_max.tolist(),
    }
    shown = {}
    for resource in snapshot.resources:
        title = f"{words.resource_title(resource, snapshot.memory_counts)} load"
        table[title] = host_loads(snapshot, resource=resource).before_ratio
        shown[title] = st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.0)
    st.dataframe(table, hide_index=True, width="stretch", key="overview.hosts", column_config=shown)


def _page(name: str) -> str:
    from drs.ui.app import PAGES

    return str(PAGES / f"{name}.py")


def page() -> None:
    """Draw the page."""
    now = state()
    if now.cluster is None:
        heading("Overview")
    else:
        heading(md(now.cluster.label), md(now.cluster.snapshot.description))
    upload()
    cluster = needs_cluster()
    rests_on(cluster.snapshot)
    figures(cluster)
    if cluster.warnings:
        with st.expander(
            words.count(len(cluster.warnings), "warning") + " while reading", icon=":material/warning:"
        ):
            for warning in cluster.warnings[:100]:
                st.markdown(f"- {md(warning)}")
    loads(cluster)
    problems(cluster)


if __name__ == "__main__":
    page()
