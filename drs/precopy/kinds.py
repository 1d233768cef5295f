"""The five kinds of migration, and what must hold before one of them is priced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drs.precopy.phases import REFUSED_BANDWIDTH, REFUSED_RTT, RUNNING
from drs.precopy.profiles import Profile


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of migration moves."""

    name: str
    title: str
    memory: bool
    disk: bool
    running: bool


KINDS = {
    kind.name: kind
    for kind in (
        Kind("vmotion", "vMotion", memory=True, disk=False, running=True),
        Kind("storage", "Storage vMotion", memory=False, disk=True, running=True),
        Kind("cross_vcenter", "Cross-vCenter vMotion", memory=True, disk=True, running=True),
        Kind("long_distance", "Long-distance vMotion", memory=True, disk=True, running=True),
        Kind("cold", "Cold migration", memory=False, disk=True, running=False),
    )
}


def preconditions(
    kind: Kind, profile: Profile, bandwidth_mbps: ArrayLike, rtt_ms: ArrayLike
) -> NDArray[np.int64]:
    """A verdict for each element: RUNNING where a price may be given, else why not.

    Only a move of running memory has conditions: a round trip of at most 150 ms and a path of at least
    250 Mbit/s (`vmware`; other profiles state none). EVC and other properties of hosts are not checked here.
    """
    bandwidth, rtt = np.broadcast_arrays(np.asarray(bandwidth_mbps, float), np.asarray(rtt_ms, float))
    verdict = np.full(bandwidth.shape, RUNNING, dtype=np.int64)
    if kind.memory:
        verdict[bandwidth < profile.min_bandwidth_mbps] = REFUSED_BANDWIDTH
        verdict[rtt > profile.max_rtt_ms] = REFUSED_RTT
    return verdict
