"""Measured times of a journal come back as a profile that predicts them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pretend import Pretend, cluster, saved_plan

from drs.errors import InputError
from drs.execute.calibrate import calibrate
from drs.execute.executor import Executor
from drs.execute.journal import NAME, Journal, read_journal
from drs.execute.replan import facts


def test_the_fit_meets_what_was_measured(tmp_path: Path) -> None:
    saved = saved_plan(tmp_path / "plan", cluster(), {f"vm-{i}": f"esx-{i % 3 + 1}" for i in range(1, 7)})
    platform = Pretend(saved.today, move_s=25.0)
    with Journal(saved.folder / NAME) as journal:
        journal.begin(facts(saved, platform), saved.plan.moves)
        Executor(saved, platform, journal, clock=platform.clock, sleep=platform.sleep).run()
    _, steps, _ = read_journal(saved.folder)
    predicted = {move.total_s for move in saved.plan.moves}
    assert max(predicted) < 20
    fit = calibrate(saved, steps, name="here")
    assert fit.fitted["total_s"].median_ratio < 0.05 and fit.profile.name == "here"
    with pytest.raises(InputError, match="at least 5"):
        calibrate(saved, dict(list(steps.items())[:4]))
