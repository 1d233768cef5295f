"""A snapshot straight from a vCenter, through its API (the extra `vcenter` brings pyvmomi).

Only what DRS needs is read, in one bulk request for each kind of object; nothing is changed. The mapping from
properties to tables is tested on fakes; it has not been run against every version of vCenter.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drs.errors import Fault, InputError
from drs.io.readers.look import Look
from drs.io.readers.protocol import Options, Reader, Reading
from drs.io.readers.vcenter_tables import Objects, reading_of

INSTALL = "pip install 'drs-optimizer[vcenter]'"
USER, PASSWORD = "DRS_VCENTER_USER", "DRS_VCENTER_PASSWORD"

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


@dataclass(frozen=True)
class Address:
    """Where a vCenter answers.

    Parameters
    ----------
    host : str
        Name or IP address.
    port : int
        443 as a rule.
    user : str
        "" where the address does not say.
    """

    host: str
    port: int
    user: str


def parse_address(source: str) -> Address | None:
    """The vCenter that `vcenter://[user@]host[:port]` means; None for anything else.

    Parameters
    ----------
    source : str
        What stood on the command line.

    >>> parse_address("vcenter://admin@vsphere.local@vc01.example.org")
    Address(host='vc01.example.org', port=443, user='admin@vsphere.local')
    """
    found = re.fullmatch(r"vcenter://(?:(.+)@)?([^@/:]+)(?::(\d+))?/?", source)
    if found is None:
        return None
    user, host, port = found.groups()
    return Address(host, int(port or 443), user or "")


def recognises(seen: Look) -> bool:
    """Whether it is the address of a vCenter.

    Parameters
    ----------
    seen : Look
        What was given.
    """
    return parse_address(seen.given) is not None


def read(seen: Sequence[Look], options: Options) -> Reading:
    """Read one vCenter.

    Parameters
    ----------
    seen : sequence of Look
        One address.
    options : Options
        `user`, `password`, `verify`, `without_unknown_hosts`.
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
        User and password are by default the address's user, then the environment's `DRS_VCENTER_USER` and
        `DRS_VCENTER_PASSWORD`. Read-only rights are enough.

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
        raise InputError(Fault(source, "no vCenter address", "vcenter://[user@]host[:port]"))
    options = options or Options()
    user = options.user or address.user or os.environ.get(USER, "")
    password = options.password if options.password is not None else os.environ.get(PASSWORD, "")
    try:
        from pyVim.connect import Disconnect, SmartConnect
        from pyVmomi import vim, vmodl
    except ImportError:
        raise InputError(
            Fault(
                source,
                "pyvmomi, the library that talks to vCenter, is not installed",
                "the extra vcenter",
                INSTALL,
            )
        ) from None
    if not user or not password:
        missing = " and ".join(
            what for what, is_ in ((f"user ({USER})", user), (f"password ({PASSWORD})", password)) if not is_
        )
        raise InputError(Fault(source, f"no {missing}", "credentials in the environment"))
    try:
        service = SmartConnect(
            host=address.host,
            port=address.port,
            user=user,
            pwd=password,
            disableSslCertValidation=not options.verify,
        )
    except vim.fault.InvalidLogin:
        raise InputError(Fault(source, f"the login of {user!r} was refused", "valid credentials")) from None
    except (OSError, vmodl.MethodFault) as error:
        raise InputError(
            Fault(source, f"no connection: {getattr(error, 'msg', error)}", "a vCenter that answers")
        ) from None
    try:
        content = service.RetrieveContent()
        return reading_of(lambda kind: _fetch(content, kind, vim, vmodl), options, name=address.host)
    finally:
        Disconnect(service)


def _fetch(content: Any, kind: str, vim: Any, vmodl: Any) -> Objects:
    """All objects of a kind, with their properties, page by page."""
    query = vmodl.query.PropertyCollector
    view = content.viewManager.CreateContainerView(content.rootFolder, [getattr(vim, kind)], True)
    try:
        step = query.TraversalSpec(name="view", path="view", skip=False, type=vim.view.ContainerView)
        wanted = query.FilterSpec(
            objectSet=[query.ObjectSpec(obj=view, skip=True, selectSet=[step])],
            propSet=[query.PropertySpec(type=getattr(vim, kind), pathSet=list(PROPERTIES[kind]), all=False)],
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
