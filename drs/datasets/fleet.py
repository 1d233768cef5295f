"""What VM fleets look like: the figures that the generator draws from, with their sources.

Bitbrains
    GWA-T-12 "rnd", 497 business-critical VMs with a size, one week from 2013-08-05, 5-minute samples.
    S. Shen, V. van Beek, A. Iosup, "Statistical Characterization of Business-Critical Workloads Hosted in
    Cloud Datacenters", CCGrid 2015; The Grid Workloads Archive. The constants below are ours, measured on
    that trace; the trace itself is not part of this package.
PlanetLab
    CPU of 11,746 VM-days of March and April 2011, as distributed with CloudSim (A. Beloglazov, R. Buyya,
    Concurrency and Computation 24(13), 2012): mean 0.111, log-mean -2.71, log-deviation 1.02. It confirms
    the lognormal shape and the low level; the generator does not draw from it.
Memory that is written
    Working sets and dirty rates by kind of work: KubeVirt enhancement 248 (redis, mariadb, kernel compile on
    KVM) and BtrPlace's templates (idle Linux); where no source gives a number it is marked as assumed.

Assumed, with no source: kinds of VMs and their share, disk sizes, datastores, networks, host models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType

# --- measured on Bitbrains ---------------------------------------------------------------------------------

VCPUS = (1, 2, 4, 8, 16, 32)
VCPU_SHARE_RATIO = (0.457, 0.189, 0.233, 0.113, 0.002, 0.006)
"""Of the VMs, by `VCPUS` (the 0.4 % with 6 vCPUs count as 4)."""

MEMORY_GIB = (0.5, 1, 2, 4, 8, 16, 32, 64)
MEMORY_SHARE_RATIO = MappingProxyType(
    {
        1: (0.454, 0.132, 0.186, 0.220, 0.004, 0.004, 0.0, 0.0),
        2: (0.011, 0.032, 0.053, 0.372, 0.500, 0.032, 0.0, 0.0),
        4: (0.009, 0.0, 0.325, 0.114, 0.061, 0.482, 0.009, 0.0),
        8: (0.0, 0.0, 0.0, 0.089, 0.018, 0.268, 0.589, 0.036),
        16: (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
        32: (0.0, 0.0, 0.0, 0.0, 0.667, 0.0, 0.0, 0.333),
    }
)
"""Memory given the vCPUs, the nearest power of two; VMs of 256 MiB and less count as 0.5 GiB."""

UTILISATION_LOG = MappingProxyType(
    {
        1: (-5.88, 1.91),
        2: (-3.87, 1.83),
        4: (-3.54, 1.38),
        8: (-2.29, 1.41),
        16: (-3.4, 1.4),
        32: (-3.2, 1.4),
    }
)
"""Mean CPU use over provisioned CPU in a week: mean and deviation of the logarithm, given the vCPUs."""

UTILISATION_MEAN_RATIO = 0.10
"""CPU used over CPU provisioned, the whole fleet."""

ACTIVE_MEMORY_LOG = (-2.94, 1.12)
"""Active over configured memory: mean and deviation of the logarithm (median 0.06)."""

VARIATION_LOG = (math.log(0.48), 1.4)
"""Coefficient of variation of hourly means over a week: log of the median, deviation of the logarithm."""

HOURLY_AUTOCORRELATION_RATIO = (0.45, 0.30)
"""Correlation of an hour with the next, within VMs: median and spread."""

DAILY_RATIO = 0.35
"""VMs with a daily pattern; it explains Beta(1.2, 1.9) of their variance (fleet: upper quartile 0.24)."""

PEAK_HOURS = ((0, 3, 0.42), (3, 10, 0.13), (10, 17, 0.23), (17, 24, 0.22))
"""When patterns peak, UTC: first hour, hour after the last, share. Backups and batches at night lead."""

GROUP_CORRELATION_RATIO = 0.15
"""Of the rest of the variance, what VMs of one application share (assumed; fleet: mean 0.03, 95 % 0.34)."""

# --- kinds of VMs (shares and sizes assumed; working sets and dirty rates with their source) ---------------


@dataclass(frozen=True, slots=True)
class Kind:
    prefix: str
    share: tuple[float, float, float]
    """Relative frequency among VMs with 1, 2 to 4, and more vCPUs."""
    working_set_ratio: float
    """Of the memory."""
    dirty_rate_mibps: float
    """Distinct memory written in one second at full load."""
    network: str
    system_gib: float
    data_gib: float
    """Median of the data disk; 0 for none."""


KINDS = (
    Kind("web", (0.26, 0.22, 0.05), 0.03, 20.0, "vlan-110-web", 40, 0),  # assumed
    Kind("app", (0.22, 0.30, 0.25), 0.08, 45.0, "vlan-120-app", 60, 40),  # assumed
    Kind("db", (0.06, 0.18, 0.45), 0.07, 95.0, "vlan-130-db", 60, 240),  # mariadb: 0.4-0.5 of 6 GiB, 60-130
    Kind("cache", (0.04, 0.05, 0.05), 0.06, 115.0, "vlan-120-app", 40, 0),  # redis: 0.4-0.8 of 10 GiB, 110
    Kind("ci", (0.02, 0.07, 0.12), 0.36, 115.0, "vlan-140-dev", 80, 60),  # kernel compile: 1.2-1.7 of 4 GiB
    Kind("dev", (0.24, 0.10, 0.04), 0.03, 10.0, "vlan-140-dev", 40, 20),  # assumed
    Kind("infra", (0.16, 0.08, 0.04), 0.01, 5.0, "vlan-100-infra", 40, 20),  # idle Linux: 5 MB hot
)

APPS = (
    "shop",
    "crm",
    "erp",
    "mail",
    "pay",
    "bi",
    "wiki",
    "hr",
    "auth",
    "stock",
    "portal",
    "docs",
    "ticket",
    "geo",
    "print",
    "fleet",
    "lab",
    "news",
    "scan",
    "voice",
    "plan",
    "risk",
    "tax",
    "audit",
    "media",
    "search",
    "queue",
    "vault",
    "log",
    "metric",
    "game",
    "chat",
)

MODELS = MappingProxyType(
    {
        "intel-merom": 2330,
        "intel-penryn": 2660,
        "intel-nehalem": 2660,
        "intel-westmere": 2930,
        "intel-sandybridge": 2600,
        "intel-ivybridge": 2600,
        "intel-haswell": 2500,
        "intel-broadwell": 2400,
        "intel-skylake": 2600,
        "intel-cascadelake": 2600,
        "intel-icelake": 2800,
        "intel-sapphirerapids": 2900,
        "intel-graniterapids": 2700,
        "amd-zen": 2200,
        "amd-zen2": 2900,
        "amd-zen3": 2850,
        "amd-zen4": 2950,
        "amd-zen5": 3100,
    }
)
"""Base clock in MHz of a common server CPU of each generation (others: 2400)."""

CORES = (12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 192, 256)
DIMMS_GIB = (16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192)
VCPUS_PER_CORE = 4.0
BUSIEST_RATIO = 0.8
"""No VM uses more of its vCPUs."""
