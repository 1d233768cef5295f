"""Resource pools: who is in which, and whether what is reserved below a pool is there to be had."""

from __future__ import annotations

import numpy as np

from drs.io.reader import Reader, table_of
from drs.model.pools import reserved, top_down
from drs.model.snapshot import ClusterTable, Floats, HostTable, Ints, PoolTable, VmTable

ROUNDING = 1e-9


def build_pools(read: dict[str, Reader], clusters: ClusterTable, hosts: HostTable) -> tuple[PoolTable, Ints]:
    """The pools, and the pool of each VM; notes every fault of the tree and of what is reserved in it."""
    pools, vms = read["pools"], read["vms"]
    pool_idx = np.full(vms.n, -1, dtype=np.int32)
    if any(vms.text("pool")):
        pool_idx = vms.refer("pool", pools)
    if not pools.n:
        return PoolTable.none(), pool_idx
    parent = _without_circles(pools, pools.refer("parent", pools))
    order = top_down(parent)
    cluster = _clusters(pools, parent, order, clusters)
    _same_cluster(vms, pool_idx, pools, cluster, clusters, hosts)
    for resource in ("cpu_{}_mhz", "memory_{}_mib"):
        pools.not_above(resource.format("reservation"), resource.format("limit"))
        _check_reserved(pools, vms, parent, order, pool_idx, resource)
    return table_of(PoolTable, read, "pools", parent_idx=parent, cluster_idx=cluster), pool_idx


def _without_circles(pools: Reader, parent: Ints) -> Ints:
    """The parents; a circle is one fault, and is cut open at its first row."""
    names, open_ = pools.text("pool"), parent.copy()
    for row in range(len(parent)):
        way = [row]
        while open_[way[-1]] >= 0 and open_[way[-1]] not in way:
            way.append(int(open_[way[-1]]))
        if open_[way[-1]] == row:
            circle = " → ".join(names[pool] for pool in [*way, row])
            pools.faults.add(
                pools.raw.where(row, "parent"),
                f"pools in a circle: {circle}",
                "a pool that is not below this one, or an empty cell for the cluster itself",
            )
            open_[row] = -1
    return open_


def _clusters(pools: Reader, parent: Ints, order: list[int], clusters: ClusterTable) -> Ints:
    """The cluster of each pool: its own, its parent's, or the only one there is."""
    position = {name: i for i, name in reversed(list(enumerate(clusters.name.tolist())))}
    given, found = pools.text("cluster"), np.full(pools.n, -1, dtype=np.int32)
    for pool in order:
        where, above = pools.raw.where(pool, "cluster"), int(parent[pool])
        if given[pool]:
            found[pool] = position.get(given[pool], -1)
            if found[pool] < 0:
                pools.faults.add(
                    where,
                    f"unknown cluster {given[pool]!r}",
                    "a cluster of the table clusters or hosts",
                    pools.faults.near(given[pool], position),
                )
            elif above >= 0 and 0 <= found[above] != found[pool]:
                pools.faults.add(where, given[pool], f"{clusters.name[found[above]]}, as its parent has")
        elif above >= 0:
            found[pool] = found[above]
        elif len(clusters) == 1:
            found[pool] = 0
        elif not pools.text("parent")[pool]:  # a parent that is unknown or in a circle is told already
            pools.faults.add(where, "an empty cell", "the cluster, for there are several")
    return found


def _same_cluster(
    vms: Reader, pool_idx: Ints, pools: Reader, cluster: Ints, clusters: ClusterTable, hosts: HostTable
) -> None:
    """A fault for each VM whose host and pool are of two clusters."""
    position = {name: i for i, name in enumerate(hosts.name.tolist())}
    host_idx = np.array([position.get(name, -1) for name in vms.text("host")], dtype=np.int32)
    names = pools.text("pool")
    for row in np.flatnonzero((pool_idx >= 0) & (host_idx >= 0)).tolist():
        of_host, of_pool = int(hosts.cluster_idx[host_idx[row]]), int(cluster[pool_idx[row]])
        if 0 <= of_pool != of_host:
            vms.faults.add(
                vms.raw.where(row, "pool"),
                f"{names[pool_idx[row]]!r}, a pool of {clusters.name[of_pool]}",
                f"a pool of {clusters.name[of_host]}, the cluster of its host",
            )


def check_clusters(
    read: dict[str, Reader], clusters: ClusterTable, hosts: HostTable, pools: PoolTable, vms: VmTable
) -> None:
    """A fault for each cluster of which more is reserved than all its hosts have for VMs, at the largest reservation.

    The tree is sound here: what a pool needs is its own reservation or, if it is expandable, what is reserved
    below it. Hosts that are away count too, for a cluster that has lost some is no faulty input.
    """
    running = vms.on & (vms.host_idx >= 0)
    of_host = hosts.cluster_idx[vms.host_idx] if len(hosts) else vms.host_idx
    loose = np.flatnonzero((vms.pool_idx < 0) & running)
    for resource, unit in (("cpu", "mhz"), ("memory", "mib")):
        column = f"{resource}_reservation_{unit}"
        asked = np.where(running, getattr(vms, column), 0.0)
        _, need = reserved(pools, resource, vms.pool_idx, asked)
        capacity = getattr(hosts, f"{resource}_{unit}") - getattr(hosts, f"{resource}_reserved_{unit}")
        for cluster in range(len(clusters)):
            of_pools = np.flatnonzero((pools.cluster_idx == cluster) & (pools.parent_idx < 0) & (need > 0))
            of_vms = loose[(of_host[loose] == cluster) & (asked[loose] > 0)]
            total = float(need[of_pools].sum() + asked[of_vms].sum())
            most = float(capacity[hosts.cluster_idx == cluster].sum())
            if not _above(total, most):  # also where a host's capacity is at fault, and so not a number
                continue
            parts = [(float(need[pool]), read["pools"], int(pool)) for pool in of_pools]
            parts += [(float(asked[vm]), read["vms"], int(vm)) for vm in of_vms]
            largest, reader, row = max(parts, key=lambda part: part[0])
            name = clusters.name[cluster]
            who = [
                f"{n} {what}{'s' * (n > 1)}"
                for n, what in ((len(of_pools), "pool"), (len(of_vms), "VM"))
                if n
            ]
            given = f"{total:.10g} reserved in all by {' and '.join(who)} of cluster {name}"
            if len(parts) > 1:
                given += f", {largest:.10g} of it here"
            reader.faults.add(
                reader.raw.where(row, column),
                given,
                f"at most {most:.10g} in all, what its hosts have for VMs",
            )


def _check_reserved(
    pools: Reader, vms: Reader, parent: Ints, order: list[int], pool_idx: Ints, columns: str
) -> None:
    """A fault for each pool with less than what is reserved below it, and each VM that asks its pool for more
    than that may ever grant. Only running VMs count, as in vSphere's admission control; those without a host are
    mode `place`'s to admit."""
    column = columns.format("reservation")
    expandable = columns.split("_")[0] + "_expandable"
    own = np.nan_to_num(pools.number(column))
    limit = pools.number(columns.format("limit"))
    limit = np.where(np.isnan(limit), np.inf, limit)
    grows = np.array([text == "yes" for text in pools.text(expandable)], dtype=np.bool_)
    most = np.where(grows, limit, own)
    for pool in order:
        if grows[pool] and parent[pool] >= 0:
            most[pool] = min(most[pool], max(own[pool], most[parent[pool]]))
    asked = np.where([power == "on" for power in vms.text("power")], np.nan_to_num(vms.number(column)), 0.0)
    names, hosts = pools.text("pool"), vms.text("host")
    below, n_vms = np.zeros(pools.n), np.zeros(pools.n, dtype=np.int64)
    for row in np.flatnonzero((pool_idx >= 0) & (asked > 0)).tolist():
        pool = int(pool_idx[row])
        if _above(asked[row], most[pool]):
            vms.faults.add(
                vms.raw.where(row, column),
                f"{asked[row]:.10g}, more than its pool {names[pool]!r} can grant",
                f"at most {most[pool]:.10g}",
            )
        elif hosts[row]:
            below[pool] += asked[row]
            n_vms[pool] += 1
    children: dict[int, list[str]] = {}
    for pool in reversed(order):
        bound = limit[pool] if grows[pool] else own[pool]
        if _above(below[pool], bound):
            field = columns.format("limit") if grows[pool] else column
            who = [f"pool {name}" for name in children.get(pool, [])]
            who += [f"{n_vms[pool]} VM{'s' if n_vms[pool] > 1 else ''}"] if n_vms[pool] else []
            pools.faults.add(
                pools.raw.where(pool, field),
                f"{bound:.10g}, less than the {below[pool]:.10g} that is reserved below it ({', '.join(who)})",
                f"{below[pool]:.10g} or more" + ("" if grows[pool] else f", or {expandable} yes"),
            )
        needs = max(own[pool], min(below[pool], bound)) if grows[pool] else own[pool]
        if parent[pool] >= 0 and needs > 0:
            below[parent[pool]] += needs
            children.setdefault(int(parent[pool]), []).append(names[pool])


def _above(amount: Floats | float, bound: Floats | float) -> bool:
    return bool(amount > bound * (1 + ROUNDING) + ROUNDING)
