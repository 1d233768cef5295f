"""VMs that no plan can move."""

from __future__ import annotations

import numpy as np

from drs.problem import Problem
from drs.result import Immovable
from drs.terms import Allowed

__all__ = ["Immovable", "immovable"]


def immovable(problem: Problem) -> tuple[Immovable, ...]:
    """VMs with no host but their own that every rule on single VMs allows, and which rule is in the way."""
    snapshot, compatible = problem.snapshot, problem.compatible
    start = problem.lowered.start
    placed = start >= 0
    elsewhere = compatible.mask.sum(axis=1)[compatible.class_idx]
    elsewhere = elsewhere - compatible.mask[compatible.class_idx, np.maximum(start, 0)] * placed
    asked = {rule.label for rule in problem.request.rules} if problem.request is not None else set()
    limits = [(wall.origin, wall.term) for wall in problem.lowered.walls if isinstance(wall.term, Allowed)]
    found = []
    for vm in np.flatnonzero((elsewhere == 0) & (snapshot.n_hosts > 1)):
        if not problem.takes_part(int(vm)):
            continue
        alone, some = [], []
        for origin, limit in limits:
            row = limit.mask[limit.class_idx[vm]].copy()
            if start[vm] >= 0:
                row[start[vm]] = False
            if not row.any():
                alone.append(origin)
            elif not row.all():
                some.append(origin)
        if alone and set(alone) <= asked:
            continue  # it is where it was asked to be, or the answer says why it does not come there
        if alone:
            reason = f"{', '.join(dict.fromkeys(alone))} leaves it no other host"
        else:
            reason = f"no other host passes {', '.join(dict.fromkeys(some))} together"
        found.append(Immovable(str(snapshot.vms.name[vm]), reason))
    return tuple(found)
