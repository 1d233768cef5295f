"""Resource pools: the sheet vRP."""

from __future__ import annotations

from collections import Counter
from typing import Any

from drs.io.raw import RawTable
from drs.io.readers.vsphere.book import Book
from drs.io.readers.vsphere.cells import is_true
from drs.io.readers.vsphere.hosts import Hosts


class Pools:
    """The pools below each cluster's own, which RVTools shows as `…/CLUSTER/Resources/POOL/POOL`.

    A pool is called by its path below the cluster where another one has its name.

    Parameters
    ----------
    book : Book
        The sheets.
    hosts : Hosts
        Which clusters there are.
    """

    def __init__(self, book: Book, hosts: Hosts) -> None:
        self._book, self._hosts, self._sheet = book, hosts, book["vRP"]
        vcenters = book.vcenters(self._sheet)
        paths = [str(path or "").rstrip("/") for path in self._sheet.column("Resource Pool path")]
        self._places = list(zip(vcenters, paths, strict=True))
        self._clusters = [self._cluster_of(*place) for place in self._places]
        self._rows = [row for row, cluster in enumerate(self._clusters) if cluster is not None]
        short = {row: paths[row].rsplit("/", 1)[-1] for row in self._rows}
        often = Counter(short.values())
        self._named: dict[tuple[str, str], str] = {}
        for row in self._rows:
            whole = f"{self._clusters[row]}/{paths[row].split('/Resources/', 1)[1]}"
            self._named[self._places[row]] = short[row] if often[short[row]] == 1 else whole

    def __bool__(self) -> bool:
        return bool(self._rows)

    def find(self, vcenter: str, path: object) -> str | None:
        """Our name of the pool at a path; None for none."""
        return self._named.get((vcenter, str(path or "").rstrip("/")))

    def _cluster_of(self, vcenter: str, path: str) -> str | None:
        """The cluster that a path below some `Resources` belongs to; None for any other path."""
        above, found, _ = path.partition("/Resources/")
        if not found:
            return None
        parts = [part for part in above.split("/") if part and part != "host"]
        if len(parts) > 1 and (vcenter, parts[-2], parts[-1]) in self._hosts.cluster_in:
            return self._hosts.cluster_in[vcenter, parts[-2], parts[-1]]
        known = self._hosts.clusters_called(vcenter, parts[-1] if parts else "")
        return known[0] if len(known) == 1 else None

    def tables(self) -> dict[str, RawTable]:
        """The table of pools, where there are any."""
        if not self._rows:
            return {}
        book, sheet = self._book, self._sheet
        parents = [self._named.get((vcenter, path.rsplit("/", 1)[0])) for vcenter, path in self._places]
        columns: dict[str, tuple[str, list[Any]]] = {
            "pool": ("Resource Pool path", [self._named.get(place) for place in self._places]),
            "parent": ("Resource Pool path", parents),
            "cluster": ("Resource Pool path", list(self._clusters)),
        }
        for ours, theirs, unit in (("cpu", "CPU", "mhz"), ("memory", "Mem", "mib")):
            for what in ("reservation", "limit"):
                cells = book.numbers(sheet, f"{theirs} {what}")
                if what == "limit":
                    cells = [None if isinstance(value, float) and value < 0 else value for value in cells]
                columns[f"{ours}_{what}_{unit}"] = (f"{theirs} {what}", cells)
            columns[f"{ours}_shares"] = (f"{theirs} shares", book.numbers(sheet, f"{theirs} shares"))
            label = f"{theirs} expandableReservation"
            cells = [
                None if value is None else "yes" if is_true(value) else "no" for value in sheet.column(label)
            ]
            columns[f"{ours}_expandable"] = (label, cells)
        return {"pools": book.table("pools", sheet, columns, self._rows)}
