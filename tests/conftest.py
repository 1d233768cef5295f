"""What all tests share: hypothesis is derandomised, so a red test is red for everybody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "drs",
    derandomize=True,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile(
    "thorough", parent=settings.get_profile("drs"), max_examples=1000, derandomize=False
)
settings.load_profile(os.environ.get("DRS_HYPOTHESIS", "drs"))

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def bench_data() -> Path:
    """The optional folder of benchmark data; a test that wants it says what it skipped without it."""
    folder = Path(os.environ.get("DRS_BENCH_DATA", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no benchmark data in {folder} (set DRS_BENCH_DATA)")
    return folder
