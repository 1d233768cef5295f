"""Batches of what-if questions, and the replay of a load history."""

from drs.automatic.replay import replay
from drs.whatif.runner import run
from drs.whatif.scenarios import Scenario, read_scenarios

__all__ = ["Scenario", "read_scenarios", "replay", "run"]
