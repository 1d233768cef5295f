"""From a target placement to moves in a safe order, priced and timed."""

from drs.planning.limits import Concurrency
from drs.planning.plan import KINDS, Kind, Move, Plan, Stranded

__all__ = ["KINDS", "Concurrency", "Kind", "Move", "Plan", "Stranded"]
