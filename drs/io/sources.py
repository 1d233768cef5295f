"""`drs convert`: the exports and live inventories of others to a snapshot folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from drs.errors import Fault, InputError
from drs.io.atomic import write_text_atomic
from drs.io.change_kinds import OnlyClusters
from drs.io.changes import apply
from drs.io.folder import check_target, is_snapshot, read_folder, write_folder
from drs.io.loads import join, loads_of
from drs.io.merge import merge
from drs.io.problem_file import write_rules
from drs.io.readers.catalogue import find
from drs.io.readers.protocol import Options, Reading, warn
from drs.model.selector import Selector, entries
from drs.problem.scope import hosts_of

Sources = str | Path | Sequence[str | Path]


def read_source(source: Sources, *, history: bool = False, options: Options | None = None) -> Reading:
    """Read whatever holds an inventory.

    Parameters
    ----------
    source : str, Path or a sequence of them
        Exports, addresses and snapshot folders: see `drs.io.readers.catalogue.READERS`. Several are put side by
        side, equal names apart; load histories among them are joined to the inventory.
    history : bool, default False
        The inventories are one cluster at several times: the newest is the snapshot, all are its load history.
    options : Options, optional
        How to read.

    Returns
    -------
    Reading
        The snapshot (None where there are load histories alone), its rules, and what was not used.

    Raises
    ------
    InputError
        With all faults of all sources.
    """
    sources = [source] if isinstance(source, str | Path) else list(source)
    options = options or Options()
    faults: list[Fault] = []
    inventories: list[tuple[str, Reading]] = []
    histories: list[Reading] = []
    for reader, looks in find(sources):
        label = looks[0].label if len(looks) == 1 else reader.name
        try:
            reading = reader.read(looks, options)
        except InputError as error:
            several = len(sources) > 1
            faults += [_placed(fault, label) if several else fault for fault in error.faults]
            continue
        if reading.snapshot is None:
            histories.append(reading)
        else:
            inventories.append((label, reading))
    if faults:
        raise InputError(faults)
    loads = tuple(each for reading in histories for each in reading.loads)
    unused = tuple(line for reading in histories for line in reading.unused)
    if not inventories:
        return Reading(unused=unused, loads=loads)
    found = _series(inventories) if history else _side_by_side(inventories)
    if loads and found.snapshot is not None:
        found = dataclasses.replace(found, snapshot=join(found.snapshot, loads))
    return dataclasses.replace(found, unused=found.unused + unused)


def _placed(fault: Fault, label: str) -> Fault:
    """The fault with the source that it is of."""
    if label in fault.where:
        return fault
    return dataclasses.replace(fault, where=f"{label}: {fault.where}")


def _side_by_side(inventories: Sequence[tuple[str, Reading]]) -> Reading:
    return inventories[0][1] if len(inventories) == 1 else merge(inventories)


def _series(inventories: Sequence[tuple[str, Reading]]) -> Reading:
    """The newest inventory, with the figures of all of them as its load history."""
    faults: list[Fault] = []
    series = []
    for label, reading in inventories:
        assert reading.snapshot is not None
        try:
            series.append((loads_of(reading.snapshot, label), label, reading))
        except InputError as error:
            faults.extend(error.faults)
    if len(inventories) < 2:
        faults.append(Fault("history", "one inventory", "several inventories of one cluster"))
    if faults:
        raise InputError(faults)
    series.sort(key=lambda each: max((row[1] for row in each[0].rows), default=0))
    _, label, newest = series[-1]
    assert newest.snapshot is not None
    warn(f"{label} is the newest of {len(series)} inventories: it is the snapshot, all are its load history")
    snapshot = join(newest.snapshot, [loads for loads, _, _ in series])
    return dataclasses.replace(newest, snapshot=snapshot)


def convert(
    source: Sources,
    folder: str | Path,
    *,
    format: Literal["csv", "parquet"] = "csv",
    into: bool = False,
    history: bool = False,
    cluster: Selector = (),
    options: Options | None = None,
) -> Reading:
    """Make a snapshot folder of exports, a vCenter or other snapshot folders.

    Rules that the source has go to `rules.toml`; where the folder has one with other rules, that one stays and
    they go to `rules-read.toml` beside it.

    Parameters
    ----------
    source : str, Path or a sequence of them
        See `read_source`.
    folder : str or Path
        The folder to make, or a snapshot folder to replace. Nothing is written when a source has a fault.
    format : {"csv", "parquet"}, default "csv"
        How the tables are written.
    into : bool, default False
        Join the load histories of the sources, and the figures of their inventories, to the snapshot in the
        folder; all else there stays.
    history : bool, default False
        See `read_source`.
    cluster : str or sequence of str
        Only these clusters, names or patterns; every one where none is given. What the others' disks take on
        shared datastores stays taken. Not with `into`, where the snapshot is there already.
    options : Options, optional
        How to read.

    Returns
    -------
    Reading
        What was written.

    Raises
    ------
    InputError
        With all faults of the sources, or when the folder holds something else.
    """
    folder = Path(folder)
    if into and entries(cluster):
        raise InputError(Fault("cluster", "clusters with into", "one of the two"))
    if into:
        found = _joined(read_source(source, history=history, options=options), folder)
    else:
        check_target(folder)
        found = read_source(source, history=history, options=options)
    if found.snapshot is None:
        raise InputError(
            Fault(
                ", ".join(each.source for each in found.loads),
                "a load history alone",
                "an inventory with it, or a snapshot folder to join it to",
                "to join it to the snapshot in the folder: option into",
            )
        )
    snapshot = found.snapshot
    if entries(cluster):
        hosts_of(snapshot, cluster)  # before any table is made
        kept = apply(snapshot, [OnlyClusters(clusters=entries(cluster))], found.rules, where="cluster")
        snapshot, found = kept.snapshot, dataclasses.replace(found, snapshot=kept.snapshot, rules=kept.rules)
    write_folder(snapshot, folder, format)
    if not into:
        _write_rules(found, folder, _labels(source))
    return found


def _labels(source: Sources) -> str:
    sources = [source] if isinstance(source, str | Path) else source
    return ", ".join(Path(each).name or str(each) for each in sources)


def _joined(read: Reading, folder: Path) -> Reading:
    """The snapshot in a folder with the load histories that were read."""
    if not is_snapshot(folder):
        raise InputError(Fault(str(folder), "no snapshot", "a snapshot folder, to join a load history to"))
    loads = read.loads
    if read.snapshot is not None:
        loads += (loads_of(read.snapshot, read.snapshot.name),)
    return dataclasses.replace(read, snapshot=join(read_folder(folder), loads))


def _write_rules(found: Reading, folder: Path, label: str) -> None:
    if not found.rules:
        return
    text = f"# Read from {label} by drs convert.\n\n{write_rules(found.rules)}"
    target = folder / "rules.toml"
    if target.exists() and target.read_text(encoding="utf-8") != text:
        target = folder / "rules-read.toml"
        warn(
            f"{folder / 'rules.toml'} is there and stays; the {len(found.rules)} rules of {label} are in {target}"
        )
    write_text_atomic(target, text)
