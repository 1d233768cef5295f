"""VMs: the sheets vInfo, vCPU and vMemory."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from drs.io.raw import RawTable
from drs.io.readers.identity import Register, distinct_names
from drs.io.readers.protocol import warn
from drs.io.readers.sheets import Sheet
from drs.io.readers.vsphere.book import Book
from drs.io.readers.vsphere.cells import evc, is_suspended, is_true, power
from drs.io.readers.vsphere.hosts import Hosts
from drs.io.readers.vsphere.load import Figures, settle
from drs.io.readers.vsphere.pools import Pools
from drs.model.provenance import Provenance
from drs.words import some

LOST = frozenset({"orphaned", "inaccessible", "invalid"})
"""Connection states of VMs that no host runs for certain: vCenter cannot move them."""


class Vms:
    """The VMs of an export: which rows are some, under names that no two share.

    Parameters
    ----------
    book : Book
        The sheets.
    hosts : Hosts
        Where they may run.
    """

    def __init__(self, book: Book, hosts: Hosts) -> None:
        self._book, self._hosts, self.info = book, hosts, book["vInfo"]
        self.left_out_running = ""
        self.vcenters, self.host_of = book.vcenters(self.info), hosts.of(self.info)
        self._choose()
        self._name()

    # -- which rows are VMs

    def _choose(self) -> None:
        info = self.info
        template, placeholder = info.column("Template"), info.column("SRM Placeholder")
        names, state = info.column("VM"), info.column("Connection state")
        given_power = info.column("Powerstate")
        self.power = [power(cell) for cell in given_power]
        given_hosts, size = info.column("Host"), self._book.numbers(info, "Memory")
        left_out: dict[str, list[int]] = {}
        self.rows: list[int] = []
        for row in range(len(info)):
            if is_true(template[row]) or is_true(placeholder[row]):
                what = "templates and SRM placeholders are left out"
            elif str(state[row]).casefold() in LOST:
                what = "orphaned, inaccessible or invalid VMs are left out"
            elif re.match(r"vcls[-_ (]", str(names[row]).casefold()):
                what = "agents of vSphere Cluster Services (vCLS) are left out"
            elif self.power[row] != "on" and _above(size[row], self._hosts.largest_mib):
                what = "VMs that do not run and are larger than every host are left out"
            else:
                self.rows.append(row)
                continue
            left_out.setdefault(what, []).append(row)
        for what, rows in left_out.items():
            warn(f"sheet {info.name}: {len(rows)} {what}: {some([str(names[row]) for row in rows], 5)}")
        strange = [row for row in self.rows if given_hosts[row] is not None and self.host_of[row] is None]
        self._refuse_strange([row for row in strange if self.power[row] == "on"])
        stopped = [row for row in strange if self.power[row] != "on"]
        if stopped:
            warn(
                f"{self._book.where(info, stopped[0], 'Host')}: {len(stopped)} VMs are on hosts that "
                f"the sheet {self._hosts.sheet.name} does not have, such as {given_hosts[stopped[0]]}; "
                "they do not run and count as not placed"
            )
        suspended = [row for row in self.rows if is_suspended(given_power[row])]
        if suspended:
            warn(
                f"sheet {info.name}: {len(suspended)} suspended VMs count as powered off: "
                f"{some([str(names[row]) for row in suspended], 5)}"
            )
        lost = [row for row in self.rows if state[row] not in (None, "connected")]
        if lost:
            warn(
                f"{self._book.where(info, lost[0], 'Connection state')}: {len(lost)} VMs are not connected: "
                f"{some([str(names[row]) for row in lost], 5)}"
            )

    def _refuse_strange(self, strange: list[int]) -> None:
        """A running VM on a host that the file lacks is a fault: it is not waiting for a place."""
        if not strange:
            return
        info, sheet = self.info, self._hosts.sheet.name
        running = sum(self.power[row] == "on" for row in self.rows)
        example = info.column("Host")[strange[0]]
        if self._book.options.without_unknown_hosts:
            gone = set(strange)
            self.rows = [row for row in self.rows if row not in gone]
            self.left_out_running = (
                f"{len(strange)} of {running} running VMs are left out: their hosts, such as "
                f"{example}, are not in the sheet {sheet}"
            )
            warn(self.left_out_running)
            return
        self._book.faults.add(
            self._book.where(info, strange[0], "Host"),
            f"{len(strange)} of {running} running VMs are on hosts that the sheet {sheet} does not have, "
            f"such as {example}",
            f"the host of each running VM in the sheet {sheet}",
            "export all hosts, or leave these VMs out: option without_unknown_hosts",
        )

    # -- who is who

    def _name(self) -> None:
        """A name for each VM that no other has, and what rows of other sheets find it by."""
        info = self.info
        names, ids, uuids = info.column("VM"), info.column("VM ID"), info.first("VM UUID", "UUID")
        given = {row: str(names[row]) for row in self.rows if names[row] is not None}
        mark_of = {row: str(ids[row] or uuids[row] or "") for row in given}
        self.names: dict[int, str | None] = dict.fromkeys(self.rows)
        self.names |= distinct_names(given, {row: self.vcenters[row] for row in given}, mark_of)
        twice = [name for name, count in Counter(given.values()).items() if count > 1]
        if twice:
            warn(
                f"sheet {info.name}: {len(twice)} names of VMs stand there more than once: {some(twice, 5)}; "
                "their vCenter or VM ID is added to the name"
            )
        every = range(len(info))
        self._by_id = Register(
            [(self.vcenters[row], str(ids[row]), row) for row in every if ids[row] is not None]
        )
        self._by_uuid = Register([("", str(uuids[row]), row) for row in every if uuids[row] is not None])
        self._by_name = Register(
            [(self.vcenters[row], str(names[row]), row) for row in every if names[row] is not None]
        )
        self._is_vm = set(self.rows)
        self._info_names = {name for name in names if name is not None}
        self._left_out_names = {str(names[row]) for row in set(every) - self._is_vm}
        self._known = [str(name) for name in self.names.values() if name is not None]

    def of(self, sheet: Sheet) -> list[int | None]:
        """For each row of another sheet the row of vInfo that it belongs to; None for what is left out.

        A row that belongs to nothing is a fault.
        """
        found: list[int | None] = []
        names, ids = sheet.column("VM"), sheet.column("VM ID")
        uuids, vcenters = sheet.first("VM UUID", "UUID"), self._book.vcenters(sheet)
        for row, (vcenter, name, id_, uuid) in enumerate(zip(vcenters, names, ids, uuids, strict=True)):
            at = self._by_id.find(vcenter, id_)
            if at is None:
                at = self._by_uuid.find("", uuid)
            if at is None:
                at = self._by_name.find(vcenter, name)
            if at is None and str(name) not in self._left_out_names:
                self._stranger(sheet, row, name)
            found.append(at if at in self._is_vm else None)
        return found

    def _stranger(self, sheet: Sheet, row: int, name: Any) -> None:
        given = "an empty cell" if name is None else f"unknown VM {name!r}"
        expected = f"a VM of the sheet {self.info.name}"
        if name is not None and name in self._info_names:
            given = f"{name!r}, which several VMs are called"
            expected = "the VM's VI SDK Server and VM ID, or its UUID"
        faults = self._book.faults
        near = faults.near(str(name), self._known) if name is not None else ""
        faults.add(self._book.where(sheet, row, "VM"), given, expected, near)

    def _joined(self, sheet: Sheet) -> Callable[[list[Any]], list[Any]]:
        """Brings cells of another sheet into the order of the VMs."""
        row_of: dict[int, int] = {}
        for row, at in enumerate(self.of(sheet)):
            if at is not None:
                row_of.setdefault(at, row)
        return lambda cells: [cells[row_of[at]] if at in row_of else None for at in self.rows]

    # -- the table

    def table(self, pools: Pools) -> tuple[RawTable, Provenance]:
        """The table of VMs, and where their figures of demand come from."""
        book, info, cpu, memory = self._book, self.info, self._book["vCPU"], self._book["vMemory"]
        of_cpu, of_memory = self._joined(cpu), self._joined(memory)
        columns: dict[str, list[Any]] = {}
        origins: dict[str, tuple[str, str]] = {}

        def put(column: str, sheet: Sheet, label: str, cells: list[Any]) -> None:
            columns[column] = cells
            origins[column] = (f"sheet {sheet.name}", sheet.label(label))

        def own(cells: list[Any]) -> list[Any]:
            return [cells[row] for row in self.rows]

        def either(first: list[Any], second: list[Any]) -> list[Any]:
            return [b if a is None else a for a, b in zip(first, second, strict=True)]

        put("vm", info, "VM", [self.names[row] for row in self.rows])
        put("host", info, "Host", own(self.host_of))
        if pools:
            paths = zip(self.vcenters, info.column("Resource pool"), strict=True)
            put("pool", info, "Resource pool", own([pools.find(*place) for place in paths]))
        put("power", info, "Powerstate", own(self.power))
        modes = [evc(key) for key in info.column("min Required EVC Mode Key")]
        put("evc_mode", info, "min Required EVC Mode Key", own(modes))
        sized = memory.has("Size")
        put("memory_mib", memory if sized else info, "Size" if sized else "Memory",
            either(of_memory(book.numbers(memory, "Size")), own(book.numbers(info, "Memory"))))  # fmt: skip
        counted = cpu if cpu.has("CPUs") else info
        put("vcpus", counted, "CPUs",
            either(of_cpu(book.numbers(cpu, "CPUs")), own(book.numbers(info, "CPUs"))))  # fmt: skip
        figures = Figures(
            hosts=columns["host"],
            power=columns["power"],
            vcpus=columns["vcpus"],
            memory_mib=columns["memory_mib"],
            cpu_mhz=of_cpu(book.numbers(cpu, "Overall")),
            active_mib=of_memory(book.numbers(memory, "Active")),
            consumed_mib=of_memory(book.numbers(memory, "Consumed")),
            lacks=f"the column {cpu.label('Overall')} of the sheet {cpu.name} is empty"
            if cpu.has("Overall")
            else f"there is no sheet {cpu.name} with a column Overall",
        )
        provenance = Provenance()
        if not book.faults:  # figures of half an export agree with nothing
            provenance = settle(figures, self._hosts, scale=book.options.scale_to_hosts)
        put("cpu_demand_mhz", cpu, "Overall", [0.0 if cell is None else cell for cell in figures.cpu_mhz])
        put("memory_active_mib", memory, "Active", figures.active_mib)
        put("memory_consumed_mib", memory, "Consumed", figures.consumed_mib)
        for ours, sheet, of, unit in (("cpu", cpu, of_cpu, "mhz"), ("memory", memory, of_memory, "mib")):
            put(f"{ours}_shares", sheet, "Shares", of(book.numbers(sheet, "Shares")))
            put(f"{ours}_reservation_{unit}", sheet, "Reservation", of(book.numbers(sheet, "Reservation")))
            limits = book.numbers(sheet, "Limit", no_limit=True)
            put(f"{ours}_limit_{unit}", sheet, "Limit", of(limits))
        raw = RawTable(
            "vms",
            f"sheet {info.name}",
            columns,
            own(info.numbers),
            origins,
            {f"sheet {sheet.name}": of(sheet.numbers) for sheet, of in ((cpu, of_cpu), (memory, of_memory))},
        )
        return raw, provenance


def _above(value: Any, limit: float) -> bool:
    return isinstance(value, float) and value > limit
