"""Malformed snapshots: each has its one clear message, with file, row, field, expectation and near miss."""

from __future__ import annotations

from pathlib import Path

import pytest
from io_cases import GOOD, spoil, write

from drs.errors import InputError
from drs.io import convert, read_folder

NUMBER0 = "a number of 0 or more"

# Without the tables that name the VMs of the good input.
ALONE: dict[str, str | bytes | None] = {"disks_csv": None, "nics_csv": None, "loads_csv": None}

# name: (file changes, where, given, expected, hint)
BAD: dict[str, tuple[dict[str, str | bytes | None], str, str, str, str]] = {
    # -- files
    "empty file": (
        {"disks_csv": ""},
        "disks.csv",
        "an empty file",
        "a header row with the columns of disks",
        "",
    ),
    "blank file": (
        {"vms_csv": "\n\n \n"},
        "vms.csv",
        "an empty file",
        "a header row with the columns of vms",
        "",
    ),
    "header only, vms": (
        {"vms_csv": "vm,host,memory_mib,cpu_demand_mhz\n"},
        "vms.csv",
        "a header and no rows",
        "at least one vm",
        "",
    ),
    "header only, no line end": (
        {"hosts_csv": "host,cpu_mhz,memory_mib,gpu_slots_capacity"},
        "hosts.csv",
        "a header and no rows",
        "at least one host",
        "",
    ),
    "latin-1": (
        {"vms_csv": GOOD["vms.csv"].replace("web-02", "wéb-02").encode("latin-1")},
        "vms.csv, line 3",
        "the byte 0xe9 is not UTF-8",
        "CSV in UTF-8",
        "save it as “CSV UTF-8”",
    ),
    "utf-16": (
        {"vms_csv": GOOD["vms.csv"].encode("utf-16")},
        "vms.csv",
        "text in UTF-16",
        "CSV in UTF-8",
        "save it as “CSV UTF-8”",
    ),
    "NUL": (
        {"vms_csv": GOOD["vms.csv"].replace("web-03", "web\0-03")},
        "vms.csv, line 4",
        "a NUL character",
        "CSV in UTF-8",
        "is it another kind of file?",
    ),
    "xlsx renamed": (
        {"vms_csv": b"PK\x03\x04\x14\x00\x06\x00"},
        "vms.csv, line 1",
        "a NUL character",
        "CSV in UTF-8",
        "is it another kind of file?",
    ),
    "semicolons": (
        {"hosts_csv": GOOD["hosts.csv"].replace(",", ";")},
        "hosts.csv, header",
        "columns that are separated by semicolons",
        "columns separated by commas",
        "save it with commas between the columns and points in the numbers",
    ),
    "tabs": (
        {"disks_csv": GOOD["disks.csv"].replace(",", "\t")},
        "disks.csv, header",
        "columns that are separated by tabs",
        "columns separated by commas",
        "save it with commas between the columns and points in the numbers",
    ),
    "row too long": (
        spoil("vms.csv", "web-02,esx-02,", "web-02,esx-02,oops,"),
        "vms.csv, row 2",
        "13 cells: 'web-02,esx-02,oops,4096,700,2,,,,,,on,'",
        "12 cells as in the header",
        "a name with a comma needs quotation marks",
    ),
    "row too short": (
        spoil("links.csv", "esx-02,switch-1,10000,0.05,0.01,500", "esx-02,switch-1"),
        "links.csv, row 2",
        "2 cells: 'esx-02,switch-1'",
        "6 cells as in the header",
        "",
    ),
    "duplicate column": (
        spoil(
            "vms.csv",
            "vm,host,memory_mib,cpu_demand_mhz,vcpus",
            "vm,host,memory_mib,cpu_demand_mhz,memory_mib",
        ),
        "vms.csv, header",
        "the column 'memory_mib' stands there 2 times",
        "each column once",
        "",
    ),
    "broken parquet": (
        {"loads_csv": None, "loads_parquet": b"PAR1 this is none PAR1"},
        "loads.parquet",
        "no readable Parquet",
        "a whole Parquet file",
        "",
    ),
    "empty parquet": (
        {"loads_csv": None, "loads_parquet": b""},
        "loads.parquet",
        "no readable Parquet",
        "a whole Parquet file",
        "",
    ),
    "no vms": (
        {"vms_csv": None},
        "",
        "there is no vms.csv or vms.parquet",
        "a snapshot folder with hosts and vms",
        "",
    ),
    "vms misnamed": (
        {"vms_csv": None, "vm_csv": GOOD["vms.csv"]},
        "",
        "there is no vms.csv or vms.parquet",
        "a snapshot folder with hosts and vms",
        "did you mean vm.csv?",
    ),
    "hosts in capitals": (
        {"hosts_csv": None, "HOSTS_CSV": GOOD["hosts.csv"]},
        "",
        "there is no hosts.csv or hosts.parquet",
        "a snapshot folder with hosts and vms",
        "did you mean HOSTS.CSV?",
    ),
    # -- headers
    "missing column": (
        spoil("hosts.csv", "host,cpu_mhz,memory_mib", "host,cpu_mhz,memory_mb"),
        "hosts.csv, header",
        "the required column memory_mib is missing",
        "the columns host, cpu_mhz, memory_mib",
        "did you mean memory_mb?",
    ),
    "missing key column": (
        spoil("vms.csv", "vm,host", "name,host"),
        "vms.csv, header",
        "the required column vm is missing",
        "the columns vm, host, memory_mib, cpu_demand_mhz",
        "",
    ),
    "capital column": (
        spoil("disks.csv", "vm,disk", "VM,disk"),
        "disks.csv, header",
        "the required column vm is missing",
        "the columns vm, disk, datastore, size_gib",
        "did you mean VM?",
    ),
    "blank in header": (
        spoil("nics.csv", "vm,network", "vm, network"),
        "nics.csv, header",
        "the required column network is missing",
        "the columns vm, network",
        "did you mean  network?",
    ),
    "demand without capacity": (
        spoil("vms.csv", "gpu_slots_demand", "gpu_slot_demand"),
        "vms.csv, header",
        "the column gpu_slot_demand, but no host has gpu_slot_capacity",
        "a column gpu_slot_capacity in the table hosts",
        "did you mean gpu_slots_capacity?",
    ),
    "cpu as a further resource": (
        {"hosts_csv": GOOD["hosts.csv"].replace("cpu_reserved_mhz", "cpu_capacity")},
        "hosts.csv, header",
        "the column cpu_capacity",
        "the cpu in its own columns (hosts: cpu_mhz)",
        "",
    ),
    # -- cells: numbers
    "text for a number": (
        spoil("vms.csv", "4096,500", "much,500"),
        "vms.csv, row 1 (web-01), field memory_mib",
        "'much'",
        "a number above 0, in MiB",
        "",
    ),
    "unit in the cell": (
        spoil("hosts.csv", "131072,1000", "128 GiB,1000"),
        "hosts.csv, row 1 (esx-01), field memory_mib",
        "'128 GiB'",
        "a number above 0, in MiB",
        "the number alone: the unit is the one of the column",
    ),
    "decimal comma": (
        spoil("disks.csv", "100,40", '"100,5",40'),
        "disks.csv, row 1 (web-01/d1), field size_gib",
        "'100,5'",
        NUMBER0,
        "a point before the decimals, and nothing between the thousands",
    ),
    "thousands": (
        spoil("hosts.csv", "esx-02,40000", "esx-02,40'000"),
        "hosts.csv, row 2 (esx-02), field cpu_mhz",
        '"40\'000"',
        "a number above 0, in MHz",
        "a point before the decimals, and nothing between the thousands",
    ),
    "negative": (
        spoil("vms.csv", "4096,700", "4096,-700"),
        "vms.csv, row 2 (web-02), field cpu_demand_mhz",
        "'-700'",
        "a number of 0 or more, in MHz",
        "",
    ),
    "zero memory": (
        spoil("vms.csv", "8192,900", "0,900"),
        "vms.csv, row 3 (web-03), field memory_mib",
        "'0'",
        "a number above 0, in MiB",
        "",
    ),
    "NaN": (
        spoil("vms.csv", "4096,700", "4096,nan"),
        "vms.csv, row 2 (web-02), field cpu_demand_mhz",
        "'nan'",
        "a number of 0 or more, in MHz",
        "",
    ),
    "infinite": (
        spoil("datastores.csv", "ds-1,1000", "ds-1,inf"),
        "datastores.csv, row 1 (ds-1), field capacity_gib",
        "'inf'",
        "a number above 0, in GiB",
        "",
    ),
    "overflow": (
        spoil("datastores.csv", "ds-1,1000", "ds-1,1e999"),
        "datastores.csv, row 1 (ds-1), field capacity_gib",
        "'1e999'",
        "a number above 0, in GiB",
        "",
    ),
    "far too large": (
        spoil("vms.csv", "4096,500", "1e30,500"),
        "vms.csv, row 1 (web-01), field memory_mib",
        "'1e30'",
        "a number above 0, in MiB",
        "nothing is above 1e+15",
    ),
    "N/A": (
        spoil("links.csv", "10000,0.05,,", "10000,0.05,N/A,"),
        "links.csv, row 1 (esx-01/switch-1), field loss_ratio",
        "'N/A'",
        "a number from 0 to 1",
        "leave the cell empty when it is not known",
    ),
    "-1 for no limit": (
        spoil("vms.csv", "700,2,,,", "700,2,,-1,"),
        "vms.csv, row 2 (web-02), field cpu_limit_mhz",
        "'-1'",
        "a number of 0 or more, in MHz",
        "leave the cell empty for no limit",
    ),
    "required cell empty": (
        spoil("vms.csv", "esx-02,4096", "esx-02,"),
        "vms.csv, row 2 (web-02), field memory_mib",
        "an empty cell",
        "a number above 0, in MiB",
        "",
    ),
    "fraction for a whole number": (
        spoil("clusters.csv", "full,3", "full,2.5"),
        "clusters.csv, row 1 (prod), field migration_threshold",
        "'2.5'",
        "a whole number from 1 to 5",
        "",
    ),
    "threshold too high": (
        spoil("clusters.csv", "full,3", "full,6"),
        "clusters.csv, row 1 (prod), field migration_threshold",
        "'6'",
        "a whole number from 1 to 5",
        "",
    ),
    "latency in microseconds": (
        spoil("links.csv", "esx-02,switch-1,10000,0.05,", "esx-02,switch-1,10000,50000,"),
        "links.csv, row 2 (esx-02/switch-1), field latency_ms",
        "'50000'",
        "a number from 0 to 30000, in ms",
        "",
    ),
    "loss in percent": (
        spoil("links.csv", "0.01,500", "1.5,500"),
        "links.csv, row 2 (esx-02/switch-1), field loss_ratio",
        "'1.5'",
        "a number from 0 to 1",
        "",
    ),
    "negative loss": (
        spoil("links.csv", "0.01,500", "-0.1,500"),
        "links.csv, row 2 (esx-02/switch-1), field loss_ratio",
        "'-0.1'",
        "a number from 0 to 1",
        "",
    ),
    "no bandwidth": (
        spoil("links.csv", "esx-01,switch-1,10000", "esx-01,switch-1,0"),
        "links.csv, row 1 (esx-01/switch-1), field bandwidth_mbps",
        "'0'",
        "a number above 0, in Mbit/s",
        "",
    ),
    "negative resource": (
        spoil("hosts.csv", "intel-broadwell,2", "intel-broadwell,-2"),
        "hosts.csv, row 1 (esx-01), field gpu_slots_capacity",
        "'-2'",
        NUMBER0,
        "",
    ),
    "formula": (
        spoil("vms.csv", "4096,500", "=A1*2,500"),
        "vms.csv, row 1 (web-01), field memory_mib",
        "'=A1*2'",
        "a number above 0, in MiB",
        "",
    ),
    # -- cells: names, choices, times
    "no name": (
        spoil("vms.csv", "web-02,esx-02", ",esx-02"),
        "vms.csv, row 2, field vm",
        "an empty cell",
        "a name without blanks around it",
        "",
    ),
    "blank around a name": (
        spoil("hosts.csv", "esx-02,", "esx-02 ,"),
        "hosts.csv, row 2 (esx-02 ), field host",
        "'esx-02 '",
        "a name without blanks around it",
        "did you mean 'esx-02'?",
    ),
    "blank before a reference": (
        spoil("disks.csv", "web-02,d1,ds-1", "web-02,d1, ds-1"),
        "disks.csv, row 3 (web-02/d1), field datastore",
        "' ds-1'",
        "a datastore of the table datastores",
        "did you mean 'ds-1'?",
    ),
    "tab in a name": (
        spoil("links.csv", "esx-02,switch-1", "esx-02,switch\t1"),
        "links.csv, row 2 (esx-02/switch\t1), field b",
        "'switch\\t1'",
        "a name without blanks around it",
        "",
    ),
    "quote not closed": (
        spoil("vms.csv", "web-02,esx", '"web-02,esx'),
        "vms.csv, line 3",
        "a quotation mark that is never closed",
        "a second one at the end of the cell",
        "a quotation mark inside a cell is written twice",
    ),
    "quoted line break": (
        spoil("links.csv", "esx-02,switch-1", 'esx-02,"switch\n1"'),
        "links.csv, row 2 (esx-02/switch\n1), field b",
        "'switch\\n1'",
        "a name without blanks around it",
        "is a quotation mark not closed?",
    ),
    "state in capitals": (
        spoil("datastores.csv", "maintenance", "Maintenance"),
        "datastores.csv, row 2 (ds-2), field state",
        "'Maintenance'",
        "one of connected, maintenance, disconnected",
        "did you mean maintenance?",
    ),
    "unknown power": (
        spoil("vms.csv", ",on,1", ",running,1"),
        "vms.csv, row 1 (web-01), field power",
        "'running'",
        "one of on, off",
        "",
    ),
    "unknown automation": (
        spoil("clusters.csv", "full,3", "fully,3"),
        "clusters.csv, row 1 (prod), field automation",
        "'fully'",
        "one of manual, partial, full",
        "did you mean full?",
    ),
    "unknown vendor": (
        {
            "hosts_csv": "host,cpu_mhz,memory_mib,cpu_vendor,gpu_slots_capacity\n"
            "esx-01,40000,131072,Intel,2\nesx-02,40000,131072,,\nesx-11,20000,65536,,\n"
        },
        "hosts.csv, row 1 (esx-01), field cpu_vendor",
        "'Intel'",
        "one of intel, amd",
        "did you mean intel?",
    ),
    "unknown EVC mode": (
        spoil("vms.csv", "intel-broadwell,on", "intel-brodwell,on"),
        "vms.csv, row 1 (web-01), field evc_mode",
        "unknown EVC baseline 'intel-brodwell'",
        "the key of an EVC baseline such as intel-broadwell",
        "did you mean intel-broadwell?",
    ),
    "EVC label": (
        spoil("clusters.csv", "intel-broadwell", '"Intel ""Broadwell"" Generation"'),
        "clusters.csv, row 1 (prod), field evc_mode",
        "unknown EVC baseline 'Intel \"Broadwell\" Generation'",
        "the key of an EVC baseline such as intel-broadwell",
        "did you mean intel-broadwell?",
    ),
    "German time": (
        spoil("loads.csv", "2026-01-31T14:05:00Z", "31.01.2026 14:05"),
        "loads.csv, row 3 (web-01/31.01.2026 14:05), field time",
        "'31.01.2026 14:05'",
        "an ISO 8601 time such as 2026-01-31T14:05:00Z",
        "",
    ),
    "slashes in a time": (
        spoil("loads.csv", "2026-01-31T14:05:00Z", "2026/01/31 14:05"),
        "loads.csv, row 3 (web-01/2026/01/31 14:05), field time",
        "'2026/01/31 14:05'",
        "an ISO 8601 time such as 2026-01-31T14:05:00Z",
        "year-month-day, with hyphens",
    ),
    "Unix time": (
        spoil("loads.csv", "2026-01-31T14:05:00Z", "1769868300"),
        "loads.csv, row 3 (web-01/1769868300), field time",
        "'1769868300'",
        "an ISO 8601 time such as 2026-01-31T14:05:00Z",
        "it looks like Unix time",
    ),
    "no such day": (
        spoil("loads.csv", "2026-01-31T14:05:00Z", "2026-02-30"),
        "loads.csv, row 3 (web-01/2026-02-30), field time",
        "'2026-02-30'",
        "an ISO 8601 time such as 2026-01-31T14:05:00Z",
        "",
    ),
    "no time": (
        spoil("loads.csv", "2026-01-31T14:05:00Z", ""),
        "loads.csv, row 3 (web-01), field time",
        "an empty cell",
        "an ISO 8601 time such as 2026-01-31T14:05:00Z",
        "",
    ),
    # -- keys
    "duplicate host": (
        spoil(
            "hosts.csv",
            "esx-11,20000,65536,,lab,amd-zen2,\n",
            "esx-11,20000,65536,,lab,amd-zen2,\nesx-01,40000,131072,,prod,,\n",
        ),
        "hosts.csv, row 4 (esx-01), field host",
        "a duplicate host: 'esx-01'",
        "each host once",
        "it stood in row 1 before",
    ),
    "duplicate VM": (
        spoil("vms.csv", "web-03,", "web-01,"),
        "vms.csv, row 3 (web-01), field vm",
        "a duplicate vm: 'web-01'",
        "each vm once",
        "it stood in row 1 before",
    ),
    "duplicate disk": (
        spoil("disks.csv", "web-01,d2", "web-01,d1"),
        "disks.csv, row 2 (web-01/d1)",
        "a duplicate vm and disk: 'web-01', 'd1'",
        "each vm and disk once",
        "it stood in row 1 before",
    ),
    "duplicate cluster": (
        spoil("clusters.csv", "\nlab,,,,", "\nprod,,,,"),
        "clusters.csv, row 2 (prod), field cluster",
        "a duplicate cluster: 'prod'",
        "each cluster once",
        "it stood in row 1 before",
    ),
    "duplicate mount": (
        spoil("mounts.csv", "esx-02,ds-1", "esx-01,ds-2"),
        "mounts.csv, row 3 (esx-01/ds-2)",
        "a duplicate host and datastore: 'esx-01', 'ds-2'",
        "each host and datastore once",
        "it stood in row 2 before",
    ),
    "duplicate NIC": (
        spoil("nics.csv", "web-02,vlan-7", "web-01,vlan-7"),
        "nics.csv, row 2 (web-01/vlan-7)",
        "a duplicate vm and network: 'web-01', 'vlan-7'",
        "each vm and network once",
        "it stood in row 1 before",
    ),
    "link twice": (
        spoil("links.csv", "esx-02,switch-1,", "switch-1,esx-01,"),
        "links.csv, row 2 (switch-1/esx-01)",
        "a duplicate a and b: 'switch-1', 'esx-01' the other way round",
        "each link once",
        "it stood in row 1 before",
    ),
    "sample twice": (
        spoil("loads.csv", "web-01,2026-01-31T14:05:00Z", "web-01,2026-01-31T15:00:00+01:00"),
        "loads.csv, row 3 (web-01/2026-01-31T15:00:00+01:00), field time",
        "a duplicate vm and time: 'web-01', 2026-01-31T14:00:00Z",
        "one sample for each vm and time",
        "",
    ),
    # -- references
    "unknown host": (
        spoil("vms.csv", "web-03,esx-11", "web-03,esx-1l"),
        "vms.csv, row 3 (web-03), field host",
        "unknown host 'esx-1l'",
        "a host of the table hosts",
        "did you mean esx-11?",
    ),
    "host in capitals": (
        spoil("vms.csv", "web-03,esx-11", "web-03,ESX-11"),
        "vms.csv, row 3 (web-03), field host",
        "unknown host 'ESX-11'",
        "a host of the table hosts",
        "did you mean esx-11?",
    ),
    "unknown VM": (
        spoil("disks.csv", "web-02,d1", "wbe-02,d1"),
        "disks.csv, row 3 (wbe-02/d1), field vm",
        "unknown vm 'wbe-02'",
        "a vm of the table vms",
        "did you mean web-02?",
    ),
    "unknown datastore": (
        spoil("disks.csv", "web-02,d1,ds-1", "web-02,d1,ds_1"),
        "disks.csv, row 3 (web-02/d1), field datastore",
        "unknown datastore 'ds_1'",
        "a datastore of the table datastores",
        "did you mean ds-1?",
    ),
    "no datastores": (
        {"datastores_csv": None, "mounts_csv": None},
        "disks.csv, field datastore",
        "there is no table datastores to look them up in",
        "a table datastores that names each datastore",
        "",
    ),
    "unknown host in mounts": (
        spoil("mounts.csv", "esx-02,ds-1", "esx-03,ds-1"),
        "mounts.csv, row 3 (esx-03/ds-1), field host",
        "unknown host 'esx-03'",
        "a host of the table hosts",
        "did you mean esx-0",
    ),
    "unknown network": (
        spoil("nics.csv", "web-02,vlan-7", "web-02,vlan7"),
        "nics.csv, row 2 (web-02/vlan7), field network",
        "unknown network 'vlan7'",
        "a network of the table portgroups",
        "did you mean vlan-7?",
    ),
    "unknown VM in loads": (
        spoil("loads.csv", "web-02,2026", "web-99,2026"),
        "loads.csv, row 2 (web-99/2026-01-31T14:00:00Z), field vm",
        "unknown vm 'web-99'",
        "a vm of the table vms",
        "did you mean web-0",
    ),
    # -- relations
    "VM too large": (
        spoil("vms.csv", "4096,500", "131073,500"),
        "vms.csv, row 1 (web-01), field memory_mib",
        "131073, more than every host has",
        "at most 131072, the memory for VMs of the largest host esx-01",
        "",
    ),
    "VM demands too much": (
        spoil("vms.csv", "4096,500", "4096,50000"),
        "vms.csv, row 1 (web-01), field cpu_demand_mhz",
        "50000, more than every host has",
        "at most 40000, the CPU for VMs of the largest host esx-02",
        "",
    ),
    "VM reserves too much": (
        spoil("vms.csv", "500,2,,", "500,2,40001,"),
        "vms.csv, row 1 (web-01), field cpu_reservation_mhz",
        "40001, more than every host has",
        "at most 40000, the CPU for VMs of the largest host esx-02",
        "",
    ),
    "resource too large": (
        spoil("vms.csv", ",on,1", ",on,3"),
        "vms.csv, row 1 (web-01), field gpu_slots_demand",
        "3, more than every host has",
        "at most 2, the gpu_slots_capacity of the largest host esx-01",
        "",
    ),
    "CPU reservation above limit": (
        spoil("vms.csv", "500,2,,", "500,2,900,800"),
        "vms.csv, row 1 (web-01), field cpu_reservation_mhz",
        "900",
        "at most its cpu_limit_mhz of 800",
        "",
    ),
    "memory reservation above limit": (
        spoil("vms.csv", "500,2,,,,", "500,2,,,2048,1024"),
        "vms.csv, row 1 (web-01), field memory_reservation_mib",
        "2048",
        "at most its memory_limit_mib of 1024",
        "",
    ),
    "reservation above configured": (
        spoil("vms.csv", "500,2,,,,", "500,2,,,4097,"),
        "vms.csv, row 1 (web-01), field memory_reservation_mib",
        "4097",
        "at most its memory_mib of 4096",
        "",
    ),
    "used above size": (
        spoil("disks.csv", "80,80", "80,81"),
        "disks.csv, row 3 (web-02/d1), field used_gib",
        "81",
        "at most its size_gib of 80",
        "",
    ),
    "free above capacity": (
        spoil("datastores.csv", "1000,400", "1000,4000"),
        "datastores.csv, row 1 (ds-1), field free_gib",
        "4000",
        "at most its capacity_gib of 1000",
        "",
    ),
    "all CPU reserved": (
        spoil("hosts.csv", "131072,1000", "131072,40000"),
        "hosts.csv, row 1 (esx-01), field cpu_reserved_mhz",
        "40000",
        "less than its cpu_mhz of 40000",
        "",
    ),
    "all memory reserved": (
        {
            "hosts_csv": GOOD["hosts.csv"]
            .replace("cpu_reserved_mhz", "memory_reserved_mib")
            .replace("131072,1000", "131072,131072")
        },
        "hosts.csv, row 1 (esx-01), field memory_reserved_mib",
        "131072",
        "less than its memory_mib of 131072",
        "",
    ),
    "idle above full power": (
        {
            "hosts_csv": "host,cpu_mhz,memory_mib,power_idle_w,power_max_w,gpu_slots_capacity,cluster\n"
            "esx-01,40000,131072,300,200,2,\nesx-02,40000,131072,,,,\nesx-11,20000,65536,,,,\n"
        },
        "hosts.csv, row 1 (esx-01), field power_idle_w",
        "300",
        "at most its power_max_w of 200",
        "",
    ),
    "link to itself": (
        spoil("links.csv", "esx-01,switch-1,", "esx-01,esx-01,"),
        "links.csv, row 1 (esx-01/esx-01), field b",
        "'esx-01', the same as its other end a",
        "a link between two different nodes",
        "",
    ),
    "more traffic than bandwidth": (
        spoil("links.csv", "0.01,500", "0.01,20000"),
        "links.csv, row 2 (esx-02/switch-1), field shared_mbps",
        "20000",
        "at most its bandwidth_mbps of 10000",
        "",
    ),
    "baseline of another vendor": (
        {
            "hosts_csv": "host,cpu_mhz,memory_mib,cpu_vendor,evc_max,gpu_slots_capacity\n"
            "esx-01,40000,131072,amd,intel-broadwell,2\nesx-02,40000,131072,,,\n"
            "esx-11,20000,65536,,,\n",
            "clusters_csv": None,
            "pools_csv": None,
        },
        "hosts.csv, row 1 (esx-01), field evc_max",
        "intel-broadwell on a CPU of amd",
        "a baseline of amd",
        "",
    ),
    "host below the cluster's mode": (
        spoil("hosts.csv", "prod,intel-broadwell", "prod,intel-haswell"),
        "hosts.csv, row 1 (esx-01), field evc_max",
        "intel-haswell",
        "a host that supports intel-broadwell, the evc_mode of its cluster prod",
        "",
    ),
    "vendor of the cluster's mode": (
        {
            "hosts_csv": "host,cpu_mhz,memory_mib,cpu_vendor,cluster,gpu_slots_capacity\n"
            "esx-01,40000,131072,amd,prod,2\nesx-02,40000,131072,,prod,\n"
            "esx-11,20000,65536,,lab,\n"
        },
        "hosts.csv, row 1 (esx-01), field cpu_vendor",
        "amd",
        "intel, as the evc_mode intel-broadwell of its cluster prod needs",
        "",
    ),
    # -- replicas
    "replica of a replica": (
        {"datastores_csv": "datastore,capacity_gib,replica_of\nds-1,1000,\nds-2,500,ds-1\nds-3,500,ds-2\n"},
        "datastores.csv, row 3 (ds-3), field replica_of",
        "'ds-2', a replica itself",
        "a datastore that is no replica",
        "",
    ),
    # -- resource pools
    "unknown parent": (
        spoil("pools.csv", "web,gold", "web,golf"),
        "pools.csv, row 2 (web), field parent",
        "unknown pool 'golf'",
        "a pool of the table pools",
        "did you mean gold?",
    ),
    "pools in a circle": (
        spoil("pools.csv", "gold,,prod,2000", "gold,web,prod,2000"),
        "pools.csv, row 1 (gold), field parent",
        "pools in a circle: gold → web → gold",
        "a pool that is not below this one, or an empty cell",
        "",
    ),
    "pool of an unknown cluster": (
        spoil("pools.csv", "low,,lab", "low,,lap"),
        "pools.csv, row 3 (low), field cluster",
        "unknown cluster 'lap'",
        "a cluster of the table clusters or hosts",
        "did you mean lab?",
    ),
    "pool of no cluster": (
        spoil("pools.csv", "low,,lab", "low,,"),
        "pools.csv, row 3 (low), field cluster",
        "an empty cell",
        "the cluster, for there are several",
        "",
    ),
    "pool below one of another cluster": (
        spoil("pools.csv", "web,gold,", "web,gold,lab"),
        "pools.csv, row 2 (web), field cluster",
        "lab",
        "prod, as its parent has",
        "",
    ),
    "pool with less than its children": (
        spoil("pools.csv", "web,gold,,1000", "web,gold,,3000"),
        "pools.csv, row 1 (gold), field cpu_reservation_mhz",
        "2000, less than the 3000 that is reserved below it (pool web)",
        "3000 or more, or cpu_expandable yes",
        "",
    ),
    "expandable pool that its limit holds back": (
        {
            "pools_csv": "pool,parent,cluster,cpu_reservation_mhz,cpu_limit_mhz\n"
            "gold,,prod,,2000\nweb,gold,,1500,\nlow,gold,,900,\n"
        },
        "pools.csv, row 1 (gold), field cpu_limit_mhz",
        "2000, less than the 2400 that is reserved below it (pool low, pool web)",
        "2400 or more",
        "",
    ),
    "pool's reservation above its limit": (
        spoil("pools.csv", "gold,,prod,2000,9000", "gold,,prod,2000,1500"),
        "pools.csv, row 1 (gold), field cpu_reservation_mhz",
        "2000",
        "at most its cpu_limit_mhz of 1500",
        "",
    ),
    "expandable or what": (
        spoil("pools.csv", "9000,no", "9000,never"),
        "pools.csv, row 1 (gold), field cpu_expandable",
        "'never'",
        "one of yes, no",
        "",
    ),
    "VM in an unknown pool": (
        {"vms_csv": "vm,host,memory_mib,cpu_demand_mhz,pool\nv1,esx-01,4096,100,gould\n", **ALONE},
        "vms.csv, row 1 (v1), field pool",
        "unknown pool 'gould'",
        "a pool of the table pools",
        "did you mean gold?",
    ),
    "VM in a pool and no pools": (
        {
            "vms_csv": "vm,host,memory_mib,cpu_demand_mhz,pool\nv1,esx-01,4096,100,gold\n",
            "pools_csv": None,
            **ALONE,
        },
        "vms.csv, field pool",
        "there is no table pools to look them up in",
        "a table pools that names each pool",
        "",
    ),
    "VM in a pool of another cluster": (
        {"vms_csv": "vm,host,memory_mib,cpu_demand_mhz,pool\nv1,esx-01,4096,100,low\n", **ALONE},
        "vms.csv, row 1 (v1), field pool",
        "'low', a pool of lab",
        "a pool of prod, the cluster of its host",
        "",
    ),
    "VM that reserves more than its pool can grant": (
        {
            "vms_csv": "vm,host,memory_mib,cpu_demand_mhz,pool,cpu_reservation_mhz\n"
            "v1,esx-01,4096,100,web,2500\nv2,esx-01,4096,100,web,800\n",
            **ALONE,
        },
        "vms.csv, row 1 (v1), field cpu_reservation_mhz",
        "2500, more than its pool 'web' can grant",
        "at most 1000",
        "",
    ),
    "VMs that reserve more than their pool has": (
        {
            "vms_csv": "vm,host,memory_mib,cpu_demand_mhz,pool,cpu_reservation_mhz\n"
            "v1,esx-01,4096,100,web,700\nv2,esx-01,4096,100,web,800\n",
            **ALONE,
        },
        "pools.csv, row 2 (web), field cpu_reservation_mhz",
        "1000, less than the 1500 that is reserved below it (2 VMs)",
        "1500 or more, or cpu_expandable yes",
        "",
    ),
    # -- snapshot.toml
    "broken snapshot.toml": (
        {"snapshot_toml": 'name = "a"\ntaken_at = yesterday\n'},
        "snapshot.toml, line 2, column 12",
        "no valid TOML: Invalid value in 'taken_at = yesterday'",
        "TOML",
        "text stands in quotation marks",
    ),
    "name that is no text": (
        {"snapshot_toml": "name = 5\n"},
        "snapshot.toml, field name",
        "5",
        "text in quotation marks",
        "",
    ),
    "taken when": (
        {"snapshot_toml": 'taken_at = "last week"\n'},
        "snapshot.toml, field taken_at",
        "'last week'",
        "an ISO 8601 time such as 2026-01-31T14:05:00Z",
        "",
    ),
}


def test_there_are_enough() -> None:
    assert len(BAD) >= 70


def test_the_good_input_is_good(tmp_path: Path) -> None:
    snapshot = read_folder(write(tmp_path / "good"))
    assert snapshot.n_hosts == 3 and snapshot.n_vms == 3


@pytest.mark.parametrize("case", BAD)
@pytest.mark.filterwarnings("ignore::drs.io.InputWarning")
def test_one_clear_message_and_nothing_written(case: str, tmp_path: Path) -> None:
    changes, where, given, expected, hint = BAD[case]
    folder = write(tmp_path / "in", **changes)
    with pytest.raises(InputError) as caught:
        convert(folder, tmp_path / "out")
    faults = caught.value.faults
    assert len(faults) == 1, "\n".join(map(str, faults))
    fault = faults[0]
    assert fault.where == (where or str(folder))
    assert fault.given.startswith(given)
    assert fault.expected.startswith(expected)
    assert fault.hint.startswith(hint) and bool(fault.hint) == bool(hint)
    assert str(caught.value) == str(fault)
    assert {path.name for path in tmp_path.iterdir()} == {"in"}
