"""Tiny clusters for the tests of modes, triggers and reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

import drs
from drs import Snapshot


def cluster(
    hosts: Mapping[str, Mapping[str, Any]] | Sequence[str],
    vms: Mapping[str, tuple[str | None, float, float]],
    *,
    vm_columns: Mapping[str, Mapping[str, Any]] | None = None,
    **tables: pd.DataFrame,
) -> Snapshot:
    """Hosts of 10,000 MHz and 10,240 MiB unless said otherwise; VMs as (host, MHz, MiB)."""
    if not isinstance(hosts, Mapping):
        hosts = {name: {} for name in hosts}
    host_rows = [
        {"host": name, "cpu_mhz": 10_000, "memory_mib": 10_240, **more} for name, more in hosts.items()
    ]
    extra = vm_columns or {}
    vm_rows = [
        {"vm": name, "host": host, "cpu_demand_mhz": mhz, "memory_mib": mib, **extra.get(name, {})}
        for name, (host, mhz, mib) in vms.items()
    ]
    return drs.read({"hosts": pd.DataFrame(host_rows), "vms": pd.DataFrame(vm_rows), **tables})
