"""A plan carried out move by move: guards before each start, a journal around it, proof after it.

The order is that of `after_steps`, the limits are those that the schedule assumed; the plan's clock is only a wish.
Nothing is asked of the platform twice: a step is written down before it is asked, and whoever finds it so looks
its task up before anything else.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any, Literal, TypeVar

from drs.errors import Fault, InputError, PlanError
from drs.execute.checks import Objection, arrived, objection
from drs.execute.journal import Journal, Status, Step
from drs.execute.limits import Limits
from drs.execute.platform import Platform, Refused, State, TaskNow, Unreachable
from drs.io.plan_file import SavedPlan
from drs.model.selector import select
from drs.planning import Move
from drs.planning.guards import Guard
from drs.words import seconds

OnFault = Literal["stop", "skip", "replan"]
T = TypeVar("T")

GONE = TaskNow("unknown")
OPEN: tuple[Status, ...] = ("starting", "running")
UNMOVABLE = {"place": "it places VMs that are not there yet", "recover": "it restarts VMs of lost hosts"}
"""Modes whose plans are no migrations, and why."""


@dataclass(frozen=True)
class Settings:
    """How a plan is carried out.

    on_fault : what happens after a step has failed for good: nothing more is started (`stop`), the step and all that
        waits for it are left out (`skip`), or the caller plans anew (`replan`).
    attempts : so often a step is tried whose reason may pass; then a person is asked.
    backoff_s : wait after the first such failure, for the VM and for its destination; it doubles each time.
    limit : so many moves are started at most. until : no move is started that would not end before.
    steps : only these. poll_s : time between two looks at what is in flight.
    patience_s : so long an unreachable platform is asked again. verify_s : so long a task that succeeded has time to
        show in the inventory. settle_s : so long a request may take to become a task.
    """

    on_fault: OnFault = "stop"
    attempts: int = 3
    backoff_s: float = 30.0
    limit: int | None = None
    until: datetime | None = None
    steps: frozenset[int] | None = None
    poll_s: float = 1.0
    patience_s: float = 300.0
    verify_s: float = 30.0
    settle_s: float = 5.0


@dataclass(frozen=True)
class Outcome:
    """What became of the steps. `why`: why it ended before the last step; "" where it did not."""

    steps: Mapping[int, Step]
    why: str = ""

    def of(self, *status: Status) -> list[Step]:
        """The steps with one of these states."""
        return [step for step in self.steps.values() if step.status in status]

    @property
    def complete(self) -> bool:
        """Whether every step is done."""
        return all(step.status == "done" for step in self.steps.values())


class Brake:
    """Ends an execution from outside: first it starts nothing more, then it cancels what is in flight."""

    def __init__(self) -> None:
        self.level = 0

    def pull(self) -> int:
        """One notch further; 1: drain, 2: cancel."""
        self.level += 1
        return self.level


def chosen(saved: SavedPlan, vms: Collection[str] = (), steps: Collection[int] = ()) -> frozenset[int] | None:
    """The steps of some VMs, names or patterns, and of some numbers; None for all.

    Raises
    ------
    InputError : for a VM or a number that the plan has not.
    """
    if not vms and not steps:
        return None
    faults = [Fault("steps", f"step {step}", f"a step from 1 to {len(saved.plan.moves)}")
              for step in steps if step not in saved.by_step]  # fmt: skip
    wanted = set(steps)
    if vms:
        for pattern in vms:
            found = {saved.today.vms.name[i] for i in select(pattern, saved.today.vms)}
            steps_of = {move.step for move in saved.plan.moves if move.vm in found}
            if not steps_of:
                faults.append(Fault("vm", repr(pattern), "a VM that the plan moves"))
            wanted |= steps_of
    if faults:
        raise InputError(faults)
    return frozenset(wanted)


class Executor:
    """Carries one plan out on one platform, with one journal. Raises PlanError for a plan that is no migrations."""

    def __init__(
        self,
        saved: SavedPlan,
        platform: Platform,
        journal: Journal,
        settings: Settings | None = None,
        *,
        brake: Brake | None = None,
        on_event: Callable[[dict[str, Any]], None] = lambda event: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if saved.mode in UNMOVABLE:
            raise PlanError(f"a plan of mode {saved.mode} cannot be carried out: {UNMOVABLE[saved.mode]}")
        self.saved, self.platform, self.journal = saved, platform, journal
        self.settings, self.brake = settings or Settings(), brake or Brake()
        self.on_event, self.clock, self.sleep = on_event, clock, sleep
        self.moves, self.guards = saved.by_step, saved.guards
        self.limits = Limits(saved.today, saved.plan.moves, saved.concurrency)
        self.steps: dict[int, Step] = {}
        self.halt = ""
        """Why nothing more is started."""
        self._not_before: dict[str, float] = {}
        """By VM and by destination: when they may be asked again."""
        self._n_started = 0
        self._cancelled: set[int] = set()
        self._wave_ended: dict[int, float] = {}
        self._no_precheck_said = False

    # -- the loop -----------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Until every step is done, failed or left out, or somebody ends it.

        Raises
        ------
        Unreachable : when the platform does not answer for `patience_s`; the journal says where to go on.
        """
        if self.saved.mode in UNMOVABLE:
            raise PlanError(
                f"a plan of mode {self.saved.mode} cannot be carried out: {UNMOVABLE[self.saved.mode]}"
            )
        self.steps = self.journal.steps()
        self._check_choice()
        self._settle()
        while True:
            self._collect()
            if self.brake.level == 1 and not self.halt:
                self.halt = "interrupted"
                self._say("drain", "no move is started any more; those in flight end")
            if self.brake.level >= 2:
                self.halt = self.halt or "interrupted"
                self._cancel()
            if not self.halt:
                self._start_ready()
            if not self._flying() and (self.halt or not self._to_come()):
                break
            self.sleep(self.settings.poll_s)
        return Outcome(self.steps, self.halt)

    def _to_come(self) -> bool:
        """Whether a step waits that may still start."""
        return any(self.steps[step].status == "waiting" for step in self._selected())

    def _selected(self) -> Iterable[int]:
        chosen = self.settings.steps
        return (step for step in self.steps if chosen is None or step in chosen)

    def _flying(self) -> dict[int, tuple[Move, Guard]]:
        return {n: (self.moves[n], self.guards[n]) for n, step in self.steps.items() if step.status in OPEN}

    def _check_choice(self) -> None:
        """Chosen steps whose predecessors are neither chosen nor done cannot start."""
        faults = []
        selected = set(self._selected())
        for number in sorted(selected):
            if self.steps[number].status == "done":
                continue
            lacking = [
                n
                for n in self.moves[number].after_steps
                if n not in selected and self.steps[n].status != "done"
            ]
            if lacking:
                given = f"step {number} ({self.steps[number].vm}) must wait for step {', '.join(map(str, lacking))}"
                faults.append(Fault("steps", given, "those steps as well"))
        if faults:
            raise InputError(faults)

    # -- what is written down -----------------------------------------------------------------------------

    def _say(self, event: str, text: str, step: Step | None = None, more: Mapping[str, Any] | None = None,
             **changes: Any) -> None:  # fmt: skip
        """An event to the journal first, then to whoever listens."""
        told = self.journal.note(event, text, step=step, more=more, **changes)
        if step is not None and changes:
            self.steps[step.step] = dataclasses.replace(step, **changes)
        self.on_event(told)

    def _state(self, vms: Collection[str]) -> State:
        return self._patiently(lambda: self.platform.state(vms))

    def _patiently(self, ask: Callable[[], T]) -> T:
        """What the platform answers; an unreachable one is asked again for a while."""
        since = self.clock()
        pause, said = 1.0, False
        while True:
            try:
                return ask()
            except Unreachable as error:
                if self.clock() - since >= self.settings.patience_s or self.brake.level >= 2:
                    self._say("unreachable", f"{self.platform.address} does not answer: {error}")
                    raise
                if not said:
                    self._say("unreachable", f"{self.platform.address} does not answer: {error}; asked again")
                    said = True
                self.sleep(pause)
                pause = min(30.0, 2 * pause)

    # -- what an earlier process, or a lost connection, left open -------------------------------------------

    def _settle(self) -> None:
        """Find out what became of steps that are open; those that failed or were left out wait again."""
        for step in list(self.steps.values()):
            if step.status in ("failed", "skipped"):
                self._say(
                    "again",
                    f"{step.vm}: tried again ({step.reason})",
                    step,
                    status="waiting",
                    attempts=0,
                    reason="",
                )
            elif step.status == "starting":
                self._resolve(step)
            elif step.status == "running":
                self._say("found", f"{step.vm}: task {step.task} is looked up", step)

    def _resolve(self, step: Step) -> None:
        """A step that was written down, and perhaps asked: its task is looked up before it may start again."""
        assert step.asked_at is not None
        while True:
            task = self._patiently(lambda: self.platform.find(step.vm, step.asked_at))  # type: ignore[arg-type]
            if task is not None:
                self._say(
                    "found", f"{step.vm}: task {task} had been started", step, status="running", task=task
                )
                return
            age = (self._patiently(self.platform.now) - step.asked_at).total_seconds()
            if age >= self.settings.settle_s:
                break
            self.sleep(max(0.05, self.settings.settle_s - age))
        vm = self._state([step.vm]).vms.get(step.vm)
        if vm is not None and arrived(self.moves[step.step], self.guards[step.step], vm):
            self._done(step, TaskNow("done"), f"{step.vm} is on {vm.host} already")
        else:
            self._say("never", f"{step.vm}: its task had never been started", step, status="waiting", task="")

    # -- starting -----------------------------------------------------------------------------------------

    def _start_ready(self) -> None:
        ready = [n for n in self._selected() if self._may_start(n)]
        if not ready:
            waiting = [n for n in self._selected() if self.steps[n].status == "waiting"]
            late = [n for n in waiting if self._too_late(self.moves[n])]
            if late == waiting and late and not self._flying():
                self.halt = f"no further move would end before {self.settings.until:%H:%M}"
            return
        for number in sorted(ready, key=lambda n: (self.moves[n].start_s, n)):
            if self.halt or self.brake.level:
                return
            flying = self._flying()
            if self.limits.allow(number, flying) and self._may_start(number):
                self._try(self.steps[number], self._state([self.moves[number].vm]), flying)

    def _may_start(self, number: int) -> bool:
        step, move = self.steps[number], self.moves[number]
        if step.status != "waiting" or any(self.steps[n].status != "done" for n in move.after_steps):
            return False
        settings, now = self.settings, self.clock()
        if any(now < self._not_before.get(key, 0.0) for key in (f"vm {move.vm}", f"host {move.to_host}")):
            return False
        if self._pausing(move, now):
            return False
        if settings.limit is not None and self._n_started >= settings.limit:
            self.halt = f"{settings.limit} moves were started, as many as allowed"
            return False
        return not self._too_late(move)

    def _too_late(self, move: Move) -> bool:
        """Whether a move that starts now would end after the hour that was set."""
        until = self.settings.until
        return until is not None and (until - datetime.now(until.tzinfo)).total_seconds() < move.total_s

    def _pausing(self, move: Move, now: float) -> bool:
        """Whether the wave before this one has not ended, or ended a moment ago; only where the policy has pauses."""
        pause_s = self.saved.concurrency.pause_s
        if pause_s <= 0:
            return False
        earlier = [n for n, other in self.moves.items() if other.wave < move.wave]
        if any(self.steps[n].status in ("waiting", *OPEN) for n in earlier):
            return True
        return any(now < self._wave_ended.get(n, -pause_s) + pause_s for n in earlier)

    def _try(self, step: Step, state: State, flying: Mapping[int, tuple[Move, Guard]]) -> None:
        move, guard = self.moves[step.step], self.guards[step.step]
        vm = state.vms.get(move.vm)
        if vm is not None and move.from_host != move.to_host and arrived(move, guard, vm):
            self._done(step, TaskNow("done"), f"{move.vm} is on {move.to_host} already; nothing was moved")
            return
        against = objection(move, guard, state, flying)
        if against is None:
            said = self._patiently(lambda: self.platform.check(move, guard.goes))
            if said is None and not self._no_precheck_said:
                self._no_precheck_said = True
                self._say("note", f"{self.platform.address} has no check of its own before a move")
            elif said:
                against = Objection(f"{move.vm}: the platform refuses it beforehand: {said}")
        if against is not None:
            if not (against.ours and flying):
                self._failed(step, against.reason, against.lasting)
            return
        asked_at = self._patiently(self.platform.now)
        text = f"{move.vm}: {move.from_host} → {move.to_host}"
        self._say(
            "starting", text, step, status="starting", asked_at=asked_at, attempts=step.attempts + 1, task=""
        )
        step = self.steps[step.step]
        self._n_started += 1
        try:
            task = self.platform.start(move, guard.goes)
        except Refused as error:
            self._failed(step, f"{move.vm}: refused: {error}", error.lasting)
        except Unreachable as error:
            self._say(
                "unreachable", f"{move.vm}: no answer to its start ({error}); its task is looked up", step
            )
            self._resolve(step)
        else:
            self._say("started", text, step, {"task": task}, status="running", task=task)

    # -- what is in flight ----------------------------------------------------------------------------------

    def _collect(self) -> None:
        open_ = {step.task: step for step in self.steps.values() if step.status == "running"}
        if not open_:
            return
        found = self._patiently(lambda: self.platform.watch(list(open_)))
        ended = {task: step for task, step in open_.items() if found.get(task, GONE).status != "running"}
        done = [step.vm for task, step in ended.items() if found.get(task, GONE).status == "done"]
        state = self._state(done) if done else None
        for task, step in ended.items():
            now = found.get(task, GONE)
            if now.status == "done":
                self._verify(step, now, state)
            elif now.status == "unknown":
                self._forgotten(step)
            elif now.status == "cancelled":
                self._failed(step, f"{step.vm}: its task was cancelled", lasting=True)
            else:
                self._failed(step, f"{step.vm}: its task failed: {now.reason}", lasting=False)

    def _verify(self, step: Step, task: TaskNow, state: State | None) -> None:
        """A task that says success is believed when the inventory says the same."""
        move, guard = self.moves[step.step], self.guards[step.step]
        since = self.clock()
        while True:
            vm = (state or self._state([step.vm])).vms.get(step.vm)
            state = None
            if vm is None:
                self._failed(step, f"{step.vm} is there no more, though its task succeeded", lasting=True)
                return
            if arrived(move, guard, vm):
                break
            if self.clock() - since >= self.settings.verify_s:
                self._failed(
                    step,
                    f"{step.vm} is on {vm.host}, though its task to {move.to_host} succeeded",
                    lasting=True,
                )
                return
            self.sleep(min(1.0, self.settings.poll_s))
        if vm.power != guard.power:
            self._done(step, task, f"{step.vm} is on {move.to_host}, but it is {vm.power}")
            self.halt = self.halt or f"{step.vm} is {vm.power} after its move; it was {guard.power}"
            return
        self._done(step, task, f"{step.vm} is on {move.to_host}")

    def _forgotten(self, step: Step) -> None:
        """The platform has no memory of a task: where the VM is decides."""
        vm = self._state([step.vm]).vms.get(step.vm)
        if vm is not None and arrived(self.moves[step.step], self.guards[step.step], vm):
            self._done(step, TaskNow("done"), f"{step.vm} is on {vm.host}; its task is forgotten")
        else:
            self._resolve(step)

    def _done(self, step: Step, task: TaskNow, text: str) -> None:
        self._wave_ended[step.step] = self.clock()
        ended = self._patiently(self.platform.now)
        move = self.moves[step.step]
        more = {"predicted_s": move.total_s, "measured_s": task.ran_s, "eta_s": self._eta_s(step, task)}
        if task.ran_s is not None:
            text += f" after {seconds(task.ran_s)} ({seconds(move.total_s)} predicted)"
        self._say("done", text, step, more, status="done", ended_at=ended, reason="",
                  measured_s=task.ran_s, measured_downtime_ms=task.downtime_ms)  # fmt: skip

    def _eta_s(self, step: Step, task: TaskNow) -> float | None:
        """Time to the end: what the plan has left, stretched by how much longer the moves took than predicted."""
        left = [
            n
            for n in self._selected()
            if self.steps[n].status not in ("done", "failed", "skipped") and n != step.step
        ]
        if not left:
            return 0.0
        pairs = [(each.measured_s, each.predicted_s) for each in self.steps.values()]
        pairs.append((task.ran_s, self.moves[step.step].total_s))
        ratios = [real / said for real, said in pairs if real is not None and said]
        factor = median(ratios) if ratios else 1.0
        return factor * (self.saved.plan.makespan_s - min(self.moves[n].start_s for n in left))

    def _cancel(self) -> None:
        for step in self.steps.values():
            if step.status == "running" and step.step not in self._cancelled:
                self._cancelled.add(step.step)
                self._say("cancel", f"{step.vm}: its task is asked to end", step)
                self._patiently(lambda step=step: self.platform.abort(step.task))  # type: ignore[misc]

    # -- faults -----------------------------------------------------------------------------------------------

    def _failed(self, step: Step, reason: str, lasting: bool) -> None:
        settings, move = self.settings, self.moves[step.step]
        attempts = step.attempts if step.status in OPEN else step.attempts + 1
        if not lasting and attempts < settings.attempts and not self.brake.level:
            wait_s = settings.backoff_s * 2 ** (attempts - 1)
            for key in (f"vm {move.vm}", f"host {move.to_host}"):
                self._not_before[key] = max(self._not_before.get(key, 0.0), self.clock() + wait_s)
            text = f"{reason}; attempt {attempts} of {settings.attempts}, again in {seconds(wait_s)}"
            self._say("retry", text, step, status="waiting", attempts=attempts, task="", reason=reason)
            return
        asks = "" if lasting else f"; {attempts} attempts, a person should look at it"
        self._say("failed", f"{reason}{asks}", step, status="failed", attempts=attempts, reason=reason)
        if settings.on_fault == "skip":
            for number in self._waiting_for(step.step):
                other = self.steps[number]
                why = f"{other.vm}: it must wait for step {step.step}, which failed"
                self._say("skipped", why, other, status="skipped", reason=why)
        elif not self.halt:
            self.halt = f"step {step.step} failed: {reason}"

    def _waiting_for(self, number: int) -> list[int]:
        """All steps that wait for one, directly or not, and have not been asked yet."""
        found: set[int] = {number}
        for n in sorted(self.moves):
            if found & set(self.moves[n].after_steps):
                found.add(n)
        return [n for n in sorted(found - {number}) if self.steps[n].status == "waiting"]
