"""From a target placement to moves in a safe order, priced and timed."""

from drs.planning.limits import Concurrency
from drs.planning.make import Method, make_plan
from drs.planning.plan import KINDS, Kind, Move, Plan, Stranded
from drs.planning.prefixes import PrefixState, prefix_states
from drs.planning.pricing import price_moves
from drs.planning.replay import Difference, ReplayReport, replay

__all__ = [
    "KINDS",
    "Concurrency",
    "Difference",
    "Kind",
    "Method",
    "Move",
    "Plan",
    "PrefixState",
    "ReplayReport",
    "Stranded",
    "make_plan",
    "prefix_states",
    "price_moves",
    "replay",
]
