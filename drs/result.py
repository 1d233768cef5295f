"""What a solve answers: a placement with its score, bound and gap, checked by the rules themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol, overload

from drs.errors import InfeasibleError
from drs.frame import DataFrame, frame
from drs.goals import Prices
from drs.model import Placement, Snapshot
from drs.model.changes import in_states
from drs.model.load import metrics
from drs.options import Options
from drs.planning import Move, Plan
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.problem.scope import within
from drs.rules import Rule, Violation
from drs.solvers.base import Status
from drs.words import count, goal_title, number, percent, seconds, some

MANDATORY = 1
"""Priority of a move that a rule, a host's state or its capacity asks for."""


class Report(Protocol):
    """What a mode says besides the plan: a dataclass of plain values, and the same in sentences.

    One that changes the state of hosts has `host_states`, a mapping of host to state afterwards.
    """

    def sentences(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class GoalScore:
    """One goal before and after. `bound`: no placement does better, given the goals before it."""

    name: str
    unit: str
    before: float
    after: float
    bound: float

    @property
    def gap_ratio(self) -> float:
        """(after - bound) / |after|: 0 when proven optimal, inf without a bound."""
        if self.after - self.bound <= 1e-9:
            return 0.0
        return (self.after - self.bound) / abs(self.after) if math.isfinite(self.bound) else math.inf


@dataclass(frozen=True, slots=True)
class Immovable:
    """A VM that no plan can move, and why."""

    vm: str
    reason: str


@dataclass(frozen=True, slots=True)
class Relaxation:
    """A rule that could give way. `amount`: by how much it would be broken, in `unit`."""

    rule: str
    amount: float
    unit: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """Rules that cannot hold together.

    rules : their names; a minimal set where `minimal`, else what is left of it when the time was up.
    vms : the VMs that have no place because of them.
    relaxations : each by itself makes the request possible as far as these rules go; the cheapest first.
    """

    rules: tuple[str, ...]
    vms: tuple[str, ...]
    minimal: bool
    sentence: str
    relaxations: tuple[Relaxation, ...] = ()


Purpose = Literal["asked", "repair", "wish", "goal", "room"]
"""What a move is for: what was asked, a rule that is broken today, a soft rule, a goal, or room for another VM."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one VM moves.

    code : vSphere's word for it, such as `hostMaint`, `antiAffin`, `fairnessCpuAvg`.
    text : the same in a sentence.
    priority : as DRS counts, 1 for what must be done to 5 for what is merely nice.
    gains : per goal, in the goal's own unit, what this move is worth in the plan: by how much the goal would
        be worse if the VM stayed and all others moved. Negative: what the move costs.
    without : what happens if the VM stays.
    purpose : what the move is for. room_for : where it is room, for which VMs.
    approval : the automation level under which it waits for somebody's approval, "" where it does not.
    """

    vm: str
    code: str
    text: str
    priority: int = MANDATORY
    gains: Mapping[str, float] = field(default_factory=dict)
    without: str = ""
    purpose: Purpose = "goal"
    room_for: tuple[str, ...] = ()
    approval: str = ""


@dataclass(frozen=True, slots=True)
class OtherTime:
    """What another time for the plan would bring: so many moves, and the goals after them."""

    within_s: float
    n_moves: int
    after: Mapping[str, float]


@dataclass(frozen=True)
class Timing:
    """What a plan does with its time.

    begins : when it starts, ISO 8601; empty for whenever it is approved. within_s : it ends by then, None for no limit.
    n_moves, n_asked : moves that fit, of those that the best state takes. late : VMs that there is no time for.
    goals : each goal before and after. others : what half and twice the time would bring. said : the time in words.
    """

    begins: str
    within_s: float | None
    n_moves: int
    n_asked: int
    late: tuple[str, ...]
    goals: Mapping[str, tuple[float, float]]
    others: tuple[OtherTime, ...]
    said: str

    def sentences(self) -> list[str]:
        """In words."""
        lines = [self.said] if self.said else []
        if self.late:
            lines.append(
                f"There is time for {self.n_moves} of {count(self.n_asked, 'move')}; not for {some(self.late, 20)}."
            )
        elif self.n_asked:
            lines.append(f"There is time for all {count(self.n_asked, 'move')}.")
        for other in self.others:
            changes = [
                f"{name} {number(before)} → {number(other.after[name])} instead of {number(after)}"
                for name, (before, after) in self.goals.items()
                if abs(other.after[name] - after) > 1e-4 * max(1e-9, abs(after), abs(other.after[name]))
            ]
            what = f"With {seconds(other.within_s)} it would be {count(other.n_moves, 'move')}"
            lines.append(f"{what}: {'; '.join(changes)}." if changes else f"{what}, and the same state.")
        return lines


MANY_MOVES = 200
"""A plan of more moves tells where its curve bends."""


@dataclass(frozen=True, eq=False)
class Curve:
    """What the moves of a plan bring one after the other: repairs first, then by gain for price.

    vms : in that order. gib, price_s : what has been copied, and the seconds of migration, after each, n + 1 figures
    from 0 on. goals : each goal, n + 1 figures, today's first. may_end : whether a plan may end after so many, n + 1.
    """

    vms: tuple[str, ...]
    gib: tuple[float, ...]
    price_s: tuple[float, ...]
    goals: Mapping[str, tuple[float, ...]]
    may_end: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.vms)

    def shares(self, n_moves: int) -> dict[str, float]:
        """What the first moves bring of all that the plan brings, by goal that it improves; 1 is all."""
        return {
            name: (scores[0] - scores[n_moves]) / (scores[0] - scores[-1])
            for name, scores in self.goals.items()
            if scores[0] - scores[-1] > 1e-9 * max(1.0, abs(scores[0]))
        }

    @property
    def bend(self) -> int:
        """The number of moves after which each further one brings less than moves do on average: where the curve of
        the goal that takes longest is furthest above its chord (Satopaa et al., "Finding a Kneedle in a Haystack",
        ICDCSW 2011)."""
        n = len(self)
        slowest, most = 0, -1.0
        for name in self.shares(n):
            scores = self.goals[name]
            all_of_it = scores[0] - scores[-1]
            above = [(scores[0] - scores[k]) / all_of_it - k / n for k in range(n + 1)]
            done = next(k for k in range(n + 1) if scores[0] - scores[k] >= (1 - 1e-9) * all_of_it)
            if done > most:
                slowest, most = max(range(n + 1), key=lambda k: (above[k], -k)), done
        return slowest

    def to_frame(self) -> DataFrame:
        """A row for today and for each move: n_moves, vm, gib, price_s, a column for each goal, may_end."""
        rows = [
            {
                "n_moves": k,
                "vm": self.vms[k - 1] if k else "",
                "gib": self.gib[k],
                "price_s": self.price_s[k],
                **{name: scores[k] for name, scores in self.goals.items()},
                "may_end": self.may_end[k],
            }
            for k in range(len(self) + 1)
        ]
        return frame(rows)

    def sentences(self) -> list[str]:
        """Where the curve of a long plan bends, in words; nothing of a short one."""
        n, k = len(self), self.bend
        shares = self.shares(k)
        if n <= MANY_MOVES or not 0 < k < n or not shares:
            return []
        brings = ", ".join(
            f"{percent(share)} of {goal_title(name).lower()}" for name, share in shares.items()
        )
        return [f"The first {k:,} of {n:,} VMs to move bring {brings}; stage = {k} plans those alone."]


@dataclass(frozen=True)
class Stage:
    """The part of a plan that was asked for. n_vms : so many VMs move of `n_all`. left : goals of the whole plan that
    later stages still bring, as after this stage and after the last. note : what else is to be said."""

    asked: str
    n_vms: int
    n_all: int
    left: Mapping[str, tuple[float, float]]
    note: str = ""

    def sentences(self) -> list[str]:
        """In words."""
        lines = [f"This stage ({self.asked}) moves {self.n_vms:,} of {count(self.n_all, 'VM')}."]
        changes = [
            f"{goal_title(name).lower()} {number(now)} → {number(then)}"
            for name, (now, then) in self.left.items()
        ]
        if changes:
            lines.append(
                f"Later stages bring {'; '.join(changes)}: the same command, on the cluster after this one, goes on."
            )
        elif self.n_vms == self.n_all:
            lines.append("It is the last one.")
        return [*lines, self.note] if self.note else lines


FindingKind = Literal["rule", "capacity", "space", "datastore", "failures", "reservation", "evc", "immovable"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a proposed state makes worse than today; see `drs.audit`.

    about : the rule, host, datastore or cluster. when : the step after which it is so, None at the end.
    before, after : by how much today and then, in `unit`.
    """

    kind: FindingKind
    about: str
    sentence: str
    when: int | None
    before: float
    after: float
    unit: str

    def __str__(self) -> str:
        return self.sentence if self.when is None else f"after step {self.when}: {self.sentence}"


@dataclass(frozen=True)
class Estimate(Sequence[Move]):
    """Moves chosen by hand, priced, as a sequence.

    findings : what they make worse than today one after the other, each with the number of the move.
    left_out : so many moves are in none of the clusters that were asked about.
    """

    moves: tuple[Move, ...]
    findings: tuple[Finding, ...] = ()
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.moves)

    @overload
    def __getitem__(self, index: int) -> Move: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Move]: ...
    def __getitem__(self, index: int | slice) -> Move | Sequence[Move]:
        return self.moves[index]


@dataclass(frozen=True)
class Given:
    """The rules and the policy of those who ask: what stands when the request is done."""

    rules: tuple[Rule, ...]
    policy: Policy


@dataclass(frozen=True)
class Asked:
    """What was asked for, so that it can be asked again.

    at : when. today : the cluster as it was read. rules, policy : the user's own, without what a mode adds.
    """

    today: Snapshot
    rules: tuple[Rule, ...]
    policy: Policy
    mode: str
    options: Options
    solver: str
    seed: int
    time_s: float | None = None
    iterations: int | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class Result:
    """The answer to a problem.

    placement : where everything should be; with a `plan`, where the plan leads.
    violations_before, violations_after : every broken rule, found by the rules' own checks.
    plan : the moves in order, priced and timed, once made.
    """

    problem: Problem
    status: Status
    placement: Placement
    goals: tuple[GoalScore, ...]
    violations_before: tuple[Violation, ...]
    violations_after: tuple[Violation, ...]
    solver: str
    seed: int
    elapsed_s: float
    iterations: int = 0
    interrupted: bool = False
    plan: Plan | None = None
    immovable: tuple[Immovable, ...] = ()
    warnings: tuple[str, ...] = ()
    mode: str = "balance"
    report: Report | None = None
    """What the mode says besides the plan: hosts to power off, VMs that cannot restart, ..."""
    reasons: tuple[Reason, ...] = ()
    """Why each VM moves, with priority, gains and costs, in the order of the plan."""
    conflicts: tuple[Conflict, ...] = ()
    """For `infeasible` and `no_solution`: minimal sets of rules that cannot hold together."""
    findings: tuple[Finding, ...] = ()
    """What the proposed state, and those on the way to it, make worse than today (`drs.audit`)."""
    not_more: Report | None = None
    """Why the plan does no more than it does (`drs.explain.not_more`)."""
    timing: Timing | None = None
    """What the plan does with its time, where it has a limit or some hours are frozen."""
    curve: Curve | None = None
    """What the plan's moves bring one after the other; None where it moves disks alone, or nothing."""
    stage: Stage | None = None
    """Where only a part of the plan was asked for."""
    given: Given | None = None
    """The rules and the policy that the caller gave, without what the request added; None where nobody gave any."""
    stats: Mapping[str, float | int | str] = field(default_factory=dict)
    asked: Asked | None = None
    """Where it answers a question of the user's; None for a part of a longer answer."""

    def __repr__(self) -> str:
        broken = f"{len(self.violations_before)} violations before, {len(self.violations_after)} after"
        return f"<Result {self.status}: {len(self.moved_vms)} VMs move, {broken}, by {self.solver}>"

    @property
    def snapshot(self) -> Snapshot:
        """The cluster that was asked about."""
        return self.problem.snapshot

    @property
    def prices(self) -> Prices:
        """What moving each VM costs."""
        return self.problem.prices

    @property
    def untouched(self) -> tuple[Violation, ...]:
        """What is broken today, as it was after the plan, and no part of what was asked: outside the clusters that
        take part, or beside a request that does not repair."""
        request, snapshot = self.problem.request, self.snapshot
        before = set(self.violations_before)
        left = [each for each in self.violations_after if each in before]
        if request is None or request.also:
            return tuple(within(snapshot, self.problem.scope, left)[1])
        asked = {rule.label for rule in request.rules}
        return tuple(each for each in left if each.rule not in asked)

    @property
    def metrics_before(self) -> dict[str, dict[str, float]]:
        """Load today of the hosts that take part; see `metrics`."""
        return metrics(self.snapshot, self.problem.today, self.problem.scope)

    @property
    def metrics_after(self) -> dict[str, dict[str, float]]:
        """Load after the moves of the hosts that take part."""
        return metrics(self.snapshot, self.placement, self.problem.scope)

    @property
    def moved_vms(self) -> tuple[str, ...]:
        """Names of the VMs that change their host."""
        moved = self.problem.today.moved(self.placement)
        return tuple(self.snapshot.vms.name[moved].tolist())

    def raise_for_status(self) -> Result:
        """Itself, or InfeasibleError when there is no placement that satisfies the hard rules."""
        if self.status in ("infeasible", "no_solution"):
            broken = [conflict.sentence for conflict in self.conflicts]
            broken += [violation.sentence for violation in self.violations_after]
            raise InfeasibleError("; ".join([f"{self.status}", *broken[:5]]))
        return self

    @property
    def snapshot_after(self) -> Snapshot:
        """The cluster as it is once the moves are done and hosts are woken or powered off as reported."""
        after = self.placement.apply(self.snapshot)
        changes = getattr(self.report, "host_states", None)
        if not changes:
            return after
        return in_states(after, changes)
