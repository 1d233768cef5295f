"""A snapshot of ours as the folder of saved objects that `vcsim -load FOLDER` serves as a vCenter."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from drs.model import Snapshot

SPACES = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
FOLDERS = {"vm": "group-v3", "host": "group-h4", "datastore": "group-s5", "network": "group-n6"}
HOLDS = {
    "vm": ("Folder", "VirtualMachine"),
    "host": ("Folder", "ComputeResource"),
    "datastore": ("Folder", "StoragePod", "Datastore"),
    "network": ("Folder", "Network"),
}
NOW = "2026-01-01T00:00:00Z"


def tag(name: str, *content: object) -> str:
    return f"<{name}>{''.join(map(str, content))}</{name}>"


def tags(**values: object) -> str:
    return "".join(tag(name, escape(str(value))) for name, value in values.items())


def val(kind: str, *content: object) -> str:
    return f'<val xsi:type="{kind}">{"".join(map(str, content))}</val>'


def text(value: object) -> str:
    return val("xsd:string", escape(str(value)))


def ref(kind: str, id_: str, name: str) -> str:
    return f'<{name} type="{kind}">{id_}</{name}>'


def one(kind: str, id_: str) -> str:
    return f'<val xsi:type="ManagedObjectReference" type="{kind}">{id_}</val>'


def many(kind: str, ids: Iterable[str]) -> str:
    return val("ArrayOfManagedObjectReference", *(ref(kind, id_, "ManagedObjectReference") for id_ in ids))


def strings(values: Iterable[str]) -> str:
    return val("ArrayOfString", *(tag("string", value) for value in values))


def stable_uuid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def shares(reservation: float, limit: float, amount: float) -> str:
    top = int(limit) if np.isfinite(limit) else -1
    return (
        tags(reservation=int(reservation), expandableReservation="true", limit=top)
        + tag("shares", tags(shares=int(amount), level="custom"))
    )  # fmt: skip


class Dump:
    """Objects as files, in the order in which they are loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.n = folder, 0
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, kind: str, id_: str, **properties: str) -> None:
        sets = "".join(tag("propSet", tag("name", name), value) for name, value in properties.items())
        body = f'<ObjectContent {SPACES}><obj type="{kind}">{id_}</obj>{sets}</ObjectContent>'
        (self.folder / f"{self.n:06d}-{kind}-{id_}.xml").write_text(body, encoding="utf-8")
        self.n += 1


def write_inventory(snapshot: Snapshot, folder: Path) -> None:
    """Hosts, clusters, VMs with their disks and networks; resource pools, links and loads over time are left out."""
    out = Dump(folder)
    hosts, vms, stores = snapshot.hosts, snapshot.vms, snapshot.datastores
    host_ids = [f"host-{i + 1}" for i in range(snapshot.n_hosts)]
    vm_ids = [f"vm-{i + 1}" for i in range(snapshot.n_vms)]
    store_ids = [f"datastore-{i + 1}" for i in range(len(stores))]
    net_ids = [f"network-{i + 1}" for i in range(len(snapshot.networks))]
    cluster_ids = [f"domain-c{i + 1}" for i in range(len(snapshot.clusters))]
    pool_ids = [f"resgroup-{i + 1}" for i in range(len(snapshot.clusters))]
    kids = {
        "vm": ("VirtualMachine", vm_ids),
        "host": ("ClusterComputeResource", cluster_ids),
        "datastore": ("Datastore", store_ids),
        "network": ("Network", net_ids),
    }
    out.put(
        "Folder",
        "group-d1",
        name=text("Datacenters"),
        childType=strings(("Folder", "Datacenter")),
        childEntity=many("Datacenter", ["datacenter-2"]),
    )
    out.put(
        "Datacenter",
        "datacenter-2",
        parent=one("Folder", "group-d1"),
        name=text("DC0"),
        **{f"{name}Folder": one("Folder", id_) for name, id_ in FOLDERS.items()},
        datastore=many("Datastore", store_ids),
        network=many("Network", net_ids),
        configuration=val("DatacenterConfigInfo"),
    )
    for name, id_ in FOLDERS.items():
        out.put(
            "Folder",
            id_,
            parent=one("Datacenter", "datacenter-2"),
            name=text(name),
            childType=strings(HOLDS[name]),
            childEntity=many(*kids[name]),
        )
    networks_of: dict[int, list[int]] = {}
    for vm, net in zip(snapshot.nic_vm_idx.tolist(), snapshot.nic_network_idx.tolist(), strict=True):
        networks_of.setdefault(vm, []).append(net)
    for i, id_ in enumerate(net_ids):
        name = snapshot.networks[i]
        out.put(
            "Network",
            id_,
            parent=one("Folder", FOLDERS["network"]),
            name=text(name),
            summary=val("NetworkSummary", ref("Network", id_, "network"), tags(name=name, accessible="true")),
            host=many("HostSystem", [host_ids[h] for h in np.flatnonzero(snapshot.portgroups[:, i])]),
            vm=many("VirtualMachine", [vm_ids[v] for v, nets in networks_of.items() if i in nets]),
        )
    disks_of: dict[int, list[int]] = {}
    for disk, vm in enumerate(snapshot.disks.vm_idx.tolist()):
        disks_of.setdefault(vm, []).append(disk)
    on_store: dict[int, list[int]] = {}
    for disk, store in enumerate(snapshot.disks.datastore_idx.tolist()):
        on_store.setdefault(store, []).append(int(snapshot.disks.vm_idx[disk]))
    for i, id_ in enumerate(store_ids):
        name = str(stores.name[i])
        url = f"ds:///vmfs/volumes/{id_}/"
        mounts = "".join(
            tag(
                "DatastoreHostMount",
                ref("HostSystem", host_ids[h], "key"),
                tag("mountInfo", tags(accessMode="readWrite", mounted="true", accessible="true")),
            )
            for h in np.flatnonzero(snapshot.mounts[:, i])
        )
        free = int(stores.free_gib[i] * 2**30)
        out.put(
            "Datastore",
            id_,
            parent=one("Folder", FOLDERS["datastore"]),
            name=text(name),
            info=val("VmfsDatastoreInfo", tags(name=name, url=url, freeSpace=free, maxFileSize=2**46)),
            summary=val(
                "DatastoreSummary",
                ref("Datastore", id_, "datastore"),
                tags(name=name, url=url, capacity=int(stores.capacity_gib[i] * 2**30), freeSpace=free),
                tags(accessible="true", multipleHostAccess="true", type="VMFS", maintenanceMode="normal"),
            ),
            host=val("ArrayOfDatastoreHostMount", mounts),
            vm=many("VirtualMachine", [vm_ids[v] for v in dict.fromkeys(on_store.get(i, []))]),
        )
    out.put("EnvironmentBrowser", "envbrowser-1")
    on_host: dict[int, list[int]] = {}
    for vm, host in enumerate(vms.host_idx.tolist()):
        on_host.setdefault(host, []).append(vm)
    for i, id_ in enumerate(cluster_ids):
        members = np.flatnonzero(hosts.cluster_idx == i).tolist()
        cpu, memory = int(hosts.cpu_mhz[members].sum()), int(hosts.memory_mib[members].sum()) << 20
        of_cluster = [vm for host in members for vm in on_host.get(host, [])]
        failover = int(snapshot.clusters.ha_failover_hosts[i])
        behaviour = {"full": "fullyAutomated", "partial": "partiallyAutomated", "manual": "manual"}
        das = tags(enabled=str(failover > 0).lower(), admissionControlEnabled="true", failoverLevel=failover)
        drs = tags(
            enabled="true",
            defaultVmBehavior=behaviour[str(snapshot.clusters.automation[i])],
            vmotionRate=6 - int(snapshot.clusters.migration_threshold[i]),
        )
        evc = snapshot.clusters.evc_mode[i]
        out.put(
            "ClusterComputeResource",
            id_,
            parent=one("Folder", FOLDERS["host"]),
            name=text(snapshot.clusters.name[i]),
            resourcePool=one("ResourcePool", pool_ids[i]),
            host=many("HostSystem", [host_ids[h] for h in members]),
            datastore=many("Datastore", store_ids),
            network=many("Network", net_ids),
            summary=val(
                "ClusterComputeResourceSummary",
                tags(totalCpu=cpu, totalMemory=memory, numCpuCores=1, numCpuThreads=1, effectiveCpu=cpu),
                tags(effectiveMemory=memory >> 20, numHosts=len(members), numEffectiveHosts=len(members)),
                tags(overallStatus="green", currentFailoverLevel=failover, numVmotions=0),
                tags(currentEVCModeKey=evc) if evc else "",
            ),
            environmentBrowser=one("EnvironmentBrowser", "envbrowser-1"),
            configurationEx=val(
                "ClusterConfigInfoEx",
                tag("dasConfig", das),
                tag("drsConfig", drs),
                tags(vmSwapPlacement="vmDirectory"),
            ),
        )
        allocation = shares(0, np.inf, 4000)
        config = (
            ref("ResourcePool", pool_ids[i], "entity")
            + tag("cpuAllocation", allocation)
            + tag("memoryAllocation", allocation)
        )
        usage = tags(
            reservationUsed=0, reservationUsedForVm=0, unreservedForPool=cpu, unreservedForVm=cpu,
            overallUsage=0, maxUsage=cpu,
        )  # fmt: skip
        runtime = tag("memory", usage) + tag("cpu", usage) + tags(overallStatus="green")
        out.put(
            "ResourcePool",
            pool_ids[i],
            parent=one("ClusterComputeResource", id_),
            name=text("Resources"),
            owner=one("ClusterComputeResource", id_),
            summary=val(
                "ResourcePoolSummary", tags(name="Resources"), tag("config", config), tag("runtime", runtime)
            ),
            runtime=val("ResourcePoolRuntimeInfo", runtime),
            vm=many("VirtualMachine", [vm_ids[v] for v in of_cluster]),
            config=val("ResourceConfigSpec", config),
        )
    for i, id_ in enumerate(host_ids):
        _host(out, snapshot, i, id_, cluster_ids, vm_ids, store_ids, net_ids, on_host.get(i, []))
    for i, id_ in enumerate(vm_ids):
        _vm(out, snapshot, i, id_, host_ids, pool_ids, store_ids, net_ids, disks_of, networks_of)


def _host(
    out: Dump,
    snapshot: Snapshot,
    i: int,
    id_: str,
    cluster_ids: list[str],
    vm_ids: list[str],
    store_ids: list[str],
    net_ids: list[str],
    here: list[int],
) -> None:
    hosts = snapshot.hosts
    name, cores = str(hosts.name[i]), int(hosts.cpu_cores[i]) if hosts.cpu_cores[i] > 0 else 16
    mhz, memory = int(hosts.cpu_mhz[i] / cores), int(hosts.memory_mib[i]) << 20
    state = str(hosts.state[i])
    connected = "notResponding" if state == "disconnected" else "connected"
    runtime = tags(
        connectionState=connected, powerState="poweredOn", inMaintenanceMode=str(state == "maintenance").lower(),
        inQuarantineMode=str(state == "quarantine").lower(), bootTime=NOW,
    )  # fmt: skip
    load = min(int(snapshot.vms.cpu_demand_mhz[here].sum()), cores * mhz)
    product = tag(
        "product",
        tags(name="VMware ESXi", fullName="VMware ESXi 6.5.0", vendor="VMware, Inc.", version="6.5.0"),
        tags(
            build="1", osType="vmnix-x86", productLineId="embeddedEsx", apiType="HostAgent", apiVersion="6.5"
        ),
    )
    nic = tag(
        "pnic",
        tags(key="pnic-0", device="vmnic0", pci="0000:00:00.0"),
        tag("linkSpeed", tags(speedMb=int(hosts.vmotion_mbps[i]), duplex="true")),
        "<spec/>",
        tags(wakeOnLanSupported="false", mac="00:50:56:00:00:01"),
    )
    maker = {"intel": "Intel(R) Xeon(R)", "amd": "AMD EPYC"}.get(str(hosts.cpu_vendor[i]), "unknown")
    keys = {"maxEVCModeKey": hosts.evc_max[i], "currentEVCModeKey": hosts.evc_max[i]}
    out.put(
        "HostSystem",
        id_,
        parent=one("ClusterComputeResource", cluster_ids[int(hosts.cluster_idx[i])]),
        name=text(name),
        runtime=val("HostRuntimeInfo", runtime),
        summary=val(
            "HostListSummary",
            ref("HostSystem", id_, "host"),
            tag(
                "hardware",
                tags(
                    vendor="vcsim",
                    model="snapshot",
                    uuid=stable_uuid(name),
                    memorySize=memory,
                    cpuModel=maker,
                ),
                tags(
                    cpuMhz=mhz, numCpuPkgs=2, numCpuCores=cores, numCpuThreads=2 * cores, numNics=1, numHBAs=1
                ),
            ),
            tag("runtime", runtime),
            tag("config", tags(name=name, port=902), product, tags(vmotionEnabled="true")),
            tag("quickStats", tags(overallCpuUsage=load, overallMemoryUsage=2048, uptime=1_000_000)),
            tags(overallStatus="green", rebootRequired="false"),
            tags(**{key: value for key, value in keys.items() if value}),
        ),
        config=val("HostConfigInfo", ref("HostSystem", id_, "host"), product, tag("network", nic)),
        vm=many("VirtualMachine", [vm_ids[v] for v in here]),
        datastore=many("Datastore", [store_ids[d] for d in np.flatnonzero(snapshot.mounts[i])]),
        network=many("Network", [net_ids[n] for n in np.flatnonzero(snapshot.portgroups[i])]),
    )


def _vm(
    out: Dump,
    snapshot: Snapshot,
    i: int,
    id_: str,
    host_ids: list[str],
    pool_ids: list[str],
    store_ids: list[str],
    net_ids: list[str],
    disks_of: dict[int, list[int]],
    networks_of: dict[int, list[int]],
) -> None:
    vms, disks = snapshot.vms, snapshot.disks
    name, host = str(vms.name[i]), int(vms.host_idx[i])
    memory, cores, demand = int(vms.memory_mib[i]), int(vms.vcpus[i]), int(vms.cpu_demand_mhz[i])
    active = int(snapshot.memory_active_mib[i])
    power = "poweredOff" if vms.power[i] == "off" else "poweredOn"
    own = disks_of.get(i, [])
    home = int(disks.datastore_idx[own[0]]) if own else 0
    path = f"[{snapshot.datastores.name[home]}] {name}/{name}"
    runtime = (
        ref("HostSystem", host_ids[host], "host")
        + tags(connectionState="connected", powerState=power, toolsInstallerMounted="false")
        + tags(maxCpuUsage=cores * 2000, maxMemoryUsage=memory, numMksConnections=0)
        + (tags(minRequiredEVCModeKey=vms.evc_mode[i]) if vms.evc_mode[i] else "")
    )
    devices = [
        '<device xsi:type="ParaVirtualSCSIController"><key>1000</key><busNumber>0</busNumber>'
        "<sharedBus>noSharing</sharedBus></device>"
    ]
    for k, disk in enumerate(own):
        kib = int(disks.size_gib[disk] * 2**20)
        devices.append(
            f'<device xsi:type="VirtualDisk"><key>{2000 + k}</key><deviceInfo xsi:type="Description">'
            f"{tags(label=disks.name[disk], summary=f'{kib} KB')}</deviceInfo>"
            f'<backing xsi:type="VirtualDiskFlatVer2BackingInfo"><fileName>{path}-{k}.vmdk</fileName>'
            + ref("Datastore", store_ids[int(disks.datastore_idx[disk])], "datastore")
            + f"{tags(diskMode='persistent', thinProvisioned='true')}</backing>"
            f"{tags(controllerKey=1000, unitNumber=k, capacityInKB=kib)}</device>"
        )
    devices += ['<device xsi:type="VirtualPCIPassthrough"><key>13000</key></device>'] * int(vms.gpus[i] > 0)
    cpu = shares(vms.cpu_reservation_mhz[i], vms.cpu_limit_mhz[i], vms.cpu_shares[i])
    ram = shares(vms.memory_reservation_mib[i], vms.memory_limit_mib[i], vms.memory_shares[i])
    ids = tags(uuid=stable_uuid(name), instanceUuid=stable_uuid(name))
    stores = [store_ids[int(disks.datastore_idx[disk])] for disk in own] or [store_ids[home]]
    out.put(
        "VirtualMachine",
        id_,
        parent=one("Folder", FOLDERS["vm"]),
        name=text(name),
        config=val(
            "VirtualMachineConfigInfo",
            tags(changeVersion=1, modified=NOW, name=name, guestFullName="Other", version="vmx-13"),
            ids,
            tags(template="false", guestId="otherGuest64", alternateGuestName=""),
            tag("files", tags(vmPathName=f"{path}.vmx")),
            "<tools/><flags/><defaultPowerOps/>",
            tag("hardware", tags(numCPU=cores, numCoresPerSocket=1, memoryMB=memory), *devices),
            tag("cpuAllocation", cpu),
            tag("memoryAllocation", ram),
            "<latencySensitivity><level>normal</level></latencySensitivity><bootOptions/>",
        ),
        layout=val("VirtualMachineFileLayout"),
        layoutEx=val("VirtualMachineFileLayoutEx", tags(timestamp=NOW)),
        environmentBrowser=one("EnvironmentBrowser", "envbrowser-1"),
        resourcePool=one("ResourcePool", pool_ids[int(snapshot.hosts.cluster_idx[host])]),
        runtime=val("VirtualMachineRuntimeInfo", runtime),
        guest=val("GuestInfo", tags(toolsStatus="toolsOk", guestState="running")),
        summary=val(
            "VirtualMachineSummary",
            ref("VirtualMachine", id_, "vm"),
            tag("runtime", runtime),
            tag("guest", tags(toolsStatus="toolsOk")),
            tag(
                "config",
                tags(
                    name=name, template="false", vmPathName=f"{path}.vmx", memorySizeMB=memory, numCpu=cores
                ),
                ids,
            ),
            tag(
                "quickStats",
                tags(overallCpuUsage=demand, overallCpuDemand=demand, guestMemoryUsage=active),
                tags(hostMemoryUsage=active, guestHeartbeatStatus="green", uptimeSeconds=100_000),
            ),
            tags(overallStatus="green"),
        ),
        datastore=many("Datastore", dict.fromkeys(stores)),
        network=many("Network", [net_ids[n] for n in networks_of.get(i, [])]),
    )
