"""Bad input: one clear error that names every fault."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from drs.errors import InputError, UnknownNameError
from drs.precopy import DirtyModel, Transfer, estimate, profile, rounds, share_link, sweep

GOOD: dict[str, Any] = {"memory_mib": 4096, "bandwidth_mbps": 1000}

BAD: list[tuple[str, Any]] = [
    ("memory_mib", 0),
    ("memory_mib", -1),
    ("memory_mib", math.nan),
    ("memory_mib", math.inf),
    ("memory_mib", "16 GiB"),
    ("memory_mib", None),
    ("memory_mib", True),
    ("memory_mib", 16 * 2**30),
    ("bandwidth_mbps", 0),
    ("bandwidth_mbps", -10),
    ("bandwidth_mbps", math.nan),
    ("bandwidth_mbps", 10e9),
    ("dirty_rate_mibps", -1),
    ("dirty_rate_mibps", math.inf),
    ("working_set_mib", -1),
    ("working_set_mib", 5000),
    ("zero_ratio", -0.1),
    ("zero_ratio", 37),
    ("rtt_ms", -1),
    ("rtt_ms", math.nan),
    ("loss_ratio", 2),
    ("streams", 0),
    ("window_mib", 0),
    ("link_ratio", 0),
    ("link_ratio", 1.5),
    ("sender_mbps", -1),
    ("rate_limit_mbps", 0),
    ("compression_ratio", 0),
    ("compression_ratio", 3.2),
    ("resend_ratio", -1),
    ("downtime_limit_ms", 0),
    ("downtime_limit_ms", math.inf),
    ("timeout_s", 0),
    ("disk_gib", -1),
    ("disk_used_gib", 10),
    ("disk_write_mibps", math.nan),
    ("datastore_mibps", 0),
    ("kind", "teleport"),
]


@pytest.mark.parametrize(("name", "value"), BAD, ids=[f"{name}={value}" for name, value in BAD])
def test_one_bad_argument_is_named(name: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        estimate(**GOOD | {name: value})
    assert [fault.where for fault in caught.value.faults] == [name]
    assert caught.value.expected


def test_all_faults_are_reported_together() -> None:
    with pytest.raises(InputError) as caught:
        estimate(memory_mib=-1, bandwidth_mbps=0, rtt_ms=math.nan, kind="teleport", zero_ratio=50)
    assert {f.where for f in caught.value.faults} == {
        "memory_mib",
        "bandwidth_mbps",
        "rtt_ms",
        "kind",
        "zero_ratio",
    }


def test_elements_of_arrays_are_named() -> None:
    with pytest.raises(InputError) as caught:
        estimate(memory_mib=[[1.0, -2.0], [math.nan, 4.0]], bandwidth_mbps=[1000, 0])
    assert [f.where for f in caught.value.faults] == [
        "memory_mib[0, 1]",
        "memory_mib[1, 0]",
        "bandwidth_mbps[1]",
    ]
    assert caught.value.faults[0].given == "-2"


def test_a_working_set_above_its_own_memory_is_named_by_element() -> None:
    with pytest.raises(InputError) as caught:
        estimate(memory_mib=[4096, 1024, 4096], bandwidth_mbps=1000, working_set_mib=[10, 2000, 4096])
    assert [f.where for f in caught.value.faults] == ["working_set_mib[1]"]


def test_many_bad_elements_are_counted_not_listed() -> None:
    with pytest.raises(InputError) as caught:
        estimate(memory_mib=np.full(1000, -1.0), bandwidth_mbps=1000)
    assert len(caught.value.faults) == 6
    assert "995 more" in caught.value.faults[-1].given


def test_shapes_that_do_not_broadcast() -> None:
    with pytest.raises(InputError, match=r"\(2,\), \(3,\)"):
        estimate(memory_mib=[1, 2], bandwidth_mbps=[1, 2, 3])


def test_mixed_units_get_a_hint() -> None:
    with pytest.raises(InputError, match="bytes or KiB"):
        estimate(memory_mib=16 * 2**30, bandwidth_mbps=1000)
    with pytest.raises(InputError, match="bit/s instead of Mbit/s"):
        estimate(memory_mib=4096, bandwidth_mbps=10**10)
    with pytest.raises(InputError, match="percentage"):
        estimate(**GOOD, zero_ratio=30)


def test_dirty_rate_above_bandwidth_is_an_answer() -> None:
    price = estimate(**GOOD, dirty_rate_mibps=1000, working_set_mib=4000, profile="qemu")
    assert not price.converged and price.advice


def test_either_two_numbers_or_a_model() -> None:
    with pytest.raises(InputError, match="both"):
        estimate(**GOOD, dirty=DirtyModel.two_numbers(1.0, 10.0), dirty_rate_mibps=1.0)


def test_a_dirty_model_above_the_memory() -> None:
    with pytest.raises(InputError, match="at most memory_mib"):
        estimate(**GOOD, dirty=DirtyModel.classes([3000, 2000], [1, 1]))


def test_storage_needs_a_disk() -> None:
    with pytest.raises(InputError, match="disk_gib"):
        estimate(**GOOD, kind="storage")


def test_post_copy_where_there_is_none() -> None:
    with pytest.raises(InputError, match="no post-copy"):
        estimate(**GOOD, profile="vmware", post_copy_after=1)


def test_unknown_profile_offers_the_near_miss() -> None:
    with pytest.raises(UnknownNameError, match="vmware"):
        estimate(**GOOD, profile="vmwre")


@pytest.mark.parametrize(
    ("size", "rate"), [([-1.0], [1.0]), ([1.0], [math.nan]), ([1.0, 2.0], [1.0, 2.0, 3.0]), (["a"], [1.0])]
)
def test_bad_classes(size: Any, rate: Any) -> None:
    with pytest.raises(InputError):
        DirtyModel.classes(size, rate)


def test_bad_samples() -> None:
    with pytest.raises(InputError, match="window_s"):
        DirtyModel.samples([0.0, 1.0], [1.0, 2.0])
    with pytest.raises(InputError, match="one value for each window"):
        DirtyModel.samples([1.0, 2.0], [1.0])


def test_bad_half_life() -> None:
    with pytest.raises(InputError, match="half_life"):
        DirtyModel.samples([1.0, 2.0], [1.0, 2.0], half_life=0)


def test_bad_bursts() -> None:
    with pytest.raises(InputError, match="quiet_s"):
        DirtyModel.two_numbers(1.0, 2.0).bursts(1.0, -1.0)


def test_bad_steps_of_a_transfer() -> None:
    start = Transfer.start(**GOOD)
    with pytest.raises(InputError, match="seconds"):
        start.advance(1000, -1)
    with pytest.raises(InputError, match="bandwidth_mbps"):
        start.advance(-1, 1)
    with pytest.raises(InputError, match="link_mbps"):
        share_link(0, 0.0, **GOOD)
    with pytest.raises(InputError, match="start_s"):
        share_link(100, [0.0, 1.0], **GOOD)
    with pytest.raises(InputError, match="at_once"):
        share_link(100, 0.0, at_once=0, **GOOD)


def test_rounds_are_of_one_migration() -> None:
    with pytest.raises(InputError, match="one migration"):
        rounds(memory_mib=[1, 2], bandwidth_mbps=1000)


def test_sweeps_check_their_values() -> None:
    with pytest.raises(InputError, match=r"bandwidth_mbps\[1\]"):
        sweep("bandwidth_mbps", [100, -1], memory_mib=4096)


class TestProfiles:
    def test_unknown_constant(self) -> None:
        with pytest.raises(UnknownNameError, match="switch_ms"):
            profile("qemu").with_(switch_m=1.0)

    @pytest.mark.parametrize(
        "change", [{"setup_s": -1.0}, {"setup_s": math.nan}, {"reread": 1}, {"throttle": "x"}]
    )
    def test_bad_value(self, change: dict[str, Any]) -> None:
        with pytest.raises(InputError, match=next(iter(change))):
            profile("qemu").with_(**change)

    def test_files(self, tmp_path: Any) -> None:
        missing = tmp_path / "none.toml"
        with pytest.raises(InputError, match=r"none\.toml"):
            profile(missing)
        bad = tmp_path / "bad.toml"
        bad.write_text("[a]\nsetup_z = 1\n")
        with pytest.raises(InputError) as caught:
            profile(bad)
        wheres = [fault.where for fault in caught.value.faults]
        assert "profile a, setup_z" in wheres and "profile a, link_ratio" in wheres
        good = tmp_path / "good.toml"
        good.write_text('[ours]\nbase = "qemu"\nsetup_s = 4.5\n')
        assert profile(good) == profile("qemu").with_(setup_s=4.5).__class__(
            **{
                **{f: getattr(profile("qemu"), f) for f in profile("qemu").__slots__},
                "name": "ours",
                "setup_s": 4.5,
            }
        )

    def test_saved_profiles_come_back(self, tmp_path: Any) -> None:
        for name in ("vmware", "qemu", "xen-classic"):
            mine = profile(name).with_(setup_s=1.25)
            assert profile(mine.save(tmp_path / f"{name}.toml")) == mine

    def test_placeholders_are_constants(self) -> None:
        for name in ("vmware", "hyperv", "qemu"):
            which = profile(name)
            assert set(which.placeholders) <= set(which.__slots__)
        assert {"setup_s", "resume_ms", "settle_s"} <= set(profile("vmware").placeholders)
