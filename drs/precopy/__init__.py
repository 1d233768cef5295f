"""What a live migration costs: duration, bytes, rounds and black-out, by hypervisor and by kind.

>>> from drs.precopy import estimate
>>> price = estimate(memory_mib=16384, dirty_rate_mibps=80, working_set_mib=900, bandwidth_mbps=10000)
>>> price.converged
True
"""

from drs.precopy.ask import Ask
from drs.precopy.calibrate import Fit, fit
from drs.precopy.curves import Round, least_bandwidth_mbps, most_dirty_mibps, rounds, side_by_side, sweep
from drs.precopy.dirty import DirtyModel
from drs.precopy.kinds import KINDS, Kind
from drs.precopy.path import effective_mbps
from drs.precopy.phases import Verdict
from drs.precopy.pricing import Estimate, estimate
from drs.precopy.profiles import Profile, profile, profiles
from drs.precopy.sharing import share_link
from drs.precopy.transfer import Transfer

__all__ = [
    "KINDS",
    "Ask",
    "DirtyModel",
    "Estimate",
    "Fit",
    "Kind",
    "Profile",
    "Round",
    "Transfer",
    "Verdict",
    "effective_mbps",
    "estimate",
    "fit",
    "least_bandwidth_mbps",
    "most_dirty_mibps",
    "profile",
    "profiles",
    "rounds",
    "share_link",
    "side_by_side",
    "sweep",
]
