"""Fitting: planted constants come back, errors are of rows that were left out, and profiles can be saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drs.errors import InputError, UnknownNameError
from drs.precopy import DirtyModel, estimate, fit, profile


def table(n: int, noise: float = 0.0, **planted: float) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    ask = {
        "memory_mib": rng.uniform(2048, 65536, n),
        "bandwidth_mbps": rng.choice([1000.0, 10_000.0], n),
        "dirty_rate_mibps": rng.uniform(5, 50, n),
        "working_set_mib": rng.uniform(100, 900, n),
    }
    truth = estimate(**ask, profile=profile("qemu").with_(**planted))
    jitter = np.exp(noise * rng.standard_normal((3, n)))
    return ask | {
        "total_s": truth.total_s * jitter[0],
        "transferred_mib": truth.transferred_mib * jitter[1],
        "downtime_ms": truth.downtime_ms * jitter[2],
    }


def test_planted_constants_come_back() -> None:
    planted = {"link_ratio": 0.61, "setup_s": 4.2, "dirty_ratio": 1.3, "resume_ms": 60.0}
    found = fit(table(60, **planted), folds=3)
    for name, value in planted.items():
        assert found.values[name] == pytest.approx(value, rel=0.1), name
    assert found.cross_validated["total_s"].median_ratio < 0.02


def test_cross_validation_sees_noise_and_widens_the_interval() -> None:
    rows = table(60, noise=0.1, link_ratio=0.7)
    found = fit(rows, folds=4, free=["link_ratio", "setup_s"])
    assert 0.03 < found.cross_validated["total_s"].median_ratio < 0.15
    assert found.cross_validated["total_s"].n == 60 and found.folds == 4
    ask = {key: value for key, value in rows.items() if key not in found.cross_validated}
    said = estimate(**ask, profile=found.profile)
    inside = (rows["total_s"] >= said.total_low_s) & (rows["total_s"] <= said.total_high_s)
    assert 0.7 <= inside.mean() <= 0.95
    assert found.profile.total_error_ratio > fit(table(60, link_ratio=0.7), folds=4).profile.total_error_ratio


def test_a_fitted_profile_is_saved_and_used(tmp_path: Path) -> None:
    found = fit(table(12, setup_s=9.0), free=["setup_s"], folds=3, name="ours")
    path = found.save(tmp_path / "ours.toml")
    assert profile(path) == found.profile and found.profile.name == "ours"
    ask = {"memory_mib": 4096, "bandwidth_mbps": 1000}
    assert estimate(**ask, profile=path).total_s == estimate(**ask, profile=found.profile).total_s
    later = estimate(**ask, profile=path).total_s - estimate(**ask, profile="qemu").total_s
    assert later == pytest.approx(9.0, rel=0.05)


def test_fitted_constants_are_no_placeholders_any_more() -> None:
    found = fit(table(12), profile="vmware", free=["setup_s"], folds=2)
    assert "setup_s" not in found.profile.placeholders and "settle_s" in found.profile.placeholders


def test_a_fit_is_the_same_each_time() -> None:
    rows = table(20, noise=0.05)
    assert fit(rows, folds=2).values == fit(rows, folds=2).values


def test_a_limit_that_is_endless_can_be_fitted() -> None:
    rows = table(20, encrypt_mbps=700.0)
    truth = estimate(
        **{k: rows[k] for k in ("memory_mib", "bandwidth_mbps", "dirty_rate_mibps", "working_set_mib")},
        profile=profile("qemu").with_(encrypt_mbps=900.0),
        encrypted=True,
    )
    rows = {**rows, "total_s": truth.total_s, "encrypted": True}
    del rows["transferred_mib"], rows["downtime_ms"]
    assert fit(rows, free=["encrypt_mbps"], folds=2).values["encrypt_mbps"] == pytest.approx(900.0, rel=0.02)


def test_dirty_models_are_rows_too() -> None:
    curves = DirtyModel.classes(np.full((8, 2), [50.0, 500.0]), np.full((8, 2), [5.0, 0.02]))
    ask = {"memory_mib": np.linspace(2048, 16384, 8), "bandwidth_mbps": 1000.0, "dirty": curves}
    truth = estimate(**ask, profile=profile("qemu").with_(setup_s=3.0))
    found = fit(ask | {"total_s": truth.total_s}, free=["setup_s"], folds=4)
    assert found.values["setup_s"] == pytest.approx(3.0, rel=0.05)


def test_missing_values_are_left_out() -> None:
    rows = table(20, setup_s=5.0)
    rows["downtime_ms"] = np.where(np.arange(20) % 2, rows["downtime_ms"], np.nan)
    found = fit(rows, free=["setup_s"], folds=2)
    assert found.cross_validated["downtime_ms"].n == 10
    assert found.values["setup_s"] == pytest.approx(5.0, rel=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"total_s": np.zeros(12)}, "total_s"),
        ({"memory_mib": -np.ones(12)}, "memory_mib"),
    ],
)
def test_bad_measurements(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit(table(12) | change)


def test_a_column_that_nobody_reads_is_named_with_the_one_that_was_meant() -> None:
    rows = table(12)
    rows["dirty_rate_mbps"] = rows.pop("dirty_rate_mibps")
    rows["workingset_mib"] = rows.pop("working_set_mib")
    with pytest.raises(InputError) as caught:
        fit(rows)
    assert "did you mean dirty_rate_mibps?" in str(caught.value)
    assert "did you mean working_set_mib?" in str(caught.value)


def test_where_nothing_can_be_priced_the_fit_says_why() -> None:
    rows = table(12) | {"bandwidth_mbps": np.full(12, 100.0)}
    with pytest.raises(InputError, match=r"no row of 12 can be priced: the path is below the 250 Mbit/s"):
        fit(rows, profile="vmware")


def test_rows_that_cannot_be_priced_are_named_and_the_others_are_fitted() -> None:
    rows = table(20, setup_s=6.0)
    rows["rtt_ms"] = np.where(np.arange(20) == 3, 400.0, 0.0)
    found = fit(rows | {"bandwidth_mbps": np.full(20, 10_000.0)}, profile="vmware", free=["setup_s"], folds=2)
    assert list(found.unpriced) == [3] and "round trip above" in found.unpriced[3]
    assert any("1 row without a price: 3" in sentence for sentence in found.sentences())


def test_no_better_constants_are_no_change() -> None:
    """Noise alone: what is fitted to it is worse on the rows left out, so the profile stays, and says so."""
    rows = table(8, noise=0.3)
    found = fit(rows, folds=4)
    assert found.kept and found.profile.link_ratio == profile("qemu").link_ratio
    assert found.cross_validated["total_s"] == found.before["total_s"]
    assert any("stay" in sentence for sentence in found.sentences())


def test_few_rows_never_narrow_an_interval() -> None:
    few, many = (fit(table(n, link_ratio=0.7), free=["link_ratio"], folds=2).profile for n in (4, 40))
    assert few.total_error_ratio >= profile("qemu").total_error_ratio
    assert many.total_error_ratio < profile("qemu").total_error_ratio


def test_few_rows_stay_near_the_profile_and_many_have_their_own_way() -> None:
    def off(n: int) -> float:
        rows = table(n, setup_s=0.02)
        start = profile("qemu").with_(setup_s=0.2)
        return abs(np.log(fit(rows, profile=start, free=["setup_s"], folds=2).profile.setup_s / 0.02))

    assert off(3) >= off(60)


def test_a_row_that_does_not_fit_is_named() -> None:
    rows = table(30, noise=0.02)
    rows["total_s"][11] *= 9.0
    found = fit(rows, free=["link_ratio"], folds=3)
    assert 11 in found.odd_rows and len(found.odd_rows) <= 3


def test_a_constant_at_its_bound_is_named() -> None:
    rows = table(30)
    rows["total_s"] = rows["total_s"] + 5000.0
    found = fit(rows, free=["setup_s"], folds=2)
    assert found.at_bound == ("setup_s",)
    assert "at the end of what it may be: setup_s" in repr(found)


def test_nothing_measured() -> None:
    with pytest.raises(InputError, match="no measured column"):
        fit({"memory_mib": [1.0], "bandwidth_mbps": 10.0})


def test_too_few_rows() -> None:
    with pytest.raises(InputError, match="2 rows"):
        fit(table(2))


def test_unknown_constant() -> None:
    with pytest.raises(UnknownNameError, match="setup_s"):
        fit(table(12), free=["setup"])
