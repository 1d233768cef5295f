"""Small clusters in a compact notation, for tests and bug reports.

::

    hosts: {"esx-[1-3]": {cpu_mhz: 20000, memory_mib: 65536}}     # name or name-[1-3]: columns of hosts.csv
    vms: {"web-[1-4]": {host: esx-1, cpu_demand_mhz: 1000, memory_mib: 4096}}
    clusters, pools, datastores: the same; disks, mounts, portgroups, nics, links, loads: lists of rows
    defaults: {hosts: {...}, vms: {...}}                          # columns of every row
    rules: [{type: keep-apart, vms: "web-*"}]                     # as in rules.toml
    policy: {migration_scope: any}                                # as in policy.toml
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any

from drs.frame import DataFrame, frame
from drs.model import Snapshot
from drs.problem.policy import Policy
from drs.rules import Rule

NAMED = {"hosts": "host", "vms": "vm", "clusters": "cluster", "pools": "pool", "datastores": "datastore"}
ROWS = ("disks", "mounts", "portgroups", "nics", "links", "loads")


def expanded(name: Any) -> list[Any]:
    """`esx-[1-3]` is three names.

    >>> expanded("esx-[1-3]")
    ['esx-1', 'esx-2', 'esx-3']
    """
    found = re.fullmatch(r"(.*)\[(\d+)-(\d+)\](.*)", name) if isinstance(name, str) else None
    if not found:
        return [name]
    head, first, last, tail = found.groups()
    return [f"{head}{number:0{len(first)}d}{tail}" for number in range(int(first), int(last) + 1)]


def frames_of(scenario: Mapping[str, Any]) -> dict[str, DataFrame]:
    """The tables of a cluster in the compact notation."""
    frames: dict[str, DataFrame] = {}
    defaults = scenario.get("defaults", {})
    for table, key in NAMED.items():
        rows = [
            {key: name, **defaults.get(table, {}), **(columns or {})}
            for pattern, columns in scenario.get(table, {}).items()
            for name in expanded(str(pattern))
        ]
        if rows:
            frames[table] = frame(rows)
    if "vms" not in frames:
        frames["vms"] = frame([], ["vm", "host", "memory_mib", "cpu_demand_mhz"])
    for table in ROWS:
        if table in scenario:
            rows = [{**defaults.get(table, {}), **row} for row in scenario[table]]
            names = [
                [expanded(str(value)) if isinstance(value, str) else [value] for value in row.values()]
                for row in rows
            ]
            spread = [
                dict(zip(row, values, strict=True))
                for row, choices in zip(rows, names, strict=True)
                for values in itertools.product(*choices)
            ]
            frames[table] = frame(spread)
    return frames


def ask(scenario: Mapping[str, Any]) -> tuple[Snapshot, tuple[Rule, ...], Policy]:
    """The snapshot, rules and policy of a scenario, read and checked as from files.

    Raises
    ------
    InputError
        With every fault.
    """
    from drs import io
    from drs.io.policy_toml import policy_of
    from drs.io.raw import Faults
    from drs.io.rules_toml import rules_of

    snapshot = io.from_frames(frames_of(scenario))
    faults = Faults()
    rules = rules_of({"rule": scenario.get("rules", [])}, "rules.toml", faults)
    policy = policy_of(scenario.get("policy", {}), "policy.toml", faults)
    faults.raise_if_any()
    assert policy is not None
    return snapshot, rules, policy
