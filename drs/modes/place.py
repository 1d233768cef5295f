"""Find a host for new VMs, moving others where that makes room (initial placement).

New are the VMs of the snapshot that have no host, and those that are asked for after an existing one
(`web-07=3`: three more like web-07, with its size, networks and disks).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from drs.errors import Fault
from drs.model import Snapshot
from drs.modes.base import Mode, named, scope_of, unknown
from drs.modes.reservations import reservations
from drs.modes.restart import Restart, Waiting, restarts, waiting
from drs.options import Options
from drs.problem import Problem, Request
from drs.problem.policy import Policy
from drs.result import Result
from drs.rules import Rule


@dataclass(frozen=True)
class InitialPlacement:
    """Where the new VMs go. `waiting`: those that no host takes, and why."""

    placed: tuple[Restart, ...]
    waiting: tuple[Waiting, ...]
    n_moves: int

    def sentences(self) -> list[str]:
        """In words."""
        lines = []
        for each in self.placed[:40]:
            after = f" after the moves {', '.join(map(str, each.after_steps))}" if each.after_steps else ""
            lines.append(f"{each.vm} starts on {each.host}{after}")
        if len(self.placed) > 40:
            lines.append(f"and {len(self.placed) - 40} more")
        return lines + [f"no place for {each.vm}: {each.reason}" for each in self.waiting]


def check(snapshot: Snapshot, policy: Policy, options: Options) -> Iterator[Fault]:
    """VMs that are not there or stand twice; nothing to place."""
    likes = [text.partition("=")[0] for text in options.new]
    yield from unknown("new", likes, snapshot.vms.position, "VM")
    meant = [vm for like in likes for vm in named([like], snapshot.vms.position)]
    for vm in sorted({vm for vm in meant if meant.count(vm) > 1}):
        yield Fault("new", f"{vm!r} stands twice", "each VM once, with a count")
    if not options.new and not (snapshot.vms.host_idx < 0).any():
        yield Fault("new", "nothing to place: every VM has a host", "VMs with an empty host, or LIKE=COUNT")


def pose(snapshot: Snapshot, rules: Sequence[Rule], policy: Policy, options: Options) -> Problem:
    """The snapshot with the new VMs, which are nowhere yet."""
    snapshot = with_new(snapshot, options.new)
    request = Request(besides=reservations(snapshot, policy), also=options.also)
    return Problem(snapshot, rules, policy, request, scope_of(snapshot, policy, options))


def with_new(snapshot: Snapshot, wanted: Sequence[str]) -> Snapshot:
    """The snapshot with more VMs like existing ones.

    Parameters
    ----------
    wanted : `LIKE` or `LIKE=COUNT`, LIKE a VM or a pattern; the new ones are called `LIKE-copy-1` and so on.
    """
    from drs.io.change_kinds import AddVms
    from drs.io.changes import apply

    adds = []
    for text in wanted:
        like, _, count = text.partition("=")
        adds += [AddVms(like=vm, count=int(count or 1)) for vm in named([like], snapshot.vms.position)]
    return apply(snapshot, adds, where="new").snapshot if adds else snapshot


def report(result: Result, options: Options) -> InitialPlacement:
    """Where the new VMs go."""
    return InitialPlacement(restarts(result), waiting(result), len(result.plan.moves) if result.plan else 0)


MODE = Mode(pose, check, report=report)
