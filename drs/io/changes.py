"""Edits of a snapshot, its rules and its policy: a list of changes in, derived nouns out, nothing mutated.

What-if scenarios, mode `place`, the app and re-planning all edit through `apply`. A change is a small record
with its kind in `do`, readable from TOML::

    change = [
      { do = "drop-hosts", hosts = "esx-03" },
      { do = "set", table = "vms", rows = "web-*", column = "cpu_shares", value = 4000 },
    ]
"""

from __future__ import annotations

import dataclasses
import fnmatch
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drs.errors import Fault, InputError, did_you_mean
from drs.io.change_kinds import (
    KINDS,
    SCALED,
    AddHosts,
    AddRule,
    AddVms,
    CutLink,
    DropHosts,
    DropRules,
    DropVms,
    Grow,
    Names,
    Noise,
    OnlyClusters,
    Part,
    ReplaceHosts,
    ScaleVms,
    SetColumn,
    SetLink,
    SetPolicy,
    SetRules,
)
from drs.io.columns import OPEN_COLUMNS, keys, open_column, tables
from drs.io.frames import from_frames, to_frames
from drs.io.raw import Faults
from drs.io.selection import draw_factors, matching
from drs.model import Snapshot
from drs.model.network import implied_switch
from drs.model.selector import Named, entries, is_pattern, resolve
from drs.model.snapshot import IDENTITY
from drs.problem.policy import Policy
from drs.rules import Rule

if TYPE_CHECKING:
    import pandas as pd

OF_HOST = ("hosts", "mounts", "portgroups")
OF_VM = ("vms", "disks", "nics", "loads")


@dataclass(frozen=True)
class Edited:
    """What the changes make of a cluster. `notes`: what they took along that nobody asked for, in words."""

    snapshot: Snapshot
    rules: tuple[Rule, ...]
    policy: Policy
    notes: tuple[str, ...] = ()


def apply(
    snapshot: Snapshot,
    changes: Sequence[Part],
    rules: Sequence[Rule] = (),
    policy: Policy | None = None,
    *,
    where: str = "changes",
) -> Edited:
    """A cluster, its rules and its policy after some changes, in order, validated like any other input.

    Parameters
    ----------
    rules, policy : those of today. A rule or policy that names a host or VM that is dropped forgets the name; a
        rule that has no name left is dropped. Both are said in `notes`.
    where : what people know the changes as, for faults.

    Raises
    ------
    InputError : with the faults of all changes: names, columns, links or rules that are not there.
    """
    policy = Policy() if policy is None else policy
    edit = _Edit(snapshot, list(rules), policy, where)
    for number, change in enumerate(changes, 1):
        edit.one(change, f"{where}, change {number} ({change.do})")  # type: ignore[attr-defined]
    edit.faults.raise_if_any()
    changed = edit.finished()
    narrowed, policy = _narrowed(edit.rules, edit.policy, snapshot, changed, edit.notes)
    return Edited(changed, narrowed, policy, tuple(edit.notes))


class _Edit:
    """The tables as they are after the changes so far."""

    def __init__(self, snapshot: Snapshot, rules: list[Rule], policy: Policy, label: str) -> None:
        self.before, self.rules, self.policy, self.label = snapshot, rules, policy, label
        self.tables: dict[str, pd.DataFrame] = to_frames(snapshot)
        self.used_gib = self._used()
        self.faults = Faults()
        self.notes: list[str] = []

    def one(self, change: Part, where: str) -> None:
        """Make one change, or note why it cannot be made."""
        match change:
            case AddHosts():
                self.add_hosts(change, where)
            case AddVms():
                self.add_vms(change, where)
            case DropHosts():
                self.drop_hosts(self.rows("hosts", change.hosts, change.where, where, "hosts"))
            case ReplaceHosts():
                hosts = self.rows("hosts", change.hosts, change.where, where, "hosts")
                self.write("hosts", "host", hosts, change.columns, where)
            case DropVms():
                self._without(OF_VM, "vm", self.rows("vms", change.vms, change.where, where, "vms"))
            case OnlyClusters():
                self.only(change.clusters, f"{where}, field clusters")
            case ScaleVms():
                self.scale(change, self.rows("vms", change.vms, change.where, where, "vms"))
            case Grow():
                self.scale(change.scaled(), self.rows("vms", change.vms, change.where, where, "vms"))
            case Noise():
                self.noise(change, self.rows("vms", change.vms, change.where, where, "vms"), where)
            case SetColumn():
                self.set(change, where)
            case SetLink():
                self.link(change, where)
            case CutLink():
                self.cut(change, where)
            case AddRule():
                from drs.io.rules_toml import rules_of

                self.rules += rules_of({"rule": [change.rule]}, where, self.faults)
            case DropRules():
                labels = [rule.label for rule in self.rules]
                gone = _matching(labels, change.rules, f"{where}, field rules", "rule", self.faults)
                self.rules = [rule for rule in self.rules if rule.label not in gone]
            case SetRules():
                self.set_rules(change, where)
            case SetPolicy():
                self.set_policy(change, where)
            case _:
                raise TypeError(f"no change: {change!r}")

    def names(self, table: str, key: str, patterns: Names, where: str) -> list[str]:
        """Names that are meant, in the order of the table; a fault for what means none."""
        frame = self.tables.get(table)
        known = [] if frame is None else frame[key].drop_duplicates().tolist()
        labels = frame if frame is not None and table in ("hosts", "vms") else None
        return _matching(known, patterns, where, key, self.faults, labels)

    def rows(self, table: str, patterns: Names, condition: str, where: str, field: str) -> list[str]:
        """Names that a selection means; a fault where neither names nor a condition are given."""
        key = keys(table)[0]
        if not entries(patterns) and not condition:
            self.faults.add(
                f"{where}, field {field}", f"no {key}", "names, patterns, or a condition in where"
            )
            return []
        found = self.names(table, key, entries(patterns) or "*", f"{where}, field {field}")
        if condition:
            holds = set(
                matching(self.tables.get(table), key, condition, f"{where}, field where", self.faults)
            )
            found = [name for name in found if name in holds]
        return found

    def write(
        self, table: str, key: str, rows: Sequence[str], columns: Mapping[str, Any], where: str
    ) -> None:
        """Cells of some rows."""
        for column, value in columns.items():
            self.put(table, key, rows, column, value, f"{where}, columns", f"{column}")

    def add_hosts(self, change: AddHosts, where: str) -> None:
        """Copies of hosts, with what differs from them."""
        hosts = self.tables["hosts"]
        if entries(change.like) or change.where:
            like = self.rows("hosts", change.like, change.where, where, "like")
        else:
            known = hosts["host"].tolist()
            if change.cluster:
                known = _labelled(hosts, known, f"cluster:{change.cluster}")
                if not known:
                    clusters = [str(name) for name in self.before.clusters.name]
                    self.faults.add(f"{where}, field cluster", f"no host stands in {change.cluster!r}",
                                    "a cluster with a host, or like",
                                    did_you_mean(change.cluster, clusters))  # fmt: skip
            like = known[:1]
            if like and change.count:
                self.notes.append(f"new hosts see the datastores and networks that {like[0]} sees")
        columns = {"state": "connected", **change.columns}
        if change.cluster:
            columns["cluster"] = change.cluster
        for name in like:
            copies = self.copy(OF_HOST, "host", name, change.count, change.name)
            self.write(
                "hosts",
                "host",
                copies,
                columns if change.columns or change.cluster else change.columns,
                where,
            )

    def add_vms(self, change: AddVms, where: str) -> None:
        """Copies of VMs, or VMs of a template."""
        import pandas as pd

        if entries(change.like) or change.where:
            for name in self.rows("vms", change.like, change.where, where, "like"):
                copies = self.copy(OF_VM, "vm", name, change.count, change.name)
                vms = self.tables["vms"]
                vms.loc[vms["vm"].isin(copies), "host"] = None
                self.write("vms", "vm", copies, change.columns, where)
            return
        missing = [column for column in ("memory_mib", "cpu_demand_mhz") if column not in change.columns]
        if missing:
            self.faults.add(
                f"{where}, field like", "no VM to copy", f"like, or columns with {' and '.join(missing)}"
            )
            return
        copies = self.free_names("vm", f"{change.name or 'new'}-{{}}", change.count)
        vms = self.tables["vms"]
        if copies:
            self.tables["vms"] = pd.concat([vms, pd.DataFrame({"vm": copies})], ignore_index=True)
        self.write("vms", "vm", copies, change.columns, where)
        stores = self.tables.get("datastores")
        if change.disks and (stores is None or change.datastore not in set(stores["datastore"])):
            known = [] if stores is None else stores["datastore"].tolist()
            self.faults.add(f"{where}, field datastore", f"{change.datastore!r} is no datastore",
                            "the one for its disks",
                            did_you_mean(change.datastore, known))  # fmt: skip
            return
        more: dict[str, list[dict[str, Any]]] = {
            "disks": [
                {"vm": vm, "disk": f"disk-{k}", "datastore": change.datastore, "size_gib": gib}
                for vm in copies for k, gib in enumerate(change.disks, 1)
            ],
            "nics": [{"vm": vm, "network": network} for vm in copies for network in change.networks],
        }  # fmt: skip
        for table, rows in more.items():
            if rows:
                old = [self.tables[table]] if table in self.tables else []
                self.tables[table] = pd.concat([*old, pd.DataFrame(rows)], ignore_index=True)

    def free_names(self, key: str, pattern: str, count: int) -> list[str]:
        """So many names that nothing has yet."""
        taken = set(self.tables["hosts" if key == "host" else "vms"][key])
        found: list[str] = []
        number = 1
        while len(found) < count:
            if (name := pattern.format(number)) not in taken:
                found.append(name)
            number += 1
        return found

    def copy(self, names: Iterable[str], key: str, like: str, count: int, name: str = "") -> list[str]:
        """Copies of one host or VM in all tables that speak of it; their names."""
        import pandas as pd

        pattern = (f"{name}-" if name else f"{like}-copy-").replace("{", "{{").replace("}", "}}") + "{}"
        copies = self.free_names(key, pattern, count)
        if not copies:
            return copies
        for table in names:
            if table in self.tables:
                frame = self.tables[table]
                rows = frame[frame[key] == like]
                unknown = dict.fromkeys(column for column in IDENTITY if column in frame)
                parts = [frame, *(rows.assign(**unknown, **{key: new}) for new in copies)]
                self.tables[table] = pd.concat(parts, ignore_index=True)
        if key == "host" and "links" in self.tables:
            links = self.tables["links"]
            rows = links[(links["a"] == like) | (links["b"] == like)]
            ends = [rows.replace({"a": {like: new}, "b": {like: new}}) for new in copies]
            self.tables["links"] = pd.concat([links, *ends], ignore_index=True)
        return copies

    def _without(self, names: Iterable[str], key: str, gone: Sequence[str]) -> None:
        for table in names:
            if table in self.tables:
                frame = self.tables[table]
                self.tables[table] = frame[~frame[key].isin(gone)]

    def drop_hosts(self, gone: Sequence[str]) -> None:
        """Hosts out of every table; their VMs have no host, and those that belong there no home."""
        self._without(OF_HOST, "host", gone)
        if "links" in self.tables:
            links = self.tables["links"]
            self.tables["links"] = links[~links["a"].isin(gone) & ~links["b"].isin(gone)]
        vms = self.tables["vms"].copy()
        for column in ("host", "home"):
            vms[column] = vms[column].where(~vms[column].isin(gone), None)
        self.tables["vms"] = vms

    def only(self, clusters: Names, where: str) -> None:
        """Hosts, VMs and pools of all other clusters out of every table; VMs without a host stay."""
        hosts, vms = self.tables["hosts"], self.tables["vms"]
        known = [str(name) for name in self.before.clusters.name]
        kept = _matching(known, clusters, where, "cluster", self.faults)
        idx = dict(zip(self.before.hosts.name.tolist(), self.before.hosts.cluster_idx.tolist(), strict=True))
        of_host = {host: known[idx[host]] if host in idx else None for host in hosts["host"]}
        gone = [host for host, cluster in of_host.items() if cluster not in kept]
        left = self._used()
        self._without(OF_VM, "vm", vms.loc[vms["host"].isin(gone), "vm"].tolist())
        now = self._used()
        for store, gib in left.items():
            self.used_gib[store] = self.used_gib.get(store, 0.0) - (gib - now.get(store, 0.0))
        self.drop_hosts(gone)
        for table in ("clusters", "pools"):
            if table in self.tables:
                frame = self.tables[table]
                self.tables[table] = frame[frame["cluster"].isin(kept)]

    def scale(self, change: ScaleVms, vms: Sequence[str]) -> None:
        """Multiply the columns of `SCALED`."""
        for field, targets in SCALED.items():
            ratio = getattr(change, field)
            for table, columns in targets.items():
                if ratio == 1.0 or table not in self.tables:
                    continue
                frame = self.tables[table] = self.tables[table].copy()
                rows = frame["vm"].isin(vms)
                for column in columns:
                    frame.loc[rows, column] = (frame.loc[rows, column] * ratio).astype(frame[column].dtype)

    def set(self, change: SetColumn, where: str) -> None:
        """Set a column; whether the value suits it is found when the snapshot is built."""

        if change.table not in tables():
            near = did_you_mean(change.table, tables())
            self.faults.add(
                f"{where}, field table",
                f"unknown table {change.table!r}",
                f"one of {', '.join(tables())}",
                near,
            )
            return
        fixed = keys(change.table)
        rows = self.rows(change.table, change.rows, change.where, where, "rows")
        if rows:
            self.put(change.table, fixed[0], rows, change.column, change.value, where, "column")

    def put(
        self, table: str, key: str, rows: Sequence[str], column: str, value: Any, where: str, field: str
    ) -> None:
        """One value for a column of some rows; whether it suits the column is found when the snapshot is built."""
        import pandas as pd

        known, fixed = tables()[table], keys(table)
        if column in fixed or (column not in known and open_column(table, column) is None):
            names = [name for name in known if name not in fixed]
            if table in OPEN_COLUMNS:
                names.append(f"<name>{OPEN_COLUMNS[table]}")
            what = (
                f"{column!r}, part of the key" if column in fixed else f"unknown column {column!r} of {table}"
            )
            self.faults.add(
                f"{where}, field {field}", what, f"one of {', '.join(names)}", did_you_mean(column, names)
            )
            return
        frame = self.tables[table].copy()
        cells = (
            frame[column].astype(object)
            if column in frame
            else pd.Series(None, index=frame.index, dtype=object)
        )
        cells[frame[key].isin(rows)] = None if value == "" else value
        frame[column] = cells
        self.tables[table] = frame

    def noise(self, change: Noise, vms: Sequence[str], where: str) -> None:
        """Multiply each VM's demand by its own factor."""
        factors = draw_factors(change, vms, f"{where}, field by", self.faults)
        for (table, column), by_vm in factors.items():
            if table not in self.tables or column not in self.tables[table]:
                continue
            frame = self.tables[table] = self.tables[table].copy()
            ratio = frame["vm"].map(by_vm).fillna(1.0)
            frame[column] = (frame[column].astype(float) * ratio.to_numpy()).astype(float)
        frame = self.tables["vms"]
        for column in ("memory_active_mib", "memory_consumed_mib"):
            if change.memory_std and column in frame:
                frame[column] = frame[column].clip(upper=frame["memory_mib"])

    def cut(self, change: CutLink, where: str) -> None:
        """Take a link away; a host that has none hangs on the switch of its site, which cannot be cut."""
        links = self.tables.get("links")
        ends = [] if links is None else list(zip(links["a"], links["b"], strict=True))
        found = [{*pair} == {change.a, change.b} for pair in ends]
        if links is None or not any(found):
            near = did_you_mean(f"{change.a} to {change.b}", [f"{a} to {b}" for a, b in ends])
            self.faults.add(
                where, f"no link between {change.a} and {change.b}", "a link of the table links", near
            )
            return
        hosts = set(self.tables["hosts"]["host"])
        self.tables["links"] = links[[not each for each in found]]
        left = {end for pair, gone in zip(ends, found, strict=True) if not gone for end in pair}
        for end in sorted({change.a, change.b} & hosts - left):
            # A host without any link would hang on the implied switch: keep it cut off, with a node of its own.
            import pandas as pd

            alone = pd.DataFrame([{"a": end, "b": f"{end} (cut off)", "bandwidth_mbps": 1.0}])
            self.tables["links"] = pd.concat([self.tables["links"], alone], ignore_index=True)
            self.notes.append(f"host {end} has no other link: no VM can leave it or come to it")

    def set_rules(self, change: SetRules, where: str) -> None:
        """Rules with other values, read anew from their own text."""
        from drs.io.problem_file import write_rules
        from drs.io.rules_toml import rules_of

        labels = [rule.label for rule in self.rules]
        meant = set(_matching(labels, change.rules, f"{where}, field rules", "rule", self.faults))
        changed: list[Rule] = []
        for rule in self.rules:
            if rule.label not in meant:
                changed.append(rule)
                continue
            (table,) = tomllib.loads(write_rules([rule]))["rule"]
            changed += rules_of({"rule": [{**table, **change.fields}]}, where, self.faults)
        self.rules = changed

    def link(self, change: SetLink, where: str) -> None:
        """Change or add a link. A host that has none is first linked to the switch that is taken for granted."""
        import pandas as pd

        hosts = self.tables["hosts"]
        links = self.tables.get("links")
        ends = [] if links is None else list(zip(links["a"], links["b"], strict=True))
        linked = {end for pair in ends for end in pair}
        switch = self._taken_for_granted(ends)
        known = {*hosts["host"], *linked, *switch.values()}
        strange = [end for end in (change.a, change.b) if end not in known]
        if change.a == change.b or len(strange) > (1 if change.new_node else 0):
            for field in ("a", "b"):
                if (end := getattr(change, field)) in strange:
                    near = did_you_mean(end, known) or "new_node = true for a new switch"
                    self.faults.add(
                        f"{where}, field {field}", f"unknown node {end!r}", "a host or a switch", near
                    )
            if change.a == change.b:
                self.faults.add(f"{where}, field b", f"{change.b!r}, the same as a", "another node")
            return
        new = []
        for end in (change.a, change.b):
            if end in switch:
                row = hosts[hosts["host"] == end].iloc[0]
                new.append({"a": end, "b": switch[end], "bandwidth_mbps": float(row["vmotion_mbps"])})
                ends.append((end, switch[end]))
                self.notes.append(f"host {end} had no link: its link to {switch[end]} is now written out")
        figures = {
            field: value
            for field in ("bandwidth_mbps", "latency_ms", "loss_ratio", "shared_mbps")
            if (value := getattr(change, field)) is not None
        }
        rows = [{*pair} == {change.a, change.b} for pair in ends]
        if change.bandwidth_ratio is not None and change.bandwidth_mbps is not None:
            self.faults.add(f"{where}, field bandwidth_ratio", "beside bandwidth_mbps", "one of the two")
        if not any(rows):
            if change.bandwidth_mbps is None:
                self.faults.add(
                    where, f"no link between {change.a} and {change.b}", "the bandwidth_mbps of a new one"
                )
                return
            new.append({"a": change.a, "b": change.b})
            rows.append(True)
        old = [] if links is None else [links]
        frame = pd.concat([*old, *([pd.DataFrame(new)] if new else [])], ignore_index=True)
        for field, value in figures.items():
            frame.loc[rows, field] = value
        if change.bandwidth_ratio is not None:
            frame.loc[rows, "bandwidth_mbps"] = (
                frame.loc[rows, "bandwidth_mbps"].astype(float) * change.bandwidth_ratio
            )
        self.tables["links"] = frame

    def _taken_for_granted(self, ends: Sequence[tuple[str, str]]) -> dict[str, str]:
        """Hosts without a link, each with the switch of its site that the network gives it."""
        import pandas as pd

        hosts = self.tables["hosts"]
        linked = {end for pair in ends for end in pair}
        names = set(hosts["host"])
        return {
            host: implied_switch("" if pd.isna(site) else site, names)
            for host, site in zip(hosts["host"], hosts["site"], strict=True)
            if host not in linked
        }

    def set_policy(self, change: SetPolicy, where: str) -> None:
        """Merge tables of a policy into today's."""
        from drs.io.policy_toml import policy_of
        from drs.io.problem_file import write_policy

        document = tomllib.loads(write_policy(self.policy))
        if "goals" in change.policy:
            document.pop("goal", None)
        for key, value in change.policy.items():
            old = document.get(key)
            document[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
        policy = policy_of(document, where, self.faults)
        if policy is not None:
            self.policy = policy

    def _used(self) -> dict[str, float]:
        disks = self.tables.get("disks")
        if disks is None:
            return {}
        used = disks.groupby("datastore")["used_gib"].sum()
        return {str(name): float(gib) for name, gib in used.items()}

    def finished(self) -> Snapshot:
        """The tables as a snapshot; what disks take more or less is taken from or given to their datastores."""
        stores = self.tables.get("datastores")
        if stores is not None:
            stores = self.tables["datastores"] = stores.copy()
            now = self._used()
            for row, name in zip(stores.index, stores["datastore"], strict=True):
                more = now.get(name, 0.0) - self.used_gib.get(name, 0.0)
                if abs(more) > 1e-9:
                    left = float(stores.loc[row, "free_gib"]) - more
                    if left < 0:
                        self.notes.append(
                            f"datastore {name}: its disks need {-left:.1f} GiB more than it has free"
                        )
                    stores.loc[row, "free_gib"] = min(max(left, 0.0), float(stores.loc[row, "capacity_gib"]))
        before = self.before
        try:
            return from_frames(
                self.tables,
                name=before.name,
                taken_at=before.taken_at,
                description=before.description,
                provenance=before.provenance,
                source=before.source,
                too_large=True,
            )
        except InputError as error:
            raise InputError(
                dataclasses.replace(fault, where=f"{self.label}: {fault.where}") for fault in error.faults
            ) from None


def _labelled(frame: pd.DataFrame, known: Sequence[str], pattern: str) -> list[str]:
    """Names with a label: `rack:r1*`, `cluster:prod`."""
    label, _, value = pattern.partition(":")
    if label not in frame:
        return []
    of = frame[label].tolist()
    return [
        name
        for name, own in zip(known, of, strict=False)
        if isinstance(own, str) and fnmatch.fnmatchcase(own, value)
    ]


def _matching(
    known: Sequence[str],
    patterns: Names,
    where: str,
    what: str,
    faults: Faults,
    labels: pd.DataFrame | None = None,
) -> list[str]:
    """Names in the order of `known`; a fault for each pattern that means none."""
    chosen: set[str] = set()
    for pattern in (patterns,) if isinstance(patterns, str) else patterns:
        if pattern in known or ":" not in pattern or labels is None:
            found = [pattern] if pattern in known else fnmatch.filter(known, pattern)
        else:
            found = _labelled(labels, known, pattern)
        if not found and pattern != "*":
            faults.add(where, f"{pattern!r} names no {what}", f"a {what}", did_you_mean(pattern, known))
        chosen.update(found)
    return [name for name in known if name in chosen]


NAMING: Mapping[str, str] = {"vms": "VM", "others": "VM", "needs": "VM", "hosts": "host"}
"""What the selectors of rules and goals name, by field."""


def _narrowed(
    rules: Sequence[Rule], policy: Policy, before: Snapshot, after: Snapshot, notes: list[str]
) -> tuple[tuple[Rule, ...], Policy]:
    """Rules and policy without the names that the changes took away."""
    kept = []
    for rule in rules:
        changed, gone, empty = _forget(rule, before, after, NAMING)
        if empty:
            notes.append(f"rule {rule.label!r} is dropped: it has no {empty} left ({', '.join(gone)} gone)")
            continue
        if gone:
            notes.append(f"rule {rule.label!r} is narrowed: {', '.join(gone)} gone")
        kept.append(changed)
    classes = [field.name for field in dataclasses.fields(policy.restart)]
    restart, gone, _ = _forget(policy.restart, before, after, dict.fromkeys(classes, "VM"))
    if gone:
        notes.append(f"policy [restart] is narrowed: {', '.join(gone)} gone")
        policy = dataclasses.replace(policy, restart=restart)
    goals = []
    for goal in policy.goals:
        changed, gone, empty = _forget(goal, before, after, NAMING)
        if gone:
            how = f"is dropped: it has no {empty} left" if empty else "is narrowed"
            notes.append(f"goal {goal.type} {how} ({', '.join(gone)} gone)")
        if not empty:
            goals.append(changed)
    return tuple(kept), dataclasses.replace(policy, goals=tuple(goals))


def _forget(
    holder: Any, before: Snapshot, after: Snapshot, fields: Mapping[str, str]
) -> tuple[Any, list[str], str]:
    """(the record without names that are gone, those names, what a field has none of any more)."""
    gone: list[str] = []
    empty = ""
    for field in dataclasses.fields(holder):
        what = fields.get(field.name)
        value = getattr(holder, field.name)
        if what is None or not entries(value):
            continue
        then: Named = before.vms if what == "VM" else before.hosts
        now: Named = after.vms if what == "VM" else after.hosts
        lost = [entry for entry in resolve(value, now)[1] if entry not in resolve(value, then)[1]]
        if not lost:
            continue
        gone += [f"{what}s {entry}" if is_pattern(entry) else f"{what} {entry}" for entry in lost]
        left = tuple(entry for entry in entries(value) if entry not in lost)
        empty = empty or ("" if left else what)
        holder = dataclasses.replace(holder, **{field.name: left})
    return holder, gone, empty


def fault_of(error: Mapping[str, Any], where: str, known: Iterable[str]) -> Fault:
    """A fault of one of pydantic's errors; `known` are the fields at its place."""
    known = list(known)
    field = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return Fault(f"{where}, field {field}", "an unknown field", f"one of {', '.join(known)}",
                     did_you_mean(str(error["loc"][-1]), known))  # fmt: skip
    if error["type"] == "missing":
        return Fault(where, f"the required field {field} is missing", f"a {field}")
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        given = error["input"].get("do") if isinstance(error["input"], dict) else error["input"]
        return Fault(f"{where}, field {field}.do", repr(given), f"one of {', '.join(KINDS)}",
                     did_you_mean(str(given), KINDS))  # fmt: skip
    said = error["msg"].removeprefix("Value error, ").lower().removeprefix("input should be ")
    return Fault(f"{where}, field {field}", repr(error["input"]), said)
