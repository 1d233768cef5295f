"""A snapshot straight from a vCenter, through its API (the extra `vcenter` brings pyvmomi).

Only what DRS needs is read, in one bulk request for each kind of object; nothing is changed. The mapping from
properties to tables is tested on fakes; it has not been run against every version of vCenter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drs.errors import Fault, InputError
from drs.io.readers.look import Look
from drs.io.readers.protocol import Options, Reader, Reading
from drs.io.readers.vcenter_login import is_address, parse_address, session
from drs.io.readers.vcenter_tables import Objects, get, reading_of

PROPERTIES: Mapping[str, tuple[str, ...]] = {
    "HostSystem": (
        "name",
        "parent",
        "summary.hardware",
        "summary.maxEVCModeKey",
        "runtime.connectionState",
        "runtime.inMaintenanceMode",
        "runtime.inQuarantineMode",
        "datastore",
        "network",
        "config.network.pnic",
    ),
    "ClusterComputeResource": ("name", "summary", "configurationEx"),
    "ResourcePool": ("name", "parent", "owner", "config"),
    "VirtualMachine": (
        "name",
        "runtime.host",
        "resourcePool",
        "runtime.powerState",
        "runtime.connectionState",
        "runtime.minRequiredEVCModeKey",
        "config.template",
        "config.instanceUuid",
        "config.hardware",
        "config.cpuAllocation",
        "config.memoryAllocation",
        "summary.quickStats",
        "network",
    ),
    "Datastore": ("name", "parent", "summary"),
    "StoragePod": ("name",),
    "Network": ("name",),
}
"""What is read of each kind of managed object."""


def recognises(seen: Look) -> bool:
    """Whether it is the address of a vCenter.

    Parameters
    ----------
    seen : Look
        What was given.
    """
    return is_address(seen.given)


def read(seen: Sequence[Look], options: Options) -> Reading:
    """Read one vCenter.

    Parameters
    ----------
    seen : sequence of Look
        One address.
    options : Options
        `login`, `without_unknown_hosts`.
    """
    (one,) = seen
    return read_vcenter(one.given, options)


def read_vcenter(source: str, options: Options | None = None) -> Reading:
    """Read the inventory of a vCenter: hosts, clusters with their DRS rules, pools, VMs, disks, datastores, networks.

    Parameters
    ----------
    source : str
        `vcenter://[user@]host[:port]`.
    options : Options, optional
        `login`: credentials and how the server's certificate is verified. Read-only rights are enough.

    Returns
    -------
    Reading
        The inventory as it is now, and its rules.

    Raises
    ------
    InputError
        When pyvmomi or the credentials are missing, the server cannot be reached, or what it says makes no
        snapshot.
    """
    address = parse_address(source)
    if address is None:
        raise InputError(Fault("source", "no vCenter address", "vcenter://[user@]host[:port]"))
    options = options or Options()
    with session(address, options.login) as service:
        return read_service(service, address.host, options)


def read_service(service: Any, name: str, options: Options | None = None) -> Reading:
    """The inventory behind a session that is open, as it is now."""
    content = service.RetrieveContent()
    return reading_of(
        lambda kind: fetch(content, kind, PROPERTIES[kind]),
        options,
        name=name,
        uuid=str(get(content, "about.instanceUuid", "")),
        taken_at=get(service, "CurrentTime", lambda: None)(),
    )


def fetch(content: Any, kind: str, properties: Sequence[str]) -> Objects:
    """All objects of a kind, with their properties, page by page."""
    from pyVmomi import vim, vmodl

    query = vmodl.query.PropertyCollector
    view = content.viewManager.CreateContainerView(content.rootFolder, [getattr(vim, kind)], True)
    try:
        step = query.TraversalSpec(name="view", path="view", skip=False, type=vim.view.ContainerView)
        wanted = query.FilterSpec(
            objectSet=[query.ObjectSpec(obj=view, skip=True, selectSet=[step])],
            propSet=[query.PropertySpec(type=getattr(vim, kind), pathSet=list(properties), all=False)],
        )
        collector = content.propertyCollector
        page = collector.RetrievePropertiesEx([wanted], query.RetrieveOptions(maxObjects=1000))
        found: list[tuple[Any, dict[str, Any]]] = []
        while page is not None:
            found += [(one.obj, {p.name: p.val for p in one.propSet}) for one in page.objects]
            page = collector.ContinueRetrievePropertiesEx(page.token) if page.token else None
        return found
    finally:
        view.Destroy()


READER = Reader(
    name="vCenter",
    give="its address: vcenter://[user@]host[:port]",
    tried="a simulator and fakes",
    recognises=recognises,
    read=read,
)
