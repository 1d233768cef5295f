"""Gather free room that is scattered over the hosts, for VMs of given sizes, with few moves.

As many slots of the sizes as `max_moves` allows, proven as far as the solver gets; then the cheapest moves for
them. What is broken or uneven elsewhere stays, unless `also` asks for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from drs.errors import Fault, InputError
from drs.model import Snapshot
from drs.modes.base import Mode, scope_of
from drs.modes.room import Made, goals_for, made_of, probe, read_flavours, unusable
from drs.options import Options
from drs.problem import Problem, Request
from drs.problem.policy import Policy
from drs.result import Result
from drs.rules import Rule
from drs.words import count


@dataclass(frozen=True)
class Defragmentation:
    """Room for each size before and after. `max_moves`: None for no limit. `left_out`: rules that are not counted."""

    flavours: tuple[Made, ...]
    n_moves: int
    max_moves: int | None
    left_out: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """In words."""
        lines = []
        for made in self.flavours:
            line = f"{made.flavour}: room for {made.slots_before:,} VMs before, {made.slots_after:,} after"
            line += f" {count(self.n_moves, 'move')}"
            if made.at_most is not None:
                limit = (
                    "whatever moves" if self.max_moves is None else f"with {count(self.max_moves, 'move')}"
                )
                proven = made.slots_after >= made.at_most
                line += (
                    f" (proven, no more is possible {limit})"
                    if proven
                    else f" (at most {made.at_most:,} {limit})"
                )
            lines.append(line + unusable(made.fragment_rate_after))
        return lines + [
            f"{rule} counts new VMs over several hosts together; it is not counted here"
            for rule in self.left_out
        ]


def check(snapshot: Snapshot, policy: Policy, options: Options) -> Iterator[Fault]:
    """No size, or one that this cluster cannot count."""
    if not options.flavours:
        yield Fault("flavours", "for which VMs the room is to be", "a size such as 16c/32g")
        return
    try:
        read_flavours(options.flavours, snapshot, "flavours")
    except InputError as error:
        yield from error.faults


def pose(snapshot: Snapshot, rules: Sequence[Rule], policy: Policy, options: Options) -> Problem:
    """Slots first, then cheap moves; the other goals of the policy where the load is to be balanced as well."""
    scope = scope_of(snapshot, policy, options)
    plain = Problem(snapshot, rules, policy, scope=scope)
    goals = goals_for(plain, options.flavours)
    more = () if "balance" not in options.also else policy.goals
    policy = dataclasses.replace(policy, goals=(goals[0], *(more or goals[1:])))
    request = Request(also=options.also, few_others=False)
    return Problem(snapshot, rules, policy, request, scope)


def report(result: Result, options: Options) -> Defragmentation:
    """Room before and after."""
    made = made_of(result)
    left_out = probe(result.problem, read_flavours(options.flavours, None, "flavours")).left_out
    limit = result.problem.policy.limits.max_moves
    return Defragmentation(made, len(result.plan.moves) if result.plan else 0, limit, left_out)


MODE = Mode(pose, check, report=report)
