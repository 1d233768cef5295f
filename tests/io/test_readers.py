"""The readers over their common protocol: found by looking, read, and what was not used is said."""

from __future__ import annotations

import copy
import cProfile
import json
import os
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reader_cases import (
    kubevirt,
    live_optics,
    nutanix,
    pod_metrics,
    proxmox,
    proxmox_status,
    rvtools,
    save,
    save_json,
)
from typer.testing import CliRunner

from drs.cli import app
from drs.errors import InputError
from drs.io import READERS, InputWarning, Options, convert, read_folder, read_rules, read_source
from drs.io.readers.catalogue import find
from drs.io.readers.look import delimiter, look
from drs.io.readers.times import order_of, seconds_of
from drs.model import Snapshot
from drs.model.provenance import MEANING
from drs.problem import Problem
from drs.rules import KeepApart, KeepTogether, Pinned, RunOn

pytestmark = pytest.mark.filterwarnings("ignore::drs.io.InputWarning")


def read(*sources: Path, **how: Any) -> Snapshot:
    snapshot = read_source(sources, **how).snapshot
    assert snapshot is not None
    return snapshot


# -- recognised by content


def all_kinds(folder: Path) -> dict[str, Path | str]:
    (folder / "view.csv").write_text("Name,Interval Breakdown,CPU|Demand (MHz)\nweb,2026-01-01 00:00,5\n")
    convert(save(rvtools({"a": 100}), folder / "one.xlsx"), folder / "snapshot")
    return {
        "RVTools 3.x and 4.x": folder / "one.xlsx",
        "Live Optics": save(live_optics(), folder / "lo.xlsx"),
        "Nutanix Collector": save(nutanix(), folder / "nx.xlsx"),
        "VCF Operations, Aria Operations": folder / "view.csv",
        "vCenter": "vcenter://vc01",
        "Proxmox VE": save_json(proxmox(), folder / "resources.json"),
        "KubeVirt": save_json(kubevirt(), folder / "inventory.json"),
        "Snapshot of drs": folder / "snapshot",
    }


def test_each_reader_recognises_its_own_and_no_other(tmp_path: Path) -> None:
    kinds = all_kinds(tmp_path)
    assert set(kinds) == {reader.name for reader in READERS}
    for name, source in kinds.items():
        seen = look(source)
        assert [reader.name for reader in READERS if reader.recognises(seen)] == [name]


def test_the_name_of_a_file_may_lie(tmp_path: Path) -> None:
    save_json(proxmox(), tmp_path / "cluster.txt")
    [(reader, _)] = find([tmp_path / "cluster.txt"])
    assert reader.name == "Proxmox VE"


@pytest.mark.parametrize(
    ("name", "content", "given", "hint"),
    [
        (
            "get-vm.csv",
            b'"Name","PowerState","NumCpu"\n"a","PoweredOn","4"\n',
            "PowerCLI's Get-VM",
            "vcenter://HOST",
        ),
        ("RVTools_tabvInfo.csv", b"VM,Host\na,b\n", "one tab of RVTools' CSV export", "the folder"),
        ("any.csv", b"VM,CPU\na,b\n", "a CSV file with the columns VM, CPU", "Interval Breakdown"),
        ("page.xml", b"<?xml version='1.0'?><a/>", "XML or HTML", "RVTools"),
        ("any.json", b'{"servers": []}', "JSON with servers", "pvesh"),
        ("ftp://x", None, "an address", "vcenter://"),
    ],
)
def test_an_unknown_kind_is_told_what_it_looks_like(
    name: str, content: bytes | None, given: str, hint: str, tmp_path: Path
) -> None:
    source: Path | str = name
    if content is not None:
        source = tmp_path / name
        source.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_source(source)
    (fault,) = caught.value.faults
    assert given in fault.given and hint in fault.hint
    assert "Proxmox VE" in fault.expected and "RVTools" in fault.expected


def encrypted_zip(path: Path) -> Path:
    """A zip whose entry says that it is encrypted: bit 0 of its flags, in both headers."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("RVTools_tabvInfo.csv", "VM\n")
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + at] |= 1
    path.write_bytes(data)
    return path


def test_hostile_files_are_one_clear_fault_each_all_together(tmp_path: Path) -> None:
    whole = save(rvtools({"a": 100}), tmp_path / "whole.xlsx").read_bytes()
    (tmp_path / "cut.xlsx").write_bytes(whole[: len(whole) // 2])
    middle = len(whole) // 3
    (tmp_path / "flipped.xlsx").write_bytes(whole[:middle] + bytes(400) + whole[middle + 400 :])
    (tmp_path / "locked.xlsx").write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(512))
    encrypted_zip(tmp_path / "locked.zip")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "blank.csv").write_text("\n \n")
    (tmp_path / "half.json").write_text('[{"id": ')
    (tmp_path / "deep.json").write_text("[" * 200_000)
    (tmp_path / "folder.xlsx").mkdir()
    (tmp_path / "binary.dat").write_bytes(bytes(range(256)))
    os.mkfifo(tmp_path / "pipe")
    expected = {
        "cut.xlsx": "no readable workbook",
        "flipped.xlsx": "",
        "locked.xlsx": "a workbook with a password",
        "locked.zip": "a zip with a password",
        "empty.csv": "an empty file",
        "blank.csv": "a file of blanks",
        "half.json": "damaged JSON",
        "deep.json": "JSON that is nested too deep",
        "folder.xlsx": "it looks like an empty folder",
        "binary.dat": "neither text nor a workbook",
        "pipe": "a pipe, a socket or a device",
        "gone": "no such file or folder",
    }
    with pytest.raises(InputError) as caught:
        read_source([tmp_path / name for name in expected])
    found = {Path(fault.where).name: fault.given for fault in caught.value.faults}
    assert len(caught.value.faults) == len(found) == len(expected)
    for name, given in expected.items():
        assert found[name].startswith(given), (name, found[name])


def test_a_zip_that_swells_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drs.io.readers.look.MAX_UNPACKED", 1000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("RVTools_tabvInfo.csv", "x" * 2000)
    with pytest.raises(InputError, match="GiB unpacked"):
        read_source(tmp_path / "bomb.zip")


def test_a_comma_in_quotation_marks_is_no_sign_between_columns() -> None:
    assert delimiter('"CPU, all, of it";Name\n') == ";"


# -- workbooks of others


def test_live_optics(tmp_path: Path) -> None:
    reading = read_source(save(live_optics(), tmp_path / "lo.xlsx"))
    snapshot = reading.snapshot
    assert snapshot is not None
    assert snapshot.hosts.cpu_mhz.tolist() == [50_000, 50_000]
    assert snapshot.hosts.memory_mib.tolist() == [65_536, 65_536]
    assert snapshot.vms.name.tolist() == ["shop", "old"]
    assert snapshot.vms.cpu_demand_mhz.tolist() == [1500, 0]
    assert snapshot.vms.memory_active_mib.tolist() == [1000, 0]
    assert snapshot.datastores.capacity_gib.tolist() == [1000] and snapshot.mounts.all()
    assert "sheets VM Disks" in reading.unused
    assert snapshot.provenance.cpu_demand == "measured"


def test_live_optics_without_the_vms_performance_spreads_that_of_the_hosts(tmp_path: Path) -> None:
    sheets = live_optics()
    del sheets["VM Performance"]
    snapshot = read(save(sheets, tmp_path / "lo.xlsx"))
    assert snapshot.vms.cpu_demand_mhz.tolist() == [1500, 0]
    assert snapshot.provenance.cpu_demand == "estimated"


def test_faults_of_a_translated_sheet_bear_its_own_words(tmp_path: Path) -> None:
    sheets = live_optics()
    sheets["ESX Hosts"][1][8] = "much"
    with pytest.raises(
        InputError, match=r"sheet ESX Hosts, row 2 \(lo-1.lab\), column Memory \(KiB\): 'much'"
    ):
        read(save(sheets, tmp_path / "lo.xlsx"))


def test_nutanix(tmp_path: Path) -> None:
    snapshot = read(save(nutanix(), tmp_path / "nx.xlsx"))
    assert snapshot.hosts.memory_mib.tolist() == [256 * 1024]
    assert (snapshot.vms.vcpus[0], snapshot.vms.cpu_demand_mhz[0]) == (4, 1200)
    assert snapshot.vms.cpu_reservation_mhz.tolist() == [100] and np.isinf(snapshot.vms.cpu_limit_mhz[0])
    assert snapshot.vms.memory_active_mib.tolist() == [2048]
    assert snapshot.disks.size_gib.tolist() == [10] and snapshot.datastores.name.tolist() == ["nfs"]


# -- Proxmox VE


def test_proxmox_by_itself_counts_threads(tmp_path: Path) -> None:
    with pytest.warns(InputWarning, match="the clock of n1, n2 is not known"):
        reading = read_source(save_json(proxmox(), tmp_path / "pve.json"))
    snapshot = reading.snapshot
    assert snapshot is not None
    assert snapshot.hosts.cpu_mhz.tolist() == [16_000, 16_000]
    assert snapshot.hosts.state.tolist() == ["connected", "maintenance"]
    assert snapshot.vms.name.tolist() == ["web (101)", "web (102)", "spare"]
    assert snapshot.vms.cpu_demand_mhz.tolist() == [2000, 1000, 0]
    assert snapshot.vms.memory_consumed_mib[:2].tolist() == [3072, 2048]
    # A container stays: what it uses is its node's.
    assert snapshot.hosts.cpu_reserved_mhz.tolist() == [0, 1000]
    assert snapshot.hosts.memory_reserved_mib.tolist() == [0, 2048]
    assert snapshot.datastores.name.tolist() == ["ceph", "lvm (n1)"]
    assert snapshot.mounts.tolist() == [[True, True], [True, False]]
    assert "resources of the type sdn" in reading.unused


def test_proxmox_with_the_status_of_its_nodes_and_its_rules(tmp_path: Path) -> None:
    folder = tmp_path / "pve"
    save_json({"data": proxmox()}, folder / "resources.json")
    save_json(proxmox_status(), folder / "n1" / "status.json")
    save_json(proxmox_status("AMD EPYC 7302"), folder / "status-n2.json")
    save_json(
        [
            {"rule": "apart", "type": "resource-affinity", "affinity": "negative", "resources": "vm:101,vm:102"},
            {"rule": "near", "type": "resource-affinity", "affinity": "positive", "resources": "vm:102,vm:103"},
            {"rule": "home", "type": "node-affinity", "nodes": "n1:2,n2:1", "resources": "vm:101,ct:201", "strict": 1},
            {"rule": "off", "type": "node-affinity", "nodes": "n1", "resources": "vm:101", "disable": 1},
        ],
        folder / "rules.json",
    )  # fmt: skip
    save_json([{"group": "west", "nodes": "n2", "restricted": 0}], folder / "groups.json")
    save_json([{"sid": "vm:103", "group": "west"}], folder / "ha.json")
    with pytest.warns(InputWarning) as caught:
        reading = convert(folder, tmp_path / "out")
    said = " ".join(str(each.message) for each in caught)
    assert "off (switched off)" in said and "ct:201" in said and "priorities" in said
    snapshot = reading.snapshot
    assert snapshot is not None
    assert snapshot.hosts.cpu_mhz.tolist() == [16 * 2400, 16 * 2801.5]
    assert snapshot.hosts.cpu_vendor.tolist() == ["intel", "amd"]
    assert snapshot.vms.cpu_demand_mhz.tolist() == [0.5 * 4 * 2400, 0.25 * 4 * 2400, 0]
    assert reading.rules == (
        KeepApart(vms=("web (101)", "web (102)"), name="apart", policy="hard"),
        KeepTogether(vms=("web (102)", "spare"), name="near", policy="hard"),
        RunOn(vms=("web (101)",), hosts=("n1", "n2"), name="home", policy="hard"),
        RunOn(vms=("spare",), hosts=("n2",), name="west", policy="soft"),
    )
    assert read_rules(tmp_path / "out") == reading.rules
    Problem(read_folder(tmp_path / "out"), reading.rules)  # every name is one of the snapshot's


def test_proxmox_a_running_vm_on_an_unknown_node(tmp_path: Path) -> None:
    rows = proxmox()
    rows[2]["node"] = "n9"
    path = save_json(rows, tmp_path / "pve.json")
    with pytest.raises(InputError, match="1 of 2 running VMs are on nodes that the file lacks: web"):
        read(path)
    snapshot = read(path, options=Options(without_unknown_hosts=True))
    assert snapshot.vms.name.tolist() == ["web", "spare"] and "left out" in snapshot.provenance.note


# -- KubeVirt


def test_kubevirt(tmp_path: Path) -> None:
    with pytest.warns(InputWarning, match="an inventory has no load"):
        reading = read_source(save_json(kubevirt(), tmp_path / "kv.json"))
    snapshot = reading.snapshot
    assert snapshot is not None
    assert snapshot.hosts.cpu_mhz.tolist() == [32_000] * 3
    assert snapshot.hosts.cpu_reserved_mhz.tolist() == [1000] * 3
    assert snapshot.hosts.memory_reserved_mib.tolist() == [4096] * 3
    assert snapshot.hosts.state.tolist() == ["connected", "maintenance", "connected"]
    assert snapshot.hosts.site.tolist() == ["a", "a", "b"] and set(snapshot.hosts.cpu_vendor) == {"intel"}
    assert snapshot.vms.vcpus.tolist() == [4, 4, 4] and snapshot.vms.memory_mib.tolist() == [8192] * 3
    assert snapshot.vms.cpu_demand_mhz.tolist() == [800, 800, 800]  # a tenth of 4 vCPUs of 2 GHz
    assert snapshot.provenance.cpu_demand == "configured"
    assert reading.rules == (
        Pinned(vms=("db",), name="not live migratable", policy="hard"),
        RunOn(vms=("db",), hosts=("k1", "k2"), name="nodes of db", policy="hard"),
        KeepApart(vms=("web-1", "web-2"), scope="host", name="apart host web-1", policy="hard"),
    )
    Problem(snapshot, reading.rules)


def test_kubevirt_with_the_metrics_of_its_pods(tmp_path: Path) -> None:
    snapshot = read(
        save_json(kubevirt(), tmp_path / "kv.json"), save_json(pod_metrics(), tmp_path / "metrics.json")
    )
    assert snapshot.vms.cpu_demand_mhz.tolist() == [3000, 500, 200]
    assert snapshot.vms.memory_consumed_mib.tolist() == [4096, 2048, 1024]
    assert snapshot.provenance.cpu_demand == "measured"


def test_kubevirt_needs_nodes_and_instances(tmp_path: Path) -> None:
    document = kubevirt()
    document["items"] = document["items"][:3]
    with pytest.raises(InputError, match="no object of the kind VirtualMachineInstance"):
        read(save_json(document, tmp_path / "nodes.json"))


# -- load histories

VIEW = """\ufeff"Name","Interval Breakdown","VM|CPU|Demand (MHz)|Avg","VM|Memory|Guest Active (KB)|Avg","Ready (%)"
"web","12:00 AM 7 September 2026","1,546.6","1,048,576","0.4"
"web","1:00 AM 7 September 2026","982","2,097,152","0.4"
"WEB-2","12:00 AM 7 September 2026","10","-","0"
"stranger","12:00 AM 7 September 2026","10","1024","0"
"""


def test_a_view_of_operations_joins_by_name(tmp_path: Path) -> None:
    convert(save(rvtools({"web": 1000, "web-2": 50, "quiet": 5}), tmp_path / "rv.xlsx"), tmp_path / "snap")
    (tmp_path / "snap" / "rules.toml").write_text("# mine\n")
    (tmp_path / "view.csv").write_text(VIEW, encoding="utf-8")
    with pytest.warns(InputWarning) as caught:
        reading = convert(tmp_path / "view.csv", tmp_path / "snap", into=True)
    said = " ".join(str(each.message) for each in caught)
    assert "are left out: stranger" in said and "are not in it: quiet" in said and "read as UTC" in said
    assert reading.unused == ("columns Ready (%)",)
    snapshot = read_folder(tmp_path / "snap")
    loads = snapshot.loads
    assert loads is not None
    assert [str(time) for time in loads.time] == ["2026-09-07T00:00:00", "2026-09-07T01:00:00"]
    assert loads.cpu_mhz[:, 0].tolist() == pytest.approx([1546.6, 982])
    assert loads.memory_active_mib[:, 0].tolist() == [1024, 2048]
    assert loads.cpu_mhz[0, 1] == 10 and np.isnan(loads.memory_active_mib[0, 1])
    assert snapshot.vms.cpu_demand_mhz.tolist() == [1000, 50, 5]  # measured before, and stays
    assert (tmp_path / "snap" / "rules.toml").read_text() == "# mine\n"


def test_a_history_is_the_demand_where_none_was_measured(tmp_path: Path) -> None:
    sheets = rvtools({"web": 1000, "web-2": 50})
    del sheets["vCPU"]
    convert(save(sheets, tmp_path / "rv.xlsx"), tmp_path / "snap")
    assert read_folder(tmp_path / "snap").provenance.cpu_demand == "estimated"
    (tmp_path / "view.csv").write_text(VIEW, encoding="utf-8")
    convert(tmp_path / "view.csv", tmp_path / "snap", into=True)
    snapshot = read_folder(tmp_path / "snap")
    assert snapshot.vms.cpu_demand_mhz.tolist() == pytest.approx([(1546.6 + 982) / 2, 10], rel=1e-6)
    assert snapshot.provenance.cpu_demand == "measured" and "mean" in snapshot.provenance.note


def test_a_view_with_its_inventory_at_once(tmp_path: Path) -> None:
    (tmp_path / "view.csv").write_text(VIEW, encoding="utf-8")
    snapshot = read(save(rvtools({"web": 10}), tmp_path / "rv.xlsx"), tmp_path / "view.csv")
    assert snapshot.loads is not None and len(snapshot.loads) == 2


def test_faults_of_a_view(tmp_path: Path) -> None:
    (tmp_path / "view.csv").write_text(
        "Name;Time;CPU Demand (GHz)\nweb;9/7/2026 1:00 PM;1,5\nweb;9/8/2026 1:00 PM;fast\ndb;9/8/2026 1:00 PM;-1\n"
    )
    with pytest.raises(InputError) as caught:
        read_source(tmp_path / "view.csv")
    faults = caught.value.faults
    assert [fault.where for fault in faults] == [f"view.csv, row {row}, column Time" for row in (2, 3, 4)]
    assert "days or months" in faults[0].hint
    text = (tmp_path / "view.csv").read_text().replace("9/8", "9/28")
    (tmp_path / "view.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        read_source(tmp_path / "view.csv")
    assert [fault.given for fault in caught.value.faults] == ["'fast'", "'-1'"]


def test_a_history_alone_is_no_snapshot(tmp_path: Path) -> None:
    (tmp_path / "view.csv").write_text(VIEW, encoding="utf-8")
    with pytest.raises(InputError, match="a load history alone"):
        convert(tmp_path / "view.csv", tmp_path / "out")
    with pytest.raises(InputError, match="no snapshot"):
        convert(tmp_path / "view.csv", tmp_path / "out", into=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("12:00 AM 7 September 2026", "2026-09-07T00:00:00"),
        ("Sep 7, 2026 12:30:05 PM", "2026-09-07T12:30:05"),
        ("2026-09-07T14:00:00+02:00", "2026-09-07T12:00:00"),
        ("17.9.2026 13:05", "2026-09-17T13:05:00"),
    ],
)
def test_times(text: str, iso: str) -> None:
    seconds = seconds_of(text, order_of([text]))
    assert seconds is not None and str(np.datetime64(seconds, "s")) == iso


def test_a_time_that_may_be_read_in_two_ways_is_none() -> None:
    assert seconds_of("9/7/2026 13:00", None) is None
    assert seconds_of("31 February 2026 13:00", None) is None


# -- several sources


def test_several_vcenters_side_by_side(tmp_path: Path) -> None:
    one = save(rvtools({"app": 100, "db": 10}, "vc-n", "n1"), tmp_path / "north.xlsx")
    two = save(rvtools({"app": 300}, "vc-s", "s1"), tmp_path / "south.xlsx")
    snapshot = read(one, two)
    assert snapshot.vms.name.tolist() == ["app (vc-n)", "db", "app (vc-s)"]
    assert snapshot.vms.cpu_demand_mhz.tolist() == [100, 10, 300]
    assert snapshot.hosts.name[snapshot.vms.host_idx].tolist() == ["n1", "n1", "s1"]
    assert snapshot.clusters.name.tolist() == ["Main (vc-n)", "Main (vc-s)"]
    assert snapshot.hosts.site.tolist() == ["DC (vc-n)", "DC (vc-n)", "DC (vc-s)", "DC (vc-s)"]
    assert snapshot.provenance.cpu_demand == "measured"


def test_sources_of_different_kinds_keep_their_rules(tmp_path: Path) -> None:
    rows = proxmox()
    for row in rows[2:4]:
        row["name"] = f"web-{row['vmid']}"
    save_json(rows, tmp_path / "pve.json")
    save_json(
        [
            {
                "rule": "apart",
                "type": "resource-affinity",
                "affinity": "negative",
                "resources": "vm:101,vm:102",
            }
        ],
        tmp_path / "rules.json",
    )
    workbook = save(rvtools({"web-101": 100}), tmp_path / "rv.xlsx")
    reading = read_source([workbook, tmp_path / "pve.json", tmp_path / "rules.json"])
    snapshot = reading.snapshot
    assert snapshot is not None
    assert reading.rules == (KeepApart(vms=("web-101 (Proxmox VE)", "web-102"), name="apart", policy="hard"),)
    assert set(snapshot.hosts.hypervisor) == {"esxi", "kvm"}
    # What only one of them says is not said of the other: no host of the workbook sees a storage.
    assert not snapshot.mounts[:2].any() and snapshot.mounts[2:].any()


def test_one_cluster_twice_is_a_series(tmp_path: Path) -> None:
    first = save(rvtools({"app": 100, "gone": 1}), tmp_path / "RVTools_2026-01-01_08.00.00.xlsx")
    second = save(rvtools({"app": 300}), tmp_path / "RVTools_2026-01-02_08.00.00.xlsx")
    with pytest.raises(InputError, match="option history") as caught:
        read(first, second)
    assert len(caught.value.faults) == 1
    with pytest.warns(InputWarning, match=r"RVTools_2026-01-02_08.00.00.xlsx is the newest of 2"):
        snapshot = read(second, first, history=True)
    assert snapshot.taken_at == "2026-01-02T08:00:00"
    assert snapshot.vms.name.tolist() == ["app"] and snapshot.vms.cpu_demand_mhz.tolist() == [300]
    assert snapshot.loads is not None
    assert [str(time) for time in snapshot.loads.time] == ["2026-01-01T08:00:00", "2026-01-02T08:00:00"]
    assert snapshot.loads.cpu_mhz[:, 0].tolist() == [100, 300]


def test_a_series_needs_times(tmp_path: Path) -> None:
    first, second = (save(rvtools({"app": 100}), tmp_path / f"{name}.xlsx") for name in "ab")
    with pytest.raises(InputError) as caught:
        read(first, second, history=True)
    assert [fault.where for fault in caught.value.faults] == ["a.xlsx", "b.xlsx"]
    assert "does not say when" in caught.value.given


def test_the_sheet_of_metadata_says_when(tmp_path: Path) -> None:
    sheets = rvtools({"app": 100})
    sheets["vMetaData"] = [
        ["RVTools version", "xlsx creation datetime", "Server"],
        ["4.7", "2026-03-04 05:06:07", "vc"],
    ]
    assert read(save(sheets, tmp_path / "x.xlsx")).taken_at == "2026-03-04T05:06:07"


def test_faults_of_several_sources_name_theirs(tmp_path: Path) -> None:
    paths = []
    for name in "ab":
        sheets = rvtools({"app": 100}, f"vc-{name}", name)
        sheets["vHost"][1][3] = "fast"
        paths.append(save(sheets, tmp_path / f"{name}.xlsx"))
    with pytest.raises(InputError) as caught:
        read(*paths)
    assert [fault.where.split(":")[0] for fault in caught.value.faults] == ["a.xlsx", "b.xlsx"]


# -- the workbook against itself


def disagreeing(tmp_path: Path) -> Path:
    sheets = rvtools({"a": 6000, "b": 9000})
    sheets["vHost"][0] += ["# VMs", "# vCPUs", "VM Used memory"]
    sheets["vHost"][1][6] = 50  # 10,000 MHz
    sheets["vHost"][1] += [4, 8, 3000]
    sheets["vHost"][2] += [0, 0, 0]
    sheets["vMemory"] = [
        ["VM", "Size MiB", "Active", "Consumed"],
        ["a", 4096, 100, 4000],
        ["b", 4096, 100, 2000],
    ]
    return save(sheets, tmp_path / "edited.xlsx")


def test_the_workbook_against_itself(tmp_path: Path) -> None:
    with pytest.warns(InputWarning) as caught:
        snapshot = read(disagreeing(tmp_path))
    said = " ".join(str(each.message) for each in caught)
    assert "esx-1 15,000 MHz against 10,000" in said and "esx-1 6,000 MiB against 3,000" in said
    assert "the export has 2 running VMs, its hosts count 4 (sheet vHost, column # VMs)" in said
    assert "the export has 4 vCPUs of running VMs, its hosts count 8" in said
    assert snapshot.vms.cpu_demand_mhz.tolist() == [6000, 9000]


def test_scaled_to_the_hosts(tmp_path: Path) -> None:
    snapshot = read(disagreeing(tmp_path), options=Options(scale_to_hosts=True))
    assert snapshot.vms.cpu_demand_mhz.tolist() == [4000, 6000]
    assert snapshot.vms.memory_consumed_mib.tolist() == [2000, 1000]
    assert (snapshot.provenance.cpu_demand, snapshot.provenance.memory_demand) == ("estimated", "estimated")
    assert "scaled" in snapshot.provenance.note


def test_half_a_percent_of_a_host_is_no_difference(tmp_path: Path) -> None:
    """vHost rounds to whole percents: 1 % of 20,000 MHz may be 250 MHz as well as 200."""
    sheets = rvtools({"a": 250})
    assert sheets["vHost"][1][6] == 1
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "the CPU usage of the VMs")
        convert(save(sheets, tmp_path / "x.xlsx"), tmp_path / "out")


# -- DRS rules of RVTools


def test_rules_from_the_columns_of_vinfo(tmp_path: Path) -> None:
    sheets = rvtools({"a": 1, "b": 1, "c": 1})
    sheets["vInfo"][0] += ["Cluster rule(s)", "Cluster rule name(s)"]
    sheets["vInfo"][1] += ["antiAffinity, affinity", "dbs apart, pair"]
    sheets["vInfo"][2] += ["antiAffinity", "dbs apart"]
    sheets["vInfo"][3] += ["affinity, vmHost", "pair, licence"]
    path = save(sheets, tmp_path / "x.xlsx")
    with pytest.warns(InputWarning, match="1 DRS rules are not read.*: licence"):
        reading = convert(path, tmp_path / "out")
    assert reading.rules == (
        KeepApart(vms=("a", "b"), name="dbs apart"),
        KeepTogether(vms=("a", "c"), name="pair"),
    )
    assert read_rules(tmp_path / "out") == reading.rules


def test_rules_that_are_there_stay(tmp_path: Path) -> None:
    sheets = rvtools({"a": 1, "b": 1})
    sheets["vInfo"][0] += ["Cluster rule(s)", "Cluster rule name(s)"]
    for row in sheets["vInfo"][1:]:
        row += ["antiAffinity", "apart"]
    path = save(sheets, tmp_path / "x.xlsx")
    convert(path, tmp_path / "out")
    written = (tmp_path / "out" / "rules.toml").read_text()
    convert(path, tmp_path / "out")  # the same again is no news
    assert not (tmp_path / "out" / "rules-read.toml").exists()
    (tmp_path / "out" / "rules.toml").write_text("# mine\n")
    with pytest.warns(InputWarning, match="is there and stays"):
        convert(path, tmp_path / "out")
    assert (tmp_path / "out" / "rules.toml").read_text() == "# mine\n"
    assert (tmp_path / "out" / "rules-read.toml").read_text() == written


def test_what_nobody_read_is_said(tmp_path: Path) -> None:
    sheets = rvtools({"a": 1})
    sheets["vTools"] = [["VM"], ["a"]]
    sheets["vInfo"][0].append("Annotation")
    unused = read_source(save(sheets, tmp_path / "x.xlsx")).unused
    assert "sheets vTools" in unused
    assert any(re.search("sheet vInfo: columns .*Annotation", line) for line in unused)


# -- the page and the help


def test_the_page_has_a_row_for_each_reader() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and line.count("|") == 4]
    expected = [f"| {reader.name} | {reader.give} | {reader.tried} |" for reader in READERS]
    assert [row for row in rows if row in expected] == expected
    for word, meaning in MEANING.items():
        assert f"| `{word}` | {meaning} |" in page


def test_the_help_lists_the_sources() -> None:
    shown = CliRunner().invoke(app, ["convert", "--help"], env={"COLUMNS": "400", "TERMINAL_WIDTH": "400"})
    assert shown.exit_code == 0
    plain = " ".join(shown.output.split())
    for reader in READERS:
        assert f"{reader.name}: " in plain and " ".join(reader.give.split()[:6]) in plain


def test_converting_says_what_it_did(tmp_path: Path) -> None:
    path = save(rvtools({"a": 100}), tmp_path / "x.xlsx")
    done = CliRunner().invoke(app, ["convert", str(path), str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert (
        "2 hosts, 1 VM → " in done.stderr
        and "measured CPU demand and configured memory demand" in done.stderr
    )


# -- what the answers rest on


def test_what_the_answers_rest_on_stands_in_every_face(tmp_path: Path) -> None:
    sheets = rvtools({"a": 4000, "b": 3000})
    del sheets["vCPU"]
    convert(save(sheets, tmp_path / "x.xlsx"), tmp_path / "snap")
    told = 'cpu_demand = "estimated"\nmemory_demand = "configured"\n'
    assert told in (tmp_path / "snap" / "snapshot.toml").read_text()
    sentence = "The answers rest on estimated CPU demand and configured memory demand"
    for command in (["check"], ["advise", "--iterations", "50", "--out", str(tmp_path / "plan")]):
        with warnings.catch_warnings():
            warnings.simplefilter("always", InputWarning)
            done = CliRunner().invoke(app, [command[0], str(tmp_path / "snap"), *command[1:]])
        assert done.exit_code == 0, done.output
        assert sentence in done.stderr and sentence in " ".join(done.stdout.split())
    assert sentence in (tmp_path / "plan" / "report.html").read_text()
    plan = json.loads((tmp_path / "plan" / "plan.json").read_text())
    assert plan["snapshot"]["provenance"]["cpu_demand"] == "estimated"
    after = read_folder(tmp_path / "plan" / "snapshot")
    assert after.provenance == read_folder(tmp_path / "snap").provenance
    done = CliRunner().invoke(app, ["check", str(tmp_path / "snap"), "--json"])
    assert json.loads(done.stdout)["snapshot"]["provenance"]["memory_demand"] == "configured"


def test_a_snapshot_without_figures_says_so_by_itself(tmp_path: Path) -> None:
    (tmp_path / "hosts.csv").write_text("host,cpu_mhz,memory_mib\nh,1000,1000\n")
    (tmp_path / "vms.csv").write_text("vm,host,memory_mib,cpu_demand_mhz\nv,h,10,0\n")
    rests_on = read_folder(tmp_path).rests_on
    assert (rests_on.cpu_demand, rests_on.memory_demand) == ("missing", "configured")
    assert "no figures of CPU demand (it counts as 0)" in rests_on.sentence()
    (tmp_path / "vms.csv").write_text("vm,host,memory_mib,cpu_demand_mhz\nv,h,10,5\n")
    assert read_folder(tmp_path).rests_on.cpu_demand is None


def test_a_wrong_origin_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "hosts.csv").write_text("host,cpu_mhz,memory_mib\nh,1000,1000\n")
    (tmp_path / "vms.csv").write_text("vm,host,memory_mib,cpu_demand_mhz\nv,h,10,0\n")
    (tmp_path / "snapshot.toml").write_text('[provenance]\ncpu_demand = "guessed"\nmemory = "measured"\n')
    with pytest.raises(InputError) as caught:
        read_folder(tmp_path)
    assert [fault.where for fault in caught.value.faults] == [
        "snapshot.toml, [provenance], field cpu_demand",
        "snapshot.toml, [provenance], field memory",
    ]


# -- time


def calls(n: int, folder: Path) -> int:
    """How many function calls it takes to read a workbook of so many VMs: the same on every machine."""
    sheets = rvtools({f"vm-{i}": 1.0 for i in range(n)})
    for row in sheets["vInfo"][1:]:
        row.append("connected")
    sheets["vInfo"][0].append("Connection state")
    sheets["vDisk"] = [["VM", "Disk", "Capacity MiB", "Path", "VM ID", "VI SDK Server"]]
    sheets["vDisk"] += [[f"vm-{i}", "d", 1024, "[ds] x", f"vm-{i}", "vc-1"] for i in range(n)]
    sheets["vDatastore"] = [["Name", "Capacity MiB", "Hosts"], ["ds", 10**9, "esx-1"]]
    sheets["vNetwork"] = [["VM", "Network"], *[[f"vm-{i}", f"net-{i % 9}"] for i in range(n)]]
    path = save(sheets, folder / f"{n}.xlsx")
    profile = cProfile.Profile()
    profile.enable()
    read(path)
    profile.disable()
    return sum(entry.callcount for entry in profile.getstats())


def test_time_is_linear_in_the_vms(tmp_path: Path) -> None:
    calls(10, tmp_path)  # imports
    few, many = calls(300, tmp_path), calls(1200, tmp_path)
    assert many < 4.4 * few


# -- spoiled JSON


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON document."""
    if path:
        yield path
    keys = (
        document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    )
    for key in keys:
        yield from places(document[key], (*path, key))


def spoiled(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    copied = copy.deepcopy(document)
    spot = copied
    for key in path[:-1]:
        spot = spot[key]
    spot[path[-1]] = value
    return copied


SPOILS: list[Any] = [None, "", [], {}, -1, "x", True, [[]]]


@pytest.mark.parametrize("kind", ["proxmox", "status", "kubevirt", "metrics"])
def test_whatever_stands_in_a_place_of_a_json_it_is_read_or_a_fault(kind: str, tmp_path: Path) -> None:
    whole = {
        "proxmox": proxmox(),
        "status": proxmox_status(),
        "kubevirt": kubevirt(),
        "metrics": pod_metrics(),
    }
    first = "proxmox" if kind in ("proxmox", "status") else "kubevirt"
    second = {"proxmox": "status", "kubevirt": "metrics"}[first]
    read_at_all = 0
    for number, path in enumerate(places(whole[kind])):
        value = SPOILS[number % len(SPOILS)]  # each place one of them, each of them in many places
        documents = {**whole, kind: spoiled(whole[kind], path, value)}
        files = [
            save_json(documents[first], tmp_path / "a.json"),
            save_json(documents[second], tmp_path / "n1.json"),
        ]
        try:
            read_at_all += read_source(files).snapshot is not None
        except InputError as error:
            assert error.faults
    assert read_at_all > 0
