"""What migrations took here, as measurements that a profile of the cost model is fitted to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from drs import precopy
from drs.errors import Fault, InputError
from drs.execute.journal import Step
from drs.io.plan_file import SavedPlan
from drs.planning.pricing import Leg, Pricer
from drs.precopy.calibrate import Fit

LEAST = 5
"""Fewer migrations tell nothing."""


def calibrate(saved: SavedPlan, steps: Mapping[int, Step], *, seed: int = 0, name: str = "fitted") -> Fit:
    """Fit the profile of a plan's policy to the times that its vMotions took.

    Each migration counts as if it had its path alone: times of migrations that shared a link make it look slower.
    The downtime is fitted too where the platform told every one.

    Raises
    ------
    InputError : for fewer than `LEAST` measured vMotions.
    """
    snapshot = saved.today
    done = [step for step in steps.values() if step.status == "done" and step.measured_s]
    kinds = Counter(step.kind for step in done)
    done = [step for step in done if step.kind == "vmotion"]
    if len(done) < LEAST:
        given = f"{len(done)} measured vMotions among {dict(kinds) or 'no measured steps'}"
        raise InputError(Fault("journal", given, f"at least {LEAST}"))
    at = snapshot.hosts.position
    legs = [Leg(snapshot.vms.position[s.vm], at[s.from_host], at[s.to_host], kind="vmotion") for s in done]
    profile = saved.asked.policy.profile if saved.asked else "vmware"
    _, groups, _ = Pricer(snapshot, profile).asks(legs)
    rows, ask = groups[0]
    table: dict[str, Any] = {key: value for key, value in ask.items() if key != "profile"}
    table["total_s"] = np.array([done[i].measured_s for i in rows])
    downtimes = [done[i].measured_downtime_ms for i in rows]
    if all(downtimes):
        table["downtime_ms"] = np.array(downtimes, dtype=float)
    return precopy.fit(table, profile=profile, seed=seed, name=name)
