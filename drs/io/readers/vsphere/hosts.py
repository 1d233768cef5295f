"""Hosts and clusters: the sheets vHost, vNIC and vCluster."""

from __future__ import annotations

from collections import Counter
from typing import Any

from drs.io.raw import RawTable
from drs.io.readers.identity import Register, distinct_names
from drs.io.readers.sheets import Sheet
from drs.io.readers.vsphere.book import Book
from drs.io.readers.vsphere.cells import evc, is_true, vendor

AUTOMATION = {"fullyautomated": "full", "partiallyautomated": "partial", "manual": "manual"}


class Hosts:
    """The hosts of an export under names that no two share, and their clusters.

    Parameters
    ----------
    book : Book
        The sheets.
    """

    def __init__(self, book: Book) -> None:
        self.book, self.sheet = book, book["vHost"]
        self._name(self.sheet)
        self._name_clusters(self.sheet)
        speed, cores = book.numbers(self.sheet, "Speed"), book.numbers(self.sheet, "# Cores")
        self.cpu_mhz: list[Any] = []
        for row, (clock, n) in enumerate(zip(speed, cores, strict=True)):
            if n is None:
                book.faults.add(book.where(self.sheet, row, "# Cores"), "an empty cell", "a number above 0")
            count = n if isinstance(n, float) else 1e6
            self.cpu_mhz.append(clock * count if isinstance(clock, float) else clock)
        self.cores = cores
        self.memory_mib = book.numbers(self.sheet, "# Memory")
        self.largest_mib = max(
            (mib for mib in self.memory_mib if isinstance(mib, float)), default=float("inf")
        )

    def _name(self, sheet: Sheet) -> None:
        """A name for each host that no host of another vCenter has; a host twice is a fault of `build`."""
        vcenters, names = self.book.vcenters(sheet), sheet.column("Host")
        keys = [(vcenter, str(name)) for vcenter, name in zip(vcenters, names, strict=True)]
        known = [key for key, name in zip(keys, names, strict=True) if name is not None]
        self._named = distinct_names({key: key[1] for key in known}, {key: key[0] for key in known})
        self._at = Register([(*key, key) for key in dict.fromkeys(known)], short=True)
        self.names = [
            None if name is None else self._named[key] for key, name in zip(keys, names, strict=True)
        ]

    def find(self, vcenter: str, name: object) -> str | None:
        """Our name of a host; None for one that vHost does not have."""
        key = self._at.find(vcenter, name)
        return None if key is None else self._named[key]

    def of(self, sheet: Sheet) -> list[str | None]:
        """Our names of the hosts in the column Host of a sheet."""
        pairs = zip(self.book.vcenters(sheet), sheet.column("Host"), strict=True)
        return [self.find(vcenter, name) for vcenter, name in pairs]

    def measured(self, label: str) -> dict[str, float]:
        """A figure that vHost has of its hosts, by our names; hosts without one are left out."""
        cells = zip(self.names, self.book.numbers(self.sheet, label), strict=True)
        return {name: value for name, value in cells if name is not None and isinstance(value, float)}

    def used_mhz(self) -> dict[str, float]:
        """The CPU that each host measured, in MHz."""
        percent = self.measured("CPU usage %")
        cpu = zip(self.names, self.cpu_mhz, strict=True)
        return {
            name: mhz * percent[name] / 100 for name, mhz in cpu if name in percent and isinstance(mhz, float)
        }

    def table(self) -> RawTable:
        """The table of hosts."""
        sheet = self.sheet
        states = [
            "maintenance" if is_true(maintenance) else "quarantine" if is_true(quarantine) else None
            for maintenance, quarantine in zip(
                sheet.column("in Maintenance Mode"), sheet.column("in Quarantine Mode"), strict=True
            )
        ]
        fastest: dict[str, float] = {}
        nics = self.book["vNIC"]
        for host, mbps in zip(self.of(nics), self.book.numbers(nics, "Speed"), strict=True):
            if host is not None and isinstance(mbps, float) and mbps > 0:
                fastest[host] = max(mbps, fastest.get(host, 0.0))
        return self.book.table(
            "hosts",
            sheet,
            {
                "host": ("Host", self.names),
                "cpu_mhz": ("Speed", self.cpu_mhz),
                "memory_mib": ("# Memory", self.memory_mib),
                "cluster": ("Cluster", self._cluster_of_row),
                "site": ("Datacenter", self._site_of_row),
                "vcenter": ("VI SDK Server", sheet.column("VI SDK Server")),
                "cpu_cores": ("# Cores", self.cores),
                "cpu_vendor": ("CPU Model", [vendor(model) for model in sheet.column("CPU Model")]),
                "evc_max": ("Max EVC", [evc(key) for key in sheet.column("Max EVC")]),
                "state": ("in Maintenance Mode", states),
                "vmotion_mbps": ("Speed", [fastest.get(str(name)) for name in self.names]),
            },
        )

    def _name_clusters(self, sheet: Sheet) -> None:
        """Names of the clusters; with datacenter or vCenter where two of them have clusters of one name.

        A host outside of any cluster is a cluster of its own: nothing moves there by itself.
        """
        vcenters = self.book.vcenters(sheet)
        centers = list(zip(vcenters, sheet.column("Datacenter"), strict=True))
        keys = list(zip(vcenters, sheet.column("Datacenter"), sheet.column("Cluster"), strict=True))
        own = dict.fromkeys(key for key in keys if key[2] is not None)
        alike: dict[Any, list[tuple[str, Any, Any]]] = {}
        for key in own:
            alike.setdefault(key[2], []).append(key)
        names: dict[tuple[str, Any, Any], str] = {}
        for key in own:
            same = alike[key[2]]
            parts = [key[0]] if len({other[0] for other in same}) > 1 else []
            parts += [str(key[1])] if sum(other[0] == key[0] for other in same) > 1 else []
            names[key] = "/".join([*parts, str(key[2])])
        often = Counter(site for _, site in {center for center in centers if center[1] is not None})
        self._site_of_row = [
            None if site is None else f"{vcenter}/{site}" if often[site] > 1 else str(site)
            for vcenter, site in centers
        ]
        self._cluster_of_row: list[str | None] = []
        self._clusters_named: dict[tuple[str, str], list[str]] = {}
        self.cluster_in: dict[tuple[str, str, str], str] = {}
        for (vcenter, site, cluster), host in zip(keys, sheet.column("Host"), strict=True):
            if cluster is None:
                self._cluster_of_row.append(self.find(vcenter, host))
                continue
            name = names[vcenter, site, cluster]
            self.cluster_in[vcenter, str(site), str(cluster)] = name
            known = self._clusters_named.setdefault((vcenter, str(cluster)), [])
            if name not in known:
                known.append(name)
            self._cluster_of_row.append(name)

    def clusters_called(self, vcenter: str, name: object) -> list[str]:
        """Our names of the clusters of a name; of all vCenters where the row does not say which."""
        if vcenter or ("", str(name)) in self._clusters_named:
            return self._clusters_named.get((vcenter, str(name)), [])
        return [
            one for (_, other), known in self._clusters_named.items() if other == str(name) for one in known
        ]

    def clusters(self) -> RawTable:
        """The table of clusters."""
        book, sheet = self.book, self.book["vCluster"]
        modes: dict[str, str] = {}
        for cluster, key in zip(self._cluster_of_row, self.sheet.column("Current EVC"), strict=True):
            if cluster is not None and evc(key) is not None:
                modes.setdefault(cluster, evc(key) or "")
        settings: dict[str, int] = {}
        labels = sheet.first("Name", "Cluster")
        for row, pair in enumerate(zip(book.vcenters(sheet), labels, strict=True)):
            for cluster in self.clusters_called(*pair):
                settings.setdefault(cluster, row)
        names = list(dict.fromkeys(name for name in self._cluster_of_row if name is not None))
        at = [settings.get(name) for name in names]

        def of(cells: list[Any]) -> list[Any]:
            return [None if row is None else cells[row] for row in at]

        behaviour = [
            AUTOMATION.get(str(value).casefold().replace(" ", ""))
            for value in sheet.column("DRS default VM behavior")
        ]
        switched_off = [value is not None and not is_true(value) for value in sheet.column("DRS enabled")]
        automation = ["manual" if off else level for off, level in zip(switched_off, behaviour, strict=True)]
        protected = sheet.column("HA enabled")
        failover = [
            None if protected[row] is not None and not is_true(protected[row]) else value
            for row, value in enumerate(book.numbers(sheet, "Failover Level"))
        ]
        # RVTools shows the API's rate, which runs against the threshold that vCenter shows: 5 is aggressive
        # there, 1 in the API (ansible-collections/vmware.vmware issue 68, community.vmware PR 1542).
        rate = [
            6 - value if isinstance(value, float) else value
            for value in book.numbers(sheet, "DRS vmotion rate")
        ]
        hosts_label, label = f"sheet {self.sheet.name}", f"sheet {sheet.name}"
        return RawTable(
            "clusters",
            label,
            {
                "cluster": names,
                "evc_mode": [modes.get(name) for name in names],
                "ha_failover_hosts": of(failover),
                "automation": of(automation),
                "migration_threshold": of(rate),
            },
            None,
            {
                "cluster": (hosts_label, self.sheet.label("Cluster")),
                "evc_mode": (hosts_label, self.sheet.label("Current EVC")),
                "ha_failover_hosts": (label, sheet.label("Failover Level")),
                "automation": (label, sheet.label("DRS default VM behavior")),
                "migration_threshold": (label, sheet.label("DRS vmotion rate")),
            },
            {
                label: [None if row is None else sheet.numbers[row] for row in at],
                hosts_label: [None] * len(names),
            },
        )
