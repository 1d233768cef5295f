"""The catalogue of goals: one file per goal, each found in `GOALS` by the type it has in `policy.toml`."""

from drs.goals.balance import Balance, BalanceOverTime
from drs.goals.base import GOALS, Goal, Prices
from drs.goals.consolidate import Consolidate
from drs.goals.free_balance import FreeRoom
from drs.goals.happiness import Undelivered
from drs.goals.licences import Licences
from drs.goals.moves import MoveDistance, Moves, MovesPerGroup
from drs.goals.over_target import HighLoad
from drs.goals.prefer_hosts import PreferHosts
from drs.goals.weighted_sum import WeightedSum

__all__ = [
    "GOALS",
    "Balance",
    "BalanceOverTime",
    "Consolidate",
    "FreeRoom",
    "Goal",
    "HighLoad",
    "Licences",
    "MoveDistance",
    "Moves",
    "MovesPerGroup",
    "PreferHosts",
    "Prices",
    "Undelivered",
    "WeightedSum",
]
