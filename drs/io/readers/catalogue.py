"""The readers, and which of them reads what was given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from drs.errors import Fault, InputError
from drs.io.folder import is_snapshot
from drs.io.readers import (
    kubevirt,
    live_optics,
    nutanix,
    operations,
    proxmox,
    rvtools,
    snapshot_folder,
    vcenter,
)
from drs.io.readers.look import Look, look
from drs.io.readers.protocol import Reader
from drs.io.readers.sheets import tab_of
from drs.words import some

READERS: tuple[Reader, ...] = (
    rvtools.READER,
    live_optics.READER,
    nutanix.READER,
    operations.READER,
    vcenter.READER,
    proxmox.READER,
    kubevirt.READER,
    snapshot_folder.READER,
)
"""In the order in which they are asked; each recognises nothing that another one reads."""


def find(sources: Sequence[str | Path]) -> list[tuple[Reader, list[Look]]]:
    """Which reader reads what.

    Parameters
    ----------
    sources : sequence of str or Path
        Files, folders, addresses. A folder of JSON files stands for its files.

    Returns
    -------
    list of (Reader, list of Look)
        One for each inventory or load history, in the order given.

    Raises
    ------
    InputError
        With a fault for each source that nothing reads.
    """
    faults = [fault for source in sources for fault in _tables(source)]
    found: list[tuple[Reader, list[Look]]] = []
    for source in sources:
        if any(fault.where == str(source) for fault in faults):
            continue
        try:
            parts = _expanded(look(source))
        except InputError as error:
            faults.extend(error.faults)
            continue
        for seen in parts:
            reader = next((each for each in READERS if each.recognises(seen)), None)
            group = next((looks for known, looks in found if known is reader and known.together), None)
            if reader is None:
                faults.append(unknown(seen))
            elif group is not None:
                group.append(seen)
            else:
                found.append((reader, [seen]))
    if faults:
        raise InputError(faults)
    return found


def _tables(source: str | Path) -> Iterator[Fault]:
    """A fault where a table is given for its snapshot."""
    path = Path(source)
    if path.name in snapshot_folder.FILES and is_snapshot(path.parent):
        hint = f"a snapshot is a folder: did you mean {path.parent}?"
        yield Fault(str(source), "one table of a snapshot", "the folder of the snapshot", hint)


def _expanded(seen: Look) -> list[Look]:
    """The files of a folder that holds the JSON files of one inventory; else what was given."""
    if seen.kind != "folder" or any(reader.recognises(seen) for reader in READERS):
        return [seen]
    files = [path for path in sorted(seen.path.rglob("*.json")) if path.is_file()]
    return [look(path) for path in files] or [seen]


def _has(*words: str) -> Callable[[Look], bool]:
    """Whether the first row of a CSV file has these columns."""
    wanted = {word.casefold() for word in words}
    return lambda seen: seen.kind == "csv" and wanted <= {cell.casefold() for cell in seen.header}


LIKENESS: Sequence[tuple[Callable[[Look], bool], str, str]] = (
    (
        lambda seen: seen.kind == "csv" and tab_of(seen.label) is not None,
        "one tab of RVTools' CSV export",
        "give the folder that holds all its tabs",
    ),
    (
        _has("Name", "PowerState", "NumCpu"),
        "PowerCLI's Get-VM | Export-Csv, which has no hosts and no load",
        "export with RVTools, or read the vCenter itself: vcenter://HOST",
    ),
    (
        _has("Name", "ConnectionState", "CpuTotalMhz"),
        "PowerCLI's Get-VMHost | Export-Csv, which has no VMs",
        "export with RVTools, or read the vCenter itself: vcenter://HOST",
    ),
    (
        _has("Name", "State", "CPUUsage(%)"),
        "Hyper-V's Get-VM | Export-Csv, which drs does not read",
        "make a snapshot folder: docs/snapshot-format.md",
    ),
    (
        lambda seen: seen.kind == "csv" and any("cpu" in cell.casefold() for cell in seen.header),
        "a CSV file with the columns {header}",
        "a view of VCF Operations has Name, Interval Breakdown and CPU Demand (MHz); a snapshot is a folder",
    ),
    (
        lambda seen: seen.kind == "csv" and seen.text.lstrip().startswith("<"),
        "XML or HTML",
        "RVTools writes .xlsx and .csv",
    ),
    (lambda seen: seen.kind == "csv", "text that begins with {header}", ""),
    (
        lambda seen: seen.kind == "workbook"
        and any("anonymized" in name.casefold() or "mapping" in name.casefold() for name in seen.names),
        "the mapping of an anonymized Nutanix Collector export",
        "give the export itself",
    ),
    (lambda seen: seen.kind == "workbook", "a workbook with the sheets {names}", "RVTools' has vInfo and vHost"),
    (lambda seen: seen.kind == "zip", "a zip with {names}", "a zip of RVTools has a CSV file a tab"),
    (
        lambda seen: seen.kind == "folder" and any(name.lower().endswith(".xlsx") for name in seen.names),
        "a folder of workbooks: {names}",
        "name the workbooks one by one",
    ),
    (lambda seen: seen.kind == "folder" and not seen.names, "an empty folder", ""),
    (lambda seen: seen.kind == "folder", "a folder with {names}", "a snapshot has hosts.csv and vms.csv"),
    (
        lambda seen: seen.kind == "json",
        "JSON with {keys}",
        "Proxmox VE: pvesh get /cluster/resources; KubeVirt: kubectl get vmi,nodes",
    ),
    (lambda seen: seen.kind == "address", "an address", "a vCenter is vcenter://[user@]host[:port]"),
)  # fmt: skip
"""What a source that nobody reads looks like, and what to do."""


def unknown(seen: Look) -> Fault:
    """The fault of a source that nothing reads: what it looks like, and what is read.

    Parameters
    ----------
    seen : Look
        What was given.
    """
    given, hint = next((said, hint) for fits, said, hint in LIKENESS if fits(seen))
    document = seen.document[0] if isinstance(seen.document, list) and seen.document else seen.document
    keys = [*map(str, document)] if isinstance(document, dict) else [type(document).__name__]
    given = given.format(
        header=some([cell[:40] for cell in seen.header], 4) if seen.kind == "csv" else "",
        names=some(list(seen.names), 4),
        keys=some(keys, 4),
    )
    kind = "a file of an unknown kind: " if seen.path.is_file() else ""
    expected = f"one of {', '.join(each.name for each in READERS)}"
    return Fault(seen.given, f"{kind}it looks like {given}", expected, hint)
