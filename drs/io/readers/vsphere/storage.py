"""Datastores, who mounts them, and virtual disks: the sheets vDatastore and vDisk."""

from __future__ import annotations

from typing import Any

from drs.io.raw import RawTable
from drs.io.readers.identity import distinct_names
from drs.io.readers.protocol import warn
from drs.io.readers.sheets import Sheet
from drs.io.readers.vsphere.book import Book
from drs.io.readers.vsphere.cells import datastore, is_true, listed
from drs.io.readers.vsphere.hosts import Hosts
from drs.io.readers.vsphere.vms import Vms
from drs.words import some


class Storage:
    """The datastores of an export, and the disks on them.

    Parameters
    ----------
    book : Book
        The sheets.
    hosts : Hosts
        Who mounts them.
    vms : Vms
        Whose disks they hold.
    """

    def __init__(self, book: Book, hosts: Hosts, vms: Vms) -> None:
        self._book, self._vms, self._stores, self._disks = book, vms, book["vDatastore"], book["vDisk"]
        self._name(hosts)

    def _name(self, hosts: Hosts) -> None:
        """A name for each datastore that no other has, and who mounts it."""
        stores = self._stores
        self._vcenters, given = self._book.vcenters(stores), stores.column("Name")
        self._hosts = [
            [host for name in listed(cell) if (host := hosts.find(vcenter, name)) is not None]
            for vcenter, cell in zip(self._vcenters, stores.column("Hosts"), strict=True)
        ]
        rows = [row for row, name in enumerate(given) if name is not None]
        self._named = distinct_names(
            {row: str(given[row]) for row in rows},
            {row: self._vcenters[row] for row in rows},
            {row: ", ".join(self._hosts[row][:1]) for row in rows},
        )
        self._rows: dict[str, list[int]] = {}
        for row in rows:
            self._rows.setdefault(str(given[row]), []).append(row)

    def _find(self, name: str | None, vm: int) -> str | None:
        """Our name of the datastore that a VM calls so: of its vCenter, and of its host where two are left."""
        rows = self._rows.get(name or "", [])
        vcenter, host = self._vms.vcenters[vm], self._vms.host_of[vm]
        if len(rows) > 1:
            rows = [row for row in rows if not vcenter or self._vcenters[row] in ("", vcenter)]
        if len(rows) > 1:
            rows = [row for row in rows if host in self._hosts[row]]
        return self._named[rows[0]] if rows else name

    def tables(self) -> dict[str, RawTable]:
        """The tables of datastores, mounts and disks, where there are any."""
        book, stores = self._book, self._stores
        if not len(stores):
            if len(self._disks):
                warn(f"there is no sheet {stores.name}: disks and datastores are left out")
            return {}
        names = [self._named.get(row) for row in range(len(stores))]
        capacity = book.numbers(stores, "Capacity", 1 / 1024)
        accessible = stores.column("Accessible")
        empty = {
            row
            for row in range(len(stores))
            if not (isinstance(capacity[row], float) and capacity[row] > 0)
            and (accessible[row] is not None and not is_true(accessible[row]))
        }
        if empty:
            warn(
                f"{book.where(stores, min(empty), 'Capacity')}: {len(empty)} inaccessible datastores without "
                "a capacity are left out, with the disks on them: "
                f"{some([str(names[row]) for row in sorted(empty)], 5)}"
            )
        there = [row for row in range(len(stores)) if row not in empty]
        states = [None if cell is None or is_true(cell) else "disconnected" for cell in accessible]
        found = {
            "datastores": book.table(
                "datastores",
                stores,
                {
                    "datastore": ("Name", names),
                    "capacity_gib": ("Capacity", capacity),
                    "free_gib": ("Free", book.numbers(stores, "Free", 1 / 1024)),
                    "datastore_cluster": ("Cluster name", stores.column("Cluster name")),
                    "state": ("Accessible", states),
                },
                there,
            )
        }
        pairs = [(row, host) for row in there for host in self._hosts[row]]
        if pairs:
            mounts = book.table("mounts", stores, {"host": ("Hosts", []), "datastore": ("Name", [])}, [])
            mounts.columns = {
                "host": [host for _, host in pairs],
                "datastore": [names[row] for row, _ in pairs],
            }
            mounts.rows = [stores.numbers[row] for row, _ in pairs]
            found["mounts"] = mounts
        if len(self._disks):
            found["disks"] = self._disk_table(self._disks, {names[row] for row in empty})
        return found

    def _disk_table(self, disks: Sheet, gone: set[str | None]) -> RawTable:
        book, vms = self._book, self._vms
        vm_of = vms.of(disks)
        capacity = book.numbers(disks, "Capacity", 1 / 1024)
        in_use = book.numbers(vms.info, "In Use", 1 / 1024)
        total: dict[int, float] = dict.fromkeys(vms.rows, 0.0)
        for at, size in zip(vm_of, capacity, strict=True):
            if at is not None:
                total[at] += size if isinstance(size, float) else 0.0
        paths, homes = disks.first("Path", "Disk Path"), vms.info.column("Path")
        keep: list[int] = []
        stores_of: list[str] = []
        used: list[Any] = []
        homeless: list[int] = []
        for row, at in enumerate(vm_of):
            if at is None:
                continue
            store = self._find(datastore(paths[row]) or datastore(homes[at]), at)
            if store is None:
                homeless.append(row)
            elif store not in gone:
                keep.append(row)
                stores_of.append(store)
                size, taken = capacity[row], in_use[at]
                share = min(1.0, taken / total[at]) if isinstance(taken, float) and total[at] else 1.0
                used.append(size * share if isinstance(size, float) else None)
        if homeless:
            warn(
                f"{book.where(disks, homeless[0], 'Path')}: {len(homeless)} disks without "
                "a datastore are left out"
            )
        table = book.table(
            "disks",
            disks,
            {
                "vm": ("VM", [None if at is None else vms.names[at] for at in vm_of]),
                "disk": ("Disk", disks.column("Disk")),
                "size_gib": ("Capacity", capacity),
            },
            keep,
        )
        table.columns["datastore"], table.columns["used_gib"] = list(stores_of), used
        path = disks.label("Path" if disks.has("Path") else "Disk Path")
        table.origins = {**table.origins, "datastore": (f"sheet {disks.name}", path)}
        return table
