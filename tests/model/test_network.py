"""Paths against networkx by brute force; cuts; links that a migration loads."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time

import networkx
import numpy as np
import pytest

from drs.datasets import make_cluster
from drs.errors import UnknownNameError
from drs.model import LinkTable, Snapshot
from drs.model.network import Network, Path

Row = tuple[str, str, float, float, float, float]


def table(rows: list[Row]) -> LinkTable:
    columns = list(zip(*rows, strict=True)) if rows else [[], [], [], [], [], []]
    return LinkTable(
        np.array(columns[0], dtype=np.str_),
        np.array(columns[1], dtype=np.str_),
        *(np.array(column, dtype=np.float64) for column in columns[2:]),
    )


def cluster(n_hosts: int, rows: list[Row], nic: float | list[float] = 10_000.0, n_sites: int = 1) -> Snapshot:
    """Hosts h0, h1, ...; links as (a, b, bandwidth, latency, loss, shared)."""
    base = make_cluster(n_hosts, 4, 1, n_sites=n_sites)
    hosts = dataclasses.replace(
        base.hosts,
        name=np.array([f"h{i}" for i in range(n_hosts)]),
        vmotion_mbps=np.broadcast_to(np.asarray(nic, dtype=np.float64), (n_hosts,)).copy(),
    )
    return dataclasses.replace(base, hosts=hosts, links=table(rows))


def brute(network: Network, a: str, b: str, nic: dict[str, float]) -> tuple[float, float, float] | None:
    """Bandwidth, RTT, loss of the best of all simple paths through switches."""
    graph = network.graph
    inner = [n for n, kind in graph.nodes(data="kind") if kind == "switch" or n in (a, b)]
    best = None
    for edges in networkx.all_simple_edge_paths(graph.subgraph(inner), a, b):
        data = [graph.edges[edge] for edge in edges]
        bandwidth = min(d["bandwidth_mbps"] for d in data)
        if bandwidth <= 0:
            continue
        latency = sum(d["latency_ms"] for d in data)
        loss = 1 - math.prod(1 - d["loss_ratio"] for d in data)
        rank = (len(edges), round(latency, 9), -bandwidth)
        if best is None or rank < best[0]:
            best = (rank, bandwidth, 2 * latency, loss)
    return None if best is None else (min(best[1], nic[a], nic[b]), best[2], best[3])


@pytest.mark.parametrize("seed", range(12))
def test_paths_equal_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_hosts, switches = 7, [f"s{i}" for i in range(5)]
    rows: list[Row] = []
    for host in range(n_hosts - 1):  # the last host is in no link
        for switch in rng.choice(switches, rng.integers(1, 3), replace=False):
            rows.append((f"h{host}", str(switch), float(rng.choice([1e3, 1e4])), 0.1, 0.0, 0.0))
    for one, other in itertools.combinations(switches, 2):
        if rng.random() < 0.5:
            ends = (one, other) if rng.random() < 0.5 else (other, one)
            rows.append(
                (
                    *ends,
                    float(rng.choice([0, 1e3, 5e3, 4e4])),
                    float(rng.choice([0.1, 0.2, 5.0])),
                    float(rng.choice([0, 1e-4])),
                    float(rng.choice([0.0, 500.0])),
                )
            )
    if rng.random() < 0.5:
        rows.append(("h0", "h1", 2e3, 0.5, 0.0, 0.0))
        rows.append(("dc-a", "s0", 1e4, 0.1, 0.0, 0.0))
    nic = rng.choice([1e3, 1e4, 2.5e4], n_hosts).tolist()
    network = Network.of(cluster(n_hosts, rows, nic))
    pairs = np.array(list(itertools.product(range(n_hosts), repeat=2)))
    arrays = network.paths(pairs[:, 0], pairs[:, 1])
    incidence = network.link_incidence(pairs[:, 0], pairs[:, 1])
    speeds = {f"h{i}": float(x) for i, x in enumerate(nic)}
    for i, (a, b) in enumerate(pairs.tolist()):
        path = network.path(a, b)
        links = incidence.link_idx[incidence.start[i] : incidence.start[i + 1]]
        if a == b:
            assert path == Path((f"h{a}",), (), np.inf, 0.0, 0.0, "")
            assert arrays.bandwidth_mbps[i] == np.inf and arrays.rtt_ms[i] == 0 and len(links) == 0
            continue
        expected = brute(network, f"h{a}", f"h{b}", speeds)
        if expected is None:
            assert not path.reachable and path.bandwidth_mbps == 0 and math.isnan(path.rtt_ms)
            assert arrays.bandwidth_mbps[i] == 0 and np.isnan(arrays.rtt_ms[i]) and len(links) == 0
            continue
        got = (arrays.bandwidth_mbps[i], arrays.rtt_ms[i])
        assert got == pytest.approx(expected[:2]) and path.reachable and path.reason == ""
        assert (path.bandwidth_mbps, path.rtt_ms, path.loss_ratio) == pytest.approx(
            (got[0], got[1], arrays.loss_ratio[i])
        )
        assert network.capacity_mbps[links].min() == pytest.approx(expected[0])
        # The walk is a walk: each link starts where the one before ended.
        assert path.nodes[0] == f"h{a}" and path.nodes[-1] == f"h{b}"
        walked = [link for link in links.tolist() if link < 2 * network.n_links]
        assert [link // 2 for link in walked] == list(path.links)
        for link, (tail, head) in zip(path.links, _steps(path, network), strict=True):
            assert {tail, head} == set(rows[link][:2])
        for link, (tail, head) in zip(walked, _steps(path, network), strict=True):
            assert network.link_name(link) == f"{tail} to {head}"


def _steps(path: Path, network: Network) -> list[tuple[str, str]]:
    return [
        step
        for step in itertools.pairwise(path.nodes)
        if any(d["link"] >= 0 for d in network.graph.get_edge_data(*step).values())
    ]


def test_no_links_one_switch_a_site() -> None:
    network = Network.of(cluster(4, [], [10_000, 1_000, 25_000, 10_000], n_sites=2))
    path = network.path("h0", "h1")
    assert path.nodes == ("h0", "dc-a", "h1") and path.links == () and path.rtt_ms == 0.0
    assert path.bandwidth_mbps == 1_000 and path.bottleneck == "NICs of h1, receiving"
    cut = network.path("h0", "h3")
    assert not cut.reachable and cut.bandwidth_mbps == 0.0 and cut.nodes == ()
    assert "different sites" in cut.reason and "no link joins dc-a and dc-b" in cut.reason
    assert network.reachable([0, 0, 2], [1, 3, 3]).tolist() == [True, False, True]


def test_a_link_between_site_names_joins_the_sites() -> None:
    network = Network.of(cluster(4, [("dc-a", "dc-b", 2_000, 4.0, 1e-5, 500.0)], n_sites=2))
    path = network.path("h0", "h3")
    assert path.nodes == ("h0", "dc-a", "dc-b", "h3") and path.links == (0,)
    assert (path.bandwidth_mbps, path.rtt_ms) == (1_500.0, 8.0) and path.loss_ratio == pytest.approx(1e-5)
    assert path.bottleneck == "dc-a to dc-b"
    assert network.path("h3", "h0").bottleneck == "dc-b to dc-a"


def test_a_link_with_nothing_left_is_cut() -> None:
    network = Network.of(cluster(4, [("dc-a", "dc-b", 1_000, 4.0, 0.0, 1_000.0)], n_sites=2))
    path = network.path("h0", "h3")
    assert not path.reachable and "no bandwidth left: dc-a - dc-b" in path.reason


def test_reasons() -> None:
    rows: list[Row] = [("h0", "s0", 1e4, 0, 0, 0), ("h1", "s1", 1e4, 0, 0, 0), ("h2", "s1", 0, 0, 0, 0)]
    network = Network.of(cluster(4, rows))
    assert "no chain of links" in network.path("h0", "h1").reason
    assert "h2 has no link to a switch" in network.path("h0", "h2").reason
    assert "no link names h3" in network.path("h0", "h3").reason
    idle = Network.of(cluster(2, [], [10_000, 0.0]))
    assert "h1 has no vMotion bandwidth" in idle.path("h0", "h1").reason
    assert not idle.reachable(0, 1).any()


def test_hosts_do_not_forward() -> None:
    rows: list[Row] = [
        ("h0", "s0", 1e4, 0, 0, 0),
        ("h1", "s0", 1e4, 0, 0, 0),
        ("h1", "s1", 1e4, 0, 0, 0),
        ("h2", "s1", 1e4, 0, 0, 0),
    ]
    network = Network.of(cluster(3, rows))
    assert network.path(0, 1).reachable and network.path(1, 2).reachable and not network.path(0, 2).reachable


def test_ties_latency_then_width_then_order() -> None:
    rows: list[Row] = [
        ("h0", "s0", 1e5, 0, 0, 0),
        ("h1", "s1", 1e5, 0, 0, 0),
        ("s0", "s1", 1e5, 3.0, 0, 0),
        ("s0", "s1", 2e3, 1.0, 0, 0),
        ("s1", "s0", 5e3, 1.0, 0, 0),
        ("s0", "s1", 5e3, 1.0, 0, 0),
    ]
    network = Network.of(cluster(2, rows))
    assert network.path(0, 1).links == (0, 4, 1) and network.path(0, 1).bandwidth_mbps == 5e3


def test_full_duplex_and_nics_as_links() -> None:
    snapshot = cluster(3, [("h0", "s", 1e4, 0, 0, 0), ("h1", "s", 1e4, 0, 0, 0), ("h2", "s", 1e4, 0, 0, 0)])
    network = Network.of(snapshot)
    assert len(network.capacity_mbps) == 2 * 3 + 2 * 3
    start, links = network.link_incidence([0, 1, 0, 0], [1, 0, 2, 0])
    rows = [set(links[start[i] : start[i + 1]].tolist()) for i in range(4)]
    assert rows[0] & rows[1] == set(), "there and back share nothing"
    assert {network.link_name(link) for link in rows[0] & rows[2]} == {"h0 to s", "NICs of h0, sending"}
    assert rows[3] == set()
    assert not network.capacity_mbps.flags.writeable


def test_batches_never_raise() -> None:
    network = Network.of(cluster(4, [], n_sites=2))
    arrays = network.paths([0, -1, 0], [3, 1, 0])
    assert arrays.bandwidth_mbps.tolist() == [0.0, 0.0, np.inf]
    assert network.link_incidence([0, -1], [3, 1]).start.tolist() == [0, 0, 0]
    assert network.paths([], []).rtt_ms.shape == (0,)
    assert network.paths(0, [1, 2]).bandwidth_mbps.tolist() == [10_000.0, 0.0]


def test_unknown_host() -> None:
    network = Network.of(cluster(4, []))
    with pytest.raises(UnknownNameError, match="unknown host"):
        network.path("h9", "h0")
    with pytest.raises(UnknownNameError):
        network.path(17, 0)


def test_a_host_named_like_a_site() -> None:
    snapshot = cluster(2, [])
    hosts = dataclasses.replace(snapshot.hosts, name=np.array(["dc-a", "h1"]))
    assert Network.of(dataclasses.replace(snapshot, hosts=hosts)).path(0, 1).nodes == (
        "dc-a",
        "switch of dc-a",
        "h1",
    )


def test_fast_for_many_moves() -> None:
    snapshot = make_cluster(1_000, 100, 1, n_sites=2, topology="leaf-spine")
    src, dst = np.random.default_rng(0).integers(0, 1_000, (2, 2_000))
    began = time.perf_counter()
    network = Network.of(snapshot)
    arrays = network.paths(src, dst)
    incidence = network.link_incidence(src, dst)
    assert time.perf_counter() - began < 2.0
    assert (arrays.bandwidth_mbps > 0).all()
    for i in range(0, 2_000, 97):
        links = incidence.link_idx[incidence.start[i] : incidence.start[i + 1]]
        assert src[i] == dst[i] or network.capacity_mbps[links].min() == arrays.bandwidth_mbps[i]


def test_graph_is_networkx() -> None:
    network = Network.of(make_cluster(4, 4, 1, n_sites=2))
    assert isinstance(network.graph, networkx.MultiGraph)
    assert set(network.graph.nodes) == {"esx-a-01", "esx-a-02", "esx-b-01", "esx-b-02", "dc-a", "dc-b"}
    assert networkx.is_connected(network.graph)
