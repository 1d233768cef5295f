"""Bring VMs to hosts, clusters or datastores that somebody chose, or back home; other VMs make room where they must.

`VM=TARGET` names a VM (or a pattern) and the host, cluster or datastore that it is to go to, and a CSV file has many
of them. Two VMs that are to exchange their hosts are two moves. A whole placement can be reached as well: that of a
`vms.csv` or a snapshot folder, as before a maintenance, or of the column `home`. What goes first, goes as far as it
can; each VM that stays is named with the rules that hold it.

VMs whose target is outside of the migration scope may leave it, and no others. One request moves VMs or disks: where
the targets are datastores it is mode `storage` that finds out who makes room (`drs.modes.storage`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from drs.errors import Fault, InputError, did_you_mean
from drs.model import Snapshot
from drs.modes import storage
from drs.modes.base import Mode, Solve, named, scope_of
from drs.modes.targets import Target, among, crossing
from drs.options import Options
from drs.problem import Problem, Request
from drs.problem.policy import Policy
from drs.result import Result
from drs.rules import Rule
from drs.stop import Run
from drs.words import count, some

NAME = "asked place"
HOME = "home"
FILE_COLUMNS = ("vm", "to_host", "to_cluster", "to_datastore")
SHOWN = 20


@dataclass(frozen=True)
class Movement:
    """What became of VMs that were to go somewhere.

    n_asked : VMs that have a target. there : how many of them were there before. arrived : VM and host for those that
    come there. left : VM, where it is, and why it does not come there. room : other VMs that move to make room.
    unknown : VMs and hosts of a placement to reach that this snapshot does not have.
    """

    n_asked: int
    there: int
    arrived: tuple[tuple[str, str], ...]
    left: tuple[tuple[str, str, str], ...]
    room: tuple[str, ...]
    unknown: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """In words."""
        lines = [f"{len(self.arrived)} of {count(self.n_asked - self.there, 'VM')} come where they are asked to be"
                 + (f"; {count(self.there, 'is', 'are')} there already" if self.there else "")]  # fmt: skip
        if self.room:
            lines.append(f"to make room, {count(len(self.room), 'other VM moves', 'other VMs move')}: "
                         f"{some(self.room, SHOWN)}")  # fmt: skip
        why: dict[str, list[str]] = {}
        for vm, _, reason in self.left:
            why.setdefault(reason, []).append(vm)
        for reason, vms in why.items():
            lines.append(f"stays: {some(vms, SHOWN)}: {reason}")
        if self.unknown:
            lines.append(f"passed over, for this snapshot does not have them: {some(self.unknown, SHOWN)}")
        return lines


@dataclass
class _Wanted:
    """What is asked for: by VM its hosts, or its datastore."""

    snapshot: Snapshot
    places: dict[str, tuple[str, ...]] = field(default_factory=dict)
    stores: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        snapshot = self.snapshot
        of_cluster = snapshot.hosts.cluster_idx
        self.kinds: dict[str, tuple[Mapping[str, int], Callable[[str], tuple[str, ...]]]] = {
            "host": (snapshot.hosts.position, lambda name: (name,)),
            "cluster": (
                snapshot.clusters.position,
                lambda name: tuple(
                    snapshot.hosts.name[of_cluster == snapshot.clusters.position[name]].tolist()
                ),
            ),
            "datastore": (snapshot.datastores.position, lambda name: (name,)),
        }

    def vms(self, text: str, where: str) -> list[str]:
        """The VMs that a name or pattern means."""
        found = named([text], self.snapshot.vms.position)
        if not found:
            near = did_you_mean(text, self.snapshot.vms.position)
            self.faults.append(Fault(where, f"unknown VM {text!r}", "the name of a VM, or a pattern", near))
        return found

    def ask(self, vms: Sequence[str], kind: str, target: str, where: str) -> None:
        """These VMs to one target; a fault where it is none, or another one is asked for."""
        known, hosts_of = self.kinds[kind]
        found = named([target], known)
        if not found:
            near = did_you_mean(target, known)
            self.faults.append(Fault(where, f"unknown {kind} {target!r}", f"the name of a {kind}", near))
            return
        if kind == "datastore" and len(found) > 1:
            self.faults.append(Fault(where, f"{target!r} means {some(found)}", "one datastore"))
            return
        hosts = tuple(dict.fromkeys(host for name in found for host in hosts_of(name)))
        for vm in vms:
            old: object = self.stores.get(vm) if kind == "datastore" else self.places.get(vm)
            new: object = found[0] if kind == "datastore" else hosts
            if old not in (None, new):
                self.faults.append(Fault(where, f"{vm} has another target already", "one target for each VM"))
            elif kind == "datastore":
                self.stores[vm] = found[0]
            else:
                self.places[vm] = hosts

    def text(self, text: str) -> None:
        """One `VM=TARGET`, cut at the sign that leaves a VM and a target."""
        cuts = [at for at, sign in enumerate(text) if sign == "="]
        position = self.snapshot.vms.position
        at = next((cut for cut in cuts if named([text[:cut]], position)), cuts[-1] if cuts else len(text))
        vm, target = text[:at].strip(), text[at + 1 :].strip()
        vms = self.vms(vm, "move")
        kinds = [kind for kind, (known, _) in self.kinds.items() if named([target], known)]
        if len(kinds) > 1:
            expected = "a file with a column " + " or ".join(f"to_{kind}" for kind in kinds)
            self.faults.append(Fault("move", f"{target!r} is a {' and a '.join(kinds)}", expected))
        elif not kinds:
            near = did_you_mean(target, [name for known, _ in self.kinds.values() for name in known])
            self.faults.append(
                Fault("move", f"unknown target {target!r}", "a host, a cluster or a datastore", near)
            )
        else:
            self.ask(vms, kinds[0], target, "move")

    def file(self, path: Path) -> None:
        """The rows of a CSV file."""
        from drs import io

        for number, row in io.move_rows(path, FILE_COLUMNS):
            where = f"{path.name}, row {number}"
            vms = self.vms(row["vm"], f"{where}, field vm")
            asked = [kind for kind in self.kinds if row[f"to_{kind}"]]
            if not asked:
                self.faults.append(Fault(where, "no target", "one of to_host, to_cluster, to_datastore"))
            for kind in asked:
                self.ask(vms, kind, row[f"to_{kind}"], f"{where}, field to_{kind}")

    def placement(self, path: Path) -> None:
        """Where the VMs stand in a `vms.csv`, or in that of a snapshot folder."""
        from drs import io

        hosts, vms = self.snapshot.hosts.position, self.snapshot.vms.position
        for _, row in io.move_rows(path / "vms.csv" if path.is_dir() else path, ("vm", "host")):
            if not row["host"]:
                continue
            missing = [name for name, known in ((row["vm"], vms), (row["host"], hosts)) if name not in known]
            self.unknown += [name for name in missing if name not in self.unknown]
            if not missing:
                self.places[row["vm"]] = (row["host"],)

    def homes(self) -> None:
        """The column `home`."""
        table, hosts = self.snapshot.vms, self.snapshot.hosts.name
        for vm in np.flatnonzero(table.home_idx >= 0).tolist():
            self.places[str(table.name[vm])] = (str(hosts[table.home_idx[vm]]),)


def _wanted(snapshot: Snapshot, options: Options) -> _Wanted:
    wanted = _Wanted(snapshot)
    for text in options.move:
        wanted.text(text)
    try:
        if options.moves:
            wanted.file(Path(options.moves))
        if options.to == HOME:
            wanted.homes()
        elif options.to:
            wanted.placement(Path(options.to))
    except InputError as error:
        wanted.faults += error.faults
    return wanted


def check(snapshot: Snapshot, policy: Policy, options: Options) -> Iterator[Fault]:
    """Names that mean nothing, a VM with two targets, VMs and disks in one request, nothing to move."""
    if options.to and (options.move or options.moves):
        yield Fault("to", "a whole placement beside moves", "one of the two")
        return
    wanted = _wanted(snapshot, options)
    yield from wanted.faults
    if wanted.faults:
        return
    if wanted.places and wanted.stores:
        both = f"{some(list(wanted.stores))} to a datastore, {some(list(wanted.places))} to a host or cluster"
        yield Fault("move", both, "VMs or disks in one request: ask twice")
    if not wanted.places and not wanted.stores:
        where = "to" if options.to else "move"
        given = "no VM has a home" if options.to == HOME else "no VM to move"
        yield Fault(where, given, "VM=TARGET, or a file of moves")
    if wanted.stores:
        yield from storage.move_faults(snapshot, policy, wanted.stores)


def pose(snapshot: Snapshot, rules: Sequence[Rule], policy: Policy, options: Options) -> Problem:
    """Each VM on its target as a hard rule; or the problem of the disks."""
    wanted = _wanted(snapshot, options)
    if wanted.stores:
        return storage.pose_moves(snapshot, rules, policy, options, wanted.stores)
    besides, policy = crossing(snapshot, rules, policy, wanted.places)
    asked = Target(name=NAME, policy="hard", places=wanted.places)
    at = [snapshot.vms.position[vm] for vm in wanted.places]
    home = snapshot.vms.host_idx[at]
    hosts = among(snapshot, [host for names in set(wanted.places.values()) for host in names])
    hosts[home[home >= 0]] = True
    return Problem(
        snapshot,
        rules,
        policy,
        Request([asked], besides, options.also),
        scope_of(snapshot, policy, options, hosts),
    )


def answer(problem: Problem, *, solve: Solve, options: Options, solver: str, run: Run) -> Result:
    """As any problem of VMs on hosts, or of disks on datastores."""
    if storage.speaks_of_disks(problem):
        return storage.answer(problem, solve=solve, options=options, solver=solver, run=run)
    return solve(problem, solver=solver, run=run)


def report(result: Result, options: Options) -> Movement | storage.StorageAdvice:
    """Who arrives, who stays and why, and who makes room."""
    if storage.speaks_of_disks(result.problem):
        return storage.report(result, options)
    snapshot = result.snapshot
    wanted = _wanted(snapshot, options)
    home, after = snapshot.vms.host_idx, result.placement.host_idx
    if result.plan is not None:
        after = result.plan.placement.host_idx
    names, hosts = snapshot.vms.name, snapshot.hosts.name

    def at(vm: int, where: np.ndarray) -> str:
        return str(hosts[where[vm]]) if where[vm] >= 0 else "no host"

    held = {vm: conflict.sentence for conflict in result.conflicts for vm in conflict.vms}
    held |= {move.vm: move.reason for move in (result.plan.stranded if result.plan is not None else ())}
    asked = {vm: snapshot.vms.position[vm] for vm in wanted.places}
    there = [vm for vm, i in asked.items() if at(i, home) in wanted.places[vm]]
    arrived = [(vm, at(i, after)) for vm, i in asked.items() if at(i, after) in wanted.places[vm]]
    left = [
        (vm, at(i, after), held.get(vm, "no room was found for it there"))
        for vm, i in asked.items()
        if at(i, after) not in wanted.places[vm]
    ]
    others = [
        str(names[vm]) for vm in np.flatnonzero((after != home) & (home >= 0)) if str(names[vm]) not in asked
    ]
    return Movement(
        len(asked), len(there), tuple(pair for pair in arrived if pair[0] not in set(there)), tuple(left),
        tuple(others), tuple(wanted.unknown),
    )  # fmt: skip


MODE = Mode(pose, check, answer, report, replans=lambda problem: not storage.speaks_of_disks(problem))
