"""The ask: a snapshot with rules and a policy, and how it is lowered to terms."""

from drs.problem.policy import Limits, MigrationScope, Policy, Power, Restart, StorageBalance, Trigger
from drs.problem.problem import Problem
from drs.problem.request import Request

__all__ = [
    "Request",
    "Limits",
    "MigrationScope",
    "Policy",
    "Power",
    "Problem",
    "Restart",
    "StorageBalance",
    "Trigger",
]
