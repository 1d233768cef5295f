"""RVTools: the workbook, or CSV for each tab as a folder or a zip."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from drs.errors import Fault, InputError
from drs.io.readers.look import Look, look
from drs.io.readers.protocol import Options, Reader, Reading
from drs.io.readers.sheets import Sheet, read_tabs, read_workbook, sheet_name, squash, tab_of
from drs.io.readers.vsphere.convert import convert
from drs.model.snapshot import Snapshot

SHEETS = frozenset(
    {"vInfo", "vCPU", "vMemory", "vDisk", "vNetwork", "vHost", "vCluster", "vRP"}
    | {"vDatastore", "vNIC", "vPort", "dvPort", "dvSwitch", "vMetaData"}
)


def recognises(seen: Look) -> bool:
    """Whether it is an RVTools export, whole or trimmed.

    Parameters
    ----------
    seen : Look
        A file or folder.
    """
    if seen.kind == "workbook":
        names = {squash(sheet_name(name)) for name in seen.names}
        return bool(names & {"vinfo", "vhost"}) and "metadata" not in names
    return seen.kind in ("folder", "zip") and any(tab_of(name) == "vinfo" for name in seen.names)


def read(seen: Sequence[Look], options: Options) -> Reading:
    """Read one export.

    Parameters
    ----------
    seen : sequence of Look
        One workbook, folder or zip.
    options : Options
        How to read.
    """
    (one,) = seen
    if one.kind == "workbook":
        sheets, others = read_workbook(one.path, SHEETS), one.names
    else:
        sheets = read_tabs(one, SHEETS)
        others = tuple(name for name in one.names if squash(tab_of(name) or name) not in map(squash, SHEETS))
    at = _taken_at(sheets.pop("vMetaData", None), one.path)
    return convert(
        sheets,
        options,
        label=one.label,
        tool="RVTools",
        taken_at=at,
        other_sheets=[name for name in others if squash(sheet_name(name)) != "vmetadata"],
    )


def _taken_at(meta: Sheet | None, path: Path) -> str:
    """When it was exported, as its sheet vMetaData says, or the name that RVTools gives the file."""
    cell: Any = meta.first("xlsx creation datetime", "creation datetime")[:1] if meta is not None else []
    if cell and isinstance(cell[0], datetime):
        return str(cell[0].replace(microsecond=0).isoformat())
    found = re.search(
        r"(\d{4}-\d\d-\d\d)[T_ ](\d\d)[.:h-](\d\d)(?:[.:-](\d\d))?", str(cell[0] if cell else path.name)
    )
    if found is None:
        return ""
    text = f"{found[1]}T{found[2]}:{found[3]}:{found[4] or '00'}"
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        return ""


def read_rvtools(
    path: str | Path, *, without_unknown_hosts: bool = False, scale_to_hosts: bool = False
) -> Snapshot:
    """Read an RVTools export.

    Parameters
    ----------
    path : str or Path
        The xlsx file, or a folder or a zip with a CSV file for each tab.
    without_unknown_hosts : bool, default False
        Leave out running VMs whose host the export does not have; they are a fault otherwise.
    scale_to_hosts : bool, default False
        Scale the VMs' figures so that their sums are what their hosts measured.

    Returns
    -------
    Snapshot
        What the export knows; what it does not know holds the default of the snapshot format.

    Raises
    ------
    InputError
        With all faults, each with its sheet, row (as the spreadsheet counts) and column.
    """
    seen = look(path)
    if seen.kind not in ("workbook", "folder", "zip"):
        raise InputError(Fault(seen.given, f"a file of the kind {seen.kind}", "an RVTools export"))
    options = Options(without_unknown_hosts=without_unknown_hosts, scale_to_hosts=scale_to_hosts)
    found = read([seen], options).snapshot
    assert found is not None
    return found


READER = Reader(
    name="RVTools 3.x and 4.x",
    give="the workbook .xlsx (File, Export all to xlsx), or the folder or .zip of CSV files, one a tab",
    tried="real exports",
    recognises=recognises,
    read=read,
)
