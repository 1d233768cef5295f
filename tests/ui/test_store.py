"""What the app keeps: by id, for one desk, never overwritten, and readable after a restart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drs import api, datasets
from drs.errors import InputError
from drs.options import Options, RollingOptions
from drs.report.html import headline
from drs.ui import work
from drs.ui.kept import restored
from drs.ui.store import Store, is_id, new_id


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "kept")


def asked(
    store: Store,
    desk: str,
    mode: str = "balance",
    options: Options | RollingOptions | None = None,
    time_s: float = 2.0,
) -> str:
    """A job for *small* that waits to be begun."""
    snapshot, rules, policy = (read("small") for read in (api.read, api.read_rules, api.read_policy))
    key = store.keep_snapshot(desk, snapshot, rules, policy, "small", "small")
    request = work.request_of(mode, options or Options(), rules, policy, "greedy", 0)
    return store.add_job(desk, key, "a question", {**request, "source": "small"}, time_s, "")


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("balance", Options()),
        ("place", Options(new=("app-crm-01=2",))),
        ("recover", Options(lost=("esx-a-02",))),
        ("storage", Options()),
        ("move", Options(move=("app-crm-01=esx-a-03",))),
    ],
)
def test_a_kept_plan_is_the_same_plan_again(store: Store, mode: str, options: Options) -> None:
    job = asked(store, "desk-one-1", mode, options)
    work.work(store, job)
    done = store.job(job)
    assert done is not None and done.state == "done", done
    plan = store.plan("desk-one-1", done.plan)
    assert plan is not None
    again = restored(store.plan_folder(plan.id))
    assert headline(again) == plan.figures["headline"]
    assert len(again.violations_after) == plan.figures["n_broken"]
    assert {goal.name: goal.after for goal in again.goals} == {
        name: goal["after"] for name, goal in plan.figures["goals"].items()
    }
    if again.plan is not None:
        assert len(again.reasons) == len({move.vm for move in again.plan.moves})
    if mode in ("place", "recover"):
        starts = (again.problem.today.host_idx < 0) & (again.placement.host_idx >= 0)
        assert starts.any(), "a start is no move, and is kept too"


def test_a_rolling_campaign_is_kept_whole(store: Store) -> None:
    job = asked(store, "desk-one-1", "rolling", RollingOptions(hosts=("esx-a-01", "esx-a-02")), 6.0)
    work.work(store, job)
    done = store.job(job)
    assert done is not None and done.state == "done", done
    assert (store.plan_folder(done.plan) / "rolling.json").is_file()


def test_desks_share_nothing(store: Store) -> None:
    work.work(store, asked(store, "desk-one-1"))
    (plan,) = store.plans("desk-one-1")
    assert not store.plans("desk-two-2") and store.plan("desk-two-2", plan.id) is None
    assert not store.snapshots("desk-two-2") and not store.jobs("desk-two-2")
    store.forget_plan("desk-two-2", plan.id)
    store.stop_job("desk-two-2", store.jobs("desk-one-1")[0].id)
    assert store.plans("desk-one-1") and not store.jobs("desk-one-1")[0].stop


def test_nothing_is_overwritten_and_what_is_deleted_is_gone(store: Store) -> None:
    for _ in range(2):
        work.work(store, asked(store, "desk-one-1"))
    first, second = store.plans("desk-one-1")
    assert {first.name, second.name} == {"Plan 1", "Plan 2"}
    store.forget_snapshot("desk-one-1", first.key)
    assert not store.plans("desk-one-1") and not store.plan_folder(second.id).exists()
    assert not store.problem_file(first.key).exists()


def test_a_snapshot_that_another_desk_holds_stays(store: Store) -> None:
    snapshot, policy = datasets.make_cluster(3, 9, 2), api.read_policy("small")
    for desk in ("desk-one-1", "desk-two-2"):
        key = store.keep_snapshot(desk, snapshot, (), policy, "lab", "upload", ("a note",))
    store.forget_snapshot("desk-one-1", key)
    assert store.problem_file(key).exists()
    assert store.snapshots("desk-two-2")[0].notes == ("a note",)
    again = api.read(store.problem_file(key))
    assert again.digest == snapshot.digest


def test_an_error_is_kept_as_words(store: Store) -> None:
    job = asked(store, "desk-one-1", "evacuate", Options(evacuate=("no-such-host",)))
    work.work(store, job)
    done = store.job(job)
    assert done is not None and done.state == "failed" and "no-such-host" in done.faults[0]


def test_a_search_in_its_own_process_is_stopped_and_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(work.THREADS_VARIABLE, raising=False)
    job = asked(store, "desk-one-1", time_s=600.0)
    work.begin(store, job)
    until(lambda: bool((found := store.job(job)) and found.elapsed_s > 0))
    # Another server, or the same after a restart, sees it and stops it.
    Store(store.folder).stop_job("desk-one-1", job)
    until(lambda: bool((found := store.job(job)) and not found.running))
    done = store.job(job)
    assert done is not None and done.state == "done", done
    assert store.plan("desk-one-1", done.plan)


def test_a_search_whose_process_was_killed_is_told(store: Store) -> None:
    job = asked(store, "desk-one-1", time_s=600.0)
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    store.tell(job, state="running", pid=sleeper.pid)
    found = store.job(job)
    assert found is not None and work.looked_after(store, found).running
    os.kill(sleeper.pid, signal.SIGKILL)
    sleeper.wait()
    lost = work.looked_after(store, found)
    assert lost.state == "lost" and "ended before it had an answer" in lost.faults[0]


def test_a_plan_whose_files_are_damaged_is_a_fault(store: Store) -> None:
    work.work(store, asked(store, "desk-one-1"))
    (plan,) = store.plans("desk-one-1")
    (store.plan_folder(plan.id) / "plan.json").write_text("{}")
    with pytest.raises(InputError):
        restored(store.plan_folder(plan.id))


@pytest.mark.parametrize("text", ["", "short", "../../../etc", "a" * 50, "x y z 1 2 3"])
def test_what_a_link_says_is_no_path(text: str) -> None:
    assert not is_id(text) and is_id(new_id())


def until(what: object, most_s: float = 120.0) -> None:
    """Wait until something is so."""
    assert callable(what)
    end = time.monotonic() + most_s
    while not what():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)
