"""Batches of what-if questions."""

from drs.whatif.runner import run
from drs.whatif.scenarios import Scenario, read_scenarios

__all__ = ["Scenario", "read_scenarios", "run"]
