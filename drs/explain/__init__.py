"""Reasons in words: why a VM moves, why it may not, what makes a wish impossible, how two plans differ.

`why` answers for a VM and a host, `reasons` for every move of a plan, `immovable` for the VMs that no plan
can move, `conflicts` for a request that nothing satisfies, `diff` for two plans.
"""

from drs.explain.conflict import conflicts
from drs.explain.difference import PlanDiff, diff
from drs.explain.immovable import immovable
from drs.explain.not_more import NotMore, not_more
from drs.explain.reasons import annotate, reasons
from drs.explain.why import HostAnswer, Obstacle, why

__all__ = [
    "HostAnswer",
    "NotMore",
    "Obstacle",
    "PlanDiff",
    "annotate",
    "conflicts",
    "diff",
    "immovable",
    "not_more",
    "reasons",
    "why",
]
