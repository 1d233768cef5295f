"""The grammar between rules and engines: a small closed algebra of terms over items and bins.

A rule lowers to terms and never sees a solver; a solver reads terms and never sees a rule.
"""

from drs.terms.base import NOWHERE, During, Level, Limit, Lowered, Role, Term, Wall, Weighted
from drs.terms.costs import (
    BinsUsed,
    Deviation,
    FreeBalance,
    GroupMoves,
    MoveCost,
    OverTarget,
    Penalty,
    Slots,
    Unplaced,
)
from drs.terms.limits import Allowed, AtLeast, AtMost, Capacity, MoveLimit, Near, Together, Within

LIMITS = (Allowed, Capacity, AtMost, AtLeast, Within, Together, Near, MoveLimit)
COSTS = (OverTarget, Deviation, FreeBalance, MoveCost, GroupMoves, Penalty, BinsUsed, Slots, Unplaced)

__all__ = [
    "COSTS",
    "LIMITS",
    "NOWHERE",
    "Allowed",
    "AtLeast",
    "AtMost",
    "BinsUsed",
    "Capacity",
    "Deviation",
    "During",
    "FreeBalance",
    "GroupMoves",
    "Level",
    "Limit",
    "Lowered",
    "MoveCost",
    "MoveLimit",
    "Near",
    "OverTarget",
    "Penalty",
    "Role",
    "Slots",
    "Term",
    "Together",
    "Unplaced",
    "Wall",
    "Weighted",
    "Within",
]
