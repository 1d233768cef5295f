"""The automatic mode: when to act, and what it would have done over a load history."""

from drs.automatic.history import replay

__all__ = ["replay"]
