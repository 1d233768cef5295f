"""The automatic mode: when to act, and what it would have done over a load history."""

from drs.automatic.contenders import Advised, Contender, Published, contender
from drs.automatic.history import compare, replay, summary

__all__ = ["Advised", "Contender", "Published", "compare", "contender", "replay", "summary"]
