"""`drs apply`: a plan carried out."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drs.cli import base, connection, inputs
from drs.cli.inputs import PlanFolder
from drs.errors import Fault, InputError

if TYPE_CHECKING:
    from drs.execute.checks import Stale
    from drs.execute.executor import Brake, Outcome, Settings
    from drs.execute.platform import Platform
    from drs.io.plan_file import SavedPlan
    from drs.result import Result

ON_FAULT = ("stop", "skip", "replan")


@base.app.command()
@base.reporting
@connection.connecting
def apply(
    plan: PlanFolder,
    to: Annotated[str, typer.Option("--to", metavar="ADDRESS", help="vcenter://[user@]host[:port]")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Move VMs; else only what would be done is told.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a plan that was begun.")] = False,
    replan: Annotated[
        bool, typer.Option("--replan", help="Where the plan is out of date, ask the same of today's cluster.")
    ] = False,
    on_fault: Annotated[
        str, typer.Option("--on-fault", help="stop, skip (what waits for it as well) or replan (around it).")
    ] = "stop",
    vm: Annotated[
        list[str] | None,
        typer.Option("--vm", metavar="VM", help="Only this VM; a pattern names several. May be repeated."),
    ] = None,
    steps: Annotated[
        str, typer.Option("--steps", metavar="LIST", help="Only these steps, such as 1-5,8.")
    ] = "",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Start so many moves at most.")] = None,
    until: Annotated[
        str, typer.Option("--until", metavar="HH:MM", help="Start no move that would not end before.")
    ] = "",
    max_age_s: Annotated[
        float, typer.Option("--max-age-s", min=0, help="An older plan is out of date.")
    ] = 3600.0,
    attempts: Annotated[
        int,
        typer.Option(
            "--attempts", min=1, help="Tries of a move whose fault may pass; then a person is asked."
        ),
    ] = 3,
    backoff_s: Annotated[
        float,
        typer.Option("--backoff-s", min=0, help="Wait after the first such fault; it doubles each time."),
    ] = 30.0,
    journal: Annotated[
        Path | None,
        typer.Option("--journal", metavar="FILE", help="Instead of journal.sqlite beside the plan."),
    ] = None,
    json_lines: Annotated[
        bool, typer.Option("--json-lines", help="Each event as a line of JSON on stdout.")
    ] = False,
    **given: Any,
) -> None:
    """Carry a plan out: a dry run unless --yes is given."""
    from drs.execute.doors import open_platform
    from drs.execute.executor import Settings, chosen
    from drs.execute.journal import NAME
    from drs.io.plan_file import read_plan

    faults = inputs.Faults()
    saved = faults.of(read_plan, plan)
    numbers = faults.of(_numbers, steps)
    hour = faults.of(_hour, until)
    login = faults.of(connection.login, given)
    if on_fault not in ON_FAULT:
        faults.found.append(Fault("on_fault", repr(on_fault), f"one of {', '.join(ON_FAULT)}"))
    selected = None
    if saved is not None and numbers is not None:
        selected = faults.of(chosen, saved, tuple(vm or ()), numbers)
    faults.tell()
    assert saved is not None and login is not None
    settings = Settings(on_fault, attempts, backoff_s, limit, hour, selected)  # type: ignore[arg-type]
    platform = open_platform(to, login)
    file = journal or saved.folder / NAME
    try:
        if file.exists() and not resume:
            raise InputError(
                Fault(
                    "PLAN",
                    f"it was begun: {file} is there",
                    "a plan that was not begun",
                    "--resume goes on with it",
                )
            )
        if not file.exists():
            if resume:
                raise InputError(Fault("resume", f"no journal {file}", "a plan that was begun"))
            saved = _fitting(saved, platform, max_age_s, replan, yes)
            file = journal or saved.folder / NAME
        if not yes:
            _dry_run(saved, platform, settings, resume)
            raise typer.Exit(base.FINE)
        outcome = _carry_out(saved, platform, settings, file, json_lines)
    finally:
        platform.close()
    _summary(outcome, file)
    raise typer.Exit(base.FINE if outcome.complete or (not outcome.why and not outcome.of("failed", "skipped"))
                     else base.VIOLATIONS)  # fmt: skip


def write_folder(result: Result, folder: Path) -> None:
    """A plan's folder, with its report."""
    from drs.report.document import write
    from drs.report.html import render_report

    write(result, folder, render_report(result))


def _numbers(text: str) -> tuple[int, ...]:
    """Steps such as `1-5,8`."""
    found: list[int] = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise InputError(Fault("steps", repr(part), "numbers and ranges, such as 1-5,8"))
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


def _hour(text: str) -> datetime | None:
    """The next moment at which the local clock shows this hour."""
    if not text:
        return None
    try:
        wanted = datetime.strptime(text, "%H:%M").time()
    except ValueError:
        raise InputError(Fault("until", repr(text), "HH:MM, such as 05:30")) from None
    now = datetime.now().astimezone()
    today = now.replace(hour=wanted.hour, minute=wanted.minute, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


def _fitting(saved: SavedPlan, platform: Platform, max_age_s: float, replan: bool, yes: bool) -> SavedPlan:
    """The plan where it fits today's cluster, or a new one of the same question; raises StalePlan."""
    from drs.execute.checks import StalePlan, differences
    from drs.execute.replan import again

    stale: Stale = differences(saved, platform.snapshot(), max_age_s)
    for each in stale.beside:
        typer.echo(f"note: {each}; the plan is not about it", err=True)
    if not stale.against:
        return saved
    if not replan:
        raise StalePlan((*stale.against, "--replan asks the same question of today's cluster"))
    for each in stale.against:
        typer.echo(f"out of date: {each}", err=True)
    made = again(saved, platform.snapshot(), write_folder)
    typer.echo(f"planned anew: {made.folder}", err=True)
    return made


def _dry_run(saved: SavedPlan, platform: Platform, settings: Settings, resume: bool) -> None:
    """What would be done now, and what stands against each move as the cluster is."""
    from drs.execute.checks import objection
    from drs.words import KIND_TITLES, count, seconds

    state = platform.state([move.vm for move in saved.plan.moves])
    n = 0
    for move in saved.plan.moves:
        if settings.steps is not None and move.step not in settings.steps:
            continue
        n += 1
        where = f"{move.from_host} → {move.to_host}" if move.from_host != move.to_host else move.from_host
        after = f", after step {', '.join(map(str, move.after_steps))}" if move.after_steps else ""
        typer.echo(
            f"{move.step:>4}  {move.vm}: {where}, {KIND_TITLES[move.kind]}, {seconds(move.total_s)}{after}"
        )
        against = None if move.after_steps or resume else objection(move, saved.guards[move.step], state, {})
        if against is not None:
            typer.echo(f"      now: {against.reason}")
    said = f"{count(n, 'move')} in about {seconds(saved.plan.makespan_s)} on {platform.address}"
    typer.echo(f"dry run: {said}; nothing was moved, --yes moves")


def _carry_out(
    saved: SavedPlan, platform: Platform, settings: Settings, file: Path, json_lines: bool
) -> Outcome:
    """The execution; where a fault asks for it, planned anew around what failed, up to three times."""
    from drs.execute.executor import Brake, Executor
    from drs.execute.journal import Journal
    from drs.execute.replan import facts, replanned

    brake = Brake()
    show = _shown_as_json if json_lines else _Lines(len(saved.plan.moves))
    with _braked(brake):
        for _ in range(4):
            with Journal(file) as journal:
                journal.begin(facts(saved, platform), saved.plan.moves)
                outcome = Executor(saved, platform, journal, settings, brake=brake, on_event=show).run()
            failed = outcome.of("failed")
            if settings.on_fault != "replan" or not failed or brake.level:
                return outcome
            made = replanned(saved, platform.snapshot(), write_folder, [step.vm for step in failed])
            if made is None:
                return outcome
            typer.echo(
                f"planned anew around {', '.join(step.vm for step in failed)}: {made.folder}", err=True
            )
            saved, file = made, made.folder / file.name
    return outcome


@contextmanager
def _braked(brake: Brake) -> Iterator[None]:
    """Ctrl-C lets what is in flight end, a second one cancels it, a third one ends the program."""

    def pull(signum: int, frame: object) -> None:
        if brake.pull() == 1:
            typer.echo(
                "\nno move is started any more; those in flight end (Ctrl-C again cancels them)", err=True
            )
        else:
            typer.echo("\ncancelling what is in flight (Ctrl-C again quits; --resume goes on)", err=True)
            signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, pull)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _shown_as_json(event: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(event, ensure_ascii=False) + "\n")
    sys.stdout.flush()


class _Lines:
    """Events as lines for people, with what is done and when it should end."""

    def __init__(self, n_steps: int) -> None:
        self.n_steps, self.n_done = n_steps, 0

    def __call__(self, event: dict[str, Any]) -> None:
        from drs.words import seconds

        if event["event"] == "starting":
            return
        said = event["text"]
        if event["event"] == "done":
            self.n_done += 1
            said += f"; {self.n_done} of {self.n_steps} done"
            if event.get("eta_s"):
                said += f", about {seconds(event['eta_s'])} left"
        step = "" if event["step"] is None else f" step {event['step']}"
        typer.echo(f"{event['at'][11:19]} {event['event']}{step}: {said}", err=True)


def _summary(outcome: Outcome, file: Path) -> None:
    """How it ended, and the predicted beside the measured."""
    from drs.words import count, seconds

    done = outcome.of("done")
    parts = [f"{len(done)} of {count(len(outcome.steps), 'step')} done"]
    for status in ("failed", "skipped", "waiting"):
        if left := outcome.of(status):
            parts.append(f"{len(left)} {status}")
    measured = [step for step in done if step.measured_s is not None and step.predicted_s is not None]
    if measured:
        real = sum(step.measured_s or 0.0 for step in measured)
        said = sum(step.predicted_s or 0.0 for step in measured)
        parts.append(f"migrations took {seconds(real)} together, {seconds(said)} were predicted")
    typer.echo("; ".join(parts), err=True)
    for step in outcome.of("failed"):
        typer.echo(f"  step {step.step}: {step.reason}", err=True)
    if outcome.why:
        typer.echo(f"ended early: {outcome.why}", err=True)
    typer.echo(f"journal: {file}", err=True)
