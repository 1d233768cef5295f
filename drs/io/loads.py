"""A load history joined to a snapshot by the names of its VMs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from drs.errors import Fault, InputError
from drs.io.reader import epoch_s
from drs.io.readers.protocol import Loads, warn
from drs.model.provenance import Provenance
from drs.model.snapshot import LoadHistory, Snapshot
from drs.words import some


def join(snapshot: Snapshot, histories: Sequence[Loads]) -> Snapshot:
    """Add load histories to a snapshot; where it has a figure of a VM and time already, the new one counts.

    Where the snapshot has no measured CPU demand, each VM's mean in the history becomes it.

    Parameters
    ----------
    snapshot : Snapshot
        Whose VMs they are of.
    histories : sequence of Loads
        Figures by the names of VMs; blind to case where only one VM fits.

    Raises
    ------
    InputError
        When no name is one of the snapshot's.
    """
    vm_of = {str(name): vm for vm, name in enumerate(snapshot.vms.name.tolist())}
    folded: dict[str, list[int]] = {}
    for name, place in vm_of.items():
        folded.setdefault(name.casefold(), []).append(place)

    def find(name: str) -> int | None:
        if name in vm_of:
            return vm_of[name]
        fits = folded.get(name.casefold(), [])
        return fits[0] if len(fits) == 1 else None

    figures: dict[tuple[int, int], tuple[float | None, float | None]] = {}
    strangers: dict[str, None] = {}
    for history in histories:
        for name, seconds, cpu, memory in history.rows:
            vm = find(name)
            if vm is None:
                strangers[name] = None
            else:
                figures[seconds, vm] = (cpu, memory)
    label = some([history.source for history in histories], 3)
    if not figures:
        raise InputError(
            Fault(
                label,
                f"none of its {len(strangers)} VMs is in the snapshot, such as {some(list(strangers), 3)}",
                "the names of VMs of the snapshot",
            )
        )
    if strangers:
        warn(
            f"{label}: {len(strangers)} VMs are not in the snapshot and are left out: {some(list(strangers), 5)}"
        )
    on = np.flatnonzero(snapshot.vms.on)
    silent = [str(snapshot.vms.name[vm]) for vm in np.setdiff1d(on, [vm for _, vm in figures])]
    if silent:
        warn(f"{label}: {len(silent)} running VMs of the snapshot are not in it: {some(silent, 5)}")
    return _settled(dataclasses.replace(snapshot, loads=_merged(snapshot, figures)), label)


def _merged(
    snapshot: Snapshot, figures: dict[tuple[int, int], tuple[float | None, float | None]]
) -> LoadHistory:
    old = snapshot.loads
    before = np.empty(0, dtype=np.int64) if old is None else old.time.astype(np.int64)
    times = np.union1d(before, np.array([seconds for seconds, _ in figures], dtype=np.int64))
    tables = [np.full((len(times), snapshot.n_vms), np.nan, dtype=np.float32) for _ in range(2)]
    if old is not None:
        at = np.searchsorted(times, before)
        tables[0][at], tables[1][at] = old.cpu_mhz, old.memory_active_mib
    row_of = {int(seconds): row for row, seconds in enumerate(times)}
    for (seconds, vm), values in figures.items():
        for table, value in zip(tables, values, strict=True):
            if value is not None:
                table[row_of[seconds], vm] = value
    return LoadHistory(times.astype("datetime64[s]"), *tables)


def _settled(snapshot: Snapshot, label: str) -> Snapshot:
    """The mean of the history as demand where none was measured."""
    if snapshot.rests_on.cpu_demand not in ("missing", "estimated", "configured") or snapshot.loads is None:
        return snapshot
    known = ~np.isnan(snapshot.loads.cpu_mhz)
    count = known.sum(axis=0)
    total = np.where(known, snapshot.loads.cpu_mhz, 0.0).sum(axis=0, dtype=np.float64)
    vms = snapshot.vms
    mean = np.where((count > 0) & vms.on, total / np.maximum(count, 1), vms.cpu_demand_mhz)
    note = f"CPU demand is each VM's mean in {label}"
    warn(f"the snapshot had no measured CPU demand: {note}")
    if (count[vms.on] == 0).any():
        note += f"; {int((count[vms.on] == 0).sum())} running VMs without samples keep what they had"
    provenance = Provenance("measured", snapshot.provenance.memory_demand, note)
    return dataclasses.replace(
        snapshot, vms=dataclasses.replace(vms, cpu_demand_mhz=mean), provenance=provenance
    )


def loads_of(snapshot: Snapshot, label: str) -> Loads:
    """The figures of a snapshot as one moment of a load history.

    Parameters
    ----------
    snapshot : Snapshot
        Its running VMs count.
    label : str
        What to call it.

    Raises
    ------
    InputError
        When it does not say when it was taken.
    """
    seconds = epoch_s(snapshot.taken_at) if snapshot.taken_at else None
    if seconds is None:
        raise InputError(
            Fault(
                label,
                "it does not say when it was exported",
                "a time in it or in its name",
                "call it such as RVTools_2026-01-31_14.05.00.xlsx",
            )
        )
    vms = snapshot.vms
    rows = [
        (
            str(vms.name[vm]),
            seconds,
            float(vms.cpu_demand_mhz[vm]),
            None if np.isnan(vms.memory_active_mib[vm]) else float(vms.memory_active_mib[vm]),
        )
        for vm in np.flatnonzero(vms.on)
    ]
    return Loads(label, tuple(rows))
