"""Units stand in names; this is the list of the suffixes, and the few conversions that are needed.

`tests/test_house.py` walks the public names and fails on a quantity without a known suffix.
"""

from __future__ import annotations

SUFFIXES = {
    "mhz": "megahertz of CPU (cores x clock)",
    "mib": "mebibytes (2**20 bytes)",
    "gib": "gibibytes (2**30 bytes)",
    "bytes": "bytes",
    "mbps": "megabits per second (10**6 bit/s)",
    "mibps": "mebibytes per second",
    "s": "seconds",
    "ms": "milliseconds",
    "w": "watts",
    "iops": "I/O operations per second",
    "ratio": "a fraction of one",
    "idx": "zero-based positions in a table",
}

BYTES_PER_MIB = 2**20
MIB_PER_GIB = 1024
BYTES_PER_S_PER_MBPS = 125_000.0
MIBPS_PER_MBPS = BYTES_PER_S_PER_MBPS / BYTES_PER_MIB
"""1 Mbit/s carries 0.1192 MiB/s: network rates are decimal, memory is binary."""
