"""A plan in the time there is: what fits is chosen for its gain, the rest is named, frozen hours are kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import drs
from drs.errors import InputError, UnknownNameError
from drs.goals import Balance, Moves
from drs.model import Snapshot
from drs.modes import Options, when
from drs.problem import Freeze, Policy, Windows
from drs.words import duration_s


def uneven(n: int = 24) -> Snapshot:
    """Two hosts of four carry all VMs, of which a few are busy and the most idle; memory takes time to copy."""
    import pandas as pd

    from drs.io import from_frames

    hosts = pd.DataFrame(
        {
            "host": [f"h{k}" for k in range(4)],
            "cpu_mhz": 40_000.0,
            "memory_mib": 512 * 1024.0,
            "vmotion_mbps": 1000,
        }
    )
    k = np.arange(n)
    vms = pd.DataFrame(
        {
            "vm": [f"vm{i:02d}" for i in k],
            "host": [f"h{i % 2}" for i in k],
            "memory_mib": np.where(k % 3 == 0, 4096.0, 16_384.0),
            "cpu_demand_mhz": np.where(k % 3 == 0, 4000.0, 600.0),
        }
    )
    return from_frames({"hosts": hosts, "vms": vms})


GOALS = Policy(goals=(Balance(target=0.0, worth_ratio=0.0), Moves()))


def test_moves_are_chosen_for_their_gain_in_the_time():
    snapshot = uneven()
    whole = drs.advise(snapshot, policy=GOALS, iterations=3000)
    assert whole.plan is not None and whole.timing is None
    some = whole.plan.makespan_s / 3
    short = drs.advise(snapshot, policy=GOALS, iterations=3000, within_s=some)
    plan, timing = short.plan, short.timing
    assert plan is not None and timing is not None
    assert len(plan.moves) > 0 and plan.makespan_s <= some + 1e-6
    # The plan that is too long, cut at its end, reaches less.
    cut = snapshot.vms.host_idx.copy()
    for move in whole.plan.moves:
        if move.end_s <= some:
            cut[snapshot.vms.position[move.vm]] = snapshot.hosts.position[move.to_host]
    scores = short.problem.lowered.scores
    reached = scores(np.asarray(short.placement.host_idx))
    assert reached[0] <= scores(cut)[0] + 1e-9
    assert np.array_equal(short.placement.host_idx, plan.placement.host_idx)
    assert [goal.after for goal in short.goals] == pytest.approx(reached.tolist())
    assert short.status == "feasible"


def test_what_half_and_twice_the_time_would_bring():
    snapshot = uneven()
    whole = drs.advise(snapshot, policy=GOALS, iterations=3000)
    assert whole.plan is not None
    short = drs.advise(snapshot, policy=GOALS, iterations=3000, within_s=whole.plan.makespan_s / 3)
    assert short.timing is not None and short.plan is not None
    half, twice = short.timing.others
    goal = short.goals[0]
    assert half.within_s == short.timing.within_s / 2 and twice.within_s == short.timing.within_s * 2
    assert half.after[goal.name] >= goal.after - 1e-9 >= twice.after[goal.name] - 2e-9
    assert half.after[goal.name] > twice.after[goal.name]
    assert any("With" in line and "would be" in line for line in short.timing.sentences())


def test_enough_time_changes_nothing():
    snapshot = uneven()
    whole = drs.advise(snapshot, policy=GOALS, iterations=2000)
    long = drs.advise(snapshot, policy=GOALS, iterations=2000, within_s=100_000.0)
    assert np.array_equal(whole.placement.host_idx, long.placement.host_idx)
    assert long.timing is not None and long.timing.late == ()


def test_frozen_hours_of_vms_and_hosts():
    snapshot = uneven()
    frozen = Windows((Freeze("08:00-18:00", vms="vm0*"), Freeze("07:00-07:01", hosts="h3")))
    policy = Policy(goals=GOALS.goals, windows=frozen)
    result = drs.advise(
        snapshot, policy=policy, iterations=2000, options=Options(start="2026-12-01T07:59:30")
    )
    assert result.plan is not None and result.plan.moves
    early = [move for move in result.plan.moves if move.vm.startswith("vm0")]
    assert early, "some of them move at all"
    for move in early:
        assert move.end_s <= 30.0 + 1e-3 or move.start_s >= 10 * 3600 + 30 - 1e-3
    again = drs.advise(snapshot, policy=policy, iterations=2000, options=Options(start="2026-12-01T06:59:30"))
    assert again.plan is not None
    for move in again.plan.moves:
        if move.to_host == "h3":
            assert move.end_s <= 30.0 + 1e-3 or move.start_s >= 90.0 - 1e-3


def test_between_waits_for_its_hours_and_ends_with_them():
    snapshot = uneven()
    time = when(snapshot, Policy(), Options(between="22:00-06:00", start="2026-12-01T17:00"))
    assert time.begins is not None and time.begins.isoformat() == "2026-12-01T22:00:00"
    assert time.within_s == 8 * 3600
    both = when(snapshot, Policy(), Options(between="22:00-06:00", start="2026-12-01T17:00", within_s=600.0))
    assert both.within_s == 600.0
    assert "starts at 2026-12-01 22:00 and ends by 2026-12-01 22:10" in both.sentence()


def test_names_that_are_not_there_and_times_that_are_none():
    snapshot = uneven()
    with pytest.raises(InputError, match=r"windows.freeze.*1.*vms.*no-such"):
        drs.advise(
            snapshot, policy=Policy(windows=Windows((Freeze("08:00-18:00", vms="no-such"),))), iterations=1
        )
    for wrong in (Options(between="10-12"), Options(start="tomorrow"), Options(within_s=0.0)):
        with pytest.raises(InputError):
            drs.advise(snapshot, options=wrong, iterations=1)
    with pytest.raises(InputError, match="within_s"):
        drs.advise(snapshot, mode="recover", options=Options(within_s=5.0, lost=("h0",)), iterations=1)
    assert issubclass(UnknownNameError, InputError)


def test_durations_are_read_as_people_write_them():
    assert [duration_s(text) for text in ("4h", "30m", "1h 30min", "45", "0.5d", "90s")] == [
        14_400.0, 1800.0, 5400.0, 45.0, 43_200.0, 90.0,
    ]  # fmt: skip
    for wrong in ("four", "4x", "", "nan", "h"):
        with pytest.raises(ValueError):
            duration_s(wrong)


def test_the_command_line_and_the_policy_file(tmp_path: Path):
    from typer.testing import CliRunner

    from drs.cli import app
    from drs.io import read_policy, write_folder

    write_folder(uneven(), tmp_path / "uneven")
    (tmp_path / "uneven" / "policy.toml").write_text(
        '[[windows.freeze]]\nvms = "vm0*"\nbetween = "08:00-18:00"\ndays = "mon-fri"\n\n'
        '[[goal]]\ntype = "balance"\ntarget = 0.0\n\n[[goal]]\ntype = "moves"\n'
    )
    assert read_policy(tmp_path / "uneven").windows.freeze == (
        Freeze("08:00-18:00", vms="vm0*", days="mon-fri"),
    )
    said = CliRunner().invoke(
        app,
        ["advise", str(tmp_path / "uneven"), "--within", "2m", "--start", "2026-12-01T09:00", "--iterations",
         "2000", "--json"],
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    document = json.loads(said.stdout)
    assert document["timing"]["within_s"] == 120.0 and document["timing"]["begins"] == "2026-12-01T09:00:00"
    assert document["moves"] and not any(move["vm"].startswith("vm0") for move in document["moves"])
    assert all(move["start_s"] + move["total_s"] <= 120.001 for move in document["moves"])
    assert document["timing"]["late"]
    wrong = CliRunner().invoke(app, ["advise", str(tmp_path / "uneven"), "--within", "soon"])
    assert wrong.exit_code == 2 and "soon" in wrong.stderr


def test_faults_of_the_windows_in_the_policy_file(tmp_path: Path):
    from drs.io import read_policy

    (tmp_path / "policy.toml").write_text(
        '[[windows.freeze]]\nvms = "a"\n\n[[windows.freeze]]\nbetween = "8-9"\ndays = "funday"\nhost = "x"\n'
    )
    with pytest.raises(InputError) as caught:
        read_policy(tmp_path / "policy.toml")
    told = str(caught.value)
    assert "[[windows.freeze]] 1: the required field between is missing" in told
    assert "[[windows.freeze]] 2, field host" in told and "did you mean hosts" in told


def test_no_hour_is_frozen_while_hosts_are_lost():
    """The other host has room for the lost VM once another one has left it, at any hour."""
    import pandas as pd

    hosts = pd.DataFrame({"host": ["a", "b", "c"], "cpu_mhz": 1e4, "memory_mib": [8192.0, 8192.0, 2048.0]})
    vms = pd.DataFrame(
        {
            "vm": ["big", "mid", "small"],
            "host": ["a", "b", "b"],
            "memory_mib": [6144.0, 1024.0, 1536.0],
            "cpu_demand_mhz": 100.0,
        }
    )
    policy = Policy(windows=Windows((Freeze("00:00-23:59"),)))
    ask = {"policy": policy, "rules": [], "iterations": 500, "start": "2026-06-01T12:00"}
    snapshot = drs.read({"hosts": hosts, "vms": vms})
    lost = drs.advise(snapshot, lost=["a"], policy=policy, rules=[], iterations=500)
    assert lost.plan is not None and lost.plan.moves and lost.plan.moves[0].start_s == 0.0
    assert any("frozen hours do not hold" in warning for warning in lost.warnings)
    emptied = drs.advise(snapshot, evacuate=["a"], **ask)
    assert emptied.plan is not None and not any(m.start_s < 3600.0 for m in emptied.plan.moves)
