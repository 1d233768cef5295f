"""Moves chosen by hand, for `drs estimate`: a CSV file or mappings to positions in a snapshot."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drs.errors import Fault, InputError, did_you_mean
from drs.io.raw import Faults, InputWarning, csv_text
from drs.io.spreadsheet import from_text, split
from drs.planning import KINDS
from drs.words import count

if TYPE_CHECKING:
    from drs.model import Snapshot

POWER_ON = "power_on"
"""The kind of a row that is no migration: a VM that is started on a host."""
COLUMNS = ("vm", "to_host", "to_datastore", "kind")


def read_moves(path: Path, snapshot: Snapshot) -> dict[str, Any]:
    """Moves from a CSV file with the columns `vm` and any of `to_host`, `to_datastore`, `kind`.

    Other columns are passed over, so the `moves.csv` of a plan can be priced again.

    Raises
    ------
    InputError
        Naming row and field of every fault.
    """
    rows = [row for _, row in move_rows(path, COLUMNS)]
    kept = [row for row in rows if row["kind"] != POWER_ON]
    if n := len(rows) - len(kept):
        warnings.warn(
            f"{path.name}: {count(n, 'row')} that power VMs on are passed over: they are no migrations",
            InputWarning,
            stacklevel=2,
        )
    return moves_from(kept, snapshot, path.name)


def move_rows(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV file with a column `vm`, each with its number and the text of these columns, "" for none.

    Other columns are passed over. `to_datastores`, as a plan's `moves.csv` has it, stands in for `to_datastore`.

    Raises
    ------
    InputError
        For what is no such file.
    """
    import pandas as pd

    label = path.name
    if not path.is_file():
        given = "is a folder" if path.is_dir() else "no such file"
        raise InputError(Fault(str(path), given, f"a CSV file with {', '.join(columns)}"))
    faults = Faults()
    text = csv_text(path, label, f"a header with {', '.join(columns)}", faults)
    faults.raise_if_any()
    assert text is not None
    try:
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    except pd.errors.ParserError as error:
        raise InputError(
            Fault(label, str(error).strip(), "a CSV file with as many cells as its header")
        ) from None
    if "vm" not in table:
        near = did_you_mean("vm", table.columns)
        raise InputError(Fault(f"{label}, column vm", "the column is missing", "a column vm", near))
    if "to_datastore" not in table and "to_datastores" in table:
        table["to_datastore"] = table["to_datastores"]
    rows = table.reindex(columns=list(columns), fill_value="").to_dict("records")
    return [(number, {str(key): from_text(str(value)).strip() for key, value in row.items()})
            for number, row in enumerate(rows, 1)]  # fmt: skip


def moves_from(rows: Iterable[Mapping[str, Any]], snapshot: Snapshot, label: str = "moves") -> dict[str, Any]:
    """Arguments of `drs.planning.price_moves`.

    Parameters
    ----------
    rows : iterable of mapping
        Each with `vm`, and any of `to_host`, `to_datastore` (one for all disks, or one for each, separated by
        blanks; a name that has a blank stands in quotation marks) and `kind`.

    Raises
    ------
    InputError
        Naming row and field of every fault.
    """
    faults: list[Fault] = []

    def find(name: str, known: Mapping[str, int], where: str, what: str) -> int:
        if name in known:
            return known[name]
        given = f"unknown {what} {name!r}" if name else "nothing"
        faults.append(Fault(where, given, f"the name of a {what}", did_you_mean(name, known)))
        return -1

    vms, hosts, stores, kinds = [], [], [], []
    first, _ = snapshot.disks_of_vm
    for number, row in enumerate(rows, 1):
        where = f"{label}, row {number}"
        values = {key: str(row.get(key) or "").strip() for key in COLUMNS}
        vm = find(values["vm"], snapshot.vms.position, f"{where}, field vm", "VM")
        host = -1
        if values["to_host"]:
            host = find(values["to_host"], snapshot.hosts.position, f"{where}, field to_host", "host")
        # A name with a blank may stand alone without quotation marks.
        stores_known = snapshot.datastores.position
        whole = values["to_datastore"] in stores_known
        names = [values["to_datastore"]] if whole else split(values["to_datastore"])
        field = f"{where}, field to_datastore"
        to: Any = None
        if names:
            to = [find(name, stores_known, field, "datastore") for name in names]
            n_disks = int(first[vm + 1] - first[vm]) if vm >= 0 else len(to)
            if len(to) == 1:
                to = to[0]
            elif len(to) != n_disks:
                given = f"{len(to)} datastores"
                faults.append(Fault(field, given, f"one, or {n_disks}: one for each disk of the VM"))
        if not values["to_host"] and not names:
            faults.append(Fault(where, "neither to_host nor to_datastore", "at least one of them"))
        if values["kind"] and values["kind"] not in KINDS:
            near = did_you_mean(values["kind"], KINDS)
            faults.append(
                Fault(f"{where}, field kind", repr(values["kind"]), f"one of {', '.join(KINDS)}", near)
            )
        vms.append(vm)
        hosts.append(host)
        stores.append(to)
        kinds.append(values["kind"] or None)
    if faults:
        raise InputError(faults)
    if not vms:
        raise InputError(Fault(label, "no move", "at least one row"))
    return {"vm_idx": vms, "to_host_idx": hosts, "to_datastores": stores, "kind": kinds}
