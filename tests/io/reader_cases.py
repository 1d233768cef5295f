"""Small exports in the formats that their makers publish, for the tests of the readers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openpyxl

Rows = list[list[Any]]


def save(sheets: dict[str, Rows], path: Path) -> Path:
    """A workbook of these sheets."""
    book = openpyxl.Workbook()
    assert book.active is not None
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def save_json(document: Any, path: Path) -> Path:
    """A JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def rvtools(mhz: dict[str, float], vcenter: str = "vc-1", host: str = "esx-1") -> dict[str, Rows]:
    """An RVTools workbook of one host of 20,000 MHz, with a VM for each of these demands."""
    return {
        "vHost": [
            ["Host", "Datacenter", "Cluster", "Speed", "# Cores", "# Memory", "CPU usage %", "VI SDK Server"],
            [host, "DC", "Main", 2000, 10, 65536, round(sum(mhz.values()) / 200), vcenter],
            [f"{host}-b", "DC", "Main", 2000, 10, 65536, 0, vcenter],
        ],
        "vInfo": [
            ["VM", "Powerstate", "CPUs", "Memory", "Host", "VM ID", "VI SDK Server"],
            *[[vm, "poweredOn", 2, 4096, host, f"vm-{i}", vcenter] for i, vm in enumerate(mhz)],
        ],
        "vCPU": [
            ["VM", "CPUs", "Overall", "VM ID", "VI SDK Server"],
            *[[vm, 2, value, f"vm-{i}", vcenter] for i, (vm, value) in enumerate(mhz.items())],
        ],
    }


def live_optics() -> dict[str, Rows]:
    """A workbook of Live Optics: GHz and KiB, averages of hosts and VMs on sheets of their own."""
    return {
        "Details": [["Project ID", 7], ["Collector Build Version", "25.1"]],
        "ESX Hosts": [
            ["Host Name", "Datacenter", "Cluster", "CPU Description", "CPU Clock Speed (GHz)", "CPU Threads",
             "CPU Cores", "CPU Sockets", "Memory (KiB)"],
            ["lo-1.lab", "DC", "C", "Intel Xeon", 2.5, 40, 20, 2, 64 * 2**20],
            ["lo-2.lab", "DC", "C", "Intel Xeon", 2.5, 40, 20, 2, 64 * 2**20],
        ],
        "ESX Performance": [["Host", "Average CPU %", "Average Memory %"], ["LO-1.lab", 3, 60], ["lo-2.lab", 0, 5]],
        "VMs": [
            ["VM Name", "Power State", "Template", "Virtual CPU", "Provisioned Memory (MiB)",
             "Used Memory (active) (MiB)", "Consumed Memory (MiB)", "Datastore", "Host", "Cluster", "Datacenter",
             "MOB ID", "InstanceUUID"],
            ["shop", "poweredOn", False, 4, 8192, 1000, 8000, "ds", "lo-1.lab", "C", "DC", "vm-1", "u1"],
            ["old", "poweredOff", False, 1, 1024, 0, 0, "ds", "lo-2.lab", "C", "DC", "vm-2", "u2"],
            ["gold", "poweredOff", True, 1, 1024, 0, 0, "ds", "lo-2.lab", "C", "DC", "vm-3", "u3"],
        ],
        "VM Performance": [
            ["VM Name", "MOB ID", "Host", "Average vCPU (GHz)", "Avg Memory (MiB)"],
            ["shop", "vm-1", "lo-1.lab", 1.5, 900],
        ],
        "Host Devices": [
            ["Server Name", "Device Name", "Lun Type", "Capacity (GiB)", "Free Capacity (GiB)"],
            ["lo-1.lab", "ds", "Disk", 1000, 400],
            ["lo-2.lab", "ds", "Disk", 1000, 400],
            ["lo-1.lab", "cdrom", "CdRom", 0, 0],
        ],
        "VM Disks": [["VM Name", "Capacity (MiB)"], ["shop", 100]],
    }  # fmt: skip


def nutanix() -> dict[str, Rows]:
    """A workbook of Nutanix Collector: memory of hosts in GiB, active memory as a share of the size."""
    return {
        "Metadata": [["Collector Version", "Is Anonymized"], ["5.0", False]],
        "vHosts": [
            ["Host Name", "Cluster Name", "CPU Model", "CPU Speed", "CPUs", "CPU Cores", "Memory Size", "CPU Usage"],
            ["nx-1", "Prod", "AMD EPYC", 2400, 2, 10, 256, 5],
        ],
        "vInfo": [
            ["VM Name", "Power State", "Template", "Cluster Name", "Host Name", "Datacenter Name", "MOID", "UUID"],
            ["app", "poweredOn", False, "Prod", "nx-1", "DC", "vm-1", "x"],
        ],
        "vCPU": [
            ["VM Name", "MOID", "vCPUs", "Overall CPU (MHz)", "Reservation", "Limit"],
            ["app", "vm-1", 4, 1200, 100, -1],
        ],
        "vMemory": [
            ["VM Name", "MOID", "Size (MiB)", "95th Percentile % (recommended)"],
            ["app", "vm-1", 8192, 25],
        ],
        "vDisk": [
            ["VM Name", "MOID", "Disk Name", "Capacity (MiB)", "Path", "Datastore Name"],
            ["app", "vm-1", "Hard disk 1", 10240, "NTNX-path", "nfs"],
        ],
        "Datastore": [
            ["Datastore Name", "Accessible", "Capacity (MiB)", "Freespace (MiB)", "Host Names"],
            ["nfs", True, 1048576, 524288, "nx-1"],
        ],
    }  # fmt: skip


def proxmox() -> list[dict[str, Any]]:
    """`/cluster/resources` of two nodes, three VMs, a container and two storages."""
    gib = 2**30
    node = {"type": "node", "status": "online", "maxcpu": 16, "maxmem": 64 * gib}
    qemu = {"type": "qemu", "template": 0, "maxcpu": 4, "maxmem": 8 * gib}
    store = {"type": "storage", "content": "images,rootdir", "status": "available", "maxdisk": 100 * gib}
    return [
        {**node, "id": "node/n1", "node": "n1", "cpu": 0.2, "mem": 20 * gib},
        {**node, "id": "node/n2", "node": "n2", "cpu": 0.1, "mem": 10 * gib, "hastate": "maintenance"},
        {**qemu, "id": "qemu/101", "vmid": 101, "name": "web", "node": "n1", "status": "running",
         "cpu": 0.5, "mem": 3 * gib, "disk": 0, "maxdisk": 32 * gib},
        {**qemu, "id": "qemu/102", "vmid": 102, "name": "web", "node": "n1", "status": "running",
         "cpu": 0.25, "mem": 2 * gib},
        {**qemu, "id": "qemu/103", "vmid": 103, "name": "spare", "node": "n2", "status": "stopped", "cpu": 0, "mem": 0},
        {**qemu, "id": "qemu/900", "vmid": 900, "name": "gold", "node": "n2", "status": "stopped", "template": 1},
        {"id": "lxc/201", "type": "lxc", "vmid": 201, "name": "dns", "node": "n2", "status": "running",
         "cpu": 0.5, "maxcpu": 2, "mem": gib, "maxmem": 2 * gib, "template": 0},
        {**store, "id": "storage/n1/ceph", "storage": "ceph", "node": "n1", "shared": 1, "disk": 25 * gib},
        {**store, "id": "storage/n2/ceph", "storage": "ceph", "node": "n2", "shared": 1, "disk": 25 * gib},
        {**store, "id": "storage/n1/lvm", "storage": "lvm", "node": "n1", "shared": 0, "disk": 0},
        {"id": "sdn/n1/zone", "type": "sdn", "sdn": "zone", "node": "n1", "status": "ok"},
    ]  # fmt: skip


def proxmox_status(model: str = "Intel(R) Xeon(R) Silver 4314 CPU @ 2.40GHz") -> dict[str, Any]:
    """`/nodes/NODE/status`, as the API wraps it."""
    return {
        "data": {
            "cpuinfo": {"model": model, "mhz": "2801.5", "cpus": 16, "sockets": 1},
            "memory": {"total": 1},
        }
    }


def kubevirt() -> dict[str, Any]:
    """`kubectl get vmi,nodes -A -o json` of three nodes and three instances."""

    def node(name: str, zone: str, **spec: Any) -> dict[str, Any]:
        labels = {
            "kubernetes.io/hostname": name,
            "topology.kubernetes.io/zone": zone,
            "cpu-timer.node.kubevirt.io/tsc-frequency": "2000000000",
            "cpu-vendor.node.kubevirt.io/Intel": "true",
        }
        return {
            "kind": "Node",
            "metadata": {"name": name, "labels": labels},
            "spec": spec,
            "status": {
                "capacity": {"cpu": "16", "memory": "64Gi"},
                "allocatable": {"cpu": "15500m", "memory": "60Gi"},
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        }

    def instance(name: str, where: str, live: str = "True", **spec: Any) -> dict[str, Any]:
        domain = {
            "cpu": {"sockets": 2, "cores": 2, "threads": 1},
            "memory": {"guest": "8Gi"},
            "resources": {"requests": {"memory": "8Gi"}},
        }
        return {
            "kind": "VirtualMachineInstance",
            "metadata": {"name": name, "namespace": "shop", "labels": {"app": name.partition("-")[0]}},
            "spec": {"domain": domain, **spec},
            "status": {
                "nodeName": where,
                "phase": "Running",
                "conditions": [{"type": "LiveMigratable", "status": live}],
            },
        }

    apart = {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}
            ]
        }
    }
    zone_a = {"nodeSelector": {"topology.kubernetes.io/zone": "a"}}
    return {
        "kind": "List",
        "items": [
            node("k1", "a"),
            node("k2", "a", unschedulable=True),
            node("k3", "b"),
            instance("web-1", "k1", affinity=apart),
            instance("web-2", "k3", affinity=apart),
            instance("db", "k1", live="False", **zone_a),
        ],
    }


def pod_metrics() -> dict[str, Any]:
    """`kubectl get --raw /apis/metrics.k8s.io/v1beta1/pods` of two launcher pods and another one."""

    def pod(name: str, cpu: str, memory: str) -> dict[str, Any]:
        usage = {"name": "compute", "usage": {"cpu": cpu, "memory": memory}}
        return {"metadata": {"name": name, "namespace": "shop"}, "containers": [usage]}

    pods = [
        pod("virt-launcher-web-1-x7k2p", "1500m", "4Gi"),
        pod("virt-launcher-web-2-abcde", "250000000n", "2Gi"),
        pod("virt-launcher-db-fghij", "100m", "1Gi"),
        pod("nginx-0", "1", "1Gi"),
    ]
    return {"kind": "PodMetricsList", "items": pods}
