"""The ask: a snapshot, rules, goals and limits, validated together, and lowered to terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from drs.goals import Goal, Prices
from drs.model import Placement, Snapshot
from drs.policy import Policy
from drs.rules import Rule, Violation, default_rules
from drs.rules.base import raise_faults
from drs.terms import (
    Capacity,
    During,
    Level,
    Lowered,
    MoveLimit,
    Unplaced,
    Wall,
    Weighted,
)


@dataclass(frozen=True)
class Problem:
    """What is asked of a solver.

    `rules` are those the user wrote; `Problem.rules_in_force` adds the built-in ones (capacity, EVC,
    datastore and network visibility, migration scope, host state, local devices), of which a user's rule of
    the same `replaces` key takes the place.

    Raises InputError with every fault of every rule.
    """

    snapshot: Snapshot
    rules: Sequence[Rule] = ()
    policy: Policy = field(default_factory=Policy)
    built_in: bool = True
    """Whether the built-in rules apply (off for benchmarks that are no virtual machines)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", tuple(self.rules))
        raise_faults(self.rules, self.snapshot)

    @property
    def goals(self) -> Sequence[Goal]:
        """Goals in order."""
        return self.policy.goals

    @cached_property
    def rules_in_force(self) -> tuple[Rule, ...]:
        """The user's rules and the built-in ones that none of them replaces."""
        if not self.built_in:
            return tuple(self.rules)
        taken = {rule.replaces for rule in self.rules if rule.replaces}
        return (
            *(rule for rule in default_rules(self.snapshot, self.policy.migration_scope,
                                             self.policy.storage_moves) if rule.replaces not in taken),
            *self.rules,
        )  # fmt: skip

    @cached_property
    def today(self) -> Placement:
        """Where everything is now."""
        return Placement.of(self.snapshot)

    @cached_property
    def prices(self) -> Prices:
        """What moving each VM costs."""
        return Prices.nominal(self.snapshot)

    def check(self, placement: Placement) -> list[Violation]:
        """Every rule in force, checked the naive way, independent of terms and solvers."""
        return [
            violation for rule in self.rules_in_force for violation in rule.check(self.snapshot, placement)
        ]

    @cached_property
    def lowered(self) -> Lowered:
        """The problem as a solver sees it.

        A limit of policy `hard` or `not_worse` becomes a wall that is as wide as today's placement needs;
        where it is broken today, it is also a cost: in the first level (`must`, which has to vanish) for
        hard rules, in `repair` for the others. `soft` limits are costs in `preferences`.
        """
        snapshot, start = self.snapshot, np.asarray(self.snapshot.vms.host_idx, dtype=np.int32)
        walls: list[Wall] = []
        must: list[Weighted] = []
        repair: list[Weighted] = []
        soft: list[Weighted] = []
        during: list[During] = []
        unplaced = bool((start < 0).any())
        for rule in self.rules_in_force:
            scale = max(rule.scale(snapshot), 1e-12)
            for term in rule.lower(snapshot):
                if rule.policy == "soft":
                    soft.append(Weighted(term, rule.weight / scale, rule.label))
                    continue
                walls.append(Wall(term.relaxed(start), rule.label))
                if term.cost(start, start) > 0 or (unplaced and not isinstance(term, Capacity)):
                    level = must if rule.policy == "hard" else repair
                    level.append(Weighted(term, 1.0 / scale, rule.label))
                if rule.holds == "during":
                    during.append(During(term, rule.label))
        if self.policy.limits.max_moves is not None:
            limit = MoveLimit(np.ones(snapshot.n_vms), float(self.policy.limits.max_moves))
            walls.append(Wall(limit, "max_moves"))
        levels = []
        if must:
            levels.append(Level("must", tuple(must), unit="broken", must_vanish=True))
        if unplaced:
            waiting = Weighted(Unplaced(np.ones(snapshot.n_vms)), origin="not placed")
            levels.append(Level("placed", (waiting,), unit="VMs"))
        if repair:
            levels.append(Level("repair", tuple(repair), unit="broken"))
        if soft:
            levels.append(Level("preferences", tuple(soft), unit="penalty"))
        for goal in self.goals:
            slack = goal.default_slack_ratio if goal.slack_ratio is None else goal.slack_ratio
            worth = goal.default_worth_ratio if goal.worth_ratio is None else goal.worth_ratio
            levels.append(
                Level(
                    goal.type,
                    tuple(goal.lower(snapshot, self.prices)),
                    slack_ratio=slack,
                    worth_ratio=worth,
                    unit=goal.unit,
                )
            )
        return Lowered(
            snapshot.n_vms,
            snapshot.n_hosts,
            start,
            tuple(walls),
            tuple(levels),
            tuple(during),
            tuple(snapshot.vms.name.tolist()),
            tuple(snapshot.hosts.name.tolist()),
        )
