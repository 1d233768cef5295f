"""The same question asked again: of today's cluster, and around VMs that could not be moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from drs import api
from drs.errors import PlanError
from drs.execute.platform import Platform
from drs.io.plan_file import SavedPlan, read_plan
from drs.model import Snapshot
from drs.result import Result
from drs.rules.pinned import Pinned

LONGEST_S = 60.0
"""Time for a search that the plan does not limit itself."""


def ask_again(saved: SavedPlan, today: Snapshot, held: Sequence[str] = ()) -> Result:
    """The answer of today to what the plan was asked; `held` are VMs that stay where they are.

    Raises
    ------
    PlanError : for a plan that is a part of a campaign, or has no question of its own.
    """
    asked = saved.asked
    if asked is None or asked.solver == "undo":
        raise PlanError("this plan answers no question that could be asked again: plan it anew")
    rules = asked.rules
    if held:
        rules = (*rules, Pinned(vms=tuple(held), name="could not be moved", policy="hard"))
    return api.advise(
        today,
        mode=asked.mode,
        options=asked.options,
        rules=rules,
        policy=asked.policy,
        solver=asked.solver,
        seed=asked.seed,
        time_s=asked.time_s if asked.time_s or asked.iterations else LONGEST_S,
        iterations=asked.iterations,
    )


Write = Callable[[Result, Path], None]
"""Writes a plan's folder."""


def again(saved: SavedPlan, today: Snapshot, write: Write, held: Sequence[str] = ()) -> SavedPlan:
    """A new plan of the same question, beside the old one: `PLAN-2`, `PLAN-3`, and so on."""
    result = ask_again(saved, today, held)
    result.raise_for_status()
    number = 2
    while (folder := saved.folder.with_name(f"{saved.folder.name}-{number}")).exists():
        number += 1
    write(result, folder)
    return read_plan(folder)


def replanned(saved: SavedPlan, today: Snapshot, write: Write, failed: Sequence[str]) -> SavedPlan | None:
    """A new plan around VMs that could not be moved; None where nothing is left to move."""
    made = again(saved, today, write, [vm for vm in dict.fromkeys(failed) if vm in today.vms.position])
    return made if made.plan.moves else None


def facts(saved: SavedPlan, platform: Platform) -> dict[str, str]:
    """What a journal says of the whole."""
    return {
        "plan": saved.digest,
        "platform": platform.identity or platform.address,
        "address": platform.address,
        "began_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
