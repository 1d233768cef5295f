"""The ask: a snapshot, rules, goals and limits, validated together, and lowered to terms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from drs.errors import InputError
from drs.goals import Goal, Prices
from drs.model import Placement, Snapshot
from drs.problem import levels
from drs.problem.policy import Policy
from drs.problem.prices import Migrations, disks_follow, limits_of, migrations
from drs.problem.request import Request
from drs.problem.scope import Scope, vms_of
from drs.rules import Automation, Pinned, Rule, Violation, default_rules
from drs.rules.migration_path import MigrationPath
from drs.terms import (
    Allowed,
    Level,
    Lowered,
    MoveLimit,
    Unplaced,
    Wall,
    Weighted,
)
from drs.terms.base import Ints
from drs.terms.limits import all_of

SCOPE = "scope"
"""Origin of the wall around the hosts that take part."""


@dataclass(frozen=True)
class Problem:
    """What is asked of a solver.

    `rules` are those the user wrote; `Problem.rules_in_force` adds the built-in ones (capacity, EVC,
    datastore and network visibility, migration scope, host state, local devices), of which a user's rule of
    the same `replaces` key takes the place.

    Raises InputError with every fault of every rule and goal.
    """

    snapshot: Snapshot
    rules: Sequence[Rule] = ()
    policy: Policy = field(default_factory=Policy)
    request: Request | None = None
    """What is asked, where something is; None to repair what is broken and pursue the goals."""
    scope: Scope | None = field(default=None, compare=False)
    """Hosts that take part, None for all."""
    held: Sequence[Rule] = ()
    """VMs that an earlier round found no way for, kept where they are."""
    budget_s: float | None = None
    """So many seconds of migration at most, by the prices of the VMs; None for no limit."""
    built_in: bool = True
    """Whether the built-in rules apply (off for benchmarks that are no virtual machines)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", tuple(self.rules))
        object.__setattr__(self, "snapshot", self.snapshot.counting(self.policy.memory))
        faults = [fault for rule in self.rules for fault in rule.faults(self.snapshot)]
        for number, goal in enumerate(self.goals, start=1):
            faults += goal.faults(self.snapshot, f"[[goal]] {number} ({goal.type})")
        if faults:
            raise InputError(faults)

    def __repr__(self) -> str:
        goals = ", ".join(goal.type for goal in self.goals)
        return f"<Problem of {self.snapshot!r}: {len(self.rules)} rules, goals {goals}>"

    @property
    def goals(self) -> Sequence[Goal]:
        """Goals in order."""
        return self.policy.goals

    @cached_property
    def rules_in_force(self) -> tuple[Rule, ...]:
        """The user's rules and the built-in ones that none of them replaces."""
        own = (*self.rules, *self.held)
        if self.request is not None:
            own = (*own, *self.request.besides, *self.request.rules)
        if not self.built_in:
            return own
        taken = {rule.replaces for rule in own if rule.replaces}
        return (
            MigrationPath(profile=self.policy.cost_profile),
            *limits_of(self.snapshot, self.policy, self.migrations),
            *self._disabled(),
            *(rule for rule in default_rules(self.snapshot, self.policy.migration_scope,
                                             self.policy.storage_moves) if rule.replaces not in taken),
            *own,
        )  # fmt: skip

    def _disabled(self) -> list[Rule]:
        """VMs whose automation is disabled stay, unless they are what is asked."""
        vms = self.snapshot.vms
        asked = {
            vm for rule in (self.request.rules if self.request else ()) for vm in getattr(rule, "vms", ())
        }
        held = [name for name in vms.name[vms.automation == "disabled"].tolist() if name not in asked]
        return [Automation(vms=held, at_least="manual")] if held else []

    @cached_property
    def today(self) -> Placement:
        """Where everything is now."""
        return Placement.of(self.snapshot)

    @cached_property
    def prices(self) -> Prices:
        """What moving each VM costs, from the pre-copy model."""
        return self.migrations.prices

    @cached_property
    def migrations(self) -> Migrations:
        """One migration of each VM to each kind of host, as planning prices it."""
        return migrations(self.snapshot, self.policy)

    @cached_property
    def compatible(self) -> Allowed:
        """All limits on where a VM may be, as one: the hosts of each class of VMs that are alike to them."""
        limits = [wall.term for wall in self.lowered.walls if isinstance(wall.term, Allowed)]
        class_idx, mask = all_of(limits, self.snapshot.n_vms, self.snapshot.n_hosts)
        return Allowed(class_idx, mask, self.lowered.start)

    def allowed_hosts(self, vm: int) -> NDArray[np.bool_]:
        """Where one VM may be as far as it alone is concerned, bool[n_hosts]; its own host always counts."""
        mask = self.compatible.mask[self.compatible.class_idx[vm]].copy()
        if self.lowered.start[vm] >= 0:
            mask[self.lowered.start[vm]] = True
        return np.asarray(mask)

    def parking_hosts(self, vm: int) -> NDArray[np.bool_]:
        """Where one VM may be on the way, bool[n_hosts]: only limits that hold `during` the plan count."""
        mask = np.ones(self.snapshot.n_hosts, dtype=np.bool_)
        for limit in self.lowered.during:
            if isinstance(limit.term, Allowed):
                mask &= limit.term.mask[limit.term.class_idx[vm]]
        if self.lowered.start[vm] >= 0:
            mask[self.lowered.start[vm]] = True
        return mask

    def placement(self, host_idx: Ints) -> Placement:
        """The placement with these hosts; disks follow where a VM's new host does not see them."""
        return Placement(host_idx, disks_follow(self.snapshot, host_idx))

    def left_behind(self, placement: Placement) -> list[str]:
        """VMs that a placement moves to a host that does not see one of their disks: no datastore had room."""
        snapshot = self.snapshot
        host = placement.host_idx[snapshot.disks.vm_idx]
        moved = (host >= 0) & (host != snapshot.vms.host_idx[snapshot.disks.vm_idx])
        blind = moved & ~snapshot.mounts[np.maximum(host, 0), placement.datastore_idx]
        return [str(name) for name in np.unique(snapshot.vms.name[snapshot.disks.vm_idx[blind]])]

    def holding(self, vms: Sequence[str], why: str) -> Problem:
        """The same problem with these VMs kept where they are."""
        return replace(self, held=(*self.held, Pinned(list(vms), name=why)))

    def with_less_to_move(self, budget_s: float) -> Problem:
        """The same problem with so many seconds of migration at most."""
        return replace(self, budget_s=budget_s)

    def check(self, placement: Placement) -> list[Violation]:
        """Every rule in force, checked the naive way, independent of terms and solvers."""
        return [
            violation for rule in self.rules_in_force for violation in rule.check(self.snapshot, placement)
        ]

    def _waiting(self, start: Ints) -> list[Level]:
        """One level for each class of restart priority that has VMs without a host, the highest first."""
        rank, names = self.policy.restart.rank(self.snapshot), self.policy.restart.NAMES
        classes = np.unique(rank[start < 0]).tolist()
        waiting = []
        for which in classes:
            one = Weighted(Unplaced((rank == which).astype(np.float64)), origin="not placed")
            name = "placed" if len(classes) == 1 else f"placed {names[which]}"
            waiting.append(Level(name, (one,), unit="VMs", role="placed"))
        return waiting

    def _walls(self, start: Ints) -> Iterator[Wall]:
        """The limits that no rule states: of the plan, and of the scope."""
        most = self.policy.limits.max_moves
        if most is not None:
            yield Wall(MoveLimit(np.ones(len(start)), float(most)), "max_moves")
        if self.budget_s is not None:
            yield Wall(MoveLimit(np.asarray(self.prices.move_s), self.budget_s), "time")
        if self.scope is not None:
            outside = (start >= 0) & ~self.scope[np.maximum(start, 0)]
            mask = np.vstack([self.scope, np.zeros_like(self.scope)])
            yield Wall(Allowed(outside.astype(np.int32), mask, start), SCOPE)

    def takes_part(self, vm: int) -> bool:
        """Whether a VM is in the scope."""
        return bool(self.taking_part[vm])

    @cached_property
    def taking_part(self) -> NDArray[np.bool_]:
        """The VMs in the scope, bool[n_vms]."""
        return vms_of(self.snapshot, self.scope)

    def _of_goals(self) -> Iterator[Level]:
        """One level for each goal, in order."""
        types = [goal.type for goal in self.goals]
        for number, goal in enumerate(self.goals):
            again = types[:number].count(goal.type)
            yield Level(
                f"{goal.type} {again + 1}" if again else goal.type,
                tuple(goal.lower(self.snapshot, self.prices)),
                slack_ratio=goal.default_slack_ratio if goal.slack_ratio is None else goal.slack_ratio,
                worth_ratio=goal.default_worth_ratio if goal.worth_ratio is None else goal.worth_ratio,
                unit=goal.unit,
            )

    @cached_property
    def lowered(self) -> Lowered:
        """The problem as a solver sees it (`drs.problem.levels`)."""
        snapshot, start = self.snapshot, np.asarray(self.snapshot.vms.host_idx, dtype=np.int32)
        return levels.lower(
            snapshot,
            (
                (rule, term)
                for rule in self.rules_in_force
                if rule.items == "vms"
                for term in rule.lower(snapshot)
            ),
            start,
            snapshot.n_hosts,
            walls=tuple(self._walls(start)),
            placed=self._waiting(start),
            request=self.request,
            goals=tuple(self._of_goals()),
            item_names=snapshot.vms.name.tolist(),
            bin_names=snapshot.hosts.name.tolist(),
        )
