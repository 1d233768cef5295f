"""Reading and writing folders: defaults, warnings, all faults at once, nothing half-written."""

from __future__ import annotations

import dataclasses
import math
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from io_cases import GOOD, spoil, write

from drs import errors
from drs.errors import InputError
from drs.io import InputWarning, from_frames, is_snapshot, read_folder, to_frames, write_folder
from drs.io.columns import columns, open_column, tables
from drs.model import Snapshot

MINIMAL = {
    "hosts": pd.DataFrame(
        {"host": ["h1", "h2"], "cpu_mhz": [1000.0, 2000.0], "memory_mib": [4096.0, 8192.0]}
    ),
    "vms": pd.DataFrame({"vm": ["v"], "host": ["h1"], "memory_mib": [512.0], "cpu_demand_mhz": [10.0]}),
}
DISK = {
    "datastores": pd.DataFrame({"datastore": ["d", "e"], "capacity_gib": [100.0, 10.0]}),
    "disks": pd.DataFrame({"vm": ["v"], "disk": ["0"], "datastore": ["d"], "size_gib": [30.0]}),
}
OTHERS = {
    "clusters": pd.DataFrame({"cluster": ["cluster-1"]}),
    "pools": pd.DataFrame({"pool": ["p"]}),
    "links": pd.DataFrame({"a": ["h1"], "b": ["h2"], "bandwidth_mbps": [10.0]}),
    "loads": pd.DataFrame({"vm": ["v"], "time": ["2026-01-31T14:00:00Z"]}),
}
DERIVED = {
    ("hosts", "site"): "",
    ("hosts", "vcenter"): "",
    ("hosts", "cpu_vendor"): "",
    ("pools", "parent"): -1,
    ("vms", "pool"): -1,
    ("datastores", "replica_of"): -1,
    ("vms", "cpu_shares"): 1000.0,
    ("vms", "memory_shares"): 5120.0,
    ("disks", "used_gib"): 30.0,
    ("datastores", "free_gib"): 70.0,
    ("vms", "home"): -1,
}


# -- defaults


def optional() -> list[Any]:
    return [column for column in columns() if not column.required and not column.column.startswith("<")]


@pytest.mark.parametrize("column", optional(), ids=lambda column: f"{column.table}.{column.column}")
def test_every_default(column: Any) -> None:
    snapshot = from_frames({**MINIMAL, **DISK, **OTHERS})
    if column.table == "loads":
        assert snapshot.loads is not None
        assert np.isnan(getattr(snapshot.loads, column.attribute)).all()
        return
    values = getattr(snapshot, column.table).value(column.attribute)
    if values is None:  # a column without a field that nobody gave: it is not kept
        assert column.attribute not in {
            each.name for each in dataclasses.fields(getattr(snapshot, column.table))
        }
        return
    value = values[0]
    if column.attribute == "cluster_idx":
        assert snapshot.clusters.name[value] == "cluster-1"
        return
    expected: Any = DERIVED.get((column.table, column.column))
    if expected is None:
        expected = {"none": "", "unknown": math.nan, "unlimited": math.inf}.get(
            column.default, column.default
        )
    if isinstance(value, str):
        assert value == expected
    else:
        np.testing.assert_equal(float(value), float(expected))


def test_an_empty_cell_takes_the_default_as_an_absent_column_does(tmp_path: Path) -> None:
    bare = from_frames({**MINIMAL, **DISK, **OTHERS})
    frames = {name: frame.copy() for name, frame in {**MINIMAL, **DISK, **OTHERS}.items()}
    for column in optional():
        frames[column.table][column.column] = None
    assert from_frames(frames).digest == bare.digest
    for name, frame in frames.items():
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    assert read_folder(tmp_path).digest == bare.digest


def test_defaults_that_other_cells_decide() -> None:
    hosts = MINIMAL["hosts"].assign(
        cluster=["c", "new"], evc_max=["intel-haswell", "amd-zen3"], site=[None, "own"]
    )
    clusters = pd.DataFrame({"cluster": ["c", "empty"], "site": ["berlin", "x"], "vcenter": ["vc1", ""]})
    snapshot = from_frames({**MINIMAL, "hosts": hosts, "clusters": clusters})
    assert snapshot.hosts.site.tolist() == ["berlin", "own"]
    assert snapshot.hosts.vcenter.tolist() == ["vc1", ""]
    assert snapshot.hosts.cpu_vendor.tolist() == ["intel", "amd"]
    assert snapshot.clusters.name.tolist() == ["c", "empty", "new"]
    assert snapshot.clusters.automation.tolist() == ["full"] * 3
    assert snapshot.hosts.cluster_idx.tolist() == [0, 2]


def test_absent_tables_mean_that_everything_is_seen() -> None:
    nics = pd.DataFrame({"vm": ["v", "v"], "network": ["b", "a"]})
    snapshot = from_frames({**MINIMAL, **DISK, "nics": nics})
    assert snapshot.mounts.all() and snapshot.mounts.shape == (2, 2)
    assert snapshot.networks.tolist() == ["b", "a"] and snapshot.portgroups.all()
    assert snapshot.loads is None and len(snapshot.links) == 0


def test_tables_with_a_header_only_mean_that_nothing_is_seen(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", mounts_csv="host,datastore\n", disks_csv="vm,disk,datastore,size_gib\n")
    snapshot = read_folder(folder)
    assert not snapshot.mounts.any() and len(snapshot.disks) == 0
    assert read_folder(write_folder(snapshot, tmp_path / "out")).digest == snapshot.digest


def test_a_vm_without_a_host_waits_for_a_place() -> None:
    frame = MINIMAL["vms"].assign(host=[None])
    assert from_frames({**MINIMAL, "vms": frame}).vms.host_idx.tolist() == [-1]


def test_free_space_is_never_below_zero() -> None:
    disks = DISK["disks"].assign(datastore="e")
    assert from_frames({**MINIMAL, **DISK, "disks": disks}).datastores.free_gib.tolist() == [100.0, 0.0]


def test_loads_of_any_order_and_zone() -> None:
    loads = pd.DataFrame(
        {
            "vm": ["v", "v", "v", "v"],
            "time": ["2026-01-31T15:05:00+01:00", "2026-01-31 14:00", "2026-02-01", "20260131T141000Z"],
            "cpu_mhz": [2.0, 1.0, 4.0, 3.0],
        }
    )
    history = from_frames({**MINIMAL, "loads": loads}).loads
    assert history is not None
    assert history.time.astype(str).tolist() == [
        "2026-01-31T14:00:00",
        "2026-01-31T14:05:00",
        "2026-01-31T14:10:00",
        "2026-02-01T00:00:00",
    ]
    assert history.cpu_mhz[:, 0].tolist() == [1.0, 2.0, 3.0, 4.0]


def test_further_resources() -> None:
    snapshot = from_frames(
        {
            "hosts": MINIMAL["hosts"].assign(vgpu_capacity=[4.0, None]),
            "vms": MINIMAL["vms"].assign(vgpu_demand=[2]),
        }
    )
    assert snapshot.resources == ("cpu", "memory", "vgpu")
    assert snapshot.capacity("vgpu").tolist() == [4.0, 0.0] and snapshot.demand("vgpu").tolist() == [2.0]


def test_evc_keys_of_custom_modes_pass() -> None:
    frame = MINIMAL["vms"].assign(evc_mode="custom-2026")
    assert from_frames({**MINIMAL, "vms": frame}).vms.evc_mode.tolist() == ["custom-2026"]


def test_columns_csv_is_consistent() -> None:
    sizes = {table: len(found) for table, found in tables().items()}
    assert list(sizes) == [
        "hosts",
        "clusters",
        "pools",
        "vms",
        "disks",
        "datastores",
        "mounts",
        "portgroups",
        "nics",
        "links",
        "loads",
    ]
    for column in columns():
        assert column.meaning and column.attribute and column.expected
        assert column.refers_to in ("", *tables())
        assert bool(column.choices) == (column.kind == "choice")
        assert bool(column.bounds) == column.numeric
        if column.required == "yes":
            assert column.default == ""
        elif column.numeric and not column.default.startswith("="):
            assert column.default in ("unknown", "unlimited") or math.isfinite(column.default_number)
        else:
            assert column.default
    assert open_column("disks", "x_capacity") is None and open_column("hosts", "X_capacity") is None


# -- warnings


def test_an_unknown_column_is_a_warning_with_the_near_miss(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", **spoil("vms.csv", "memory_limit_mib", "memory_limit_mb"))
    with pytest.warns(InputWarning) as caught:
        snapshot = read_folder(folder)
    assert [str(one.message) for one in caught] == [
        "vms.csv: the column 'memory_limit_mb' is unknown and ignored; did you mean memory_limit_mib?"
    ]
    assert np.isinf(snapshot.vms.memory_limit_mib).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"datastore_csv": "a,b\n1,2\n"}, "is no table of a snapshot and is ignored"),
        (
            {"datastore_csv": "a\n", "datastores_csv": None, "disks_csv": None, "mounts_csv": None},
            "did you mean datastores.csv",
        ),
        (
            {"snapshot_toml": 'nmae = "x"\n'},
            "snapshot.toml: the key 'nmae' is unknown and ignored; did you mean name?",
        ),
        (
            spoil("hosts.csv", "2\nesx-02,40000,131072,,prod", "2\nesx-02,40000,131072,,prodd"),
            "clusters.csv has no cluster 'prodd' that a host names; it takes the defaults; "
            "did you mean prod?",
        ),
        (
            spoil("hosts.csv", "gpu_slots_capacity\n", "gpu_slots_capacity,GPU-2_capacity\n")
            | {
                "hosts_csv": GOOD["hosts.csv"].replace("gpu_slots_capacity", "GPU-slots_capacity"),
                "vms_csv": GOOD["vms.csv"]
                .replace(",gpu_slots_demand", "")
                .replace(",on,1", ",on")
                .replace(",off,", ",off")
                .replace(",on,\n", ",on\n"),
            },
            "a resource is named like gpu_slots_capacity: small letters, digits and _",
        ),
    ],
)
def test_other_warnings(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    if "datastores_csv" not in changes and "datastore_csv" in changes:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # every table is there: the file is none of our business
            read_folder(write(tmp_path / "in", **changes))
        return
    with pytest.warns(InputWarning) as caught:
        read_folder(write(tmp_path / "in", **changes))
    assert any(message in str(one.message) for one in caught)


# -- all faults at once


def test_all_faults_of_all_files_together(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in",
        hosts_csv=GOOD["hosts.csv"].replace("40000", "fast", 1).replace("65536", "-1"),
        vms_csv=GOOD["vms.csv"].replace("web-02,esx-02", "web-02,esx-2").replace("4096", "", 1),
        links_csv=GOOD["links.csv"].replace("0.01", "7"),
        clusters_csv=b"\xff\xfe",
        snapshot_toml="name = 1",
    )
    with pytest.raises(InputError) as caught:
        read_folder(folder)
    wheres = {fault.where for fault in caught.value.faults}
    assert {
        "hosts.csv, row 1 (esx-01), field cpu_mhz",
        "hosts.csv, row 3 (esx-11), field memory_mib",
        "vms.csv, row 1 (web-01), field memory_mib",
        "links.csv, row 2 (esx-02/switch-1), field loss_ratio",
        "clusters.csv",
        "snapshot.toml, field name",
    } == wheres  # esx-2 is judged once the tables can be read


def test_references_are_judged_with_everything_else(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in",
        vms_csv=GOOD["vms.csv"].replace("web-02,esx-02", "web-02,esx-2").replace("4096,500", "x,500"),
        disks_csv=GOOD["disks.csv"].replace("ds-2,50", "ds-22,50"),
    )
    with pytest.raises(InputError) as caught:
        read_folder(folder)
    assert len(caught.value.faults) == 3
    assert str(caught.value).count("\n") == 2


def test_faults_come_file_by_file_and_row_by_row(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in",
        disks_csv=GOOD["disks.csv"].replace("80,80", "80,90").replace("d2,ds-2,50", "d2,ds-2,x"),
        vms_csv=GOOD["vms.csv"].replace("8192,900", "?,900").replace("web-01,esx-01", "web-01,esx-21"),
        hosts_csv=GOOD["hosts.csv"].replace("20000", "slow"),
    )
    with pytest.raises(InputError) as caught:
        read_folder(folder)
    assert [fault.where.split(" (")[0] for fault in caught.value.faults] == [
        "hosts.csv, row 3", "vms.csv, row 1", "vms.csv, row 3", "disks.csv, row 2", "disks.csv, row 3"
    ]  # fmt: skip


def test_a_fault_does_not_breed_others(tmp_path: Path) -> None:
    """The only host that a VM fits on, misspelt or without its memory, is one fault."""
    for changes in (
        spoil("hosts.csv", "esx-01,40000,131072", "esx-01,40000,lots"),
        spoil("hosts.csv", "esx-01,", "esx-01 ,"),
        spoil("vms.csv", "web-01,esx-01", " web-01,esx-01"),
        spoil("datastores.csv", "ds-1,1000,400,", "ds-1,1000,400,,,"),
    ):
        with pytest.raises(InputError) as caught:
            read_folder(write(tmp_path / "in", **changes))
        assert len(caught.value.faults) == 1, caught.value


def test_many_faults_are_counted_and_kept() -> None:
    frame = pd.DataFrame(
        {"vm": [f"v{i}" for i in range(500)], "host": "h1", "memory_mib": -1.0, "cpu_demand_mhz": 1.0}
    )
    with pytest.raises(InputError) as caught:
        from_frames({**MINIMAL, "vms": frame})
    error = caught.value
    assert len(error.faults) == 500
    lines = str(error).splitlines()
    assert len(lines) == errors.MAX_FAULTS_SHOWN + 1 and lines[-1].startswith("and 480 more of vms, field")
    assert error.where == "vms, row 1 (v0), field memory_mib"
    assert pickle.loads(pickle.dumps(error)).faults == error.faults


def test_twenty_thousand_typos_take_no_minute() -> None:
    n = 20_000
    frame = pd.DataFrame(
        {
            "vm": [f"v{i}" for i in range(n)],
            "host": [f"x{i}" for i in range(n)],
            "memory_mib": 1.0,
            "cpu_demand_mhz": 1.0,
        }
    )
    with pytest.raises(InputError) as caught:
        from_frames({**MINIMAL, "vms": frame})
    assert len(caught.value.faults) == n


# -- frames


@pytest.mark.parametrize(
    ("frames", "where", "given", "hint"),
    [
        ({"hosts": MINIMAL["hosts"]}, "frames", "there is no table vms", ""),
        (
            {"hosts": MINIMAL["hosts"], "vm": MINIMAL["vms"]},
            "frames",
            "there is no table vms",
            "did you mean vm?",
        ),
        ({**MINIMAL, "disk": DISK["disks"]}, "frames", "unknown table 'disk'", "did you mean disks?"),
        ({**MINIMAL, "vms": MINIMAL["vms"].iloc[:0]}, "vms", "a header and no rows", ""),
        (
            {**MINIMAL, "vms": MINIMAL["vms"].assign(memory_mib=np.inf)},
            "vms, row 1 (v), field memory_mib",
            "inf",
            "",
        ),
        (
            {**MINIMAL, "vms": MINIMAL["vms"].assign(memory_mib=[[1]])},
            "vms, row 1 (v), field memory_mib",
            "[1]",
            "",
        ),
        (
            {**MINIMAL, "vms": MINIMAL["vms"].assign(host=[3.5])},
            "vms, row 1 (v), field host",
            "unknown host '3.5'",
            "",
        ),
        (
            {**MINIMAL, "vms": pd.concat([MINIMAL["vms"], MINIMAL["vms"][["host"]]], axis=1)},
            "vms, header",
            "the column 'host' stands there 2 times",
            "",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::drs.io.InputWarning")
def test_faults_of_frames(frames: dict[str, Any], where: str, given: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        from_frames(frames)
    assert any(
        (fault.where, fault.given, fault.hint) == (where, given, hint) for fault in caught.value.faults
    ), caught.value


def test_a_resource_name_that_no_file_can_tell() -> None:
    import dataclasses

    snapshot = from_frames(MINIMAL)
    hosts = dataclasses.replace(snapshot.hosts, capacity={"GPU slots": np.ones(2)})
    with pytest.raises(InputError, match="the resource name 'GPU slots'"):
        to_frames(dataclasses.replace(snapshot, hosts=hosts))


# -- where the folder is


def test_a_missing_folder_names_its_neighbour(tmp_path: Path) -> None:
    write(tmp_path / "cluster-a")
    with pytest.raises(InputError) as caught:
        read_folder(tmp_path / "cluster-b")
    assert str(caught.value) == (
        f"{tmp_path / 'cluster-b'}: no such folder; expected a snapshot folder (did you mean cluster-a?)"
    )


def test_a_file_for_a_folder(tmp_path: Path) -> None:
    folder = write(tmp_path / "in")
    with pytest.raises(InputError) as caught:
        read_folder(folder / "vms.csv")
    assert (caught.value.given, caught.value.hint) == ("a file", f"did you mean the folder {folder}?")
    (tmp_path / "x.xlsx").touch()
    with pytest.raises(InputError, match="first: drs convert"):
        read_folder(tmp_path / "x.xlsx")


def test_both_formats_of_one_table(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", vms_parquet=b"")
    with pytest.raises(InputError) as caught:
        read_folder(folder)
    assert str(caught.value) == (
        f"{folder}: both vms.csv and vms.parquet; expected one file of the table vms (remove the older one)"
    )


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_folder(tmp_path)
    assert [fault.given for fault in caught.value.faults] == [
        "there is no hosts.csv or hosts.parquet",
        "there is no vms.csv or vms.parquet",
    ]


# -- the description


def test_the_description(tmp_path: Path) -> None:
    toml = 'name = "Köln"\ntaken_at = 2026-01-31T14:00:00Z\ndescription = """two\nlines"""\nsource = "test"\n'
    snapshot = read_folder(write(tmp_path / "in", snapshot_toml=toml))
    assert (snapshot.name, snapshot.taken_at) == ("Köln", "2026-01-31T14:00:00+00:00")
    again = read_folder(write_folder(snapshot, tmp_path / "out"))
    assert (again.name, again.taken_at, again.description, again.source) == (
        "Köln",
        "2026-01-31T14:00:00+00:00",
        "two\nlines",
        "test",
    )
    assert read_folder(write(tmp_path / "in", snapshot_toml=None)).name == "Köln"
    (tmp_path / "in" / "snapshot.toml").unlink()
    assert read_folder(tmp_path / "in").name == "in"


# -- writing


@pytest.fixture
def snapshot() -> Snapshot:
    return from_frames({**MINIMAL, **DISK}, name="n")


def test_a_snapshot_is_replaced_and_its_other_files_are_kept(snapshot: Snapshot, tmp_path: Path) -> None:
    folder = write(tmp_path / "in", rules_toml="# mine\n")
    (folder / "notes").mkdir()
    (folder / "notes" / "a.txt").write_text("a")
    write_folder(snapshot, folder, "parquet")
    assert {path.name for path in folder.iterdir()} == {
        "hosts.parquet",
        "clusters.parquet",
        "vms.parquet",
        "disks.parquet",
        "datastores.parquet",
        "snapshot.toml",
        "rules.toml",
        "notes",
    }
    assert (folder / "notes" / "a.txt").read_text() == "a"
    assert read_folder(folder).digest == snapshot.digest
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_something_else_is_not_replaced(snapshot: Snapshot, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("x")
    (tmp_path / "file").write_text("x")
    for target, given in (
        ("thesis", "a folder that holds something else than a snapshot"),
        ("file", "a file of that name is there already"),
        ("no/such/place", f"the folder {tmp_path / 'no/such'} does not exist"),
    ):
        with pytest.raises(InputError) as caught:
            write_folder(snapshot, tmp_path / target)
        assert caught.value.given == given
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "x"
    assert {path.name for path in tmp_path.iterdir()} == {"thesis", "file"}


def test_an_empty_folder_is_filled(snapshot: Snapshot, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    assert is_snapshot(write_folder(snapshot, tmp_path / "new"))


def test_an_unknown_format(snapshot: Snapshot, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="format: 'xml'; expected one of csv, parquet"):
        write_folder(snapshot, tmp_path / "new", "xml")  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("broken", ["folder._write_csv", "folder._toml_text", "atomic._move_over"])
def test_a_fault_in_the_middle_leaves_the_old_folder(
    broken: str, snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "in")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(f"drs.io.{broken}", fail)
    with pytest.raises(OSError, match="no space left"):
        write_folder(snapshot, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
