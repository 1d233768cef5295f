"""A question about one VM, judged against the end of a plan that was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from drs import explain, modes
from drs.errors import Fault, InputError
from drs.explain import HostAnswer
from drs.io.plan_file import SavedPlan, read_plan
from drs.model import Snapshot
from drs.problem import Problem
from drs.rules import Rule
from drs.words import some


@dataclass(frozen=True)
class Judged:
    """What a plan does with a VM, in words, and what stands between it and each host at the end of the plan."""

    said: str
    answers: tuple[HostAnswer, ...]


def judge(
    facts: Snapshot, path: Path, vm: str, host: str | None, rules: Sequence[Rule] | None = None
) -> Judged:
    """What stands between a VM and hosts, all other VMs where a plan puts them.

    Parameters
    ----------
    facts : the cluster that was given with the plan.
    rules : in place of those that the plan was asked with.

    Raises
    ------
    InputError : for no plan, or the plan of another cluster.
    """
    saved = read_plan(path)
    if saved.structure != facts.structure:
        raise InputError(
            Fault(
                "plan",
                f"{path} was made for other hosts, VMs or disks than {facts.name or 'this snapshot'}",
                "the plan of this snapshot",
                "the cluster that it was made for is in before/ beside it",
            )
        )
    problem = _posed(saved, rules)
    answers = explain.why(problem, vm, host, saved.plan.placement)
    return Judged(_said(saved, vm), tuple(answers))


def _posed(saved: SavedPlan, rules: Sequence[Rule] | None) -> Problem:
    """What the plan was asked for, or only its rules where its mode adds VMs or is about disks."""
    asked, today = saved.asked, saved.today
    if asked is None:
        return Problem(today, rules or ())
    own = asked.rules if rules is None else rules
    if asked.mode not in ("place", "storage"):
        problem = modes.pose(asked.mode, today, own, asked.policy, asked.options)
        if problem.snapshot.n_vms == today.n_vms:
            return problem
    return Problem(today, own, asked.policy)


def _said(saved: SavedPlan, vm: str) -> str:
    mine = [move for move in saved.plan.moves if move.vm == vm]
    if not mine:
        left = [each for each in saved.plan.stranded if each.vm == vm]
        if left:
            return (
                f"The plan was to move {vm} to {left[0].to_host}, but no safe order does: {left[0].reason}."
            )
        return f"The plan leaves {vm} where it is."
    ways = [
        f"from {move.from_host} to {move.to_host} (step {move.step}{': ' if move.reason else ''}{move.reason})"
        for move in mine
    ]
    return f"The plan moves {vm} {some(ways)}. All other VMs are taken to be where the plan puts them."
