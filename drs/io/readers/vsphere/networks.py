"""Networks: the sheets vNetwork, vPort, dvPort and dvSwitch."""

from __future__ import annotations

from drs.io.raw import RawTable
from drs.io.readers.identity import Register
from drs.io.readers.protocol import warn
from drs.io.readers.vsphere.book import Book
from drs.io.readers.vsphere.cells import is_true, listed
from drs.io.readers.vsphere.hosts import Hosts
from drs.io.readers.vsphere.vms import Vms
from drs.words import some

NO_NETWORK = frozenset({"not connected", "none", "n/a", "-", "disconnected", "not assigned"})
"""What stands for no network at an adapter without a switch."""

Offered = dict[tuple[str | None, str], None]


def networks(book: Book, hosts: Hosts, vms: Vms) -> dict[str, RawTable]:
    """The tables of virtual NICs and port groups, where there are any.

    Parameters
    ----------
    book : Book
        The sheets.
    hosts : Hosts
        Who offers them.
    vms : Vms
        Who is connected to them.
    """
    nics = book["vNetwork"]
    vm_of, named = vms.of(nics), nics.column("Network")
    switch, connected = nics.column("Switch"), nics.column("Connected")
    loose, keep, seen = 0, [], set()
    for row, at in enumerate(vm_of):
        if at is None:
            continue
        unplugged = str(named[row]).casefold() in NO_NETWORK
        if named[row] is None or (unplugged and switch[row] is None and not is_true(connected[row])):
            loose += 1
        elif (at, named[row]) not in seen:
            seen.add((at, named[row]))
            keep.append(row)
    if loose:
        warn(f"sheet {nics.name}: {loose} network adapters are connected to no network")
    found = {}
    if keep:
        found["nics"] = book.table(
            "nics",
            nics,
            {
                "vm": ("VM", [None if at is None else vms.names[at] for at in vm_of]),
                "network": ("Network", named),
            },
            keep,
        )
    offered = _standard(book, hosts) | _distributed(book, hosts)
    if not offered:
        return found
    # A network that a VM uses and no sheet places is offered by the host that the VM runs on.
    known = {group for _, group in offered}
    guessed = [row for row in keep if str(named[row]) not in known]
    for row in guessed:
        offered[vms.host_of[vm_of[row] or 0], str(named[row])] = None
    if guessed:
        names = list(dict.fromkeys(str(named[row]) for row in guessed))
        warn(
            f"sheet {nics.name}: no sheet says where {len(names)} networks are: {some(names, 5)}; "
            "each counts as offered by the hosts of its VMs alone"
        )
    found["portgroups"] = RawTable(
        "portgroups",
        f"sheet {book['vPort'].name}",
        {"host": [host for host, _ in offered], "network": [group for _, group in offered]},
    )
    return found


def _standard(book: Book, hosts: Hosts) -> Offered:
    ports = book["vPort"]
    pairs = zip(hosts.of(ports), ports.column("Port Group"), strict=True)
    return {(host, str(group)): None for host, group in pairs if host is not None and group is not None}


def _distributed(book: Book, hosts: Hosts) -> Offered:
    """Port groups of distributed switches, offered by the members of their switch.

    `Switch` is the switch; `Name` is the short name of the product, "DVS" at every one of them.
    """
    switches, ports = book["dvSwitch"], book["dvPort"]
    labels = zip(book.vcenters(switches), switches.first("Switch", "Name"), strict=True)
    things = [(vcenter, str(name), row) for row, (vcenter, name) in enumerate(labels) if name is not None]
    switch_at = Register(things)
    cells = zip(book.vcenters(switches), switches.column("Host members"), strict=True)
    members = [
        [host for name in listed(cell) if (host := hosts.find(vcenter, name)) is not None]
        for vcenter, cell in cells
    ]
    offered: Offered = {}
    rows = zip(book.vcenters(ports), ports.column("Port"), ports.column("Switch"), strict=True)
    for vcenter, group, name in rows:
        at = switch_at.find(vcenter, name)
        if group is not None and at is not None:
            for host in members[at]:
                offered[host, str(group)] = None
    return offered
