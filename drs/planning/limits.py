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

    host_units : cost units that the migrations of one host may use at a time, on both ends.
    network_units_1gbe : the same of a host's vMotion network below 10 GbE.
    network_units_10gbe : the same of a host's vMotion network of 10 GbE and faster.
    datastore_units : the same of a datastore.
    host_cost : units of a host that one migration uses, by kind; a kind that is not given keeps its default.
    network_cost : units of a vMotion network that one migration uses, by kind.
    datastore_cost : units of a datastore that one migration uses, by kind.
    per_host : at most so many migrations touch one host at a time; no further limit where not given.
    per_rack : the same for a rack.
    per_cluster : the same for a cluster.
    per_link : the same for a link of the network.
    total : the same for all migrations together.
    pause_s : time between the end of one wave and the start of the next, a day at most.
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
