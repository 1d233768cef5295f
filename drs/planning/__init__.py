"""From a target placement to moves in a safe order, priced and timed."""

from drs.planning.limits import Concurrency
from drs.planning.make import make_plan
from drs.planning.plan import KINDS, Kind, Move, Plan, Stranded
from drs.planning.pricing import price_moves

__all__ = ["KINDS", "Concurrency", "Kind", "Move", "Plan", "Stranded", "make_plan", "price_moves"]
