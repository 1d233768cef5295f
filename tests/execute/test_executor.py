"""The executor on a pretended platform: order, limits, faults, kills at every instant, the way on."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pretend import Pretend, cluster, saved_plan

from drs.errors import InputError, PlanError
from drs.execute.executor import Brake, Executor, Outcome, Settings, chosen
from drs.execute.journal import NAME, Journal, JournalError, read_journal
from drs.execute.platform import HostNow, Refused, Unreachable, VmNow
from drs.execute.replan import facts
from drs.io.plan_file import SavedPlan
from drs.model import Snapshot
from drs.planning import Concurrency

TO = {"vm-1": "esx-2", "vm-2": "esx-3", "vm-3": "esx-1", "vm-4": "esx-3"}


CHAIN = {"vm-1": "esx-3", "vm-2": "esx-1"}
"""In `tight()` the second can only come when the first has gone."""


def tight() -> Snapshot:
    return cluster(n_hosts=3, n_vms=5, memory_mib=20000, room_mib=45000)


def carry_out(
    saved: SavedPlan,
    platform: Pretend,
    settings: Settings | None = None,
    *,
    brake: Brake | None = None,
    events: list[dict[str, Any]] | None = None,
    journal_class: type[Journal] = Journal,
) -> Outcome:
    with journal_class(saved.folder / NAME) as journal:
        journal.begin(facts(saved, platform), saved.plan.moves)
        on_event = (lambda event: None) if events is None else events.append
        executor = Executor(
            saved, platform, journal, settings or Settings(poll_s=1.0), brake=brake, on_event=on_event,
            clock=platform.clock, sleep=platform.sleep,
        )  # fmt: skip
        return executor.run()


def agree(saved: SavedPlan, platform: Pretend) -> None:
    """Every VM is where the journal says, and no step was carried out twice."""
    _, steps, _ = read_journal(saved.folder)
    for step in steps.values():
        here = platform.vms.get(step.vm)
        if here is None:
            assert step.status in ("failed", "waiting", "skipped")
        elif step.status == "done":
            later = [
                s for s in steps.values() if s.vm == step.vm and s.step > step.step and s.status == "done"
            ]
            assert later or here.host == step.to_host
        done = [
            job
            for job in platform.jobs.values()
            if (job.vm, job.host, job.status) == (step.vm, step.to_host, "done")
        ]
        assert len(done) <= 1, f"{step.vm} was moved twice"
        assert bool(done) <= (step.status in ("done", "failed", "starting", "running"))


@pytest.fixture
def saved(tmp_path: Path) -> SavedPlan:
    return saved_plan(tmp_path / "plan", cluster(), TO)


@pytest.fixture
def platform(saved: SavedPlan) -> Pretend:
    return Pretend(saved.today)


def test_every_vm_arrives_and_the_journal_says_so(saved: SavedPlan, platform: Pretend) -> None:
    events: list[dict[str, Any]] = []
    outcome = carry_out(saved, platform, events=events)
    assert outcome.complete and outcome.why == ""
    assert {vm: platform.vms[vm].host for vm in TO} == TO
    agree(saved, platform)
    kinds = [event["event"] for event in events]
    assert kinds.count("starting") == kinds.count("started") == kinds.count("done") == 4
    assert all(step.measured_s == 10.0 for step in outcome.steps.values())
    assert read_journal(saved.folder)[2] == events


def test_disks_go_where_the_plan_says(tmp_path: Path) -> None:
    saved = saved_plan(
        tmp_path / "plan", cluster(), {"vm-1": "esx-2"}, stores={"vm-1": "ds-2", "vm-5": "ds-2"}
    )
    platform = Pretend(saved.today)
    assert carry_out(saved, platform).complete
    assert platform.vms["vm-1"] == VmNow("esx-2", "on", 4096.0, {"disk 1": "ds-2"})
    assert platform.vms["vm-5"] == VmNow("esx-2", "on", 4096.0, {"disk 1": "ds-2"})


def test_a_step_waits_for_those_before_it_and_for_room(tmp_path: Path) -> None:
    """Hosts of two VMs each, one place is free: one after the other, each counted on both hosts."""
    saved = saved_plan(tmp_path / "plan", tight(), CHAIN)
    platform = Pretend(saved.today)

    def room(now: Pretend) -> None:
        for host in now.hosts:
            here = {name for name, vm in now.vms.items() if vm.host == host}
            here |= {job.vm for job in now.running() if job.host == host}
            assert 20000 * len(here) <= 45000

    platform.watchers.append(room)
    assert carry_out(saved, platform).complete
    assert platform.most_flying == 1


def test_no_more_at_once_than_the_schedule_assumed(tmp_path: Path) -> None:
    to = {f"vm-{i}": "esx-2" for i in range(1, 9)}
    snapshot = cluster(n_hosts=2, n_vms=16)
    to = {vm: host for vm, host in to.items() if snapshot.vms.host_idx[snapshot.vms.position[vm]] == 0}
    saved = saved_plan(tmp_path / "plan", snapshot, to, concurrency=Concurrency(total=2))
    platform = Pretend(snapshot)
    assert carry_out(saved, platform).complete and platform.most_flying == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda p: p.vms.update({"vm-1": replace(p.vms["vm-1"], host="esx-3")}),
            "vm-1 is on esx-3, not on esx-1",
        ),
        (lambda p: p.vms.update({"vm-1": replace(p.vms["vm-1"], power="off")}), "vm-1 is off, not on"),
        (
            lambda p: p.vms.update({"vm-1": replace(p.vms["vm-1"], memory_mib=8192.0)}),
            "vm-1 has 8.0 GiB of memory",
        ),
        (lambda p: p.vms.pop("vm-1"), "vm-1 is there no more"),
        (lambda p: p.hosts.update({"esx-2": HostNow("maintenance")}), "esx-2 is maintenance, not connected"),
        (lambda p: p.vms.update({"huge": VmNow("esx-2", "on", 60000.0)}), "esx-2 lacks"),
        (
            lambda p: p.vms.update({"vm-1": replace(p.vms["vm-1"], disks={"disk 1": "ds-2"})}),
            "disk 1 lies on another datastore",
        ),
    ],
)
def test_a_guard_that_does_not_hold_stops_the_move(
    saved: SavedPlan, platform: Pretend, change: Callable[[Pretend], object], said: str
) -> None:
    change(platform)
    outcome = carry_out(saved, platform)
    (failed,) = outcome.of("failed")
    assert failed.vm == "vm-1" and said in failed.reason and said in outcome.why
    assert "vm-1" not in {job.vm for job in platform.jobs.values()}
    agree(saved, platform)


def test_no_space_on_the_datastore(tmp_path: Path) -> None:
    saved = saved_plan(tmp_path / "plan", cluster(), {}, stores={"vm-1": "ds-2"})
    platform = Pretend(saved.today)
    platform.free_gib["ds-2"] = 3.0
    outcome = carry_out(saved, platform, Settings(attempts=1))
    assert "datastore ds-2 lacks 7.0 GiB for vm-1" in outcome.why and not platform.jobs


def test_a_fault_that_may_pass_is_tried_again_and_later(saved: SavedPlan, platform: Pretend) -> None:
    platform.refusals["vm-1"] = [Refused("the host is busy")]
    platform.fates["vm-1"] = ["fail"]
    events: list[dict[str, Any]] = []
    outcome = carry_out(saved, platform, Settings(backoff_s=60.0), events=events)
    assert outcome.complete and outcome.steps[saved_step(saved, "vm-1")].attempts == 3
    assert [event["event"] for event in events].count("retry") == 2
    assert platform.time_s > 60 + 120
    agree(saved, platform)


def saved_step(saved: SavedPlan, vm: str) -> int:
    return next(move.step for move in saved.plan.moves if move.vm == vm)


def test_after_some_attempts_a_person_is_asked(saved: SavedPlan, platform: Pretend) -> None:
    platform.fates["vm-1"] = ["fail"] * 9
    outcome = carry_out(saved, platform, Settings(attempts=2))
    assert "2 attempts, a person should look at it" in str(read_journal(saved.folder)[2])
    assert [job.vm for job in platform.jobs.values()].count("vm-1") == 2
    assert not outcome.complete and outcome.why


def test_what_waits_for_a_failed_step_is_left_out(tmp_path: Path) -> None:
    snapshot = cluster(n_hosts=2, n_vms=4, memory_mib=20000, room_mib=62000)
    saved = saved_plan(
        tmp_path / "plan", snapshot, {"vm-1": "esx-2", "vm-2": "esx-1", "vm-3": "esx-2", "vm-4": "esx-1"}
    )
    first = saved.plan.moves[0]
    waiting = [move.step for move in saved.plan.moves if first.step in move.after_steps]
    assert waiting
    platform = Pretend(saved.today)
    platform.fates[first.vm] = ["fail"]
    outcome = carry_out(saved, platform, Settings(on_fault="skip", attempts=1))
    assert outcome.steps[first.step].status == "failed" and outcome.why == ""
    assert all(outcome.steps[step].status == "skipped" for step in waiting)
    agree(saved, platform)
    again = carry_out(saved, platform)
    assert again.complete
    agree(saved, platform)


def test_a_task_that_says_success_is_not_believed(saved: SavedPlan, platform: Pretend) -> None:
    platform.fates["vm-1"] = ["lie"]
    outcome = carry_out(saved, platform)
    assert "vm-1 is on esx-1, though its task to esx-2 succeeded" in outcome.why


def test_an_answer_that_was_lost_is_looked_up_and_not_asked_for_again(
    saved: SavedPlan, platform: Pretend
) -> None:
    platform.lost_answers = 2
    assert carry_out(saved, platform).complete
    assert len(platform.jobs) == 4
    agree(saved, platform)


def test_a_platform_that_is_away_for_a_while(saved: SavedPlan, platform: Pretend) -> None:
    platform.watchers.append(lambda now: setattr(now, "silent_s", 100.0) if 2 <= now.time_s < 3 else None)
    events: list[dict[str, Any]] = []
    assert carry_out(saved, platform, events=events).complete
    assert "does not answer" in str(events) and platform.time_s >= 100


def test_a_platform_that_stays_away_leaves_a_journal_to_go_on_with(
    saved: SavedPlan, platform: Pretend
) -> None:
    platform.watchers.append(lambda now: setattr(now, "silent_s", 1e9) if now.time_s >= 2 else None)
    with pytest.raises(Unreachable):
        carry_out(saved, platform)
    platform.watchers.clear()
    platform.silent_s = 0.0
    assert carry_out(saved, platform).complete and len(platform.jobs) == 4
    agree(saved, platform)


def test_the_brake_drains_first_and_cancels_then(tmp_path: Path) -> None:
    saved = saved_plan(tmp_path / "plan", cluster(), TO, concurrency=Concurrency(total=1))
    platform, brake = Pretend(saved.today), Brake()
    platform.watchers.append(lambda now: brake.pull() if now.time_s == 3.0 and brake.level == 0 else None)
    outcome = carry_out(saved, platform, brake=brake)
    assert len(outcome.of("done")) == 1 and len(outcome.of("waiting")) == 3 and outcome.why == "interrupted"
    platform.watchers.clear()
    brake = Brake()
    platform.watchers.append(lambda now: brake.pull() if brake.level < 2 and now.running() else None)
    outcome = carry_out(saved, platform, brake=brake)
    assert [job.status for job in platform.jobs.values()] == ["done", "cancelled"]
    platform.watchers.clear()
    assert carry_out(saved, platform).complete
    agree(saved, platform)


def test_only_some_of_it(saved: SavedPlan, platform: Pretend) -> None:
    outcome = carry_out(saved, platform, Settings(limit=1))
    assert len(outcome.of("done")) == 1 and "as many as allowed" in outcome.why
    step = outcome.of("waiting")[-1]
    outcome = carry_out(saved, platform, Settings(steps=chosen(saved, (step.vm,))))
    assert outcome.steps[step.step].status == "done" and len(outcome.of("waiting")) == 2
    late = Settings(until=datetime.now().astimezone() + timedelta(seconds=0.5))
    assert "no further move would end before" in carry_out(saved, platform, late).why
    assert carry_out(saved, platform).complete
    with pytest.raises(InputError, match="a VM that the plan moves"):
        chosen(saved, ("vm-5",))
    with pytest.raises(InputError, match="step 99"):
        chosen(saved, (), (99,))


def test_a_chosen_step_that_must_wait_for_one_that_is_not(tmp_path: Path) -> None:
    saved = saved_plan(tmp_path / "plan", tight(), CHAIN)
    last = next(move for move in saved.plan.moves if move.after_steps)
    with pytest.raises(InputError, match="must wait for step"):
        carry_out(saved, Pretend(saved.today), Settings(steps=frozenset({last.step})))


def test_one_writer_and_one_plan(saved: SavedPlan, platform: Pretend, tmp_path: Path) -> None:
    with Journal(saved.folder / NAME) as journal:
        journal.begin(facts(saved, platform), saved.plan.moves)
        with (
            pytest.raises(JournalError, match="another drs carries out this plan now"),
            Journal(saved.folder / NAME),
        ):
            pass
    other = saved_plan(tmp_path / "other", cluster(), {"vm-1": "esx-3"})
    with Journal(saved.folder / NAME) as journal, pytest.raises(JournalError, match="another plan"):
        journal.begin(facts(other, platform), other.plan.moves)
    platform.identity = "uuid-2"
    with Journal(saved.folder / NAME) as journal, pytest.raises(JournalError, match="another platform"):
        journal.begin(facts(saved, platform), saved.plan.moves)


def test_what_is_no_migration_is_refused(saved: SavedPlan, platform: Pretend) -> None:
    for mode in ("place", "recover"):
        with Journal(saved.folder / NAME) as journal, pytest.raises(PlanError, match=mode):
            Executor(replace(saved, mode=mode), platform, journal)


# -- kills -----------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process is gone: nothing after this line is carried out."""


def dying(cls: type, methods: tuple[str, ...], countdown: list[int]) -> type:
    """A class that dies before or after its nth call of some methods."""

    def wrap(name: str) -> Callable[..., Any]:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            countdown[0] -= 1
            if countdown[0] == 0:
                raise Killed
            answer = getattr(cls, name)(self, *args, **kwargs)
            countdown[0] -= 1
            if countdown[0] == 0:
                raise Killed
            return answer

        return call

    return type(f"Dying{cls.__name__}", (cls,), {name: wrap(name) for name in methods})


def test_killed_at_every_instant_nothing_is_lost_or_done_twice(tmp_path: Path) -> None:
    n, first = 0, saved_plan(tmp_path / "plan", cluster(), {"vm-1": "esx-2", "vm-2": "esx-3"})
    while True:
        n += 1
        saved = replace(first, folder=tmp_path / f"kill-{n}")
        saved.folder.mkdir()
        countdown = [n]
        platform: Pretend = dying(Pretend, ("start", "watch", "state", "now"), countdown)(saved.today)
        platform.lost_answers = n % 2
        journal_class = dying(Journal, ("note",), countdown)
        try:
            outcome = carry_out(saved, platform, journal_class=journal_class)
        except Killed:
            countdown[0] = 10**9
            platform.sleep(random.Random(n).choice((0.0, 3.0, 30.0)))
            outcome = carry_out(saved, platform)
        else:
            assert n > 20, "it was never killed"
            break
        assert outcome.complete, n
        assert len(platform.jobs) == 2, f"killed at instant {n}: {platform.jobs}"
        agree(saved, platform)


@pytest.mark.parametrize("seed", range(40))
def test_random_faults(seed: int, tmp_path: Path) -> None:
    """Refusals, failed tasks, hosts in maintenance, foreign moves, deletions, silence, kills: the journal is true."""
    rng = random.Random(seed)
    snapshot = cluster(n_hosts=4, n_vms=16, memory_mib=8192)
    names = snapshot.hosts.name.tolist()
    to = {}
    for vm in rng.sample(snapshot.vms.name.tolist(), 10):
        here = names[snapshot.vms.host_idx[snapshot.vms.position[vm]]]
        to[vm] = rng.choice([host for host in names if host != here])
    saved = saved_plan(tmp_path / "plan", snapshot, to)
    countdown = [10**9]
    platform: Pretend = dying(Pretend, ("start", "watch", "state", "now"), countdown)(snapshot)
    hosts = list(platform.hosts)

    def trouble(now: Pretend) -> None:
        if rng.random() > 0.08:
            return
        kind = rng.choice(
            ["refuse", "fail", "maintenance", "back", "foreign", "delete", "silence", "lost", "kill"]
        )
        vm, host = rng.choice(list(now.vms)), rng.choice(hosts)
        if kind == "refuse":
            now.refusals[vm] = [Refused("no", lasting=rng.random() < 0.3)]
        elif kind == "fail":
            now.fates[vm] = ["fail"]
        elif kind == "maintenance":
            now.hosts[host] = HostNow("maintenance")
        elif kind == "back":
            now.hosts = {name: HostNow("connected") for name in hosts}
        elif kind == "foreign" and not any(job.vm == vm for job in now.running()):
            now.vms[vm] = replace(now.vms[vm], host=host)
        elif kind == "delete":
            del now.vms[vm]
        elif kind == "silence":
            now.silent_s = now.time_s + rng.choice((5.0, 50.0))
        elif kind == "lost":
            now.lost_answers = 1
        elif kind == "kill":
            countdown[0] = rng.randint(1, 4)

    platform.watchers.append(trouble)
    for _ in range(60):
        journal_class = dying(Journal, ("note",), countdown)
        try:
            outcome = carry_out(
                saved, platform, Settings(on_fault="skip", backoff_s=5.0), journal_class=journal_class
            )
        except (Killed, Unreachable):
            countdown[0] = 10**9
            continue
        break
    else:
        pytest.fail("it never came to an end")
    assert not outcome.of("starting", "running", "waiting")
    _, steps, _ = read_journal(saved.folder)
    for step in steps.values():
        moved = [
            j for j in platform.jobs.values() if (j.vm, j.host, j.status) == (step.vm, step.to_host, "done")
        ]
        assert len(moved) <= 1 or step.vm not in {m.vm for m in saved.plan.moves if m.step == step.step}
