"""Numbers of the phases of a migration and of its verdicts; names of throttles and of congestion controls."""

from __future__ import annotations

from enum import IntEnum

SETUP, DISK, COPY, STOP, RESUME, POST_COPY, SETTLE, DONE = range(8)


class Verdict(IntEnum):
    """How a migration ends, or why it may not begin."""

    RUNNING = 0
    CONVERGED = 1
    """The hypervisor's own rule ended pre-copy."""
    FORCED = 2
    """Switched over by a limit or by slowing the guest, not by its goal."""
    STUCK = 3
    """Memory is dirtied as fast as it is sent, for ever."""
    CANCELLED = 4
    """Given up at the time limit."""
    REFUSED_RTT = 5
    REFUSED_BANDWIDTH = 6


# Plain numbers for the compiled code.
RUNNING, CONVERGED, FORCED, STUCK, CANCELLED, REFUSED_RTT, REFUSED_BANDWIDTH = (int(v) for v in Verdict)

NO_THROTTLE, AUTO_CONVERGE, SDPS = range(3)
THROTTLES = {"none": NO_THROTTLE, "auto-converge": AUTO_CONVERGE, "sdps": SDPS}

RENO, CUBIC, BBR = range(3)
CONGESTION_CONTROLS = {"reno": RENO, "cubic": CUBIC, "bbr": BBR}
