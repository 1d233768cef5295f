"""What every verb shares: the app, exit codes, how an error is told, how a search is shown and interrupted."""

from __future__ import annotations

import functools
import inspect
import json
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import typer

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

F = TypeVar("F", bound=Callable[..., Any])


def err_console() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def out_console() -> Console:
    from rich.console import Console

    # Into a file or a pipe there is no window whose width could be asked for.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)


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
                typer.echo(f"error: {line}", err=True)
            raise typer.Exit(BAD_INPUT) from None
        except (RuleConflictError, InfeasibleError, PlanError) as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(INFEASIBLE) from None
        except InternalError as error:
            typer.echo(f"error: this is a bug in drs, please report it: {error}", err=True)
            raise typer.Exit(NO_ANSWER) from None
        except DrsError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(NO_ANSWER) from None
        except BrokenPipeError:  # the reader of our output has seen enough
            raise
        except OSError as error:  # a disk that is full, a folder without permission
            typer.echo(f"error: {error.filename or 'a file'}: {error.strerror or error}", err=True)
            raise typer.Exit(BAD_INPUT) from None
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(NO_ANSWER) from None

    return run  # type: ignore[return-value]


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
    typer.echo(f"warning: {message}", err=True)


def print_json(document: Any) -> None:
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def interruptible(stop: Stop) -> Iterator[None]:
    """The first Ctrl-C ends the search with its best plan so far, the second ends the program."""

    def first(signum: int, frame: object) -> None:
        typer.echo("\nstopping with the best plan so far (Ctrl-C again to quit)", err=True)
        stop.interrupt()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def progress() -> Iterator[OnProgress]:
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[said]}"),
    )
    console = err_console()
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("search", total=1.0, said="")

        def show(progress: Progress) -> None:
            if progress.stage == "compile" and not console.is_terminal:
                typer.echo(progress.note, err=True)
            said = f"score {progress.score:.4g}"
            if progress.bound > float("-inf"):
                said += f", bound {progress.bound:.4g}"
            if progress.note:
                said += f", {progress.note}"
            bar.update(task, description=progress.stage, completed=progress.fraction, said=said)

        yield show
