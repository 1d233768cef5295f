"""VCF Operations, Aria Operations, vRealize Operations: a view as CSV, one row a VM and interval: a load history.

The columns are the metrics that the view has, under the labels that its author gave them: `VM|CPU|Demand (MHz)|Avg`,
`CPU Usage (MHz)`, `Memory|Guest Active Memory (KB)`. They are found by what they say and by their unit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from drs.errors import Fault, InputError
from drs.io.raw import Faults
from drs.io.readers.look import Look
from drs.io.readers.numbers import decimal_marks, parse_number
from drs.io.readers.protocol import Loads, Options, Reader, Reading, warn
from drs.io.readers.sheets import csv_sheet
from drs.io.readers.times import order_of, seconds_of
from drs.words import some

NAMES = ("name", "vm", "vm name", "virtual machine", "object", "object name")
TIMES = ("interval breakdown", "time", "timestamp", "date", "date/time", "interval")
CPU_MHZ = {"hz": 1e-6, "khz": 1e-3, "mhz": 1.0, "ghz": 1e3}
MEMORY_MIB = {
    "b": 2.0**-20, "bytes": 2.0**-20, "kb": 2.0**-10, "kib": 2.0**-10, "mb": 1.0, "mib": 1.0,
    "gb": 2.0**10, "gib": 2.0**10, "tb": 2.0**20, "tib": 2.0**20,
}  # fmt: skip
"""vCenter counts in powers of 2 whatever its labels say."""


def _one(header: Sequence[str], wanted: Sequence[str]) -> str | None:
    folded = {label.casefold(): label for label in reversed(header)}
    return next((folded[name] for name in wanted if name in folded), None)


Metric = tuple[str, float]
"""The label of a column, and what its numbers are times."""


def _metric(
    header: Sequence[str], what: str, words: Sequence[str], units: Mapping[str, float]
) -> Metric | None:
    """The column of a metric and its factor: the word that comes first among `words` wins, then an average."""
    found: list[tuple[int, int, str, float]] = []
    for label in header:
        folded = label.casefold()
        unit = re.search(r"\(([a-z]+)\)", folded)
        if what not in folded or unit is None or unit[1] not in units:
            continue
        for rank, word in enumerate(words):
            if word in folded:
                found.append(
                    (rank, int("avg" not in folded and "average" not in folded), label, units[unit[1]])
                )
                break
    return None if not found else min(found)[2:]


def _cpu(header: Sequence[str]) -> Metric | None:
    return _metric(header, "cpu", ("demand", "usage"), CPU_MHZ)


def _memory(header: Sequence[str]) -> Metric | None:
    return _metric(header, "mem", ("active", "demand", "usage"), MEMORY_MIB)


def recognises(seen: Look) -> bool:
    """Whether it is a CSV with VMs, times and their CPU or memory.

    Parameters
    ----------
    seen : Look
        A file or folder.
    """
    if seen.kind != "csv":
        return False
    header = seen.header
    return bool(_one(header, NAMES) and _one(header, TIMES) and (_cpu(header) or _memory(header)))


def read(seen: Sequence[Look], options: Options) -> Reading:
    """Read one view.

    Parameters
    ----------
    seen : sequence of Look
        One CSV file.
    options : Options
        Not needed.

    Raises
    ------
    InputError
        With every row whose name, time or figure cannot be read.
    """
    (one,) = seen
    sheet, header, faults = csv_sheet(one.text, one.label), one.header, Faults()
    # `recognises` has found these.
    names, times = sheet.column(_one(header, NAMES) or ""), sheet.column(_one(header, TIMES) or "")
    cpu, memory = _cpu(header), _memory(header)
    columns = [None if found is None else sheet.column(found[0]) for found in (cpu, memory)]
    marks = decimal_marks(cell for cells in columns if cells is not None for cell in cells)
    mark = next(iter(marks)) if len(marks) == 1 else None
    order = order_of(times)
    rows: list[tuple[str, int, float | None, float | None]] = []
    first: dict[tuple[str, int], int] = {}
    for row, (name, time) in enumerate(zip(names, times, strict=True)):
        line = sheet.numbers[row]
        seconds = seconds_of(time, order)
        if name is None:
            continue  # the line of totals that a view may end with
        if seconds is None:
            hint = (
                "no row proves whether days or months come first"
                if order is None and time is not None
                else ""
            )
            faults.add(
                f"{one.label}, row {line}, column {_one(header, TIMES)}", repr(time), "a date and time", hint
            )
            continue
        figures: list[float | None] = []
        for found, cells in zip((cpu, memory), columns, strict=True):
            cell = None if cells is None else cells[row]
            if cell in (None, "-", "none"):
                figures.append(None)
                continue
            value = parse_number(cell, mark)
            if value is None or value < 0:
                label = found[0] if found else ""
                faults.add(f"{one.label}, row {line}, column {label}", repr(cell), "a number of 0 or more")
            figures.append(None if value is None or found is None else value * found[1])
        key = (str(name), seconds)
        if first.setdefault(key, line) != line:
            faults.add(
                f"{one.label}, row {line}",
                f"a second row of {name!r} at {time}",
                "one row for each VM and time",
                f"row {first[key]} is one; a VM of another vCenter may have the same name",
            )
        rows.append((str(name), seconds, figures[0], figures[1]))
    faults.raise_if_any()
    if not rows:
        raise InputError(Fault(one.given, "a header and no rows", "a row for each VM and interval"))
    for what, found in (("CPU", cpu), ("memory", memory)):
        if found is None:
            warn(f"{one.label}: there is no column of {what} in MHz or bytes; the history has none")
    used = {_one(header, NAMES), _one(header, TIMES), *(found[0] for found in (cpu, memory) if found)}
    left = [label for label in header if label and label not in used]
    unused = (f"columns {some(left, 8)}",) if left else ()
    warn(f"{one.label}: its times name no zone and are read as UTC")
    return Reading(unused=unused, loads=(Loads(one.label, tuple(rows)),))


READER = Reader(
    name="VCF Operations, Aria Operations",
    give="a list view of VMs with an interval breakdown as .csv: a load history for a snapshot that is there",
    tried="files built from published formats",
    recognises=recognises,
    read=read,
)
