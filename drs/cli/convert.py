"""`drs convert`: a snapshot folder of other sources."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drs.cli import base
from drs.cli.inputs import Clusters


@base.app.command()
@base.reporting
def convert(
    source: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE...", help="Exports, addresses, snapshot folders; see below."),
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
) -> None:
    """Turn exports of other tools, or a vCenter, into a snapshot folder."""
    from drs import io

    options = io.Options(without_unknown_hosts=without_unknown_hosts, scale_to_hosts=scale_to_hosts)
    found = io.convert(
        source, folder, into=into, history=history, cluster=tuple(cluster or ()), options=options
    )
    for line in found.unused:
        base.say(f"not used: {line}")
    assert found.snapshot is not None
    facts, said = found.snapshot, found.snapshot.rests_on.sentence()
    if said:
        base.say(said)
    rules = f", {len(found.rules)} rules" if found.rules else ""
    base.say(f"{facts.n_hosts} hosts, {facts.n_vms} VMs{rules} → {folder}")
