"""RVTools exports as people have them: merged, as CSV, with the database's headers, with gaps."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from drs.errors import InputError
from drs.io import InputWarning, convert, read_folder, read_rvtools
from drs.io.readers.identity import distinct_names
from drs.io.readers.numbers import decimal_mark, parse_number

pytestmark = pytest.mark.filterwarnings("ignore::drs.io.InputWarning")

Rows = list[list[Any]]
HOST = ["Host", "Datacenter", "Cluster", "Speed", "# Cores", "# Memory", "CPU usage %", "VI SDK Server"]
INFO = ["VM", "Powerstate", "CPUs", "Memory", "Host", "VM ID", "Connection state", "VI SDK Server"]
CPU = ["VM", "CPUs", "Overall", "VM ID", "VI SDK Server"]


def two_vcenters() -> dict[str, Rows]:
    return {
        "vHost": [
            HOST,
            ["north-1.lab", "DC", "Main", 2000, 10, 65536, 50, "vc-n"],
            ["south-1.lab", "DC", "Main", 2000, 10, 65536, 10, "vc-s"],
        ],
        "vInfo": [
            INFO,
            ["app", "poweredOn", 2, 4096, "north-1.lab", "vm-7", "connected", "vc-n"],
            ["app", "poweredOn", 4, 8192, "south-1.lab", "vm-7", "connected", "vc-s"],
            ["db", "poweredOn", 8, 8192, "north-1.lab", "vm-8", "connected", "vc-n"],
        ],
        "vCPU": [
            CPU,
            ["app", 4, 300, "vm-7", "vc-s"],
            ["db", 8, 900, "vm-8", "vc-n"],
            ["app", 2, 100, "vm-7", "vc-n"],
        ],
    }


def save(sheets: dict[str, Rows], path: Path) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_equal_ids_and_names_of_two_vcenters_stay_apart(tmp_path: Path) -> None:
    with pytest.warns(InputWarning, match="1 names of VMs stand there more than once: app"):
        snapshot = read_rvtools(save(two_vcenters(), tmp_path / "merged.xlsx"))
    assert snapshot.vms.name.tolist() == ["app (vc-n)", "app (vc-s)", "db"]
    assert snapshot.vms.cpu_demand_mhz.tolist() == [100, 300, 900]
    assert snapshot.clusters.name.tolist() == ["vc-n/Main", "vc-s/Main"]
    assert snapshot.hosts.site.tolist() == ["vc-n/DC", "vc-s/DC"]


def test_a_distributed_switch_is_found_by_the_switch(tmp_path: Path) -> None:
    sheets = two_vcenters()
    sheets["dvSwitch"] = [["Switch", "Name", "Host members"], ["fabric", "DVS", "north-1.lab, south-1.lab"]]
    sheets["dvPort"] = [["Port", "Switch"], ["web-net", "fabric"]]
    sheets["vNetwork"] = [
        ["VM", "Network", "Switch", "Connected"],
        ["db", "web-net", "fabric", "True"],
        ["db", "Not connected", None, "False"],
    ]
    with pytest.warns(InputWarning, match="1 network adapters are connected to no network"):
        snapshot = read_rvtools(save(sheets, tmp_path / "net.xlsx"))
    assert snapshot.networks.tolist() == ["web-net"]
    assert len(snapshot.nic_vm_idx) == 1
    assert snapshot.portgroups.tolist() == [[True], [True]]


@pytest.mark.parametrize("sign", [",", ";"])
@pytest.mark.parametrize("zipped", [False, True])
def test_csv_for_each_tab(sign: str, zipped: bool, tmp_path: Path) -> None:
    texts = {}
    for name, rows in two_vcenters().items():
        text = io.StringIO()
        csv.writer(text, delimiter=sign).writerows(rows)
        texts[f"RVTools_tab{name}.csv"] = ("\ufeff" + text.getvalue()).encode()
    path = tmp_path / ("tabs.zip" if zipped else "tabs")
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in texts.items():
                archive.writestr(name, data)
    else:
        path.mkdir()
        for name, data in texts.items():
            (path / name).write_bytes(data)
    with pytest.warns(InputWarning):
        convert(path, tmp_path / "out")
    assert read_folder(tmp_path / "out").vms.cpu_demand_mhz.tolist() == [100, 300, 900]


def test_a_running_vm_on_an_unknown_host_is_a_fault_or_left_out(tmp_path: Path) -> None:
    sheets = two_vcenters()
    sheets["vInfo"][3][4] = "masked"
    path = save(sheets, tmp_path / "masked.xlsx")
    with pytest.warns(InputWarning), pytest.raises(InputError, match="1 of 3 running VMs are on hosts"):
        read_rvtools(path)
    with pytest.warns(InputWarning, match="1 of 3 running VMs are left out"):
        snapshot = read_rvtools(path, without_unknown_hosts=True)
    assert "db" not in snapshot.vms.name.tolist()
    assert snapshot.description.startswith("1 of 3 running VMs are left out")


def test_a_short_name_is_the_long_one(tmp_path: Path) -> None:
    sheets = two_vcenters()
    sheets["vInfo"][3][4] = "NORTH-1"
    with pytest.warns(InputWarning):
        snapshot = read_rvtools(save(sheets, tmp_path / "short.xlsx"))
    assert snapshot.vms.host_idx.tolist() == [0, 1, 0]


def test_without_figures_the_load_of_a_host_is_spread_over_its_vcpus(tmp_path: Path) -> None:
    sheets = two_vcenters()
    del sheets["vCPU"]
    with pytest.warns(InputWarning, match="the CPU demand of the VMs is estimated"):
        snapshot = read_rvtools(save(sheets, tmp_path / "trimmed.xlsx"))
    assert snapshot.vms.cpu_demand_mhz.tolist() == pytest.approx([2000, 2000, 8000])
    assert snapshot.provenance.cpu_demand == "estimated"
    assert (
        snapshot.provenance.note == "the CPU usage of each host is spread over its running VMs by their vCPUs"
    )


def test_an_orphan_and_a_giant_that_is_off_are_named_and_left_out(tmp_path: Path) -> None:
    sheets = two_vcenters()
    sheets["vInfo"].append(["ghost", "poweredOn", 1, 1024, "north-1.lab", "vm-9", "orphaned", "vc-n"])
    sheets["vInfo"].append(["giant", "poweredOff", 1, 2**20, "north-1.lab", "vm-10", "connected", "vc-n"])
    with pytest.warns(InputWarning) as caught:
        snapshot = read_rvtools(save(sheets, tmp_path / "odd.xlsx"))
    said = " ".join(str(one.message) for one in caught)
    assert "are left out: ghost" in said and "are left out: giant" in said
    assert snapshot.n_vms == 3


def test_a_number_that_may_be_read_in_two_ways_is_a_fault_unless_another_proves_it(tmp_path: Path) -> None:
    sheets = two_vcenters()
    sheets["vCPU"][1][2] = "1.234"
    with (
        pytest.warns(InputWarning),
        pytest.raises(InputError, match=r"row 2, column Overall: '1\.234', text"),
    ):
        read_rvtools(save(sheets, tmp_path / "unclear.xlsx"))
    sheets["vCPU"][2][2] = "900,5"
    with pytest.warns(InputWarning):
        snapshot = read_rvtools(save(sheets, tmp_path / "clear.xlsx"))
    assert snapshot.vms.cpu_demand_mhz.tolist() == [100, 1234, 900.5]


def test_a_difference_between_vms_and_host_is_said(tmp_path: Path) -> None:
    with pytest.warns(
        InputWarning, match=r"differ by more than 10 % on 2 of 2 hosts: north-1\.lab 1,000 MHz"
    ):
        read_rvtools(save(two_vcenters(), tmp_path / "sums.xlsx"))


def test_a_password_is_named(tmp_path: Path) -> None:
    path = tmp_path / "locked.xlsx"
    path.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(512))
    with pytest.raises(InputError, match="a workbook with a password"):
        read_rvtools(path)


def test_marks_and_names() -> None:
    assert decimal_mark("12.345,6") == "," and decimal_mark("12,345.6") == "."
    assert parse_number("1 234,5", None) == 1234.5
    assert distinct_names({1: "a", 2: "a"}, {1: "x", 2: "x"}, {1: "7", 2: "8"}) == {1: "a (7)", 2: "a (8)"}
