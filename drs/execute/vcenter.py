"""A vCenter as the executor needs it, through its API (the extra `vcenter` brings pyvmomi).

Rights: System.Read on the inventory, and on what is moved Resource.HotMigrate, Resource.ColdMigrate,
Resource.AssignVMToPool and, where disks move, Datastore.AllocateSpace.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

from drs.errors import InputError
from drs.execute.platform import DatastoreNow, HostNow, Refused, State, TaskNow, Unreachable, VmNow
from drs.io.readers.vcenter import fetch, read_service
from drs.io.readers.vcenter_login import Address, Login, close_session, open_session
from drs.io.readers.vcenter_tables import host_state, named, store_state, virtual_disks
from drs.model import Snapshot
from drs.planning import Move

T = TypeVar("T")

MOVES = ("VirtualMachine.migrate", "VirtualMachine.relocate", "Drm.ExecuteVMotionLRO")
"""What vCenter calls tasks that move a VM."""

LASTING = ("ManagedObjectNotFound", "NoPermission", "NotSupported", "InvalidArgument", "RestrictedVersion")
"""Faults that another attempt will not cure."""

LOOKED_AT = {
    "VirtualMachine": (
        "name",
        "runtime.host",
        "runtime.powerState",
        "config.template",
        "summary.config.memorySizeMB",
    ),
    "HostSystem": (
        "name",
        "runtime.connectionState",
        "runtime.inMaintenanceMode",
        "runtime.inQuarantineMode",
    ),
    "Datastore": ("name", "summary"),
}


class VCenter:
    """One vCenter, one session, opened again where it was lost."""

    def __init__(self, address: Address, login: Login) -> None:
        self.address = str(address)
        self._where, self._login = address, login
        self._service = open_session(address, login)
        self._content = self._service.RetrieveContent()
        self.identity = str(self._content.about.instanceUuid)
        self._refs: dict[str, dict[str, Any]] = {kind: {} for kind in LOOKED_AT}
        """By kind and name: the managed objects, as of the last look."""
        self._keys: dict[str, dict[str, int]] = {}
        """By VM and label: the keys of its disks."""

    def close(self) -> None:
        """End the session."""
        from pyVmomi import vmodl

        with suppress(OSError, http.client.HTTPException, vmodl.MethodFault):  # the vCenter ends it by itself
            close_session(self._service)

    # -- questions ----------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The whole inventory."""
        found = self._asked(lambda: read_service(self._service, self._where.host)).snapshot
        assert found is not None
        return found

    def now(self) -> datetime:
        """The vCenter's clock."""
        moment: datetime = self._asked(lambda: self._service.CurrentTime())
        return moment

    def state(self, disks_of: Collection[str] = ()) -> State:
        """Hosts, datastores, and power, memory and host of every VM, in a request for each kind."""
        return self._asked(lambda: self._state(disks_of))

    def _state(self, disks_of: Collection[str] = ()) -> State:
        found = {kind: named(fetch(self._content, kind, LOOKED_AT[kind])) for kind in LOOKED_AT}
        self._refs = {kind: {p["name"]: ref for ref, p in objects.items()} for kind, objects in found.items()}
        hosts, stores = found["HostSystem"], found["Datastore"]
        vms = {}
        for ref, p in found["VirtualMachine"].items():
            if p.get("config.template"):
                continue
            host = hosts.get(p.get("runtime.host"))
            disks: dict[str, str] = {}
            if p["name"] in disks_of:
                own = virtual_disks(ref.config.hardware, stores)
                self._keys[p["name"]] = {label: device.key for label, device, _ in own}
                disks = {label: store for label, _, store in own}
            vms[p["name"]] = VmNow(
                host["name"] if host else "",
                "on" if str(p.get("runtime.powerState")) == "poweredOn" else "off",
                float(p.get("summary.config.memorySizeMB") or 0),
                disks,
            )
        return State(
            vms,
            {p["name"]: HostNow(host_state(p)) for p in hosts.values()},
            {
                p["name"]: DatastoreNow(store_state(p["summary"]), p["summary"].freeSpace / 2**30)
                for p in stores.values()
            },
        )

    def check(self, move: Move, goes: Mapping[str, str]) -> str | None:
        """vCenter's check of a relocation (`CheckRelocate_Task`); None where it offers none."""
        from pyVmomi import vim, vmodl

        checker = self._content.vmProvisioningChecker
        if checker is None:
            return None
        try:
            task = checker.CheckRelocate_Task(vm=self._vm(move), spec=self._spec(move, goes))
            while task.info.state in (vim.TaskInfo.State.queued, vim.TaskInfo.State.running):
                time.sleep(0.2)
            if task.info.state == vim.TaskInfo.State.error:
                return _said(task.info.error)
            return "; ".join(
                _said(error) for result in task.info.result or () for error in result.error or ()
            )
        except (vmodl.fault.NotSupported, vmodl.fault.MethodNotFound, vmodl.fault.ManagedObjectNotFound):
            return None
        except vmodl.MethodFault as error:
            return _said(error)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(str(error)) from None

    def watch(self, tasks: Collection[str]) -> Mapping[str, TaskNow]:
        """How tasks are, each by its id."""
        return {task: self._task(task) for task in tasks}

    def _task(self, task: str) -> TaskNow:
        from pyVmomi import vim, vmodl

        try:
            info = self._asked(lambda: vim.Task(task, self._service._stub).info)
        except vmodl.fault.ManagedObjectNotFound:
            return TaskNow("unknown")
        if info.state in (vim.TaskInfo.State.queued, vim.TaskInfo.State.running):
            return TaskNow("running", progress_ratio=None if info.progress is None else info.progress / 100)
        ran_s = None
        if info.startTime is not None and info.completeTime is not None:
            ran_s = (info.completeTime - info.startTime).total_seconds()
        if info.state == vim.TaskInfo.State.success:
            return TaskNow("done", ran_s=ran_s)
        if isinstance(info.error, vmodl.fault.RequestCanceled):
            return TaskNow("cancelled", _said(info.error), ran_s=ran_s)
        return TaskNow("failed", _said(info.error), ran_s=ran_s)

    def find(self, vm: str, since: datetime) -> str | None:
        """The latest task that moved a VM: of the VM's own recent tasks and of vCenter's."""
        return self._asked(lambda: self._find(vm, since))

    def _find(self, vm: str, since: datetime) -> str | None:
        from pyVmomi import vmodl

        if vm not in self._refs["VirtualMachine"]:
            self._state()
        ref = self._refs["VirtualMachine"].get(vm)
        if ref is None:
            return None
        found: list[tuple[datetime, str]] = []
        for task in {
            each._moId: each for each in (*ref.recentTask, *self._content.taskManager.recentTask)
        }.values():
            try:
                info = task.info
            except vmodl.fault.ManagedObjectNotFound:
                continue
            if info.entity == ref and info.descriptionId in MOVES and info.queueTime >= since:
                found.append((info.queueTime, task._moId))
        return max(found)[1] if found else None

    # -- orders -------------------------------------------------------------------------------------------

    def start(self, move: Move, goes: Mapping[str, str]) -> str:
        """Ask for a migration; the id of its task."""
        from pyVmomi import vim, vmodl

        try:
            vm = self._vm(move)
            if goes:
                task = vm.RelocateVM_Task(spec=self._spec(move, goes))
            else:
                priority = vim.VirtualMachine.MovePriority.defaultPriority
                task = vm.MigrateVM_Task(host=self._refs["HostSystem"][move.to_host], priority=priority)
        except vmodl.MethodFault as error:
            raise Refused(_said(error), type(error).__name__.rpartition(".")[2] in LASTING) from None
        except (OSError, http.client.HTTPException) as error:
            self._reopen()
            raise Unreachable(str(error)) from None
        return str(task._moId)

    def abort(self, task: str) -> None:
        """Ask a task to end; one that has ended already is left."""
        from pyVmomi import vim, vmodl

        try:
            self._asked(lambda: vim.Task(task, self._service._stub).CancelTask())
        except vmodl.MethodFault:
            return  # it ended meanwhile, or cannot be cancelled: watching it tells

    def _vm(self, move: Move) -> Any:
        ref = self._refs["VirtualMachine"].get(move.vm)
        if ref is None or move.to_host not in self._refs["HostSystem"]:
            raise Refused(f"{move.vm} or {move.to_host} is there no more", lasting=True)
        return ref

    def _spec(self, move: Move, goes: Mapping[str, str]) -> Any:
        from pyVmomi import vim

        stores = self._refs["Datastore"]
        lost = [store for store in goes.values() if store not in stores]
        if lost:
            raise Refused(f"datastore {lost[0]} is there no more", lasting=True)
        keys = self._keys[move.vm]
        locators = [
            vim.vm.RelocateSpec.DiskLocator(diskId=keys[disk], datastore=stores[store])
            for disk, store in goes.items()
        ]
        spec = vim.vm.RelocateSpec(disk=locators)
        if move.to_host != move.from_host:
            spec.host = self._refs["HostSystem"][move.to_host]
        return spec

    # -- the wire -------------------------------------------------------------------------------------------

    def _asked(self, ask: Callable[[], T]) -> T:
        """An answer; where the session was lost, it is opened once more."""
        from pyVmomi import vim

        try:
            return ask()
        except vim.fault.NotAuthenticated:
            self._reopen()
            return ask()
        except (OSError, http.client.HTTPException) as error:
            self._reopen()
            raise Unreachable(str(error)) from None

    def _reopen(self) -> None:
        self.close()
        try:
            self._service = open_session(self._where, self._login)
            self._content = self._service.RetrieveContent()
            self._refs = {kind: {} for kind in LOOKED_AT}
        except (InputError, OSError, http.client.HTTPException) as error:
            raise Unreachable(str(error)) from None


def _said(fault: Any) -> str:
    """A fault in the platform's words."""
    name = type(fault).__name__.rpartition(".")[2]
    text = str(getattr(fault, "msg", "") or getattr(fault, "localizedMessage", "") or "")
    return f"{name}: {text}" if text else name
