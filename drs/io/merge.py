"""Several inventories as one: every name stays apart from its like elsewhere."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from drs.errors import Fault, InputError
from drs.io.build import build
from drs.io.columns import tables
from drs.io.frames import to_columns
from drs.io.raw import RawTable
from drs.io.readers.identity import distinct_names
from drs.io.readers.protocol import Reading, warn
from drs.model.provenance import Origin, Provenance
from drs.model.snapshot import Snapshot
from drs.words import some

if TYPE_CHECKING:
    from drs.rules import Rule

PLACES = ("site", "rack", "datastore_cluster")
"""Columns that name something without a table of its own."""
WORST: Sequence[Origin] = ("missing", "estimated", "configured", "measured")


def merge(readings: Sequence[tuple[str, Reading]]) -> Reading:
    """Put several inventories side by side in one snapshot.

    Two of one name get the vCenter in brackets, or the source where that does not tell them apart. Networks of
    one name are one network, as vCenter takes them for in a migration between vCenters.

    Parameters
    ----------
    readings : sequence of (label, Reading)
        What each source holds.

    Raises
    ------
    InputError
        When two of them hold the same host of one vCenter.
    """
    snapshots = [(label, _snapshot(reading)) for label, reading in readings]
    marks = _marks(snapshots)
    _refuse_same_hosts(snapshots)
    names = _names(snapshots, marks)
    columns: dict[str, dict[str, list[Any]]] = {}
    for number, (_, snapshot) in enumerate(snapshots):
        for table, found in _whole(snapshot).items():
            _append(columns.setdefault(table, {}), {
                column: _renamed(table, column, values, names, number, marks[number])
                for column, values in found.items()
            })  # fmt: skip
    labels = [label for label, _ in snapshots]
    snapshot = build(
        {table: RawTable(table, table, found) for table, found in columns.items()},
        name=" + ".join(snapshot.name for _, snapshot in snapshots),
        taken_at=max(snapshot.taken_at for _, snapshot in snapshots),
        description="; ".join(filter(None, (snapshot.description for _, snapshot in snapshots))),
        source=" + ".join(snapshot.source for _, snapshot in snapshots),
        provenance=_provenance(snapshots),
    )
    rules = [
        _rule(rule, names, number) for number, (_, reading) in enumerate(readings) for rule in reading.rules
    ]
    unused = tuple(
        f"{label}: {line}"
        for label, (_, reading) in zip(labels, readings, strict=True)
        for line in reading.unused
    )
    return Reading(snapshot, _distinct_rules(rules, marks), unused)


def _snapshot(reading: Reading) -> Snapshot:
    assert reading.snapshot is not None
    return reading.snapshot


def _marks(snapshots: Sequence[tuple[str, Snapshot]]) -> list[str]:
    """What tells the things of each source apart: its vCenter, else what the source is called."""
    found = []
    for label, snapshot in snapshots:
        vcenters = {str(name) for name in snapshot.hosts.vcenter.tolist() if name}
        found.append(vcenters.pop() if len(vcenters) == 1 else label)
    often = Counter(found)
    return [mark if often[mark] == 1 else label for mark, (label, _) in zip(found, snapshots, strict=True)]


def _refuse_same_hosts(snapshots: Sequence[tuple[str, Snapshot]]) -> None:
    first: dict[tuple[str, str], str] = {}
    faults: dict[tuple[str, str], Fault] = {}
    for label, snapshot in snapshots:
        for vcenter, host in zip(snapshot.hosts.vcenter.tolist(), snapshot.hosts.name.tolist(), strict=True):
            other = first.setdefault((vcenter, host), label)
            if vcenter and other != label:
                faults.setdefault(
                    (other, label),
                    Fault(
                        label,
                        f"host {host} of vCenter {vcenter}, which {other} has too",
                        "inventories of different hosts",
                        "are they one cluster at several times? option history",
                    ),
                )
    if faults:
        raise InputError(list(faults.values()))


def _names(
    snapshots: Sequence[tuple[str, Snapshot]], marks: Sequence[str]
) -> dict[str, dict[tuple[int, str], str]]:
    """A name for each thing of each table that no other source's has, by (source, name)."""
    found: dict[str, dict[tuple[int, str], str]] = {}
    for table in ("hosts", "clusters", "pools", "vms", "datastores"):
        given = {
            (number, str(name)): str(name)
            for number, (_, snapshot) in enumerate(snapshots)
            for name in getattr(snapshot, table).name.tolist()
        }
        found[table] = distinct_names(given, {key: marks[key[0]] for key in given})
        twice = [name for name, count in Counter(given.values()).items() if count > 1]
        if twice:
            warn(
                f"{len(twice)} names of {table} stand in more than one source and get its name: {some(twice, 5)}"
            )
    for column in PLACES:
        given = {}
        for number, (_, snapshot) in enumerate(snapshots):
            part = snapshot.datastores if column == "datastore_cluster" else snapshot.hosts
            for name in getattr(part, column).tolist():
                if name:
                    given[number, str(name)] = str(name)
        found[column] = distinct_names(given, {key: marks[key[0]] for key in given})
    return found


def _whole(snapshot: Snapshot) -> dict[str, dict[str, list[Any]]]:
    """The tables of a snapshot, with the mounts and port groups that it may leave unsaid."""
    found = {
        table: {
            column: values.tolist() if isinstance(values, np.ndarray) else list(values)
            for column, values in columns.items()
        }
        for table, columns in to_columns(snapshot).items()
    }
    hosts = snapshot.hosts.name
    if len(snapshot.datastores) and "mounts" not in found:
        host, store = np.nonzero(snapshot.mounts)
        found["mounts"] = {
            "host": hosts[host].tolist(),
            "datastore": snapshot.datastores.name[store].tolist(),
        }
    if len(snapshot.networks) and "portgroups" not in found:
        host, network = np.nonzero(snapshot.portgroups)
        found["portgroups"] = {"host": hosts[host].tolist(), "network": snapshot.networks[network].tolist()}
    return found


def _renamed(
    table: str,
    column: str,
    values: list[Any],
    names: Mapping[str, Mapping[tuple[int, str], str]],
    number: int,
    mark: str,
) -> list[Any]:
    known = tables()[table].get(column)
    kind = ""
    if known is not None and known.refers_to in names:
        kind = known.refers_to
    elif known is not None and known.key and table in names:
        kind = table
    elif column in PLACES:
        kind = column
    if table == "links" and column in ("a", "b"):
        ends = {**names["site"], **names["hosts"]}
        return [ends.get((number, str(value)), f"{value} ({mark})") for value in values]
    if table == "hosts" and column == "vcenter":
        return [value or mark for value in values]
    if kind:
        return [names[kind].get((number, str(value)), value) if value else None for value in values]
    if values and isinstance(values[0], float):
        return [value if np.isfinite(value) else None for value in values]
    return [None if value == "" else value for value in values]


def _append(columns: dict[str, list[Any]], more: Mapping[str, list[Any]]) -> None:
    """Add rows; a column that one of them lacks is empty there."""
    before = len(next(iter(columns.values()), []))
    added = len(next(iter(more.values()), []))
    for column in [*columns, *more]:
        cells = columns.setdefault(column, [None] * before)
        if len(cells) == before:
            cells.extend(more.get(column, [None] * added))


def _provenance(snapshots: Sequence[tuple[str, Snapshot]]) -> Provenance:
    """The worst of each, and where they differ the sources of it."""
    said = [(label, snapshot.rests_on) for label, snapshot in snapshots]
    notes = [f"{label}: {each.note}" for label, each in said if each.note]
    found: list[Origin | None] = []
    for what in ("cpu_demand", "memory_demand"):
        origins = {label: getattr(each, what) for label, each in said}
        worst = next((origin for origin in WORST if origin in origins.values()), None)
        if len(set(origins.values())) > 1 and worst is not None:
            where = [label for label, origin in origins.items() if origin == worst]
            notes.append(f"{what.replace('_', ' ')} is {worst} in {some(where, 3)}")
        found.append(worst)
    return Provenance(found[0], found[1], "; ".join(notes))


def _rule(rule: Rule, names: Mapping[str, Mapping[tuple[int, str], str]], number: int) -> Rule:
    """A rule with the new names of its VMs and hosts; a pattern stays."""
    from drs.rules.fields import types_of
    from drs.rules.selecting import Chosen

    changed: dict[str, Any] = {}
    for each in dataclasses.fields(rule):
        kinds = [kind for kind in types_of(type(rule), each.name) if isinstance(kind, Chosen)]
        value = getattr(rule, each.name)
        if kinds and value is not None:
            of = names.get(kinds[0].table, {})
            listed = (value,) if isinstance(value, str) else value
            renamed = tuple(of.get((number, name), name) for name in listed)
            changed[each.name] = renamed[0] if isinstance(value, str) else renamed
    return dataclasses.replace(rule, **changed)


def _distinct_rules(rules: Sequence[Rule], marks: Sequence[str]) -> tuple[Rule, ...]:
    named = {number: rule.name for number, rule in enumerate(rules) if rule.name}
    unique = distinct_names(named)
    return tuple(
        dataclasses.replace(rule, name=unique.get(number, rule.name)) for number, rule in enumerate(rules)
    )
