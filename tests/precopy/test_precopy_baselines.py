"""The simpler models, against figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from drs.precopy.baselines import btrplace, geometric, memory_over_bandwidth
from drs.units import MIBPS_PER_MBPS

MBPS = 100 / MIBPS_PER_MBPS
"""Bandwidth of 100 MiB/s."""


def test_geometric() -> None:
    said = geometric(1000.0, MBPS, 50.0, downtime_limit_ms=1250.0)
    assert said.converged and said.transferred_mib == pytest.approx(1000 + 500 + 250 + 125)
    assert said.total_s == pytest.approx(18.75) and said.downtime_ms == pytest.approx(1250)


def test_geometric_diverges_at_the_link_rate() -> None:
    said = geometric(1000.0, MBPS, np.array([99.0, 100.0, 150.0]))
    assert said.converged.tolist() == [True, False, False]
    assert np.isinf(said.total_s[1:]).all() and np.isnan(said.downtime_ms[1:]).all()


def test_btrplace() -> None:
    link = 900.0  # b = 100 MB/s
    mb = 1e6 / 2**20
    said = btrplace(2000 * mb, link, 96 * mb, 2.0, 3 * mb)
    assert said.total_s == pytest.approx(20 + (96 + 18 * 3) / 97 + 0.96 * 48 / 52)
    short = btrplace(100 * mb, link, 96 * mb, 2.0, 3 * mb)
    assert short.total_s == pytest.approx(1 + 48 * 1 / 52)
    assert not btrplace(2000, link, 500, 2.0, 3.0).converged


def test_memory_over_bandwidth() -> None:
    said = memory_over_bandwidth([500.0, 1000.0], MBPS)
    np.testing.assert_allclose(said.total_s, [5.0, 10.0])
    assert said.converged.all()
