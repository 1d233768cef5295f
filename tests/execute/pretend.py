"""A platform in memory with a clock of its own, and plans of a few hosts to carry out on it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

import drs
from drs import planning
from drs.execute.platform import DatastoreNow, HostNow, Refused, State, TaskNow, Unreachable, VmNow
from drs.io.plan_file import SavedPlan, read_plan
from drs.model import Placement, Snapshot
from drs.options import Options
from drs.planning import Concurrency, Move
from drs.problem.policy import Policy
from drs.report.document import write
from drs.result import Asked, Result


def cluster(n_hosts: int = 3, n_vms: int = 6, memory_mib: int = 4096, room_mib: int = 65536) -> Snapshot:
    """VMs in turn on the hosts, each with one disk on `ds-1`; there is a `ds-2` too."""
    hosts = [f"esx-{i + 1}" for i in range(n_hosts)]
    vms = [f"vm-{i + 1}" for i in range(n_vms)]
    return drs.read(
        {
            "hosts": pd.DataFrame({"host": hosts, "cpu_mhz": 20000, "memory_mib": room_mib}),
            "vms": pd.DataFrame(
                {
                    "vm": vms,
                    "host": [hosts[i % n_hosts] for i in range(n_vms)],
                    "memory_mib": memory_mib,
                    "cpu_demand_mhz": 500,
                }
            ),
            "datastores": pd.DataFrame(
                {"datastore": ["ds-1", "ds-2"], "capacity_gib": 1000, "free_gib": [500, 900]}
            ),
            "disks": pd.DataFrame({"vm": vms, "disk": "disk 1", "datastore": "ds-1", "size_gib": 10}),
        }
    )


def saved_plan(
    folder: Path,
    snapshot: Snapshot,
    to: Mapping[str, str],
    *,
    stores: Mapping[str, str] | None = None,
    concurrency: Concurrency | None = None,
    rules: tuple[drs.rules.Rule, ...] = (),
) -> SavedPlan:
    """A plan that brings VMs to hosts and their disks to datastores, written to a folder and read back."""
    host_idx, store = snapshot.vms.host_idx.copy(), snapshot.disks.datastore_idx.copy()
    for vm, host in to.items():
        host_idx[snapshot.vms.position[vm]] = snapshot.hosts.position[host]
    for vm, name in (stores or {}).items():
        store[snapshot.disks.vm_idx == snapshot.vms.position[vm]] = snapshot.datastores.position[name]
    policy = Policy(concurrency=concurrency or Concurrency())
    problem = drs.Problem(snapshot, rules, policy)
    plan = planning.make_plan(
        snapshot, Placement(host_idx, store), problem.lowered.during, concurrency=policy.concurrency
    )
    asked = Asked(snapshot, rules, policy, "balance", Options(), "auto", 0, iterations=200)
    result = Result(problem, "feasible", plan.placement, (), (), (), "test", 0, 0.0, plan=plan, asked=asked)
    write(result, folder, "<html></html>")
    return read_plan(folder)


@dataclass
class Job:
    """A task of the pretended platform."""

    vm: str
    host: str
    goes: Mapping[str, str]
    asked_at: datetime
    ends_s: float
    began_s: float
    fate: str = ""
    status: str = "running"
    reason: str = ""


class Pretend:
    """A platform whose moves last `move_s`. `fates`: by VM, what becomes of its next tasks, `fail` or `lie`."""

    address, identity = "pretend://here", "uuid-1"

    def __init__(self, snapshot: Snapshot, move_s: float = 10.0) -> None:
        self.base, self.move_s = snapshot, move_s
        self.time_s = 0.0
        names = snapshot.hosts.name
        stores = snapshot.datastores
        disks: dict[str, dict[str, str]] = {str(name): {} for name in snapshot.vms.name}
        for i, vm in enumerate(snapshot.disks.vm_idx.tolist()):
            at = str(stores.name[snapshot.disks.datastore_idx[i]])
            disks[str(snapshot.vms.name[vm])][str(snapshot.disks.name[i])] = at
        self.vms = {
            str(name): VmNow(
                str(names[snapshot.vms.host_idx[i]]), str(snapshot.vms.power[i]),
                float(snapshot.vms.memory_mib[i]), disks[str(name)],
            )
            for i, name in enumerate(snapshot.vms.name)
        }  # fmt: skip
        self.hosts = {
            str(name): HostNow(str(state)) for name, state in zip(names, snapshot.hosts.state, strict=True)
        }
        self.free_gib = {
            str(name): float(free) for name, free in zip(stores.name, stores.free_gib, strict=True)
        }
        self.jobs: dict[str, Job] = {}
        self.numbers = itertools.count(1)
        self.refusals: dict[str, list[Refused]] = {}
        self.fates: dict[str, list[str]] = {}
        self.silent_s = 0.0
        """No answer until the clock shows this."""
        self.lost_answers = 0
        """So many starts arrive, and their answers are lost."""
        self.watchers: list[Callable[[Pretend], None]] = []
        self.most_flying = 0

    # -- the clock ----------------------------------------------------------------------------------------

    def clock(self) -> float:
        return self.time_s

    def sleep(self, amount_s: float) -> None:
        self.time_s += amount_s
        for job in self.jobs.values():
            if job.status == "running" and job.ends_s <= self.time_s:
                self._end(job)
        for watch in self.watchers:
            watch(self)

    def _end(self, job: Job) -> None:
        vm = self.vms.get(job.vm)
        if vm is None:
            job.status, job.reason = "failed", "the VM is there no more"
        elif job.fate == "fail":
            job.status, job.reason = "failed", "a general system error occurred"
        elif self.hosts[job.host].state != "connected":
            job.status, job.reason = "failed", f"{job.host} is {self.hosts[job.host].state}"
        else:
            job.status = "done"
            if job.fate != "lie":
                self.vms[job.vm] = replace(vm, host=job.host, disks={**vm.disks, **job.goes})
                for store in job.goes.values():
                    self.free_gib[store] -= 10.0

    def running(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.status == "running"]

    def _answer(self) -> None:
        if self.time_s < self.silent_s:
            raise Unreachable("connection refused")

    # -- the protocol ---------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        self._answer()
        frames = drs.io.to_frames(self.base)
        vms = frames["vms"]
        vms = vms[vms["vm"].isin(self.vms)].copy()
        vms["host"] = [self.vms[name].host for name in vms["vm"]]
        vms["power"] = [self.vms[name].power for name in vms["vm"]]
        vms["memory_mib"] = [self.vms[name].memory_mib for name in vms["vm"]]
        hosts = frames["hosts"].copy()
        hosts["state"] = [self.hosts[name].state for name in hosts["host"]]
        disks = frames["disks"]
        disks = disks[disks["vm"].isin(self.vms)].copy()
        disks["datastore"] = [
            self.vms[vm].disks[disk] for vm, disk in zip(disks["vm"], disks["disk"], strict=True)
        ]
        return drs.read({**frames, "vms": vms, "hosts": hosts, "disks": disks})

    def state(self, disks_of: Collection[str] = ()) -> State:
        self._answer()
        vms = {name: vm if name in disks_of else replace(vm, disks={}) for name, vm in self.vms.items()}
        stores = {name: DatastoreNow("connected", free) for name, free in self.free_gib.items()}
        return State(vms, dict(self.hosts), stores)

    def now(self) -> datetime:
        self._answer()
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.time_s)

    def check(self, move: Move, goes: Mapping[str, str]) -> str | None:
        self._answer()
        return ""

    def start(self, move: Move, goes: Mapping[str, str]) -> str:
        self._answer()
        if waiting := self.refusals.get(move.vm):
            raise waiting.pop(0)
        if any(job.vm == move.vm for job in self.running()):
            raise Refused("another task is already in progress")
        if move.vm not in self.vms:
            raise Refused("the VM is there no more", lasting=True)
        assert self.vms[move.vm].host == move.from_host, "nobody may be moved from where he is not"
        fates = self.fates.get(move.vm, [])
        task = f"task-{next(self.numbers)}"
        self.jobs[task] = Job(
            move.vm, move.to_host, dict(goes), self.now(), self.time_s + self.move_s, self.time_s,
            fates.pop(0) if fates else "",
        )  # fmt: skip
        self.most_flying = max(self.most_flying, len(self.running()))
        if self.lost_answers:
            self.lost_answers -= 1
            raise Unreachable("the answer was lost")
        return task

    def watch(self, tasks: Collection[str]) -> Mapping[str, TaskNow]:
        self._answer()
        found: dict[str, TaskNow] = {}
        for task in tasks:
            job = self.jobs.get(task)
            status: Any = "unknown" if job is None else job.status
            found[task] = TaskNow(status, job.reason if job else "", ran_s=self.move_s)
        return found

    def find(self, vm: str, since: datetime) -> str | None:
        self._answer()
        found = [task for task, job in self.jobs.items() if job.vm == vm and job.asked_at >= since]
        return found[-1] if found else None

    def abort(self, task: str) -> None:
        self._answer()
        if self.jobs[task].status == "running":
            self.jobs[task].status = "cancelled"

    def close(self) -> None:
        pass
