"""A small valid input as text files, to be spoiled by the tests."""

from __future__ import annotations

from pathlib import Path

GOOD: dict[str, str] = {
    "hosts.csv": (
        "host,cpu_mhz,memory_mib,cpu_reserved_mhz,cluster,evc_max,gpu_slots_capacity\n"
        "esx-01,40000,131072,1000,prod,intel-broadwell,2\n"
        "esx-02,40000,131072,,prod,intel-skylake,\n"
        "esx-11,20000,65536,,lab,amd-zen2,\n"
    ),
    "clusters.csv": (
        "cluster,site,evc_mode,automation,migration_threshold\nprod,berlin,intel-broadwell,full,3\nlab,,,,\n"
    ),
    "pools.csv": (
        "pool,parent,cluster,cpu_reservation_mhz,cpu_limit_mhz,cpu_expandable\n"
        "gold,,prod,2000,9000,no\nweb,gold,,1000,,no\nlow,,lab,,,\n"
    ),
    "vms.csv": (
        "vm,host,memory_mib,cpu_demand_mhz,vcpus,cpu_reservation_mhz,cpu_limit_mhz,memory_reservation_mib,"
        "memory_limit_mib,evc_mode,power,gpu_slots_demand\n"
        "web-01,esx-01,4096,500,2,,,,,intel-broadwell,on,1\n"
        "web-02,esx-02,4096,700,2,,,,,,on,\n"
        "web-03,esx-11,8192,900,4,,,,,,off,\n"
    ),
    "disks.csv": (
        "vm,disk,datastore,size_gib,used_gib\nweb-01,d1,ds-1,100,40\nweb-01,d2,ds-2,50,\nweb-02,d1,ds-1,80,80\n"
    ),
    "datastores.csv": "datastore,capacity_gib,free_gib,state\nds-1,1000,400,\nds-2,500,,maintenance\n",
    "mounts.csv": "host,datastore\nesx-01,ds-1\nesx-01,ds-2\nesx-02,ds-1\n",
    "portgroups.csv": "host,network\nesx-01,vlan-7\nesx-02,vlan-7\nesx-01,vlan-8\n",
    "nics.csv": "vm,network\nweb-01,vlan-7\nweb-02,vlan-7\n",
    "links.csv": (
        "a,b,bandwidth_mbps,latency_ms,loss_ratio,shared_mbps\n"
        "esx-01,switch-1,10000,0.05,,\nesx-02,switch-1,10000,0.05,0.01,500\n"
    ),
    "loads.csv": (
        "vm,time,cpu_mhz,memory_active_mib\n"
        "web-01,2026-01-31T14:00:00Z,450,1000\n"
        "web-02,2026-01-31T14:00:00Z,650,\n"
        "web-01,2026-01-31T14:05:00Z,475.5,1100\n"
    ),
}


def write(folder: Path, **changes: str | bytes | None) -> Path:
    """Write the good input; `vms_csv="..."` replaces a file, None leaves it out."""
    folder.mkdir(exist_ok=True)
    files: dict[str, str | bytes | None] = dict(GOOD)
    for name, content in changes.items():
        stem, _, suffix = name.rpartition("_")
        files[f"{stem}.{suffix}"] = content
    for name, content in files.items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        elif content is not None:
            (folder / name).write_text(content, encoding="utf-8", newline="")
    return folder


def spoil(file: str, old: str, new: str) -> dict[str, str]:
    """One change in one file of the good input."""
    assert GOOD[file].count(old) >= 1, (file, old)
    return {file.replace(".", "_"): GOOD[file].replace(old, new, 1)}
