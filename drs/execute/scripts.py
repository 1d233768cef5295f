"""A plan as a script for shops where no tool may write: the tools they trust, in the order and limits of the plan.

Moves run in rounds: a round is what may run at once under the limits of the plan with all that it waits for done. Each
script shows what it would do unless it is told to move, checks before each move that the VM is where the plan left
it, and stops at the first fault. Names and ids stand in it as data, never as code.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from drs.errors import Fault, InputError, PlanError, did_you_mean
from drs.execute.executor import UNMOVABLE
from drs.execute.limits import Limits
from drs.io.plan_file import SavedPlan
from drs.planning import Move

Text = Callable[[SavedPlan], str]


@dataclass(frozen=True)
class Script:
    """One kind of script: its `suffix`, and what is needed to run it."""

    suffix: str
    needs: str
    make: Text


def rounds(saved: SavedPlan) -> list[list[Move]]:
    """The moves in rounds: within one all may run at once; all of a round end before the next begins."""
    limits = Limits(saved.today, saved.plan.moves, saved.concurrency)
    left = sorted(saved.plan.moves, key=lambda move: (move.start_s, move.step))
    done: set[int] = set()
    found: list[list[Move]] = []
    while left:
        now: list[Move] = []
        for move in left:
            free = set(move.after_steps) <= done and not any(other.vm == move.vm for other in now)
            if free and limits.allow(move.step, [other.step for other in now]):
                now.append(move)
        if not now:
            raise PlanError("the steps of this plan wait for each other")
        done |= {move.step for move in now}
        left = [move for move in left if move.step not in done]
        found.append(now)
    return found


def export(saved: SavedPlan, kind: str) -> str:
    """The script of one kind.

    Raises
    ------
    InputError : for a kind that is not there, or moves that it cannot make.
    PlanError : for a plan that is no set of migrations.
    """
    if kind not in SCRIPTS:
        raise InputError(
            Fault("kind", repr(kind), f"one of {', '.join(SCRIPTS)}", did_you_mean(kind, SCRIPTS))
        )
    if saved.mode in UNMOVABLE:
        raise PlanError(f"a plan of mode {saved.mode} is no set of migrations: {UNMOVABLE[saved.mode]}")
    return SCRIPTS[kind].make(saved)


def _data(saved: SavedPlan) -> list[list[dict[str, object]]]:
    """The rounds as plain data."""
    return [
        [
            {
                "step": move.step,
                "vm": move.vm,
                "vm_id": saved.ids[move.step]["vm"],
                "instance_uuid": saved.ids[move.step]["instance_uuid"],
                "from": move.from_host,
                "to": move.to_host,
                "disks": dict(saved.guards[move.step].goes),
                "power": saved.guards[move.step].power,
            }
            for move in moves
        ]
        for moves in rounds(saved)
    ]


def _shell(text: object) -> str:
    """A word of a POSIX shell, whatever stands in it."""
    return "'" + str(text).replace("'", "'\\''") + "'"


def _power(text: object) -> str:
    """A string of PowerShell, whatever stands in it; it takes typographic quotes for quotes too."""
    return "'" + "".join(sign * 2 if sign in "'‘’‚‛" else sign for sign in str(text)) + "'"


def _head(saved: SavedPlan, comment: str = "#") -> str:
    n = len(saved.plan.moves)
    lines = (
        f"Plan {saved.digest} of {saved.created_at:%Y-%m-%d %H:%M} UTC: {n} moves, in rounds. Made by drs export.",
        "Without its switch it only shows what it would do. It stops at the first fault.",
    )
    return "".join(f"{comment} {line}\n" for line in lines)


def _without_disks(saved: SavedPlan, kind: str) -> None:
    moving = [move.vm for move in saved.plan.moves if saved.guards[move.step].goes]
    if moving:
        raise InputError(
            Fault("kind", f"{kind} cannot move the disks of {', '.join(moving[:5])}", "a plan of hosts alone")
        )


def _powercli(saved: SavedPlan) -> str:
    out = [
        _head(saved),
        "# Connect-VIServer first. ./plan.ps1 shows, ./plan.ps1 -Move moves.\n",
        "param([switch]$Move)\n$ErrorActionPreference = 'Stop'\n",
        """
function Find-One($Name, $Id) {
    if ($Id) { return Get-VM -Id "VirtualMachine-$Id" }
    return Get-VM -Name ([Management.Automation.WildcardPattern]::Escape($Name))
}
function Start-One($Name, $Id, $From, $To, $Disks) {
    $vm = Find-One $Name $Id
    if ($Move -and $vm.VMHost.Name -ne $From) { throw "$Name is on $($vm.VMHost.Name), not on $From" }
    Write-Output "${Name}: $From -> $To"
    if (-not $Move) { return }
    if ($Disks.Count -eq 0) {
        $script:tasks += Move-VM -VM $vm -Destination (Get-VMHost -Name $To) -RunAsync -Confirm:$false
        return
    }
    $spec = New-Object VMware.Vim.VirtualMachineRelocateSpec
    $spec.Host = (Get-VMHost -Name $To).ExtensionData.MoRef
    $spec.Disk = @(foreach ($label in $Disks.Keys) {
        $disk = Get-HardDisk -VM $vm -Name $label
        New-Object VMware.Vim.VirtualMachineRelocateSpecDiskLocator -Property @{
            DiskId = $disk.ExtensionData.Key; Datastore = (Get-Datastore -Name $Disks[$label]).ExtensionData.MoRef }
    })
    $script:tasks += Get-Task -Id $vm.ExtensionData.RelocateVM_Task($spec, 'defaultPriority')
}
function Wait-Round {
    if ($script:tasks) { Wait-Task -Task $script:tasks | Out-Null }
    $script:tasks = @()
}
$script:tasks = @()
""",
    ]
    for number, moves in enumerate(_data(saved), 1):
        out.append(f"\n# round {number}\n")
        for each in moves:
            disks = each["disks"]
            assert isinstance(disks, Mapping)
            pairs = "; ".join(f"{_power(disk)} = {_power(store)}" for disk, store in disks.items())
            names = " ".join(_power(each[key]) for key in ("vm", "vm_id", "from", "to"))
            out.append(f"Start-One {names} @{{{pairs}}}\n")
        out.append("Wait-Round\n")
    return "".join(out)


def _govc(saved: SavedPlan) -> str:
    _without_disks(saved, "govc")
    out = [
        "#!/bin/sh\n",
        _head(saved),
        "# GOVC_URL, GOVC_USERNAME and GOVC_PASSWORD first; GOVC_DATACENTER where there are several.\n",
        "# sh plan.sh shows, sh plan.sh --move moves.\nset -eu\n",
        """move=${1:-}
fail() { echo "$1" >&2; exit 1; }
one() { # VM FROM TO
    echo "$1: $2 -> $3"
    [ "$move" = --move ] || return 0
    now=$(govc vm.info "$1" | sed -n 's/^ *Host: *//p')
    [ "$now" = "$2" ] || fail "$1 is on ${now:-no host}, not on $2"
    govc vm.migrate -host "$3" "$1"
}
round() { # waits for what was started in the background
    for job in $jobs; do wait "$job" || fail "a move failed: see above"; done
    jobs=
}
jobs=
""",
    ]
    for number, moves in enumerate(_data(saved), 1):
        out.append(f"\n# round {number}\n")
        for each in moves:
            words = " ".join(_shell(each[key]) for key in ("vm", "from", "to"))
            out.append(f'one {words} & jobs="$jobs $!"\n')
        out.append("round\n")
    return "".join(out)


def _virsh(saved: SavedPlan) -> str:
    _without_disks(saved, "virsh")
    out = [
        "#!/bin/sh\n",
        _head(saved),
        "# Run where each host answers as qemu+ssh://HOST/system.\n",
        "# sh plan.sh shows, sh plan.sh --move moves.\nset -eu\n",
        """move=${1:-}
fail() { echo "$1" >&2; exit 1; }
one() { # VM FROM TO
    echo "$1: $2 -> $3"
    [ "$move" = --move ] || return 0
    virsh -c "qemu+ssh://$2/system" domstate --domain "$1" | grep -q running || fail "$1 does not run on $2"
    virsh -c "qemu+ssh://$2/system" migrate --live --persistent --undefinesource --verbose \\
        --domain "$1" --desturi "qemu+ssh://$3/system"
}
round() {
    for job in $jobs; do wait "$job" || fail "a move failed: see above"; done
    jobs=
}
jobs=
""",
    ]
    for number, moves in enumerate(_data(saved), 1):
        out.append(f"\n# round {number}\n")
        for each in moves:
            words = " ".join(_shell(each[key]) for key in ("vm", "from", "to"))
            out.append(f'one {words} & jobs="$jobs $!"\n')
        out.append("round\n")
    return "".join(out)


def _proxmox(saved: SavedPlan) -> str:
    _without_disks(saved, "proxmox")
    out = [
        "#!/bin/sh\n",
        _head(saved),
        "# Run as root on any node; needs jq. sh plan.sh shows, sh plan.sh --move moves.\nset -eu\n",
        """move=${1:-}
fail() { echo "$1" >&2; exit 1; }
one() { # VM FROM TO
    echo "$1: $2 -> $3"
    [ "$move" = --move ] || return 0
    found=$(pvesh get /cluster/resources --type vm --output-format json |
        jq -r --arg name "$1" '.[] | select(.name == $name) | "\\(.vmid) \\(.node)"')
    [ "$(printf '%s\\n' "$found" | grep -c .)" = 1 ] || fail "$1: not exactly one VM of that name"
    [ "${found#* }" = "$2" ] || fail "$1 is on ${found#* }, not on $2"
    task=$(pvesh create "/nodes/$2/qemu/${found%% *}/migrate" --target "$3" --online 1 --output-format json | jq -r .)
    while :; do
        state=$(pvesh get "/nodes/$2/tasks/$task/status" --output-format json)
        [ "$(printf '%s' "$state" | jq -r .status)" = stopped ] && break
        sleep 2
    done
    [ "$(printf '%s' "$state" | jq -r .exitstatus)" = OK ] || fail "$1: its migration failed"
}
round() {
    for job in $jobs; do wait "$job" || fail "a move failed: see above"; done
    jobs=
}
jobs=
""",
    ]
    for number, moves in enumerate(_data(saved), 1):
        out.append(f"\n# round {number}\n")
        for each in moves:
            words = " ".join(_shell(each[key]) for key in ("vm", "from", "to"))
            out.append(f'one {words} & jobs="$jobs $!"\n')
        out.append("round\n")
    return "".join(out)


def _ansible(saved: SavedPlan) -> str:
    _without_disks(saved, "ansible")
    tasks = []
    for number, moves in enumerate(_data(saved), 1):
        for each in moves:
            name = json.dumps(each["vm"], ensure_ascii=False)
            to = json.dumps(each["to"], ensure_ascii=False)
            tasks.append(
                f"    - name: {json.dumps(f'Round {number}, step ' + str(each['step']), ensure_ascii=False)}\n"
                "      community.vmware.vmware_vmotion:\n"
                '        hostname: "{{ vcenter_hostname }}"\n'
                '        username: "{{ vcenter_username }}"\n'
                '        password: "{{ vcenter_password }}"\n'
                f"        vm_name: !unsafe {name}\n"
                f"        destination_host: !unsafe {to}\n"
            )
    return (
        "---\n"
        + _head(saved)
        + "# ansible-playbook plan.yml --check shows; without --check it moves, one after the other.\n"
        "- name: Carry out a plan of drs\n  hosts: localhost\n  gather_facts: false\n"
        "  any_errors_fatal: true\n  tasks:\n" + "".join(tasks)
    )


def _pyvmomi(saved: SavedPlan) -> str:
    plan = json.dumps(_data(saved), indent=2, ensure_ascii=True)
    return (
        "#!/usr/bin/env python3\n"
        + _head(saved)
        + '''"""python3 plan.py HOST USER shows, python3 plan.py HOST USER --move moves; the password is asked for."""

import getpass
import json
import sys
import time

from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim

PLAN = json.loads(r"""
'''
        + plan
        + '''
""")


def every(content, kind):
    view = content.viewManager.CreateContainerView(content.rootFolder, [kind], True)
    try:
        return {each.name: each for each in view.view}
    finally:
        view.Destroy()


def spec_of(vm, each, hosts, stores):
    keys = {d.deviceInfo.label: d.key for d in vm.config.hardware.device if isinstance(d, vim.vm.device.VirtualDisk)}
    disks = [
        vim.vm.RelocateSpec.DiskLocator(diskId=keys[disk], datastore=stores[store])
        for disk, store in each["disks"].items()
    ]
    return vim.vm.RelocateSpec(host=hosts[each["to"]], disk=disks)


def main(host, user, move):
    service = SmartConnect(host=host, user=user, pwd=getpass.getpass())
    try:
        content = service.RetrieveContent()
        vms, hosts, stores = (every(content, k) for k in (vim.VirtualMachine, vim.HostSystem, vim.Datastore))
        for number, moves in enumerate(PLAN, 1):
            tasks = []
            for each in moves:
                vm = vms[each["vm"]]
                if each["instance_uuid"] and vm.config.instanceUuid != each["instance_uuid"]:
                    sys.exit(f"{each['vm']} is another VM of that name")
                if vm.runtime.host.name != each["from"] and move:
                    sys.exit(f"{each['vm']} is on {vm.runtime.host.name}, not on {each['from']}")
                print(f"round {number}, step {each['step']}: {each['vm']}: {each['from']} -> {each['to']}")
                if move:
                    tasks.append((each["vm"], vm.RelocateVM_Task(spec=spec_of(vm, each, hosts, stores))))
            for name, task in tasks:
                while task.info.state in (vim.TaskInfo.State.queued, vim.TaskInfo.State.running):
                    time.sleep(1)
                if task.info.state != vim.TaskInfo.State.success:
                    sys.exit(f"{name}: {task.info.error}")
    finally:
        Disconnect(service)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[3:] not in ([], ["--move"]):
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], sys.argv[3:] == ["--move"])
'''
    )


def _csv(saved: SavedPlan) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["round", "step", "vm", "vm_id", "instance_uuid", "from_host", "to_host", "disks"])
    for number, moves in enumerate(_data(saved), 1):
        for each in moves:
            disks = each["disks"]
            assert isinstance(disks, Mapping)
            said = "; ".join(f"{disk} -> {store}" for disk, store in disks.items())
            writer.writerow(
                [number, *(each[k] for k in ("step", "vm", "vm_id", "instance_uuid", "from", "to")), said]
            )
    return out.getvalue()


SCRIPTS: Mapping[str, Script] = {
    "powercli": Script(".ps1", "PowerShell with VMware PowerCLI", _powercli),
    "govc": Script(".sh", "govc", _govc),
    "ansible": Script(".yml", "Ansible with the collection community.vmware", _ansible),
    "pyvmomi": Script(".py", "Python with pyvmomi", _pyvmomi),
    "virsh": Script(".sh", "virsh, with ssh to every host", _virsh),
    "proxmox": Script(".sh", "a Proxmox VE node, with jq", _proxmox),
    "csv": Script(".csv", "nothing: a list for people", _csv),
}
"""The kinds of scripts."""
