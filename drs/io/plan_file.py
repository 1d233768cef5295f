"""`plan.json`: what a plan says beyond its moves, so that it can be carried out, undone and asked for again.

A plan is a folder: `plan.json`, `before/` (the cluster that was planned for, with the user's rules and policy) and
`snapshot/` (the same after the moves). `extras` is what makes the document whole, `read_plan` reads it back.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from drs.errors import Fault, InputError
from drs.io.folder import read_folder, write_folder
from drs.io.policy_toml import policy_of
from drs.io.problem_file import write_policy, write_rules
from drs.io.raw import Faults
from drs.io.rules_toml import rules_of
from drs.model import Placement, Snapshot
from drs.options import Options
from drs.planning import Concurrency, Move, Plan, Stranded
from drs.planning.guards import Guard, guards
from drs.planning.plan import placement_after
from drs.result import Asked, Result

FORMAT = 2
BEFORE = "before"
"""The folder beside `plan.json` with the cluster that was planned for."""

NUMBERS = (
    "start_s",
    "precopy_s",
    "total_s",
    "total_low_s",
    "total_high_s",
    "downtime_ms",
    "downtime_low_ms",
    "downtime_high_ms",
    "transferred_mib",
)


def before(result: Result) -> Snapshot:
    """The cluster that a result's moves start from: as it was read, or with the VMs that the mode adds."""
    asked = result.asked
    if asked is None or asked.today.n_vms != result.snapshot.n_vms:
        return result.snapshot
    return asked.today


def extras(result: Result) -> dict[str, Any]:
    """What a plan's document holds besides the answer: when, by whom, what was asked, of which cluster."""
    today = before(result)
    return {
        "format": FORMAT,
        "created_at": (result.asked.at if result.asked else datetime.now(UTC)).isoformat(timespec="seconds"),
        "drs_version": metadata.version("drs-optimizer"),
        "asked": None if result.asked is None else _asked(result.asked),
        "structure": today.structure,
        "managers": managers(today),
        "concurrency": dataclasses.asdict(result.problem.policy.concurrency),
    }


def managers(snapshot: Snapshot) -> list[dict[str, str]]:
    """The vCenters of a cluster: name and instance UUID, "" where not known."""
    pairs = dict.fromkeys(
        zip(snapshot.hosts.vcenter.tolist(), snapshot.hosts.vcenter_id.tolist(), strict=True)
    )
    return [{"name": name, "id": id_} for name, id_ in pairs if name or id_]


def _asked(asked: Asked) -> dict[str, Any]:
    return {
        "mode": asked.mode,
        "options": dataclasses.asdict(asked.options),
        "rules_toml": write_rules(asked.rules),
        "policy_toml": write_policy(asked.policy),
        "solver": asked.solver,
        "seed": asked.seed,
        "time_s": None if asked.time_s is None or math.isinf(asked.time_s) else asked.time_s,
        "iterations": asked.iterations,
    }


def move_extras(result: Result) -> dict[int, dict[str, Any]]:
    """By step: the ids, datastores, pool and networks of each move, and its guard with the disks."""
    if result.plan is None:
        return {}
    today = before(result)
    hosts, vms, stores = today.hosts, today.vms, today.datastores
    networks: dict[int, list[str]] = {}
    found: dict[int, dict[str, Any]] = {}
    for vm, network in zip(today.nic_vm_idx.tolist(), today.nic_network_idx.tolist(), strict=True):
        networks.setdefault(vm, []).append(str(today.networks[network]))
    after = result.plan.placement.apply(today)
    by_step = {move.step: move for move in result.plan.moves}
    for step, guard in guards(today, result.plan.moves).items():
        move = by_step[step]
        vm = vms.position[move.vm]
        pool = int(after.vms.pool_idx[vm])
        found[step] = {
            "ids": {
                "vm": str(vms.id[vm]),
                "instance_uuid": str(vms.instance_uuid[vm]),
                "from_host": str(hosts.id[hosts.position[move.from_host]]) if move.from_host else "",
                "to_host": str(hosts.id[hosts.position[move.to_host]]),
            },
            "datastore_ids": {
                name: str(stores.id[stores.position[name]]) for name in dict.fromkeys(move.to_datastores)
                if name in stores.position
            },
            "pool": str(today.pools.name[pool]) if pool >= 0 else "",
            "networks": networks.get(vm, []),
            "guard": dataclasses.asdict(guard),
        }  # fmt: skip
    return found


def write_before(result: Result, folder: Path) -> None:
    """The cluster that was planned for, with the user's rules and policy, into the folder of a plan."""
    asked = result.asked
    write_folder(before(result), folder / BEFORE)
    rules, policy = (asked.rules, asked.policy) if asked else (result.problem.rules, result.problem.policy)
    (folder / BEFORE / "rules.toml").write_text(write_rules(rules), encoding="utf-8")
    (folder / BEFORE / "policy.toml").write_text(write_policy(policy), encoding="utf-8")


@dataclass(frozen=True)
class SavedPlan:
    """A plan as it was read back.

    folder : where it lies. digest : of `plan.json`, 16 hex digits. asked : None where it is a part of a campaign.
    guards : by step. ids : by step, as in `plan.json`.
    """

    folder: Path
    digest: str
    created_at: datetime
    plan: Plan
    mode: str
    asked: Asked | None
    structure: str
    managers: tuple[Mapping[str, str], ...]
    concurrency: Concurrency
    guards: Mapping[int, Guard]
    ids: Mapping[int, Mapping[str, str]]

    @property
    def today(self) -> Snapshot:
        """The cluster that was planned for."""
        return self.plan.snapshot

    @cached_property
    def by_step(self) -> dict[int, Move]:
        """The moves by step."""
        return {move.step: move for move in self.plan.moves}


def read_plan(path: str | Path) -> SavedPlan:
    """Read a plan back from its folder, or from the `plan.json` in it.

    Raises
    ------
    InputError : with every fault: no plan, another format, `before/` missing, names that are not in the cluster.
    """
    path = Path(path)
    file = path / "plan.json" if path.is_dir() else path
    try:
        raw = file.read_bytes()
        document = json.loads(raw)
    except FileNotFoundError:
        raise InputError(
            Fault(str(path), "no plan there", "a plan.json, or the folder that holds it")
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(Fault(str(path), f"cannot be read: {error}", "a plan.json")) from None
    given = document.get("format") if isinstance(document, dict) else None
    if given != FORMAT:
        raise InputError(
            Fault(
                f"{file.name}, field format",
                repr(given),
                f"{FORMAT}, as this drs writes it",
                "ask for the plan again",
            )
        )
    today = read_folder(file.parent / BEFORE)
    faults: list[Fault] = []
    moves = [_move(each, number, today, faults) for number, each in enumerate(document.get("moves", []), 1)]
    try:
        created_at = datetime.fromisoformat(document["created_at"])
        concurrency = Concurrency(**document["concurrency"])
        asked = None if document["asked"] is None else _read_asked(document["asked"], today, file.parent)
        stranded = tuple(Stranded(**{**each, "cycle": tuple(each["cycle"])}) for each in document["stranded"])
        schedule = document["schedule"]
        found = {each["step"]: _guard(each["guard"]) for each in document["moves"]}
        ids = {each["step"]: dict(each["ids"]) for each in document["moves"]}
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        faults.append(Fault(file.name, f"{type(error).__name__}: {error}", "a plan.json as drs writes it"))
    if faults:
        raise InputError(faults)
    kept = tuple(move for move in moves if move is not None)
    placement = placement_after(today, kept)
    host_idx = placement.host_idx.copy()
    for each in stranded:
        if each.vm in today.vms.position and each.to_host in today.hosts.position:
            host_idx[today.vms.position[each.vm]] = today.hosts.position[each.to_host]
    plan = Plan(
        today,
        Placement(host_idx, placement.datastore_idx),
        placement,
        kept,
        stranded,
        schedule["makespan_s"],
        _number(schedule["makespan_low_s"]),
        _number(schedule["makespan_high_s"]),
        schedule["makespan_bound_s"],
        tuple(document["violations"]["during"]),
        tuple(document["warnings"]),
    )
    return SavedPlan(
        file.parent,
        hashlib.sha256(raw).hexdigest()[:16],
        created_at,
        plan,
        document["mode"],
        asked,
        document["structure"],
        tuple(document["managers"]),
        concurrency,
        found,
        ids,
    )


def _move(each: Mapping[str, Any], number: int, today: Snapshot, faults: list[Fault]) -> Move | None:
    where = f"plan.json, move {number}"
    names = {field.name for field in dataclasses.fields(Move)}
    try:
        said = {name: each[name] for name in names}
    except KeyError as missing:
        faults.append(Fault(where, f"no field {missing}", "a move as drs writes it"))
        return None
    for name in ("from_datastores", "to_datastores", "after_steps"):
        said[name] = tuple(said[name])
    for name in NUMBERS:
        said[name] = _number(said[name])
    known = {"vm": today.vms, "to_host": today.hosts, "from_host": today.hosts}
    before_n = len(faults)
    for name, table in known.items():
        if said[name] not in table.position and not (name == "from_host" and not said[name]):
            faults.append(Fault(f"{where}, field {name}", repr(said[name]), f"a name of {BEFORE}/"))
    for name in dict.fromkeys((*said["from_datastores"], *said["to_datastores"])):
        if name not in today.datastores.position:
            faults.append(Fault(f"{where}, datastores", repr(name), f"a datastore of {BEFORE}/"))
    return Move(**said) if len(faults) == before_n else None


def _number(said: float | None) -> float:
    """A figure of the document, where null stands for inf."""
    return math.inf if said is None else said


def _guard(given: Mapping[str, Any]) -> Guard:
    return Guard(**given)


def _read_asked(given: Mapping[str, Any], today: Snapshot, folder: Path) -> Asked:
    faults = Faults()
    rules = rules_of(tomllib.loads(given["rules_toml"]), "plan.json, rules_toml", faults)
    policy = policy_of(tomllib.loads(given["policy_toml"]), "plan.json, policy_toml", faults, folder)
    faults.raise_if_any()
    assert policy is not None
    said: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in given["options"].items()
    }
    return Asked(
        today,
        rules,
        policy,
        given["mode"],
        Options(**said),
        given["solver"],
        given["seed"],
        given["time_s"],
        given["iterations"],
    )
