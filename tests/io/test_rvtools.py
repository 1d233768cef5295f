"""RVTools workbooks: what is taken from where, and faults by sheet, row and column."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from drs.errors import InputError
from drs.io import InputWarning, Options, convert, read_folder, read_rvtools, read_source

Book = dict[str, list[list[Any]]]

BOOK: Book = {
    "vInfo": [
        [
            "VM",
            "Powerstate",
            "Template",
            "SRM Placeholder",
            "CPUs",
            "Memory",
            "In Use MiB",
            "min Required EVC Mode Key",
            "Path",
            "Datacenter",
            "Cluster",
            "Host",
            "VM ID",
        ],
        [
            "web-01",
            "poweredOn",
            "False",
            "False",
            2,
            4096,
            51200,
            "intel-haswell",
            "[ds 1] web-01/web-01.vmx",
            "DC1",
            "prod",
            "esx-01",
            "vm-11",
        ],
        [
            "web-02",
            "poweredOff",
            False,
            False,
            4,
            8192,
            1024,
            None,
            "[ds 2] web-02/web-02.vmx",
            "DC1",
            "prod",
            "esx-02",
            "vm-12",
        ],
        [
            "gold",
            "poweredOff",
            "True",
            "False",
            1,
            1024,
            0,
            None,
            "[ds 1] gold/gold.vmtx",
            "DC1",
            "prod",
            "esx-01",
            "vm-13",
        ],
    ],
    "vCPU": [
        ["VM", "CPUs", "Overall", "Shares", "Reservation", "Limit", "VM ID"],
        ["web-02", 4, 0, 4000, 0, -1, "vm-12"],
        ["web-01", 2, 730, 2000, 100, 3000, "vm-11"],
    ],
    "vMemory": [
        ["VM", "Size MiB", "Active", "Consumed", "Shares", "Reservation", "Limit", "VM ID"],
        ["web-01", 4096, 900, 3900, 40960, 0, -1, "vm-11"],
        ["web-02", 8192, 0, 0, 81920, 0, -1, "vm-12"],
    ],
    "vDisk": [
        ["VM", "Disk", "Capacity MiB", "Path", "VM ID"],
        ["web-01", "Hard disk 1", 81920, "[ds 1] web-01/web-01.vmdk", "vm-11"],
        ["web-01", "Hard disk 2", 20480, "[ds 2] web-01/web-01_1.vmdk", "vm-11"],
        ["web-02", "Hard disk 1", 40960, None, "vm-12"],
        ["gold", "Hard disk 1", 40960, None, "vm-13"],
    ],
    "vNetwork": [
        ["VM", "NIC label", "Network", "Connected", "VM ID"],
        ["web-01", "Network adapter 1", "app", "True", "vm-11"],
        ["web-01", "Network adapter 2", "app", "True", "vm-11"],
        ["web-02", "Network adapter 1", "backup", "True", "vm-12"],
    ],
    "vHost": [
        [
            "Host",
            "Datacenter",
            "Cluster",
            "in Maintenance Mode",
            "in Quarantine Mode",
            "CPU Model",
            "Speed",
            "# CPU",
            "# Cores",
            "# Memory",
            "Current EVC",
            "Max EVC",
            "VI SDK Server",
        ],
        [
            "esx-01",
            "DC1",
            "prod",
            "False",
            "False",
            "Intel(R) Xeon(R) Gold 6138",
            2000,
            2,
            20,
            262144,
            'Intel® "Haswell" Generation',
            "intel-skylake",
            "vc01",
        ],
        [
            "esx-02",
            "DC1",
            "prod",
            "True",
            "False",
            "Intel(R) Xeon(R) Gold 6138",
            2000,
            2,
            20,
            262144,
            'Intel® "Haswell" Generation',
            "intel-skylake",
            "vc01",
        ],
        [
            "lonely",
            "DC1",
            None,
            "False",
            "True",
            "AMD EPYC 7302",
            3000,
            1,
            16,
            131072,
            None,
            "amd-zen2",
            "vc01",
        ],
    ],
    "vCluster": [
        [
            "Name",
            "HA enabled",
            "Failover Level",
            "DRS enabled",
            "DRS default VM behavior",
            "DRS vmotion rate",
        ],
        ["prod", "True", 1, "True", "partiallyAutomated", 2],
    ],
    "vDatastore": [
        ["Name", "Accessible", "Capacity MiB", "Free MiB", "# Hosts", "Hosts", "Cluster name"],
        ["ds 1", "True", 1048576, 524288, 2, "esx-01, esx-02", "pod"],
        ["ds 2", "True", 512000, 102400, 1, "esx-02", None],
    ],
    "vNIC": [["Host", "Network Device", "Speed"], ["esx-01", "vmnic0", 1000], ["esx-01", "vmnic1", 25000]],
    "vPort": [["Host", "Port Group", "Switch"], ["esx-01", "app", "vSwitch0"], ["esx-02", "app", "vSwitch0"]],
    "dvSwitch": [["Switch", "Name", "Host members"], ["dvs", "dvs", "esx-02"]],
    "dvPort": [["Port", "Switch", "VLAN"], ["backup", "dvs", 7]],
}


def save(book: Book, path: Path) -> Path:
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for name, rows in book.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(row)
    workbook.save(path)
    return path


def cell(sheet: str, row: int, column: str, value: Any) -> Callable[[Book], None]:
    """Change one cell; `row` as the spreadsheet counts."""

    def change(book: Book) -> None:
        book[sheet][row - 1][book[sheet][0].index(column)] = value

    return change


def rename(sheet: str, column: str, value: Any) -> Callable[[Book], None]:
    return cell(sheet, 1, column, value)


def drop(sheet: str) -> Callable[[Book], None]:
    return lambda book: book.pop(sheet) and None


def test_what_is_taken_from_where(tmp_path: Path) -> None:
    with pytest.warns(InputWarning, match="1 templates and SRM placeholders are left out"):
        found = read_rvtools(save(BOOK, tmp_path / "export.xlsx"))
    hosts, vms, clusters = found.hosts, found.vms, found.clusters
    assert found.name == "export"
    assert hosts.name.tolist() == ["esx-01", "esx-02", "lonely"]
    assert hosts.cpu_mhz.tolist() == [40000, 40000, 48000] and hosts.memory_mib[0] == 262144
    assert hosts.state.tolist() == ["connected", "maintenance", "quarantine"]
    assert hosts.cpu_vendor.tolist() == ["intel", "intel", "amd"]
    assert hosts.evc_max.tolist() == ["intel-skylake", "intel-skylake", "amd-zen2"]
    assert hosts.vmotion_mbps.tolist() == [25000, 10000, 10000]
    assert set(hosts.site) == {"DC1"} and set(hosts.vcenter) == {"vc01"}
    assert clusters.name.tolist() == ["prod", "lonely"]
    assert clusters.evc_mode.tolist() == ["intel-haswell", ""]
    assert clusters.automation.tolist() == ["partial", "full"]
    assert clusters.ha_failover_hosts.tolist() == [1, 0]
    assert clusters.migration_threshold.tolist() == [4, 3]  # the API's 2 is the 4 that vCenter shows
    assert vms.name.tolist() == ["web-01", "web-02"]
    assert vms.host_idx.tolist() == [0, 1] and vms.power.tolist() == ["on", "off"]
    assert vms.cpu_demand_mhz.tolist() == [730, 0] and vms.vcpus.tolist() == [2, 4]
    assert vms.cpu_limit_mhz.tolist() == [3000, float("inf")] and vms.cpu_reservation_mhz.tolist() == [100, 0]
    assert vms.memory_active_mib.tolist() == [900, 0] and vms.memory_consumed_mib.tolist() == [3900, 0]
    assert vms.evc_mode.tolist() == ["intel-haswell", ""]
    disks = found.disks
    assert disks.vm_idx.tolist() == [0, 0, 1] and disks.datastore_idx.tolist() == [0, 1, 1]
    assert disks.size_gib.tolist() == [80, 20, 40] and disks.used_gib.tolist() == [40, 10, 1]
    assert found.datastores.capacity_gib.tolist() == [1024, 500] and found.datastores.free_gib.tolist() == [
        512,
        100,
    ]
    assert found.mounts.tolist() == [[True, False], [True, True], [False, False]]
    assert found.networks.tolist() == ["app", "backup"]
    assert found.portgroups.tolist() == [[True, False], [True, True], [False, False]]
    assert list(zip(found.nic_vm_idx.tolist(), found.nic_network_idx.tolist(), strict=True)) == [
        (0, 0),
        (1, 1),
    ]


@pytest.mark.filterwarnings("ignore::drs.io.InputWarning")
def test_labels_of_other_versions(tmp_path: Path) -> None:
    """MB for MiB up to version 4.0; `vInfoVMName` for `VM` from the command line of older ones."""
    book = copy.deepcopy(BOOK)
    for rows in book.values():
        rows[0] = [label.replace("MiB", "MB") if label else label for label in rows[0]]
    book["vInfo"][0] = [f"vInfo{'VMName' if label == 'VM' else label}" for label in book["vInfo"][0]]
    old = {f"RVTools_tab{name}": rows for name, rows in book.items()}
    new = read_rvtools(save(BOOK, tmp_path / "new.xlsx"))
    assert read_rvtools(save(old, tmp_path / "old.xlsx")).digest == new.digest
    shorter = {f"tab{name}": rows for name, rows in book.items()}
    assert read_rvtools(save(shorter, tmp_path / "short.xlsx")).digest == new.digest


@pytest.mark.filterwarnings("ignore::drs.io.InputWarning")
def test_names_that_two_vms_have(tmp_path: Path) -> None:
    book = copy.deepcopy(BOOK)
    for name in ("vInfo", "vCPU", "vMemory", "vDisk", "vNetwork"):
        for row in book[name][1:]:
            row[0] = row[0].replace("web-02", "web-01")
    found = read_rvtools(save(book, tmp_path / "export.xlsx"))
    assert found.vms.name.tolist() == ["web-01 (vm-11)", "web-01 (vm-12)"]
    assert found.vms.cpu_demand_mhz.tolist() == [730, 0] and found.disks.vm_idx.tolist() == [0, 0, 1]


@pytest.mark.filterwarnings("ignore::drs.io.InputWarning")
def test_clusters_of_one_name_in_two_datacenters(tmp_path: Path) -> None:
    book = copy.deepcopy(BOOK)
    cell("vHost", 4, "Cluster", "prod")(book)
    cell("vHost", 4, "Datacenter", "DC2")(book)
    found = read_rvtools(save(book, tmp_path / "export.xlsx"))
    assert found.clusters.name.tolist() == ["DC1/prod", "DC2/prod"]
    assert found.clusters.migration_threshold.tolist() == [4, 4]
    assert found.clusters.evc_mode.tolist() == ["intel-haswell", ""]


@pytest.mark.filterwarnings("ignore::drs.io.InputWarning")
def test_drs_and_ha_switched_off(tmp_path: Path) -> None:
    book = copy.deepcopy(BOOK)
    cell("vCluster", 2, "DRS enabled", "False")(book)
    cell("vCluster", 2, "HA enabled", "False")(book)
    found = read_rvtools(save(book, tmp_path / "export.xlsx"))
    assert found.clusters.automation[0] == "manual" and found.clusters.ha_failover_hosts[0] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            cell("vInfo", 3, "Host", "esx-99"),
            "sheet vInfo, row 3, column Host: 1 VMs are on hosts that the sheet vHost does not have, "
            "such as esx-99",
        ),
        (drop("vDatastore"), "there is no sheet vDatastore: disks and datastores are left out"),
        (drop("vCPU"), "there is no sheet vCPU with a column Overall"),
        (
            cell("vInfo", 3, "Path", None),
            "sheet vDisk, row 4, column Path: 1 disks without a datastore are left out",
        ),
    ],
)
def test_what_is_left_out_is_said(change: Callable[[Book], None], message: str, tmp_path: Path) -> None:
    book = copy.deepcopy(BOOK)
    change(book)
    with pytest.warns(InputWarning) as caught:
        assert read_rvtools(save(book, tmp_path / "export.xlsx")).n_vms == 2
    assert any(str(one.message).startswith(message) for one in caught)


BAD: dict[str, tuple[Callable[[Book], None], str, str, str, str]] = {
    "no vHost": (
        drop("vHost"),
        "export.xlsx",
        "there is no sheet vHost",
        "an export of RVTools with vInfo and vHost",
        "",
    ),
    "no memory": (
        rename("vHost", "# Memory", "Mem"),
        "export.xlsx: sheet vHost, header",
        "the required column # Memory is missing",
        "the columns Host, Speed, # Cores, # Memory",
        "",
    ),
    "no power state": (
        rename("vInfo", "Powerstate", "Powerstat"),
        "export.xlsx: sheet vInfo, header",
        "the required column Powerstate is missing",
        "the columns VM, Powerstate, Host",
        "did you mean Powerstat?",
    ),
    "no speed": (
        cell("vHost", 2, "Speed", None),
        "sheet vHost, row 2 (esx-01), column Speed",
        "an empty cell",
        "a number above 0, in MHz",
        "",
    ),
    "speed with unit": (
        cell("vHost", 2, "Speed", "2.0 GHz"),
        "sheet vHost, row 2 (esx-01), column Speed",
        "'2.0 GHz'",
        "a number above 0, in MHz",
        "the number alone: the unit is the one of the column",
    ),
    "no cores": (
        cell("vHost", 3, "# Cores", None),
        "sheet vHost, row 3, column # Cores",
        "an empty cell",
        "a number above 0",
        "",
    ),
    "text for cores": (
        cell("vHost", 2, "# Cores", "many"),
        "sheet vHost, row 2 (esx-01), column # Cores",
        "'many'",
        "a number above 0",
        "",
    ),
    "text for a capacity": (
        cell("vDatastore", 2, "Capacity MiB", "1 TB"),
        "sheet vDatastore, row 2 (ds 1), column Capacity MiB",
        "'1 TB'",
        "a number above 0",
        "the number alone: the unit is the one of the column",
    ),
    "negative memory": (
        cell("vHost", 3, "# Memory", -1),
        "sheet vHost, row 3 (esx-02), column # Memory",
        "-1.0",
        "a number above 0, in MiB",
        "",
    ),
    "host twice": (
        cell("vHost", 3, "Host", "esx-01"),
        "sheet vHost, row 3 (esx-01), column Host",
        "a duplicate host: 'esx-01'",
        "each host once",
        "it stood in row 2 before",
    ),
    "unknown EVC": (
        cell("vHost", 2, "Max EVC", "intel-skylakes"),
        "sheet vHost, row 2 (esx-01), column Max EVC",
        "unknown EVC baseline 'intel-skylakes'",
        "the key of an EVC baseline such as intel-broadwell",
        "did you mean intel-skylake?",
    ),
    "unknown power state": (
        cell("vInfo", 2, "Powerstate", "asleep"),
        "sheet vInfo, row 2 (web-01), column Powerstate",
        "'asleep'",
        "one of on, off",
        "",
    ),
    "VM too large": (
        cell("vMemory", 2, "Size MiB", 999999),
        "sheet vMemory, row 2 (web-01), column Size MiB",
        "999999, more than every host has",
        "at most 262144, the memory for VMs of the largest host esx-01",
        "",
    ),
    "text for memory": (
        cell("vMemory", 3, "Consumed", "n/a"),
        "sheet vMemory, row 3 (web-02), column Consumed",
        "'n/a'",
        "a number of 0 or more, in MiB",
        "leave the cell empty when it is not known",
    ),
    "negative demand": (
        cell("vCPU", 3, "Overall", -5),
        "sheet vCPU, row 3 (web-01), column Overall",
        "-5.0",
        "a number of 0 or more, in MHz",
        "",
    ),
    "reservation above limit": (
        cell("vCPU", 3, "Reservation", 5000),
        "sheet vCPU, row 3 (web-01), column Reservation",
        "5000",
        "at most its cpu_limit_mhz of 3000",
        "",
    ),
    "unknown VM": (
        lambda book: book["vDisk"].append(["web-0l1", "Hard disk 1", 1, None, "vm-99"]),
        "sheet vDisk, row 6, column VM",
        "unknown VM 'web-0l1'",
        "a VM of the sheet vInfo",
        "did you mean web-01?",
    ),
    "unknown datastore": (
        cell("vDisk", 2, "Path", "[ds1] x.vmdk"),
        "sheet vDisk, row 2 (web-01/Hard disk 1), column Path",
        "unknown datastore 'ds1'",
        "a datastore of the table datastores",
        "did you mean ds 1?",
    ),
    "free above capacity": (
        cell("vDatastore", 3, "Free MiB", 614400),
        "sheet vDatastore, row 3 (ds 2), column Free MiB",
        "600",
        "at most its capacity_gib of 500",
        "",
    ),
    "rate out of range": (
        cell("vCluster", 2, "DRS vmotion rate", 9),
        "sheet vCluster, row 2 (prod), column DRS vmotion rate",
        "-3.0",
        "a whole number from 1 to 5",
        "",
    ),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.filterwarnings("ignore::drs.io.InputWarning")
def test_faults_name_sheet_row_and_column(case: str, tmp_path: Path) -> None:
    change, where, given, expected, hint = BAD[case]
    book = copy.deepcopy(BOOK)
    change(book)
    with pytest.raises(InputError) as caught:
        convert(save(book, tmp_path / "export.xlsx"), tmp_path / "out")
    faults = caught.value.faults
    assert len(faults) == 1, caught.value
    assert (faults[0].where, faults[0].given, faults[0].expected, faults[0].hint) == (
        where,
        given,
        expected,
        hint,
    )
    assert [path.name for path in tmp_path.iterdir()] == ["export.xlsx"]


@pytest.mark.filterwarnings("ignore::drs.io.InputWarning")
def test_convert_writes_what_it_read(tmp_path: Path) -> None:
    snapshot = convert(save(BOOK, tmp_path / "export.xlsx"), tmp_path / "out", format="parquet").snapshot
    assert snapshot is not None
    assert read_folder(tmp_path / "out").digest == snapshot.digest
    again = convert(tmp_path / "out", tmp_path / "csv").snapshot
    assert again is not None and again.digest == snapshot.digest
    assert (tmp_path / "csv" / "vms.csv").exists()


@pytest.mark.parametrize(
    ("name", "content", "given", "hint"),
    [
        ("a.xlsx", None, "no such file", ""),
        ("a.xlsx", b"no workbook", "no readable workbook", ""),
        ("a.xlsx", b"PK\x05\x06" + bytes(18), "no readable workbook", ""),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a workbook of the old kind .xls", "save it as .xlsx"),
        ("a.pdf", b"%PDF", "a file of an unknown kind", ""),
        ("a.ova", None, "no such file or folder", ""),
    ],
)
def test_sources_that_are_none(
    name: str, content: bytes | None, given: str, hint: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        convert(tmp_path / name, tmp_path / "out")
    assert caught.value.given.startswith(given) and caught.value.hint == hint
    assert not (tmp_path / "out").exists()


def test_a_table_for_its_folder(tmp_path: Path) -> None:
    (tmp_path / "vms.csv").touch()
    (tmp_path / "hosts.csv").touch()
    with pytest.raises(InputError, match="a snapshot is a folder: did you mean"):
        read_source(tmp_path / "vms.csv")


def test_the_target_is_looked_at_first(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").touch()
    with pytest.raises(InputError, match="a folder that holds something else"):
        convert(tmp_path / "no such source", tmp_path / "out")


@pytest.mark.filterwarnings("ignore::drs.io.InputWarning")
def test_a_sheet_that_declares_a_million_rows(tmp_path: Path) -> None:
    workbook = openpyxl.load_workbook(save(BOOK, tmp_path / "export.xlsx"))
    for sheet in workbook.worksheets:
        sheet.cell(1_048_575, 1).value = " "
    workbook.save(tmp_path / "long.xlsx")
    start = time.perf_counter()
    assert read_rvtools(tmp_path / "long.xlsx").n_vms == 2
    assert time.perf_counter() - start < 5


def test_real_workbooks(bench_data: Path, tmp_path: Path) -> None:
    folder = bench_data / "data" / "rvtools"
    if not folder.is_dir():
        pytest.skip("no workbooks in the benchmark data")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        book = folder / "kubev2v_example1.xlsx"
        with pytest.raises(
            InputError, match="2 of 3 running VMs are on hosts that the sheet vHost does not have"
        ):
            convert(book, tmp_path / "refused")
        snapshot = convert(book, tmp_path / "out", options=Options(without_unknown_hosts=True)).snapshot
    assert snapshot is not None
    assert (snapshot.n_hosts, snapshot.n_vms) == (7, 7)  # the other two are those that were named
    with pytest.raises(InputError, match="sheet vHost, header: the required column # Memory is missing"):
        read_rvtools(folder / "mjvincent_rvtools-small-complete.xlsx")


@pytest.mark.filterwarnings("ignore::drs.io.InputWarning")
def test_resource_pools_by_their_path(tmp_path: Path) -> None:
    book = copy.deepcopy(BOOK)
    top = "/DC1/prod/Resources"
    labels = ["CPU reservation", "CPU limit", "CPU shares", "CPU expandableReservation"]
    memory = [label.replace("CPU", "Mem") for label in labels]
    book["vRP"] = [
        ["Resource Pool name", "Resource Pool path", *labels, *memory],
        ["Resources", top, 70000, 70000, 4000, "True", 9, 9, 163840, "True"],
        ["gold", f"{top}/gold", 2000, -1, 8000, "False", 0, 65536, 327680, "True"],
        ["web", f"{top}/gold/web", 500, 4000, 4000, "True", 0, -1, 163840, "True"],
        ["odd", "/DC1/host/elsewhere/Resources/odd", 1, 1, 1, "True", 1, 1, 1, "True"],
    ]
    book["vInfo"][0].append("Resource pool")
    for row, path in zip(book["vInfo"][1:], (f"{top}/gold/web", top, None), strict=True):
        row.append(path)
    found = read_rvtools(save(book, tmp_path / "export.xlsx"))
    pools = found.pools
    assert pools.name.tolist() == ["gold", "web"] and pools.parent_idx.tolist() == [-1, 0]
    assert found.clusters.name[pools.cluster_idx].tolist() == ["prod", "prod"]
    assert pools.cpu_reservation_mhz.tolist() == [2000, 500]
    assert pools.cpu_limit_mhz.tolist() == [float("inf"), 4000] and pools.cpu_shares.tolist() == [8000, 4000]
    assert pools.cpu_expandable.tolist() == ["no", "yes"]
    assert pools.memory_limit_mib.tolist() == [65536, float("inf")]
    assert found.vms.pool_idx.tolist() == [1, -1]
    again = copy.deepcopy(book)
    again["vRP"][2][2] = 100  # the pool `web` reserves 500 of it
    with pytest.raises(
        InputError, match=r"sheet vRP, row 3 \(gold\), column CPU reservation: 100, less than"
    ):
        read_rvtools(save(again, tmp_path / "less.xlsx"))
