"""Sheets as RVTools labels them to a snapshot and its rules."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from drs.io.build import build
from drs.io.raw import Faults
from drs.io.readers.protocol import Options, Reading
from drs.io.readers.sheets import Sheet, sheet_name, squash
from drs.io.readers.vsphere.book import Book
from drs.io.readers.vsphere.hosts import Hosts
from drs.io.readers.vsphere.networks import networks
from drs.io.readers.vsphere.pools import Pools
from drs.io.readers.vsphere.rules import rules
from drs.io.readers.vsphere.storage import Storage
from drs.io.readers.vsphere.vms import Vms
from drs.words import some

REQUIRED = {"vInfo": ("VM", "Powerstate", "Host"), "vHost": ("Host", "Speed", "# Cores", "# Memory")}


def convert(
    sheets: Mapping[str, Sheet],
    options: Options,
    *,
    label: str,
    tool: str,
    taken_at: str = "",
    other_sheets: Collection[str] = (),
) -> Reading:
    """Make a snapshot of the sheets of one export.

    Parameters
    ----------
    sheets : mapping of str to Sheet
        By the name that RVTools gives them.
    options : Options
        How to read.
    label, tool : str
        Name of the file, and of what wrote it.
    taken_at : str
        When it was written, ISO 8601.
    other_sheets : collection of str
        Sheets of the export that are not among `sheets`.

    Raises
    ------
    InputError
        With all faults, each with its sheet, row (as the spreadsheet counts) and column.
    """
    faults = Faults()
    for name, labels in REQUIRED.items():
        if name not in sheets:
            faults.add(
                label, f"there is no sheet {name}", f"an export of {tool} with {' and '.join(REQUIRED)}"
            )
            continue
        for one in labels:
            if not sheets[name].has(one):
                faults.add(
                    f"{label}: sheet {sheets[name].name}, header",
                    f"the required column {one} is missing",
                    f"the columns {', '.join(labels)}",
                    faults.near(one, sheets[name].labels),
                )
    faults.raise_if_any()
    book = Book(sheets, faults, options)
    hosts = Hosts(book)
    raw = {"hosts": hosts.table(), "clusters": hosts.clusters()}
    pools = Pools(book, hosts)
    raw |= pools.tables()
    vms = Vms(book, hosts)
    raw["vms"], provenance = vms.table(pools)
    raw |= Storage(book, hosts, vms).tables() | networks(book, hosts, vms)
    said = rules(vms)
    if vms.left_out_running:
        note = "; ".join(filter(None, [provenance.note, vms.left_out_running]))
        provenance = dataclasses.replace(provenance, note=note)
    snapshot = build(
        raw,
        faults,
        name=Path(label).stem,
        source=f"{tool} export {label}",
        description=vms.left_out_running,
        taken_at=taken_at,
        provenance=provenance,
    )
    return Reading(snapshot, said, unused(sheets, other_sheets))


def unused(sheets: Mapping[str, Sheet], others: Collection[str]) -> tuple[str, ...]:
    """What an export holds and nobody read: whole sheets, and columns of those that were read.

    Parameters
    ----------
    sheets : mapping of str to Sheet
        Those that were read.
    others : collection of str
        Names of all its sheets.
    """
    read = {squash(sheet.name) for sheet in sheets.values()}
    left = [name for name in others if squash(sheet_name(name)) not in read]
    lines = [f"sheets {some(left, 30)}"] if left else []
    for sheet in sheets.values():
        names: Sequence[str] = sheet.unused
        if names:
            lines.append(f"sheet {sheet.name}: columns {some(list(names), 8)}")
    return tuple(dict.fromkeys(lines))
