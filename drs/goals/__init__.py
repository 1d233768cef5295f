"""The catalogue of goals: one file per goal, each found in `GOALS` by the type it has in `policy.toml`."""

from drs.goals.balance import Balance
from drs.goals.base import GOALS, Goal, Prices
from drs.goals.moves import Moves

__all__ = ["GOALS", "Balance", "Goal", "Moves", "Prices"]
