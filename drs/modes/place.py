"""Find a host for new VMs, moving others where that makes room (initial placement).

New are the VMs of the snapshot that have no host, and those that are asked for after an existing one
(`web-07=3`: three more like web-07, with its size, networks and disks).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drs.errors import Fault, InputError, did_you_mean
from drs.model import Snapshot
from drs.modes.base import Mode, Options
from drs.modes.reservations import reservations
from drs.modes.restart import Restart, Waiting, restarts, waiting
from drs.problem import Problem
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


def pose(snapshot: Snapshot, rules: Sequence[Rule], policy: Policy, options: Options) -> Problem:
    """The snapshot with the new VMs, which are nowhere yet."""
    if options.new:
        snapshot = with_new(snapshot, options.new)
    if not (snapshot.vms.host_idx < 0).any():
        raise InputError(
            Fault(
                "vms, field host",
                "every VM has a host",
                "VMs with an empty host, to be placed",
                "or --new LIKE=COUNT",
            )
        )
    return Problem(snapshot, (*rules, *reservations(snapshot, policy)), policy)


def with_new(snapshot: Snapshot, wanted: Sequence[str]) -> Snapshot:
    """The snapshot with more VMs like existing ones.

    Parameters
    ----------
    wanted : `LIKE` or `LIKE=COUNT`; the new ones are called `LIKE-copy-1` and so on.

    Raises
    ------
    InputError : for a VM that is not there, or a count that is none.
    """
    from drs.io.changes import AddVms, apply

    adds, faults = [], []
    for text in wanted:
        like, _, count = text.partition("=")
        if like not in snapshot.vms.position:
            faults.append(
                Fault("new", f"unknown VM {like!r}", "LIKE or LIKE=COUNT, LIKE being a VM",
                      did_you_mean(like, snapshot.vms.position))
            )  # fmt: skip
        elif count and not (count.isdigit() and 0 < int(count) <= 10_000):
            faults.append(Fault("new", f"{text!r}", "LIKE=COUNT with a count from 1 to 10000"))
        else:
            adds.append(AddVms(like=like, count=int(count or 1)))
    names = [add.like for add in adds]
    faults += [
        Fault("new", f"{name!r} stands twice", "each VM once, with a count") for name in sorted(set(names))
        if names.count(name) > 1
    ]  # fmt: skip
    if faults:
        raise InputError(faults)
    return apply(snapshot, adds, where="new").snapshot


def report(result: Result, options: Options) -> InitialPlacement:
    """Where the new VMs go."""
    return InitialPlacement(restarts(result), waiting(result), len(result.plan.moves) if result.plan else 0)


MODE = Mode(pose, ("new",), report=report)
