"""The ask: a snapshot with rules and a policy, and how it is lowered to terms."""

from drs.problem.policy import (
    Freeze,
    Limits,
    MigrationScope,
    Policy,
    Power,
    Restart,
    StorageBalance,
    Trigger,
    Windows,
)
from drs.problem.problem import Problem
from drs.problem.request import Request

__all__ = [
    "Freeze",
    "Request",
    "Limits",
    "MigrationScope",
    "Policy",
    "Power",
    "Problem",
    "Restart",
    "StorageBalance",
    "Trigger",
    "Windows",
]
