"""Numbers of the phases of a migration and of its verdicts, and names of the ways to slow a guest down."""

from __future__ import annotations

SETUP, DISK, COPY, STOP, RESUME, POST_COPY, SETTLE, DONE = range(8)

RUNNING, CONVERGED, FORCED, STUCK, CANCELLED = range(5)
"""Verdicts of the rounds. FORCED: switched over by a limit or by slowing the guest, not by its goal."""
REFUSED_RTT, REFUSED_BANDWIDTH = 5, 6
"""Verdicts given before any round."""

NO_THROTTLE, AUTO_CONVERGE, SDPS = range(3)
THROTTLES = {"none": NO_THROTTLE, "auto-converge": AUTO_CONVERGE, "sdps": SDPS}
