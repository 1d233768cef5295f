"""What every rule must keep, for whoever writes one outside of `drs`: `check_rule`."""

from __future__ import annotations

import dataclasses
import tomllib
from typing import Any

import numpy as np

from drs.io.problem_file import write_rules
from drs.io.raw import Faults
from drs.io.rules_toml import rules_of
from drs.model import Placement, Snapshot
from drs.rules import RULES, HostFilter, Rule
from drs.rules.fields import FieldType, Number, Resource, Word, may_be_none, types_of
from drs.rules.scopes import SCOPES, InScope
from drs.rules.selecting import Chosen
from drs.terms.base import Ints
from drs.testing.scenarios import ask

CLOSE = 1e-6
PLACEMENTS = 4
"""So many random placements for each rule that is drawn of a class."""
UNKNOWN = "no-such-thing"
SMALL = {
    "defaults": {
        "hosts": {"cpu_mhz": 10000, "memory_mib": 32768, "cpu_cores": 4},
        "vms": {"cpu_demand_mhz": 1500, "memory_mib": 6144, "vcpus": 2},
        "disks": {"size_gib": 60},
    },
    "hosts": {
        "a-[1-2]": {"cluster": "c-1", "rack": "r-1", "site": "north", "vcenter": "v"},
        "b-1": {"cluster": "c-1", "rack": "r-2", "site": "north", "vcenter": "v"},
        "b-2": {"cluster": "c-2", "site": "south", "vcenter": "v"},
        "b-3": {"cluster": "c-2", "rack": "r-2", "site": "south", "vcenter": "v", "state": "maintenance"},
    },
    "vms": {
        "web-[1-4]": {"host": "a-1"},
        "db-[1-3]": {"host": "b-1", "automation": "manual"},
        "gpu-1": {"host": "b-2", "gpus": 1},
        "old-1": {"host": "b-3", "power": "off"},
        "new-1": {},
    },
    "datastores": {
        "ds-[1-2]": {"capacity_gib": 200, "free_gib": 100},
        "ds-3": {"capacity_gib": 200, "free_gib": 200, "state": "maintenance"},
    },
    "disks": [
        {"vm": "web-[1-4]", "disk": "d-1", "datastore": "ds-1"},
        {"vm": "db-1", "disk": "d-[1-2]", "datastore": "ds-2"},
    ],
}
"""A cluster with every scope, a host without a rack, VMs that are off, bound, or nowhere yet, and disks."""


def check_rule(
    rule: Rule | type[Rule], snapshot: Snapshot | None = None, *, seed: int = 0, n: int = 50
) -> None:
    """Check that a rule's readings agree and that its fields are guarded.

    What `check` finds against the cost of the lowered terms (both zero or neither) on random placements; the
    terms as walls (`relaxed`: today's placement keeps them, and no placement breaks the wall more than the
    rule); for a `HostFilter` its `judge` against its mask; a fault for a bad value in each typed field; and
    the way through `rules.toml` and back.

    Parameters
    ----------
    rule : a rule, or a class of which rules are drawn from the types of its fields
    snapshot : where the rule applies; a small cluster with racks, sites and disks where not given
    seed : of the first random placement; the same seed gives the same ones
    n : how many placements of a rule, or how many rules of a class

    Raises
    ------
    AssertionError : with the rule, what differs and the seed that shows it
    TypeError : a field of the class has a type of which nothing can be drawn; give a rule instead
    """
    snapshot = ask(SMALL)[0] if snapshot is None else snapshot
    if isinstance(rule, Rule):
        faults = list(rule.faults(snapshot))
        assert not faults, f"{rule}: it has faults against this snapshot: {faults[0]}"
        _check_one(rule, snapshot, seed, n)
        return
    n_sound = 0
    for number in range(n):
        drawn = draw_rule(rule, snapshot, np.random.default_rng(seed + number))
        if not list(drawn.faults(snapshot)):
            n_sound += 1
            _check_one(drawn, snapshot, seed + number, PLACEMENTS)
    assert n_sound, f"{rule.__name__}: each of {n} rules that were drawn has a fault; give a rule instead"


def _check_one(rule: Rule, snapshot: Snapshot, seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    today = Placement.of(snapshot)
    try:
        for placement in (today, *(_random_placement(rule, snapshot, rng) for _ in range(n))):
            _readings_agree(rule, snapshot, placement)
            _violations_are_told(rule, snapshot, placement)
            _walls_hold_today(rule, snapshot, placement)
        if isinstance(rule, HostFilter):
            _mask_is_what_judge_says(rule, snapshot)
        _bad_fields_are_faults(rule, snapshot)
        _toml_gives_it_back(rule)
    except AssertionError as error:
        raise AssertionError(f"{rule}, seed {seed}: {error}") from None


def _random_placement(rule: Rule, snapshot: Snapshot, rng: np.random.Generator) -> Placement:
    """Every VM that is somewhere anywhere, others perhaps; a rule about VMs has the disks where they are."""
    host_idx = rng.integers(0, snapshot.n_hosts, snapshot.n_vms).astype(np.int32)
    waits = (snapshot.vms.host_idx < 0) & (rng.random(snapshot.n_vms) < 0.5)
    stays = rng.random(snapshot.n_vms) < rng.random()
    host_idx = np.where(waits, -1, np.where(stays, snapshot.vms.host_idx, host_idx)).astype(np.int32)
    stores = snapshot.disks.datastore_idx
    if rule.items == "disks" and len(snapshot.datastores):
        stores = rng.integers(0, len(snapshot.datastores), len(stores)).astype(np.int32)
    return Placement(host_idx, stores)


def _sides(rule: Rule, snapshot: Snapshot, placement: Placement) -> tuple[Ints, Ints]:
    """What the rule's terms read: (assign, start)."""
    if rule.items == "disks":
        return placement.datastore_idx, snapshot.disks.datastore_idx
    return placement.host_idx, snapshot.vms.host_idx


def _readings_agree(rule: Rule, snapshot: Snapshot, placement: Placement) -> None:
    assign, start = _sides(rule, snapshot, placement)
    amount = sum(violation.amount for violation in rule.check(snapshot, placement))
    costs = [term.cost(assign, start) for term in rule.lower(snapshot)]
    assert all(np.isfinite(cost) and cost >= 0 for cost in costs), f"its terms cost {costs}"
    assert (amount > CLOSE) == (sum(costs) > CLOSE), (
        f"`check` finds it broken by {amount:g}, its terms by {sum(costs):g}, with VMs on {assign.tolist()}"
    )
    assert costs == [term.cost(assign, start) for term in rule.lower(snapshot)], (
        "`lower` differs when repeated"
    )


def _violations_are_told(rule: Rule, snapshot: Snapshot, placement: Placement) -> None:
    for found in rule.check(snapshot, placement):
        assert found.amount > 0 and found.unit and found.sentence, f"a violation that tells nothing: {found}"
        assert found.rule == rule.label, f"a violation has the label {found.rule!r}, not {rule.label!r}"
        unknown = (set(found.vms) - set(snapshot.vms.position)) | (
            set(found.hosts) - set(snapshot.hosts.position)
        )
        assert not unknown, f"a violation names {sorted(unknown)}, which the snapshot does not have"


def _walls_hold_today(rule: Rule, snapshot: Snapshot, placement: Placement) -> None:
    assign, start = _sides(rule, snapshot, placement)
    for term in rule.lower(snapshot):
        wall = term.relaxed(start)
        assert wall.cost(start, start) <= CLOSE, (
            f"`relaxed` of {type(term).__name__} breaks today's placement"
        )
        assert wall.cost(assign, start) <= term.cost(assign, start) + CLOSE, (
            f"`relaxed` of {type(term).__name__} forbids more than the rule"
        )


def _mask_is_what_judge_says(rule: HostFilter, snapshot: Snapshot) -> None:
    judge, term = rule.judge(snapshot), rule.allowed(snapshot)
    for vm in range(snapshot.n_vms):
        for host in range(snapshot.n_hosts):
            may = term is None or bool(term.mask[term.class_idx[vm], host])
            may = may or (term is not None and term.stay is not None and bool(term.stay[vm] == host))
            reason = judge(vm, host)
            assert may == (reason == ""), (
                f"{snapshot.vms.name[vm]} on {snapshot.hosts.name[host]}: "
                f"`allowed` says {may}, `judge` says {reason!r}"
            )


def _bad_fields_are_faults(rule: Rule, snapshot: Snapshot) -> None:
    for field in dataclasses.fields(rule):
        types = types_of(rule.__class__, field.name)
        if not types or not field.init:
            continue
        bad = _bad(types[0])
        faults = list(dataclasses.replace(rule, **{field.name: bad}).faults(snapshot))
        where = rule.field(field.name)
        assert any(fault.where.endswith(f"field {field.name}") for fault in faults), (
            f"the value {bad!r} is no fault of {where}"
        )


def _bad(kind: FieldType) -> Any:
    """A value that no field of this type may have."""
    return kind.least - 1 if isinstance(kind, Number) else UNKNOWN


def _toml_gives_it_back(rule: Rule) -> None:
    assert RULES.get(rule.type) is type(rule), (
        f"the type {rule.type!r} is not this class's in drs.rules.RULES: register it with @rule(...)"
    )
    faults = Faults()
    read = rules_of(tomllib.loads(write_rules([rule])), "rules.toml", faults)
    assert not len(faults), f"rules.toml does not take what was written of it: {faults[0]}"
    for field in dataclasses.fields(rule):
        if field.init:
            given, back = getattr(rule, field.name), getattr(read[0], field.name)
            same = list(back) == list(given) if isinstance(given, tuple) else back == given
            assert same, f"rules.toml gives back {field.name} = {back!r}, not {given!r}"


def draw_rule(cls: type[Rule], snapshot: Snapshot, rng: np.random.Generator) -> Rule:
    """A rule of this class with random fields, each within its type.

    Raises
    ------
    TypeError : a required field has a type of which nothing can be drawn.
    """
    values: dict[str, Any] = {"policy": str(rng.choice(["hard", "not_worse", "soft"]))}
    for field in dataclasses.fields(cls):
        if not field.init or field.name in ("name", "policy", "when", "weight"):
            continue
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        types = types_of(cls, field.name)
        if may_be_none(cls, field.name) and rng.random() < 0.3:
            values[field.name] = None
        elif types and (required or rng.random() < 0.8):
            values[field.name] = _draw(types[0], snapshot, rng)
        elif isinstance(field.default, bool):
            values[field.name] = bool(rng.random() < 0.5)
        elif required:
            raise TypeError(f"no value can be drawn for {cls.__name__}.{field.name}: give check_rule a rule")
    return cls(**values)


def _draw(kind: FieldType, snapshot: Snapshot, rng: np.random.Generator) -> Any:
    match kind:
        case Chosen():
            names = getattr(snapshot, kind.table).name.tolist()
            some = rng.choice(names, size=int(rng.integers(1, min(4, len(names)) + 1)), replace=False)
            return "*" if rng.random() < 0.2 else tuple(str(name) for name in some)
        case InScope():
            return str(rng.choice([*SCOPES, *kind.further]))
        case Word():
            return str(rng.choice(kind.choices))
        case Resource():
            return str(rng.choice(snapshot.resources))
        case Number(whole=True):
            return int(rng.integers(int(kind.least), int(min(kind.most, kind.least + 3)) + 1))
        case Number():
            most = min(kind.most, kind.least + 3)
            return float(most - rng.random() * (most - kind.least))
        case _:
            raise TypeError(f"no value can be drawn of {type(kind).__name__}: give check_rule a rule")
