"""`drs convert`: other sources to a snapshot folder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from drs.errors import Fault, InputError
from drs.io.folder import check_target, is_snapshot, read_folder, write_folder
from drs.io.readers.rvtools import is_workbook, read_rvtools
from drs.io.readers.vcenter import read_vcenter
from drs.io.readers.vcenter_login import Login, parse_address
from drs.io.readers.workbook import is_tab_export
from drs.model.snapshot import Snapshot


def read_source(
    source: str | Path,
    *,
    login: Login | None = None,
    without_unknown_hosts: bool = False,
) -> Snapshot:
    """Read a snapshot from whatever holds one.

    Parameters
    ----------
    source : str or Path
        An RVTools export (`.xlsx`, or CSV for each tab as a folder or `.zip`), a vCenter
        (`vcenter://[user@]host[:port]`), or a snapshot folder.
    login : Login, optional
        For a vCenter; see `drs.io.readers.vcenter.read_vcenter`.
    without_unknown_hosts : bool, default False
        Leave out running VMs whose host an RVTools export does not have; they are a fault otherwise.

    Returns
    -------
    Snapshot
        The snapshot.

    Raises
    ------
    InputError
        With all faults of the source.
    """
    if parse_address(str(source)) is not None:
        return read_vcenter(str(source), login)
    path = Path(source)
    if is_tab_export(path) or (not path.is_dir() and is_workbook(path)):
        return read_rvtools(path, without_unknown_hosts=without_unknown_hosts)
    if path.is_dir() or not path.suffix:
        return read_folder(path)
    hint = ""
    if path.suffix.lower() in (".csv", ".parquet"):
        hint = f"a snapshot is a folder: did you mean {path.parent}?" if is_snapshot(path.parent) else ""
    given = "a file of an unknown kind" if path.exists() else "no such file or folder"
    raise InputError(
        Fault(
            str(path),
            given,
            "an RVTools export (.xlsx, or its CSV files in a folder or .zip), "
            "vcenter://host or a snapshot folder",
            hint,
        )
    )


def convert(
    source: str | Path,
    folder: str | Path,
    *,
    format: Literal["csv", "parquet"] = "csv",
    login: Login | None = None,
    without_unknown_hosts: bool = False,
) -> Snapshot:
    """Make a snapshot folder of an RVTools workbook, a vCenter or another snapshot folder.

    Parameters
    ----------
    source : str or Path
        See `read_source`.
    folder : str or Path
        The folder to make, or a snapshot folder to replace. Nothing is written when the source has a fault.
    format : {"csv", "parquet"}, default "csv"
        How the tables are written.
    login : Login, optional
        For a vCenter.
    without_unknown_hosts : bool, default False
        Leave out running VMs whose host an RVTools export does not have; they are a fault otherwise.

    Returns
    -------
    Snapshot
        What was written.

    Raises
    ------
    InputError
        With all faults of the source, or when the folder holds something else.
    """
    check_target(folder)
    snapshot = read_source(source, login=login, without_unknown_hosts=without_unknown_hosts)
    write_folder(snapshot, folder, format)
    return snapshot
