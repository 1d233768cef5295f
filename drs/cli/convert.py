"""`drs convert`: a snapshot folder of other sources."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from drs.cli import base, connection
from drs.cli.inputs import Clusters


class _Listing(TyperCommand):
    """A command whose help ends with the sources that are read; they are asked for when the help is shown."""

    @property
    def epilog(self) -> str:
        from rich.markup import escape

        from drs.io.readers.catalogue import READERS

        return "\n\n".join(["Sources:", *(escape(f"{each.name}: {each.give}.") for each in READERS)])

    @epilog.setter
    def epilog(self, value: str | None) -> None:
        """Typer sets what the decorator has: nothing."""


@base.app.command(cls=_Listing)
@base.reporting
@connection.connecting
def convert(
    source: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE", help="Exports, addresses, snapshot folders; see below."),
    ],
    folder: Annotated[Path, typer.Argument(help="The snapshot folder to write.")],
    into: Annotated[
        bool,
        typer.Option("--into", help="Join load histories to the snapshot that is in FOLDER; all else stays."),
    ] = False,
    history: Annotated[
        bool,
        typer.Option("--history", help="The sources are one cluster at several times: a load history."),
    ] = False,
    without_unknown_hosts: Annotated[
        bool,
        typer.Option("--without-unknown-hosts", help="Leave out running VMs whose host the source lacks."),
    ] = False,
    scale_to_hosts: Annotated[
        bool,
        typer.Option(
            "--scale-to-hosts",
            help="Scale the VMs' figures so that their sums are what their hosts measured.",
        ),
    ] = False,
    cluster: Clusters = None,
    **given: Any,
) -> None:
    """Turn exports of other tools, or a vCenter, into a snapshot folder."""
    from drs import io, words

    options = io.Options(
        without_unknown_hosts=without_unknown_hosts,
        scale_to_hosts=scale_to_hosts,
        login=connection.login(given),
    )
    found = io.convert(
        source, folder, into=into, history=history, cluster=tuple(cluster or ()), options=options
    )
    for line in found.unused:
        base.say(f"not used: {line}")
    assert found.snapshot is not None
    facts, said = found.snapshot, found.snapshot.rests_on.sentence()
    if said:
        base.say(said)
    parts = [words.count(facts.n_hosts, "host"), words.count(facts.n_vms, "VM")]
    parts += [words.count(len(found.rules), "rule")] if found.rules else []
    parts += [words.count(len(facts.loads), "time", "times") + " of load"] if facts.loads is not None else []
    base.say(f"{', '.join(parts)} → {folder}")
