"""What no assignment can beat: a bound for each level of a lowered problem."""

from drs.solvers.bounds.dual import lower_bounds

__all__ = ["lower_bounds"]
