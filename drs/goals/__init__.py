"""The catalogue of goals: one file per goal, each found in `GOALS` by the type it has in `policy.toml`."""

from drs.goals.balance import Balance
from drs.goals.balance_over_time import BalanceOverTime
from drs.goals.base import GOALS, Goal, Prices
from drs.goals.consolidate import Consolidate
from drs.goals.free_balance import FreeBalance
from drs.goals.group_moves import GroupMoves
from drs.goals.happiness import Happiness
from drs.goals.licences import Licences
from drs.goals.move_distance import MoveDistance
from drs.goals.moves import Moves
from drs.goals.over_target import OverTarget
from drs.goals.prefer_hosts import PreferHosts
from drs.goals.slots import Slots
from drs.goals.sum import Sum

__all__ = [
    "GOALS",
    "Balance",
    "BalanceOverTime",
    "Consolidate",
    "FreeBalance",
    "Goal",
    "OverTarget",
    "Licences",
    "MoveDistance",
    "Moves",
    "GroupMoves",
    "PreferHosts",
    "Prices",
    "Happiness",
    "Slots",
    "Sum",
]
