"""Reasons in words: why a VM moves, why it may not, what makes a wish impossible, how two plans differ.

`why` answers for a VM and a host, `reasons` for every move of a plan, `immovable` for the VMs that no plan
can move, `conflicts` for a request that nothing satisfies, `diff` for two plans.
"""

from drs.explain.conflict import Conflict, Relaxation, conflicts
from drs.explain.difference import PlanDiff, diff
from drs.explain.immovable import Immovable, immovable
from drs.explain.reasons import Reason, annotate, reasons
from drs.explain.why import HostAnswer, Obstacle, why

__all__ = [
    "Conflict",
    "HostAnswer",
    "Immovable",
    "Obstacle",
    "PlanDiff",
    "Reason",
    "Relaxation",
    "annotate",
    "conflicts",
    "diff",
    "immovable",
    "reasons",
    "why",
]
