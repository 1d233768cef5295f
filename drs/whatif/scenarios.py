"""Variations of a cluster: what to add, drop, scale or change, read from a TOML file.

::

    [[scenario]]
    name = "two more hosts, web grows by half"
    add_hosts = [{ like = "esx-01", count = 2 }]
    scale_vms = [{ vms = "web-*", cpu_ratio = 1.5, memory_ratio = 1.2 }]
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from drs.errors import Fault, InputError, did_you_mean
from drs.model import Snapshot

if TYPE_CHECKING:
    import pandas as pd

Names = str | list[str]
Positive = Annotated[int, Field(ge=1)]
Ratio = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Add(_Part):
    """`count` copies of a host or VM."""

    like: str
    count: Positive = 1


class Scale(_Part):
    """Factors on the demand and size of some VMs."""

    vms: Names = "*"
    cpu_ratio: Ratio = 1.0
    memory_ratio: Ratio = 1.0
    dirty_rate_ratio: Ratio = 1.0


class Link(_Part):
    """New figures for the link between two nodes; a link that is not there is added."""

    a: str
    b: str
    bandwidth_mbps: Ratio | None = None
    latency_ms: Annotated[float, Field(ge=0)] | None = None
    loss_ratio: Annotated[float, Field(ge=0, lt=1)] | None = None


class Scenario(_Part):
    """One variation and how to ask about it. VMs of a dropped host have to be placed elsewhere."""

    name: str
    drop_hosts: Names = ()  # type: ignore[assignment]
    add_hosts: list[Add] = []
    drop_vms: Names = ()  # type: ignore[assignment]
    add_vms: list[Add] = []
    scale_vms: list[Scale] = []
    links: list[Link] = []
    mode: str = "balance"
    evacuate: list[str] = []
    max_moves: Annotated[int, Field(ge=0)] | None = None
    solver: str = "auto"
    time_s: Annotated[float, Field(ge=0)] | None = None
    iterations: Annotated[int, Field(ge=0)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0


def read_scenarios(path: Path) -> list[Scenario]:
    """The scenarios of a file, in order.

    Raises
    ------
    InputError : with all faults of the file: which scenario, which field, what was expected.
    """
    from drs import io, modes, solvers

    known = {"mode": tuple(modes.MODES), "solver": tuple(solvers.names())}
    document = io.read_toml(path)
    faults = [
        Fault(str(path), f"unknown table {key!r}", "[[scenario]] tables", did_you_mean(key, ["scenario"]))
        for key in document
        if key != "scenario"
    ]
    tables = document.get("scenario", [])
    if not isinstance(tables, list) or not tables:
        faults.append(Fault(str(path), "no scenario", "at least one [[scenario]] table"))
        tables = []
    scenarios: list[Scenario] = []
    for number, table in enumerate(tables, 1):
        where = f"{path}, [[scenario]] {number}"
        try:
            scenarios.append(Scenario.model_validate(table))
        except ValidationError as error:
            faults.extend(_fault(where, each) for each in error.errors())
            continue
        for field, choices in known.items():
            value = getattr(scenarios[-1], field)
            if value not in choices:
                faults.append(Fault(f"{where}, field {field}", repr(value), f"one of {', '.join(choices)}",
                                    did_you_mean(value, choices)))  # fmt: skip
    names = [scenario.name for scenario in scenarios]
    for name in sorted({name for name in names if names.count(name) > 1}):
        faults.append(Fault(f"{path}, field name", f"{name!r} stands twice", "one name for each scenario"))
    if faults:
        raise InputError(faults)
    return scenarios


def _fault(where: str, error: Any) -> Fault:
    field = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        models: dict[str, type[_Part]] = {"add_hosts": Add, "add_vms": Add, "scale_vms": Scale, "links": Link}
        known = models.get(str(error["loc"][0]), Scenario).model_fields
        return Fault(f"{where}, field {field}", "an unknown field", f"one of {', '.join(known)}",
                     did_you_mean(str(error["loc"][-1]), known))  # fmt: skip
    if error["type"] == "missing":
        return Fault(where, f"the required field {field} is missing", f"a {field}")
    said = error["msg"].lower().removeprefix("input should be ")
    return Fault(f"{where}, field {field}", repr(error["input"]), said)


def _matching(names: Sequence[str], patterns: Names, where: str, what: str) -> tuple[set[str], list[Fault]]:
    chosen: set[str] = set()
    faults = []
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        found = [name for name in names if name == pattern] or fnmatch.filter(names, pattern)
        if not found:
            faults.append(
                Fault(where, f"{pattern!r} names no {what}", f"a {what}", did_you_mean(pattern, names))
            )
        chosen.update(found)
    return chosen, faults


def apply(snapshot: Snapshot, scenario: Scenario) -> Snapshot:
    """The cluster with the scenario's changes, validated like any other input.

    Raises
    ------
    InputError : for hosts, VMs or links that are not there.
    """
    import pandas as pd

    from drs import io

    tables = dict(io.to_frames(snapshot))
    faults: list[Fault] = []
    where = f"scenario {scenario.name!r}"

    def choose(table: str, key: str, patterns: Names, field: str) -> set[str]:
        names, bad = _matching(tables[table][key].tolist(), patterns, f"{where}, field {field}", key)
        faults.extend(bad)
        return names

    for add in scenario.add_hosts:
        if choose("hosts", "host", add.like, "add_hosts"):
            _copy_rows(tables, ("hosts", "mounts", "portgroups"), "host", add)
            _copy_links(tables, add)
    for add in scenario.add_vms:
        if choose("vms", "vm", add.like, "add_vms"):
            _copy_rows(tables, ("vms", "disks", "nics", "loads"), "vm", add)
            copies = _copy_names(add)
            tables["vms"].loc[tables["vms"]["vm"].isin(copies), "host"] = None
    gone_vms = choose("vms", "vm", scenario.drop_vms, "drop_vms")
    for table in ("vms", "disks", "nics", "loads"):
        if table in tables:
            tables[table] = tables[table][~tables[table]["vm"].isin(gone_vms)]
    gone = choose("hosts", "host", scenario.drop_hosts, "drop_hosts")
    for table in ("hosts", "mounts", "portgroups"):
        if table in tables:
            tables[table] = tables[table][~tables[table]["host"].isin(gone)]
    if "links" in tables:
        links = tables["links"]
        tables["links"] = links[~links["a"].isin(gone) & ~links["b"].isin(gone)]
    vms = tables["vms"].copy()
    vms["host"] = vms["host"].where(~vms["host"].isin(gone), None)
    for scale in scenario.scale_vms:
        rows = vms["vm"].isin(choose("vms", "vm", scale.vms, "scale_vms"))
        for column in vms.columns:
            if column in ("cpu_demand_mhz",):
                vms.loc[rows, column] *= scale.cpu_ratio
            elif column in ("memory_mib", "memory_active_mib", "memory_consumed_mib", "working_set_mib"):
                vms.loc[rows, column] *= scale.memory_ratio
            elif column == "dirty_rate_mibps":
                vms.loc[rows, column] *= scale.dirty_rate_ratio
    tables["vms"] = vms
    for link in scenario.links:
        tables["links"] = _change_link(tables.get("links"), link)
    if faults:
        raise InputError(faults)
    changed = io.from_frames(
        {name: frame for name, frame in tables.items() if isinstance(frame, pd.DataFrame)}
    )
    import dataclasses

    return dataclasses.replace(changed, name=f"{snapshot.name}: {scenario.name}", source=snapshot.source)


def _copy_names(add: Add) -> list[str]:
    return [f"{add.like}-copy-{number}" for number in range(1, add.count + 1)]


def _copy_rows(tables: dict[str, pd.DataFrame], names: Sequence[str], key: str, add: Add) -> None:
    import pandas as pd

    for name in names:
        if name not in tables:
            continue
        rows = tables[name][tables[name][key] == add.like]
        copies = [rows.assign(**{key: new}) for new in _copy_names(add)]
        tables[name] = pd.concat([tables[name], *copies], ignore_index=True)


def _copy_links(tables: dict[str, pd.DataFrame], add: Add) -> None:
    import pandas as pd

    if "links" not in tables:
        return
    links = tables["links"]
    rows = links[(links["a"] == add.like) | (links["b"] == add.like)]
    copies = [rows.replace({"a": {add.like: new}, "b": {add.like: new}}) for new in _copy_names(add)]
    tables["links"] = pd.concat([links, *copies], ignore_index=True)


def _change_link(links: pd.DataFrame | None, link: Link) -> pd.DataFrame:
    import pandas as pd

    changes = {
        name: value
        for name in ("bandwidth_mbps", "latency_ms", "loss_ratio")
        if (value := getattr(link, name)) is not None
    }
    if links is not None:
        ends = [{a, b} for a, b in zip(links["a"], links["b"], strict=True)]
        rows = [each == {link.a, link.b} for each in ends]
        if any(rows):
            links = links.copy()
            for name, value in changes.items():
                links.loc[rows, name] = value
            return links
    new = pd.DataFrame([{"a": link.a, "b": link.b, **changes}])
    return new if links is None else pd.concat([links, new], ignore_index=True)
