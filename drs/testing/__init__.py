"""What whoever extends `drs` tests with.

`ask`, `frames_of`: small clusters in a compact notation. `check_rule`, `check_term`, `check_solver`: whether a
rule, a term and a solver keep what all of them keep.
"""

from drs.testing.conformance import check_solver, check_term
from drs.testing.rules_conformance import check_rule
from drs.testing.scenarios import NAMED, ROWS, ask, expanded, frames_of

__all__ = ["NAMED", "ROWS", "ask", "check_rule", "check_solver", "check_term", "expanded", "frames_of"]
