"""EVC: sets of features, not levels."""

from __future__ import annotations

import dataclasses
import doctest
import itertools

import numpy as np
import pytest

from drs.datasets import make_cluster
from drs.model import Snapshot, cpu
from drs.model.cpu import BASELINES, compatible

INTEL = [key for key in BASELINES if key.startswith("intel")]
AMD = [key for key in BASELINES if key.startswith("amd")]


def cluster(
    offers: list[tuple[str, str]],
    vms: list[tuple[int, str]],
    modes: tuple[str, ...] = ("",),
    cluster_idx: list[int] | None = None,
    power: list[str] | None = None,
) -> Snapshot:
    """Hosts as (vendor, evc_max), VMs as (host, evc_mode)."""
    base = make_cluster(len(offers), len(vms), 7, n_clusters=len(modes), powered_off_ratio=0.0)
    hosts = dataclasses.replace(
        base.hosts,
        cpu_vendor=np.array([o[0] for o in offers]),
        evc_max=np.array([o[1] for o in offers]),
        cluster_idx=np.array(cluster_idx or [0] * len(offers), dtype=np.int32),
    )
    table = dataclasses.replace(
        base.vms,
        host_idx=np.array([v[0] for v in vms], dtype=np.int32),
        evc_mode=np.array([v[1] for v in vms]),
        power=np.array(power or ["on"] * len(vms)),
    )
    clusters = dataclasses.replace(base.clusters, evc_mode=np.array(modes))
    return dataclasses.replace(base, hosts=hosts, vms=table, clusters=clusters)


def test_doctests() -> None:
    assert doctest.testmod(cpu).failed == 0


def test_every_key_of_vmware_is_there() -> None:
    assert [key.removeprefix("intel-") for key in INTEL] == [
        "merom",
        "penryn",
        "nehalem",
        "westmere",
        "sandybridge",
        "ivybridge",
        "haswell",
        "broadwell",
        "skylake",
        "cascadelake",
        "icelake",
        "sapphirerapids",
        "graniterapids",
    ]
    assert [key.removeprefix("amd-") for key in AMD] == [
        "rev-e",
        "rev-f",
        "greyhound-no3dnow",
        "greyhound",
        "bulldozer",
        "piledriver",
        "steamroller",
        "zen",
        "zen2",
        "zen3",
        "zen4",
        "zen5",
    ]
    for key, baseline in BASELINES.items():
        assert baseline.key == key and baseline.label and baseline.source and baseline.features


def test_intel_is_a_chain() -> None:
    for (i, low), (j, high) in itertools.product(enumerate(INTEL), repeat=2):
        assert compatible(low, high) == (i <= j)
        assert BASELINES[low].tier == i


def test_amd_is_not_a_chain() -> None:
    assert not compatible("amd-greyhound", "amd-bulldozer"), "3DNow! went"
    assert not compatible("amd-rev-f", "amd-zen5")
    assert compatible("amd-greyhound-no3dnow", "amd-bulldozer")
    assert compatible("amd-greyhound-no3dnow", "amd-greyhound")
    assert compatible("amd-greyhound-no3dnow", "amd-zen5")
    assert not compatible("amd-steamroller", "amd-zen"), "XOP, FMA4 and TBM went"
    assert not compatible("amd-bulldozer", "amd-zen3")
    assert cpu.missing_features("amd-piledriver", "amd-zen2") == ("fma4", "tbm", "xop")
    assert [key for key in AMD if compatible(key, "amd-zen")] == ["amd-greyhound-no3dnow", "amd-zen"]
    zens = [key for key in AMD if "zen" in key]
    for (i, low), (j, high) in itertools.product(enumerate(zens), repeat=2):
        assert compatible(low, high) == (i <= j)


def test_vendors_never_mix() -> None:
    for one, other in itertools.product(INTEL, AMD):
        assert not compatible(one, other) and not compatible(other, one)
    assert "never" in cpu.reason("intel-merom", "amd-zen5")


def test_containment_is_the_law() -> None:
    for one, other in itertools.product(BASELINES, repeat=2):
        expected = BASELINES[one].vendor == BASELINES[other].vendor and (
            BASELINES[one].features <= BASELINES[other].features
        )
        assert compatible(one, other) == expected
        assert bool(cpu.reason(one, other)) != expected
        if expected:
            assert cpu.missing_features(one, other) == ()


def test_anonymous_sets() -> None:
    assert compatible("", "intel-merom") and compatible("", "")
    assert not compatible("intel-merom", "")
    assert compatible("custom-1", "custom-1") and not compatible("custom-1", "intel-icelake")
    assert "not known" in cpu.reason("custom-1", "intel-icelake")
    assert cpu.offers({"avx"}) == frozenset({"avx"})


def test_what_a_vm_carries() -> None:
    snapshot = cluster(
        [("intel", "intel-icelake"), ("intel", "intel-broadwell")],
        [(0, ""), (0, "intel-haswell"), (1, ""), (-1, ""), (0, "intel-icelake")],
        power=["on", "on", "on", "on", "off"],
    )
    carried = cpu.carried_keys(snapshot).tolist()
    assert carried == ["intel-icelake", "intel-haswell", "intel-broadwell", "", ""]
    class_idx, mask = cpu.evc_classes(snapshot)
    assert mask[class_idx].tolist() == [
        [True, False],
        [True, True],
        [True, True],
        [True, True],
        [True, True],
    ]
    assert cpu.class_keys(snapshot).tolist() == ["", "intel-broadwell", "intel-haswell", "intel-icelake"]
    assert cpu.allowed_hosts(snapshot, 0).tolist() == [True, False]


def test_the_mode_of_the_cluster_is_the_offer() -> None:
    snapshot = cluster(
        [("intel", "intel-icelake"), ("intel", "intel-icelake")],
        [(0, ""), (1, "")],
        modes=("intel-haswell", ""),
        cluster_idx=[0, 1],
    )
    assert cpu.offer_keys(snapshot).tolist() == ["intel-haswell", "intel-icelake"]
    class_idx, mask = cpu.evc_classes(snapshot)
    assert mask[class_idx].tolist() == [[True, True], [False, True]]
    assert cpu.faults(snapshot) == []


@pytest.mark.parametrize("vendor", ["", "intel"])
def test_unknown_everywhere_is_compatible(vendor: str) -> None:
    snapshot = cluster([(vendor, "")] * 3, [(0, ""), (1, "intel-haswell"), (2, "")])
    assert cpu.compatibility(snapshot).all()


def test_unknown_everywhere_still_keeps_the_vendors_apart() -> None:
    snapshot = cluster([("intel", ""), ("amd", ""), ("intel", "")], [(0, ""), (1, ""), (2, "intel-haswell")])
    class_idx, mask = cpu.evc_classes(snapshot)
    assert mask[class_idx].tolist() == [[True, False, True], [False, True, False], [True, False, True]]


def test_a_host_of_unknown_cpu_among_known_ones() -> None:
    snapshot = cluster(
        [("intel", "intel-icelake"), ("intel", ""), ("intel", ""), ("amd", "")],
        [(0, ""), (1, ""), (2, "intel-haswell"), (0, "intel-nehalem")],
    )
    class_idx, mask = cpu.evc_classes(snapshot)
    assert mask[class_idx].tolist() == [
        [True, False, False, False],  # what icelake offers is proven nowhere else
        [False, True, True, False],  # started on an unknown Intel CPU: those only
        [True, False, True, False],  # runs on host 2, so host 2 has it
        [True, False, True, False],  # contained in what host 2 is proven to have
    ]
    assert "unknown Intel CPU" in cpu.reason("?intel", "intel-icelake")


def test_masks_equal_naive_sets() -> None:
    generations = ("intel-broadwell", "amd-zen", "intel-icelake", "amd-steamroller", "amd-zen3")
    snapshot = make_cluster(24, 400, 5, n_clusters=4, evc=generations)
    carried, offered = cpu.carried_keys(snapshot).tolist(), cpu.offer_keys(snapshot).tolist()

    def law(carries: str, offers: str) -> bool:
        if not carries:
            return True
        vm, host = BASELINES[carries], BASELINES[offers]
        return vm.vendor == host.vendor and vm.features <= host.features

    naive = [[law(carries, offers) for offers in offered] for carries in carried]
    class_idx, mask = cpu.evc_classes(snapshot)
    assert (mask[class_idx] == np.array(naive)).all()
    assert len(mask) <= 6 and class_idx.dtype == np.int32 and mask.dtype == np.bool_
    on = snapshot.vms.on
    assert mask[class_idx, snapshot.vms.host_idx][on].all(), "every VM may stay where it runs"


def test_empty() -> None:
    snapshot = cluster([("intel", "intel-icelake")], [])
    class_idx, mask = cpu.evc_classes(snapshot)
    assert class_idx.shape == (0,) and mask.shape == (0, 1)
    assert cpu.blockers(snapshot, "intel-merom").tolist() == []


def test_highest_common() -> None:
    assert cpu.highest_common(["intel-icelake", "intel-broadwell"]) == "intel-broadwell"
    assert cpu.highest_common(["amd-zen4"]) == "amd-zen4"
    assert cpu.highest_common(["amd-steamroller", "amd-zen2"]) == "amd-greyhound-no3dnow"
    assert cpu.highest_common(["amd-rev-f", "amd-zen2"]) == ""
    assert cpu.highest_common(["amd-zen", "intel-merom"]) == ""
    assert cpu.highest_common([]) == "" and cpu.highest_common(["", "amd-zen"]) == ""
    assert cpu.highest_common(["custom-1", "custom-1"]) == "custom-1"
    for one, other in itertools.product(BASELINES, repeat=2):
        both = cpu.highest_common([one, other])
        assert not both or (both in cpu.supported(one) and both in cpu.supported(other))


def test_blockers() -> None:
    snapshot = cluster(
        [("intel", "intel-icelake")] * 2,
        [(0, ""), (0, "intel-haswell"), (1, "intel-icelake"), (0, "intel-icelake")],
        power=["on", "on", "on", "off"],
    )
    assert cpu.blockers(snapshot, "intel-broadwell").tolist() == [0, 2]
    assert cpu.blockers(snapshot, "intel-broadwell", [0]).tolist() == [0]
    assert cpu.blockers(snapshot, "intel-icelake").tolist() == []


def test_faults() -> None:
    snapshot = cluster(
        [("intel", "intel-icelakee"), ("amd", "intel-icelake"), ("intel", "intel-haswell"), ("amd", "")],
        [(0, "intel-hasswell"), (1, "custom-x")],
        modes=("intel-skylake",),
    )
    found = {fault.where: fault for fault in cpu.faults(snapshot)}
    assert set(found) == {
        "hosts.csv, row 1, field evc_max",
        "hosts.csv, row 2, field evc_max",
        "hosts.csv, row 3, field evc_max",
        "hosts.csv, row 4, field cpu_vendor",
        "vms.csv, row 1, field evc_mode",
    }
    assert "intel-icelake?" in found["hosts.csv, row 1, field evc_max"].hint
    assert "intel-haswell" in found["hosts.csv, row 3, field evc_max"].hint
