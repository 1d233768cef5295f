"""The options of every verb that talks to a vCenter: who asks, and which certificate is trusted."""

from __future__ import annotations

import inspect
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from drs.errors import Fault, InputError

if TYPE_CHECKING:
    from drs.io.readers.vcenter_login import Login

F = TypeVar("F", bound=Callable[..., Any])

OPTIONS: Mapping[str, tuple[Any, Any]] = {
    "user": (
        Annotated[str, typer.Option("--user", help="Of the vCenter; DRS_VCENTER_USER where not given.")],
        "",
    ),
    "password_file": (
        Annotated[
            Path | None,
            typer.Option(
                "--password-file",
                metavar="FILE",
                help="Its first line; DRS_VCENTER_PASSWORD where not given.",
            ),
        ],
        None,
    ),
    "password_stdin": (
        Annotated[bool, typer.Option("--password-stdin", help="The password is the first line of stdin.")],
        False,
    ),
    "ca_file": (
        Annotated[
            Path | None,
            typer.Option("--ca-file", metavar="FILE", help="PEM certificates of the authorities to trust."),
        ],
        None,
    ),
    "thumbprint": (
        Annotated[
            str,
            typer.Option(
                "--thumbprint", metavar="SHA256", help="Trust the certificate with this fingerprint only."
            ),
        ],
        "",
    ),
    "insecure": (
        Annotated[bool, typer.Option("--insecure", help="Trust any certificate.")],
        False,
    ),
}
"""By name in Python: the flag, and what stands for it where it is not given."""


def connecting(command: F) -> F:
    """Gives a command the options of a connection, in the place of its `**connection`."""
    signature = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            parameters += [
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
                )
                for name, (annotation, default) in OPTIONS.items()
            ]
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command


def login(given: Mapping[str, Any]) -> Login:
    """The login that the options mean.

    Raises
    ------
    InputError : for a password from two places, a file that cannot be read or is empty, or `insecure` beside what
        it makes pointless.
    """
    from drs.io.readers.vcenter_login import Login

    faults: list[Fault] = []
    password = ""
    file: Path | None = given["password_file"]
    if file is not None and given["password_stdin"]:
        faults.append(Fault("password_stdin", "a password from a file as well", "one of both"))
    elif given["password_stdin"]:
        password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            faults.append(Fault("password_stdin", "an empty line", "the password"))
    elif file is not None:
        try:
            password = file.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
            if file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
                typer.echo(f"warning: {file} can be read by others; chmod 600 {file}", err=True)
            if not password:
                faults.append(Fault("password_file", f"{file} has an empty first line", "the password"))
        except (OSError, UnicodeDecodeError) as error:
            said = getattr(error, "strerror", None) or "no text"
            faults.append(Fault("password_file", f"{file}: {said}", "a file with the password"))
    if given["insecure"] and (given["thumbprint"] or given["ca_file"]):
        faults.append(Fault("insecure", "a thumbprint or authorities as well", "one of both"))
    if faults:
        raise InputError(faults)
    return Login(given["user"], password, given["ca_file"], given["thumbprint"], given["insecure"])
