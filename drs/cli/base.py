"""What every verb shares: the app, exit codes, how an error is told, how a search is shown and interrupted."""

from __future__ import annotations

import functools
import inspect
import json
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from drs import words
from drs.errors import (
    DrsError,
    Fault,
    InfeasibleError,
    InputError,
    InternalError,
    PlanError,
    RuleConflictError,
)
from drs.stop import OnProgress, Progress, Stop

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    name="drs",
    help="Plans, proves and prices virtual machine migrations.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FINE, VIOLATIONS, BAD_INPUT, INFEASIBLE, NO_ANSWER = range(5)
BUG = 70
"""EX_SOFTWARE of sysexits.h: no answer of drs, but a fault in it."""

REPORT = "this is a bug in drs, please report it"

F = TypeVar("F", bound=Callable[..., Any])


def say(text: str) -> None:
    """A line on stderr for people; control characters within names are spelled out."""
    typer.echo(words.visible(text), err=True)


def out_console() -> Console:
    """Where an answer is shown; control characters within names are spelled out."""
    from rich.console import Console
    from rich.segment import Segment, Segments

    class Plainly:
        """rich itself lets the escape sequences of a text through."""

        def process_renderables(self, renderables: list[Any]) -> list[Any]:
            told = [segment for one in renderables for segment in console.render(one)]
            return [
                Segments(
                    segment if segment.control else Segment(words.visible(segment.text), segment.style)
                    for segment in told
                )
            ]

    # Into a file or a pipe there is no window whose width could be asked for.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    console.push_render_hook(Plainly())  # type: ignore[arg-type]
    return console


def reporting(command: F) -> F:
    """Errors that drs raises on purpose become one clear message and an exit code."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            return guarded(*args, **kwargs)

    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except InputError as error:
            for line in str(as_typed(error, command)).splitlines():
                say(f"error: {line}")
            raise typer.Exit(BAD_INPUT) from None
        except (RuleConflictError, InfeasibleError, PlanError) as error:
            say(f"error: {error}")
            raise typer.Exit(INFEASIBLE) from None
        except InternalError as error:
            say(f"error: {REPORT}: {error}")
            raise typer.Exit(BUG) from None
        except DrsError as error:
            say(f"error: {error}")
            raise typer.Exit(NO_ANSWER) from None
        except BrokenPipeError:  # the reader of our output has seen enough
            raise
        except OSError as error:  # a disk that is full, a folder without permission
            say(f"error: {error.filename or 'a file'}: {error.strerror or error}")
            raise typer.Exit(BAD_INPUT) from None
        except KeyboardInterrupt:
            say("interrupted")
            raise typer.Exit(NO_ANSWER) from None
        except (typer.Exit, typer.Abort):
            raise  # how a command ends
        except Exception as error:
            say(traceback.format_exc().rstrip())
            say(f"error: {REPORT}, with the lines above: {type(error).__name__}: {error}")
            raise typer.Exit(BUG) from None

    return run  # type: ignore[return-value]


def fault_of(write: Callable[[], None]) -> DrsError | OSError | None:
    """Why an answer could not be written, to be raised when it has been shown; None where it is written."""
    try:
        write()
    except (DrsError, OSError) as error:
        return error
    return None


def flags(command: Callable[..., Any]) -> dict[str, str]:
    """How the command line spells each argument of a command, by its name in Python."""
    spelled: dict[str, str] = {}
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        info = parameter.annotation.__metadata__[0]
        if isinstance(info, typer.models.OptionInfo):
            # Within Annotated the first flag stands where typer otherwise has the default.
            said = [flag for flag in (info.default, *(info.param_decls or ())) if str(flag).startswith("--")]
            spelled[parameter.name] = str(said[0]) if said else f"--{parameter.name.replace('_', '-')}"
        else:
            spelled[parameter.name] = str(info.metavar or parameter.name.upper()).strip("[]")
    return spelled


def as_typed(error: InputError, command: Callable[..., Any]) -> InputError:
    """The same faults, the library's arguments named as the command line spells them."""
    spelled = flags(command)
    return InputError(
        Fault(spelled.get(fault.where, fault.where), fault.given, fault.expected, fault.hint)
        for fault in error.faults
    )


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Something odd in an input, in one line without the place in our code that noticed it."""
    say(f"warning: {message}")


def print_json(document: Any) -> None:
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    # JSON escapes the old control characters itself; a terminal obeys those of Latin-1 too.
    sys.stdout.write(text.translate({sign: f"\\u{sign:04x}" for sign in range(0x7F, 0xA0)}) + "\n")


@contextmanager
def interruptible(stop: Stop) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM ends the search with its best plan so far, the second ends the program."""

    def first(signum: int, frame: object) -> None:
        say("\nstopping with the best plan so far (Ctrl-C again to quit)")
        stop.interrupt()
        for number in before:
            signal.signal(number, signal.default_int_handler)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, first)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def progress() -> Iterator[OnProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[said]}"),
    )
    console = Console(stderr=True, highlight=False)
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("search", total=1.0, said="")

        def show(progress: Progress) -> None:
            if progress.stage == "compile" and not console.is_terminal:
                say(progress.note)
            said = f"score {progress.score:.4g}"
            if progress.bound > float("-inf"):
                said += f", bound {progress.bound:.4g}"
            if progress.note:
                said += f", {progress.note}"
            bar.update(task, description=progress.stage, completed=progress.fraction, said=said)

        yield show
