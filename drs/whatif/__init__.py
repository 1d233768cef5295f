"""Batches of what-if questions."""

from drs.whatif.batch import Batch, read_batch, read_scenarios
from drs.whatif.runner import Part, Ran, run, stream
from drs.whatif.scenarios import Scenario
from drs.whatif.store import read

__all__ = ["Batch", "Part", "Ran", "Scenario", "read", "read_batch", "read_scenarios", "run", "stream"]
