"""The bundled datasets and the generator."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from drs import datasets, io
from drs.datasets import make_cluster
from drs.errors import InputError, UnknownNameError
from drs.model import Snapshot, cpu
from drs.model.network import Network

ROOT = Path(__file__).resolve().parent.parent
MADE_WITH_NUMPY = "2."


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("drs_make_datasets", ROOT / "datasets" / "make.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def fleet() -> Snapshot:
    return make_cluster(200, 4000, 3, history_days=7)


def load_ratio(snapshot: Snapshot, resource: str) -> np.ndarray:
    vms = snapshot.vms
    total = np.bincount(vms.host_idx, snapshot.demand(resource), minlength=snapshot.n_hosts)
    return total / snapshot.capacity(resource)


# --- bundled ---


def test_resource_pools_divide_each_cluster() -> None:
    found = datasets.make_cluster(8, 120, seed=3, n_clusters=2, resource_pools=True)
    plain = datasets.make_cluster(8, 120, seed=3, n_clusters=2)
    assert found.pools.name.tolist()[:3] == ["prod-01/production", "prod-01/databases", "prod-01/test"]
    assert (found.vms.pool_idx >= 0).all() and set(found.vms.pool_idx) == set(range(6))
    assert (found.pools.cluster_idx[found.vms.pool_idx] == found.hosts.cluster_idx[found.vms.host_idx]).all()
    assert (found.vms.host_idx == plain.vms.host_idx).all() and not len(plain.pools)
    assert io.from_frames(io.to_frames(found)).digest == found.digest


def test_names_and_paths() -> None:
    assert datasets.names() == ("medium", "small")
    assert (datasets.path("small") / "hosts.csv").is_file()
    with pytest.raises(UnknownNameError, match="medium, small"):
        datasets.path("smal")
    with pytest.raises(UnknownNameError, match="dataset"):
        datasets.card("smal")
    with pytest.raises(UnknownNameError):
        datasets.load("generator")


@pytest.mark.parametrize("name", ["small", "medium", "generator"])
def test_cards_are_complete(name: str) -> None:
    card = datasets.describe(name)
    for field in ("title", "source", "licence", "units", "shape", "notes"):
        assert getattr(card, field), field
    assert card.name == name and card.text == datasets.card(name)
    assert card.text.splitlines()[0] == f"# {card.title}"


@pytest.mark.parametrize("name", ["small", "medium"])
def test_loads_without_fault_or_warning(name: str) -> None:
    snapshot = datasets.load(name)
    assert snapshot.name == name and snapshot.taken_at and snapshot.description and snapshot.source
    assert cpu.faults(snapshot) == []
    shape = datasets.describe(name).shape.replace(",", "")
    assert f"{snapshot.n_hosts} hosts" in shape and f"{snapshot.n_vms} VMs" in shape
    assert f"{len(snapshot.datastores)} datastores" in shape
    assert f"{(~snapshot.vms.on).sum()} powered off" in shape or name != "small"
    assert f"{len(snapshot.links)} links" in shape or name != "medium"
    size = sum(file.stat().st_size for file in datasets.path(name).iterdir())
    assert size < 2_000_000


@pytest.mark.parametrize("name", ["small", "medium"])
def test_made_by_the_script(name: str, make: ModuleType) -> None:
    made, bundled = make.MAKERS[name](), datasets.load(name)
    assert made.hosts.name.tolist() == bundled.hosts.name.tolist()
    assert made.vms.name.tolist() == bundled.vms.name.tolist()
    if np.__version__.startswith(MADE_WITH_NUMPY):
        assert made.digest == bundled.digest, "run `python datasets/make.py`"


def test_the_script_writes_what_is_bundled(make: ModuleType, tmp_path: Path) -> None:
    make.write("small", tmp_path / "small")
    for file in (tmp_path / "small").iterdir():
        assert file.read_text() == (datasets.path("small") / file.name).read_text()


@pytest.mark.parametrize("name", ["small", "medium"])
def test_today_is_possible_but_for_the_story(name: str) -> None:
    snapshot = datasets.load(name)
    vms, disks = snapshot.vms, snapshot.disks
    class_idx, mask = cpu.evc_classes(snapshot)
    assert mask[class_idx, vms.host_idx].all()
    assert snapshot.mounts[vms.host_idx[disks.vm_idx], disks.datastore_idx].all()
    assert snapshot.portgroups[vms.host_idx[snapshot.nic_vm_idx], snapshot.nic_network_idx].all()
    assert (snapshot.datastores.free_gib > 0).all()
    assert (load_ratio(snapshot, "memory") <= 1).all()
    over = load_ratio(snapshot, "cpu") > 1
    assert 1 <= over.sum() <= 4, "some host has more to do than it can"
    total = snapshot.demand("cpu").sum() / snapshot.capacity("cpu")[snapshot.hosts.state == "connected"].sum()
    assert total < 0.7, "there is room to repair it"


def test_story_of_small() -> None:
    snapshot = datasets.load("small")
    vms = snapshot.vms
    assert (snapshot.hosts.state == "maintenance").sum() == 1
    (empty,) = np.flatnonzero(snapshot.hosts.state == "maintenance")
    assert (vms.on & (vms.host_idx == empty)).sum() >= 3
    assert set(snapshot.hosts.evc_max.tolist()) == {"intel-broadwell", "intel-icelake"}
    assert (vms.gpus > 0).sum() == 1 and not vms.on.all() and (vms.automation == "manual").any()
    assert len(snapshot.networks) == 2 and not snapshot.portgroups.all() and not snapshot.mounts.all()


def test_story_of_medium() -> None:
    snapshot = datasets.load("medium")
    loads, vms = snapshot.loads, snapshot.vms
    assert loads is not None and len(loads) == 168 and set(snapshot.hosts.site.tolist()) == {"dc-a", "dc-b"}
    assert (np.isnan(loads.cpu_mhz).all(axis=0) == ~vms.on).all()
    assert not np.isnan(loads.cpu_mhz[:, vms.on]).any()
    assert (loads.cpu_mhz[-1, vms.on] == vms.cpu_demand_mhz[vms.on]).all()
    network = Network.of(snapshot)
    arrays = network.paths(np.repeat(np.arange(64), 64), np.tile(np.arange(64), 64))
    assert (arrays.bandwidth_mbps > 0).all()
    wan = network.path("esx-a-17", "esx-b-01")
    assert wan.bandwidth_mbps == 7_500 and 5 <= wan.rtt_ms < 6 and wan.bottleneck == "spine-a to spine-b"


@pytest.mark.parametrize("name", ["small", "medium"])
def test_rules_fit_and_some_are_broken(name: str) -> None:
    rules_toml = pytest.importorskip("drs.io.rules_toml")
    from drs.model import Placement

    snapshot = datasets.load(name)
    rules = rules_toml.read_rules(datasets.path(name))
    assert {rule.type for rule in rules} >= {"keep-apart", "keep-together", "run-on", "not-run-on", "pinned"}
    assert {rule.policy for rule in rules} == {"hard", "not_worse", "soft"}
    today = Placement.of(snapshot)
    assert [fault for rule in rules for fault in rule.faults(snapshot)] == []
    broken = {rule.label for rule in rules for _ in rule.check(snapshot, today)}
    assert 3 <= len(broken) < len(rules)
    assert f"{len(rules)} rules" in datasets.describe(name).shape


def test_copy(tmp_path: Path) -> None:
    from drs.io import read_folder

    folder = datasets.copy("small", tmp_path / "mine")
    assert folder == tmp_path / "mine"
    assert (folder / "rules.toml").is_file() and (folder / "README.md").is_file()
    assert read_folder(folder).digest == datasets.load("small").digest
    datasets.copy("small", folder)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.doc").write_text("years of work")
    with pytest.raises(InputError):
        datasets.copy("small", tmp_path / "other")
    assert [file.name for file in (tmp_path / "other").iterdir()] == ["thesis.doc"]
    with pytest.raises(UnknownNameError):
        datasets.copy("smal", tmp_path / "no")
    assert not (tmp_path / "no").exists()


# --- the generator ---


def test_deterministic() -> None:
    generations = ("intel-haswell", "intel-icelake")
    arguments = {"n_clusters": 2, "n_sites": 2, "history_days": 1.0, "evc": generations}
    one, same = make_cluster(12, 150, 5, **arguments), make_cluster(12, 150, 5, **arguments)
    other = make_cluster(12, 150, 6, **arguments)
    assert one.digest == same.digest != other.digest


@pytest.mark.parametrize(
    ("n_hosts", "n_vms", "arguments"),
    [
        (1, 0, {}),
        (1, 1, {"history_days": 0.5, "history_step_s": 300}),
        (4, 9, {"n_clusters": 2, "n_sites": 4, "evc": ("amd-zen", "intel-haswell")}),
        (30, 600, {"n_sites": 3, "topology": "leaf-spine"}),
        (8, 40, {"powered_off_ratio": 1.0}),
        (8, 40, {"fill_ratio": 0.0, "skew": 0.0}),
        (
            40,
            300,
            {
                "n_clusters": 3,
                "n_vcenters": 2,
                "n_sites": 2,
                "cluster_evc": True,
                "evc": ("amd-steamroller", "amd-zen2"),
            },
        ),
    ],
)
def test_every_reference_holds(n_hosts: int, n_vms: int, arguments: dict[str, object]) -> None:
    snapshot = make_cluster(n_hosts, n_vms, 2, **arguments)  # type: ignore[arg-type]
    vms, hosts, disks = snapshot.vms, snapshot.hosts, snapshot.disks
    assert (len(hosts), len(vms)) == (n_hosts, n_vms)
    assert len(set(hosts.name.tolist())) == n_hosts and len(set(vms.name.tolist())) == n_vms
    assert len(set(snapshot.datastores.name.tolist())) == len(snapshot.datastores)
    for table in (hosts, vms, disks, snapshot.datastores, snapshot.clusters):
        for column, values in table.columns():
            assert len(values) == len(table), column
    assert (np.diff(disks.vm_idx) >= 0).all() and set(disks.vm_idx.tolist()) == set(range(n_vms))
    assert snapshot.mounts[vms.host_idx[disks.vm_idx], disks.datastore_idx].all()
    class_idx, mask = cpu.evc_classes(snapshot)
    assert mask[class_idx, vms.host_idx].all() and cpu.faults(snapshot) == []
    assert (snapshot.datastores.free_gib >= 0).all() and (disks.used_gib <= disks.size_gib).all()
    assert (load_ratio(snapshot, "memory") <= 1).all()
    assert (vms.cpu_demand_mhz[~vms.on] == 0).all() and (vms.evc_mode[~vms.on] == "").all()
    measured = vms.on
    assert (vms.working_set_mib[measured] <= vms.memory_mib[measured]).all()
    assert (vms.dirty_rate_mibps[measured] <= vms.working_set_mib[measured]).all()
    assert (vms.memory_active_mib <= vms.memory_mib).all()
    assert Network.of(snapshot).reachable(0, np.arange(n_hosts)).all()


def test_a_mode_for_the_cluster() -> None:
    snapshot = make_cluster(8, 60, 1, evc=("amd-steamroller", "amd-zen2"), cluster_evc=True)
    assert snapshot.clusters.evc_mode.tolist() == ["amd-greyhound-no3dnow"]
    assert set(snapshot.vms.evc_mode[snapshot.vms.on].tolist()) == {"amd-greyhound-no3dnow"}
    assert cpu.compatibility(snapshot).all()


def test_stretched_cluster_has_a_route_but_its_own_storage() -> None:
    snapshot = make_cluster(8, 60, 1, n_sites=2)
    assert snapshot.clusters.site.tolist() == [""] and set(snapshot.hosts.site.tolist()) == {"dc-a", "dc-b"}
    assert not snapshot.mounts[0].all() and Network.of(snapshot).path(0, 7).rtt_ms == 8.0


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ({"n_hosts": 0}, "n_hosts"),
        ({"n_vms": -1}, "n_vms"),
        ({"n_clusters": 11}, "n_clusters"),
        ({"n_sites": 11}, "n_sites"),
        ({"evc": ("intel-icelakee",)}, "evc"),
        ({"evc": "intel-icelake"}, "evc"),
        ({"evc": ()}, "evc"),
        ({"evc": ("intel-icelake", "amd-zen")}, "evc"),
        ({"fill_ratio": 1.5}, "fill_ratio"),
        ({"skew": float("nan")}, "skew"),
        ({"topology": "ring"}, "topology"),
        ({"taken_at": "yesterday"}, "taken_at"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], where: str) -> None:
    with pytest.raises(InputError) as caught:
        make_cluster(**{"n_hosts": 10, "n_vms": 50, **arguments})  # type: ignore[arg-type]
    assert [fault.where for fault in caught.value.faults] == [f"make_cluster, argument {where}"]


def test_all_bad_arguments_together() -> None:
    with pytest.raises(InputError) as caught:
        make_cluster(0, -1, skew=7)
    assert len(caught.value.faults) == 3


# Published: GWA-T-12 "rnd", one week of 2013-08-05 (see drs.datasets).


def test_sizes_follow_the_published_fleet(fleet: Snapshot) -> None:
    vms = fleet.vms
    for vcpus, share in zip((1, 2, 4, 8), (0.457, 0.189, 0.233, 0.113), strict=True):
        assert (vms.vcpus == vcpus).mean() == pytest.approx(share, abs=0.03)
    gib = vms.memory_mib / 1024
    assert gib.mean() == pytest.approx(7.4, rel=0.15)
    assert np.median(gib[vms.vcpus == 4]) == pytest.approx(8, abs=8) and np.median(gib[vms.vcpus == 8]) == 32
    assert (gib <= 1).mean() == pytest.approx(0.28, abs=0.05)


def test_loads_follow_the_published_fleet(fleet: Snapshot) -> None:
    vms, loads = fleet.vms, fleet.loads
    assert loads is not None
    series = loads.cpu_mhz[:, vms.on].astype(np.float64)
    use = series.mean(axis=0) / (vms.vcpus[vms.on] * 2800)
    assert np.log(use).std() == pytest.approx(2.17, abs=0.35)
    means = [np.log(use[vms.vcpus[vms.on] == vcpus]).mean() for vcpus in (1, 2, 4, 8)]
    assert means == sorted(means), "bigger VMs are busier"
    busy = series[:, series.mean(axis=0) > 20]
    relative = busy / busy.mean(axis=0)
    assert np.median(relative.std(axis=0)) == pytest.approx(0.48, abs=0.12)
    relative = relative[:, relative.std(axis=0) > 0]  # some are at their ceiling all the time
    z = (relative - relative.mean(axis=0)) / relative.std(axis=0)
    assert np.median((z[1:] * z[:-1]).mean(axis=0)) == pytest.approx(0.45, abs=0.12)
    hour = loads.time.astype(np.int64) // 3600 % 24
    profile = np.stack([z[hour == h].mean(axis=0) for h in range(24)])
    explained = (profile[hour] ** 2).mean(axis=0)
    assert explained.mean() == pytest.approx(0.26, abs=0.06)
    peaks = np.bincount(profile.argmax(axis=0)[explained > 0.3], minlength=24)
    assert peaks[[23, 0, 1, 2, 3]].sum() > peaks[9:17].sum(), "nights lead"
    active = vms.memory_active_mib[vms.on] / vms.memory_mib[vms.on]
    assert np.median(active) == pytest.approx(0.06, abs=0.03)


def test_groups_peak_together(fleet: Snapshot) -> None:
    vms, loads = fleet.vms, fleet.loads
    assert loads is not None
    application = np.array([name.split("-")[1] for name in vms.name.tolist()])
    largest = np.flatnonzero(vms.on & (application == "shop"))
    rest = np.flatnonzero(vms.on & (application != "shop"))[: len(largest)]
    z = np.log(loads.cpu_mhz + 1).astype(np.float64)
    z = (z - z.mean(axis=0)) / (z.std(axis=0) + 1e-9)

    def mean_correlation(a: np.ndarray, b: np.ndarray) -> float:
        return float((z[:, a].T @ z[:, b]).mean() / len(z))

    assert mean_correlation(largest, largest) > mean_correlation(largest, rest) + 0.03


def test_level_and_skew_are_as_asked() -> None:
    even = load_ratio(make_cluster(50, 1000, 4, fill_ratio=0.4, skew=0.0), "cpu")
    skewed = load_ratio(make_cluster(50, 1000, 4, fill_ratio=0.4, skew=0.5), "cpu")
    assert even.mean() == pytest.approx(0.4, abs=0.01) and skewed.mean() == pytest.approx(0.4, abs=0.01)
    assert even.std() < 0.05 < 0.12 < skewed.std()


def test_large_is_fast() -> None:
    import time

    began = time.perf_counter()
    snapshot = make_cluster(1_000, 20_000, 1, n_clusters=16)
    assert time.perf_counter() - began < 10
    assert snapshot.n_vms == 20_000 and (load_ratio(snapshot, "memory") <= 1).all()
