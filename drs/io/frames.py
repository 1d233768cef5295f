"""A snapshot from data frames, and as data frames."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from drs.errors import Fault, InputError
from drs.io.build import build
from drs.io.columns import OPEN_COLUMNS, TABLES_REQUIRED, open_column, tables
from drs.io.raw import Faults, RawTable, check_header, drop_empty_tail
from drs.model.provenance import UNSAID, Provenance
from drs.model.snapshot import Snapshot

if TYPE_CHECKING:
    import pandas as pd


def from_frames(
    frames: Mapping[str, pd.DataFrame],
    *,
    name: str = "",
    taken_at: str = "",
    description: str = "",
    source: str = "",
    provenance: Provenance = UNSAID,
    too_large: bool = False,
) -> Snapshot:
    """Build a snapshot from pandas data frames.

    Parameters
    ----------
    frames : mapping of str to DataFrame
        One for each table, with the columns of a snapshot folder; `hosts` and `vms` are required. A missing
        value (None, NaN, NaT) is a cell that was not given. The index does not count.
    name, taken_at, description, source : str
        What the snapshot says about itself.
    provenance : Provenance
        Where the figures of demand come from.
    too_large : bool
        Whether a VM may be larger than every host; else that is a fault.

    Returns
    -------
    Snapshot
        With every default filled in.

    Raises
    ------
    InputError
        With all faults of all frames; row 1 is the first row of a frame.
    """
    faults = Faults()
    raw: dict[str, RawTable] = {}
    for table in TABLES_REQUIRED:
        if table not in frames:
            spare = [given for given in frames if given not in tables()]
            faults.add(
                "frames",
                f"there is no table {table}",
                f"the tables {' and '.join(TABLES_REQUIRED)}",
                faults.near(table, spare),
            )
    for table, frame in frames.items():
        if table not in tables():
            faults.add(
                "frames",
                f"unknown table {table!r}",
                f"one of {', '.join(tables())}",
                faults.near(table, tables()),
            )
            continue
        header = [str(column) for column in frame.columns]
        cells: dict[str, list[Any]] = {}
        for i, column in enumerate(header):
            series = frame.iloc[:, i]
            values = series.tolist()
            if series.isna().any():
                values = [None if gone else value for value, gone in zip(values, series.isna(), strict=True)]
            cells[column] = [None if isinstance(value, str) and not value else value for value in values]
        drop_empty_tail(cells)
        raw[table] = RawTable(table, table, cells)
        check_header(raw[table], header, faults)
    if any(table not in raw for table in TABLES_REQUIRED):
        faults.raise_if_any()
    return build(
        raw,
        faults,
        name=name,
        taken_at=taken_at,
        description=description,
        source=source,
        provenance=provenance,
        too_large=too_large,
    )


def to_columns(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    """The tables of a snapshot as columns: numpy vectors, or lists with None for an empty cell.

    A table that would say nothing is left out: no disks, every host sees everything, no load history.
    """
    hosts, vms = snapshot.hosts, snapshot.vms
    parts: dict[str, Any] = {
        "hosts": hosts,
        "clusters": snapshot.clusters,
        "pools": snapshot.pools,
        "vms": vms,
        "disks": snapshot.disks,
        "datastores": snapshot.datastores,
        "links": snapshot.links,
    }
    found: dict[str, dict[str, Any]] = {}
    for table, part in parts.items():
        if not len(part) and table not in ("hosts", "vms"):
            continue
        found[table] = {}
        for column in tables()[table].values():
            value = part.value(column.attribute)
            if value is None:
                continue
            if column.attribute.endswith("_idx"):
                target = column.refers_to
                found[table][column.column] = _names_at(parts[target].name, value)
            else:
                found[table][column.column] = value
        if table in OPEN_COLUMNS:
            suffix = OPEN_COLUMNS[table]
            for resource, values in sorted(getattr(part, suffix[1:]).items()):
                if open_column(table, resource + suffix) is None:
                    raise InputError(
                        Fault(
                            f"the {suffix[1:]} of {table}",
                            f"the resource name {resource!r}",
                            "small letters, digits and _, a letter first",
                        )
                    )
                found[table][resource + suffix] = values

    if not snapshot.mounts.all():
        host, store = np.nonzero(snapshot.mounts)
        found["mounts"] = {"host": hosts.name[host], "datastore": snapshot.datastores.name[store]}
    if len(snapshot.nic_vm_idx):
        found["nics"] = {
            "vm": vms.name[snapshot.nic_vm_idx],
            "network": snapshot.networks[snapshot.nic_network_idx],
        }
    used = list(dict.fromkeys(snapshot.nic_network_idx.tolist()))
    if not snapshot.portgroups.all() or used != list(range(len(snapshot.networks))):
        rows: list[tuple[str | None, str]] = []
        for i, network in enumerate(snapshot.networks.tolist()):
            offering = hosts.name[snapshot.portgroups[:, i]].tolist()
            rows += [(host, network) for host in offering or [None]]
        found["portgroups"] = {
            "host": [host for host, _ in rows],
            "network": [network for _, network in rows],
        }

    loads = snapshot.loads
    if loads is not None:
        sampled = ~(np.isnan(loads.cpu_mhz) & np.isnan(loads.memory_active_mib))
        if len(vms):
            sampled[~sampled.any(axis=1), 0] = True
        time, vm = np.nonzero(sampled)
        found["loads"] = {
            "vm": vms.name[vm],
            "time": np.char.add(np.datetime_as_string(loads.time, unit="s"), "Z")[time],
            "cpu_mhz": loads.cpu_mhz[time, vm],
            "memory_active_mib": loads.memory_active_mib[time, vm],
        }
    return found


def _names_at(names: Any, idx: Any) -> list[str | None]:
    listed = names.tolist()
    return [listed[i] if i >= 0 else None for i in idx.tolist()]


def to_frames(snapshot: Snapshot) -> dict[str, pd.DataFrame]:
    """The tables of a snapshot as pandas data frames.

    Parameters
    ----------
    snapshot : Snapshot
        The snapshot.

    Returns
    -------
    dict of str to DataFrame
        One for each table that says something, with every column; a value that was not given, or no limit,
        is missing. `from_frames` makes the same snapshot of it.
    """
    import pandas as pd

    frames = {}
    for table, columns in to_columns(snapshot).items():
        frames[table] = pd.DataFrame({name: _missing(values) for name, values in columns.items()})
    return frames


def _missing(values: Any) -> Any:
    """Empty text and infinity become missing values."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        return np.where(np.isinf(values), math.nan, values).astype(values.dtype)
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        return values
    import pandas as pd

    listed = values.tolist() if isinstance(values, np.ndarray) else values
    return pd.array([value or None for value in listed], dtype="str")
