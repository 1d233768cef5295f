"""A kept plan as a result again.

No object is stored: the plan's own files are read, the problem is posed again from what was asked, and the rules are
checked anew, so what is shown was verified by this version of drs.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drs import io, modes, staged
from drs.errors import Fault, InputError
from drs.io.plan_file import read_plan
from drs.model import Placement, Snapshot
from drs.result import (
    Conflict,
    Finding,
    Given,
    GoalScore,
    Immovable,
    OtherTime,
    Reason,
    Relaxation,
    Result,
    Stage,
    Timing,
)


@dataclass(frozen=True)
class Said:
    """What a mode said besides the plan, in sentences."""

    lines: tuple[str, ...]

    def sentences(self) -> list[str]:
        """The same."""
        return list(self.lines)


def restored(folder: Path) -> Result:
    """The result whose files lie in a folder.

    Raises
    ------
    InputError : where a file is missing, or was written by a version that this one does not understand.
    """
    saved = read_plan(folder)
    document: dict[str, Any] = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    asked = saved.asked
    if asked is None:
        raise InputError(
            Fault("store", "a part of a longer answer", "a plan that answers a question of its own")
        )
    # The new VMs of mode `place` stand in the kept cluster already.
    posing = dataclasses.replace(asked.options, new=()) if asked.mode == "place" else asked.options
    try:
        problem = modes.pose(asked.mode, asked.today, asked.rules, asked.policy, posing)
        after = _placement(io.read_folder(folder / "snapshot"), problem.snapshot)
        goals = tuple(_goal(each) for each in document["goals"])
        plan = saved.plan if (folder / "moves.csv").exists() else None
        if plan is not None:
            plan = dataclasses.replace(plan, snapshot=problem.snapshot)
        result = Result(
            problem,
            document["status"],
            after,
            goals,
            tuple(problem.check(problem.today)),
            tuple(problem.check(after)),
            document["solver"],
            document["seed"],
            document["elapsed_s"],
            document["iterations"],
            document["interrupted"],
            plan,
            tuple(Immovable(**each) for each in document["immovable"]),
            tuple(document["warnings"]),
            document["mode"],
            _said(document["report"]),
            tuple(_reasons(document["moves"])),
            tuple(_conflict(each) for each in document["conflicts"]),
            tuple(Finding(**each) for each in document["audit"]),
            _said(document["not_more"]),
            _timing(document["timing"]),
            stage=_stage(document["stage"]),
            given=Given(asked.rules, asked.policy),
            asked=asked,
        )
        return dataclasses.replace(result, curve=staged.curve(result) if result.stage is None else None)
    except (KeyError, TypeError) as error:
        raise InputError(
            Fault("store", f"{type(error).__name__}: {error}", "a plan as this drs writes it",
                  "ask the question again")
        ) from None  # fmt: skip


def _stage(said: dict[str, Any] | None) -> Stage | None:
    """The part of a plan that was asked for."""
    if said is None:
        return None
    left = {name: (float(now), float(then)) for name, (now, then) in said["left"].items()}
    return Stage(said["asked"], said["n_vms"], said["n_all"], left, said["note"])


def _placement(after: Snapshot, today: Snapshot) -> Placement:
    """The placement of a cluster by the names of another one with the same VMs."""
    host_at = np.array([*(today.hosts.position.get(str(name), -1) for name in after.hosts.name), -1])
    host_idx = np.array(today.vms.host_idx)
    for vm, name in enumerate(after.vms.name.tolist()):
        if name in today.vms.position:
            host_idx[today.vms.position[name]] = host_at[after.vms.host_idx[vm]]
    store_at = np.array(
        [*(today.datastores.position.get(str(name), -1) for name in after.datastores.name), -1]
    )
    store_idx = np.array(today.disks.datastore_idx)
    if len(store_idx) == len(after.disks.datastore_idx):
        store_idx = store_at[after.disks.datastore_idx]
    return Placement(
        host_idx.astype(today.vms.host_idx.dtype), store_idx.astype(today.disks.datastore_idx.dtype)
    )


def _goal(each: Mapping[str, Any]) -> GoalScore:
    bound = -math.inf if each["bound"] is None else each["bound"]
    return GoalScore(each["name"], each["unit"], each["before"], each["after"], bound)


def _said(report: Mapping[str, Any] | None) -> Said | None:
    return None if report is None else Said(tuple(report["sentences"]))


def _reasons(moves: list[Mapping[str, Any]]) -> list[Reason]:
    found: dict[str, Reason] = {}
    for move in moves:
        if "priority" in move:
            gains = {goal: gain for goal, gain in move["gains"].items() if gain is not None}
            found[move["vm"]] = Reason(
                move["vm"], move.get("code", ""), move["reason"], move["priority"], gains, move["without"],
                move["purpose"], tuple(move["room_for"]),
            )  # fmt: skip
    return list(found.values())


def _conflict(each: Mapping[str, Any]) -> Conflict:
    relaxations = tuple(Relaxation(**one) for one in each["relaxations"])
    return Conflict(tuple(each["rules"]), tuple(each["vms"]), each["minimal"], each["sentence"], relaxations)


def _timing(each: Mapping[str, Any] | None) -> Timing | None:
    if each is None:
        return None
    said = {key: value for key, value in each.items() if key != "sentences"}
    said["late"] = tuple(said["late"])
    said["goals"] = {name: tuple(pair) for name, pair in said["goals"].items()}
    said["others"] = tuple(OtherTime(**other) for other in said["others"])
    return Timing(**said)


__all__ = ["Said", "restored"]
