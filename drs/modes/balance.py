"""Repair what is broken, then even out the load with few and cheap moves."""

from __future__ import annotations

from collections.abc import Sequence

from drs.model import Snapshot
from drs.modes.base import Mode, scope_of
from drs.options import Options
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.rules import Rule


def pose(snapshot: Snapshot, rules: Sequence[Rule], policy: Policy, options: Options) -> Problem:
    """The problem as the rules and the policy state it."""
    return Problem(snapshot, rules, policy, scope=scope_of(snapshot, policy, options))


MODE = Mode(pose)
