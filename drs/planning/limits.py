"""How many migrations may run at once: vSphere's cost units, and the user's own limits.

Source: VMware, "Limits on Simultaneous Migrations" (vSphere 6.7, vcenterhost guide): an operation starts
only while every resource that it touches stays within its maximum cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Concurrency:
    """Cost units per resource and kind of migration.

    A vMotion costs 1 of a host's 8 units, a Storage vMotion (or a vMotion without shared storage) 4; on a
    datastore 1 and 16 of 128; on the vMotion network 1 and 0 of 4 (1 GbE) or 8 (10 GbE and faster).
    `per_host`, `per_rack`, `per_cluster`, `total` are further limits on the number of migrations that touch
    one at a time, None for none; `pause_s` separates waves.
    """

    host_units: int = 8
    network_units_1gbe: int = 4
    network_units_10gbe: int = 8
    datastore_units: int = 128
    host_cost: Mapping[str, int] = field(
        default_factory=lambda: {
            "vmotion": 1,
            "long_distance": 1,
            "storage": 4,
            "cross_vcenter": 4,
            "cold": 1,
        }
    )
    network_cost: Mapping[str, int] = field(
        default_factory=lambda: {
            "vmotion": 1,
            "long_distance": 1,
            "storage": 0,
            "cross_vcenter": 1,
            "cold": 0,
        }
    )
    datastore_cost: Mapping[str, int] = field(
        default_factory=lambda: {
            "vmotion": 1,
            "long_distance": 1,
            "storage": 16,
            "cross_vcenter": 16,
            "cold": 16,
        }
    )
    per_host: int | None = None
    per_rack: int | None = None
    per_cluster: int | None = None
    per_link: int | None = None
    total: int | None = None
    pause_s: float = 0.0
