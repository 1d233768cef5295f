"""The automatic mode: when to act, and what it would have done over a load history."""
