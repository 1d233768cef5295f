"""What is written is read back as the same, whatever the format."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from io_cases import GOOD, write
from io_strategies import snapshots

from drs.io import from_frames, read_folder, to_frames, write_folder
from drs.model import Snapshot


@given(snapshots())
def test_frames(snapshot: Snapshot) -> None:
    assert from_frames(to_frames(snapshot)).digest == snapshot.digest


@pytest.mark.parametrize("format", ["csv", "parquet"])
@given(snapshot=snapshots())
def test_folder(format: str, snapshot: Snapshot) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write_folder(snapshot, Path(folder) / "there", format)  # type: ignore[arg-type]
        again = read_folder(path)
        assert again.digest == snapshot.digest
        assert again.name == (snapshot.name or "there")
        assert (again.description, again.source) == (snapshot.description, snapshot.source)
        assert {file.suffix for file in path.iterdir()} == {f".{format}", ".toml"}


def test_every_format_of_the_good_input(tmp_path: Path) -> None:
    first = read_folder(write(tmp_path / "in"))
    csv = read_folder(write_folder(first, tmp_path / "csv"))
    parquet = read_folder(write_folder(csv, tmp_path / "parquet", "parquet"))
    frames = from_frames(to_frames(parquet))
    assert {first.digest, csv.digest, parquet.digest, frames.digest} == {first.digest}
    assert list(to_frames(first)) == [
        "hosts",
        "clusters",
        "pools",
        "vms",
        "disks",
        "datastores",
        "links",
        "mounts",
        "nics",
        "portgroups",
        "loads",
    ]


def test_bom_crlf_blank_lines_and_empty_tail(tmp_path: Path) -> None:
    first = read_folder(write(tmp_path / "in"))
    spreadsheet = {}
    for name, text in GOOD.items():
        commas = "," * text.split("\n")[0].count(",")
        crlf = text.replace("\n", "\r\n") + "\r\n" + f"{commas}\r\n" * 2
        spreadsheet[name.replace(".", "_")] = b"\xef\xbb\xbf" + crlf.encode()
    assert read_folder(write(tmp_path / "excel", **spreadsheet)).digest == first.digest


def test_lines_that_end_in_a_carriage_return_alone(tmp_path: Path) -> None:
    old = {name.replace(".", "_"): text.replace("\n", "\r").encode() for name, text in GOOD.items()}
    assert read_folder(write(tmp_path / "old", **old)).digest == read_folder(write(tmp_path / "in")).digest


def test_no_newline_at_the_end_and_quotes(tmp_path: Path) -> None:
    first = read_folder(write(tmp_path / "in"))
    quoted = {
        name.replace(".", "_"): "\n".join(
            ",".join(f'"{cell}"' for cell in row.split(",")) for row in text.strip().split("\n")
        )
        for name, text in GOOD.items()
    }
    assert read_folder(write(tmp_path / "quoted", **quoted)).digest == first.digest


def test_a_name_with_comma_and_quote(tmp_path: Path) -> None:
    vms = 'vm,host,memory_mib,cpu_demand_mhz\n"db, ""old""",h,1,1\n'
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "vms.csv").write_text(vms, encoding="utf-8")
    (folder / "hosts.csv").write_text("host,cpu_mhz,memory_mib\nh,10,10\n", encoding="utf-8")
    snapshot = read_folder(folder)
    assert snapshot.vms.name.tolist() == ['db, "old"']
    assert read_folder(write_folder(snapshot, tmp_path / "out")).digest == snapshot.digest


def test_parquet_of_other_makers(tmp_path: Path) -> None:
    """Whole numbers, categories, time stamps with a zone, an index: as pandas writes them."""
    folder = write(tmp_path / "in")
    first = read_folder(folder)
    for table in ("vms", "loads", "disks"):
        frame = pd.read_csv(folder / f"{table}.csv")
        if table == "loads":
            frame["time"] = pd.to_datetime(frame["time"]).dt.tz_convert("Europe/Berlin")
        frame["vm"] = frame["vm"].astype("category")
        frame.index = frame.index + 7
        frame.to_parquet(folder / f"{table}.parquet", index=True)
        (folder / f"{table}.csv").unlink()
    assert read_folder(folder).digest == first.digest


def test_names_that_look_like_numbers(tmp_path: Path) -> None:
    frames = {
        "hosts": pd.DataFrame({"host": [1, 2], "cpu_mhz": [10, 10], "memory_mib": [10, 10]}),
        "vms": pd.DataFrame({"vm": [7], "host": [2], "memory_mib": [1], "cpu_demand_mhz": [1]}),
    }
    snapshot = from_frames(frames)
    assert snapshot.hosts.name.tolist() == ["1", "2"] and snapshot.vms.host_idx.tolist() == [1]
    folder = write_folder(snapshot, tmp_path / "out")
    assert read_folder(folder).digest == snapshot.digest
    assert (folder / "vms.csv").read_text().splitlines()[1].startswith("7,2,1,1")


def test_columns_that_hold_defaults_are_left_out(tmp_path: Path) -> None:
    folder = write(tmp_path / "in")
    out = write_folder(read_folder(folder), tmp_path / "out")
    header = (out / "hosts.csv").read_text().splitlines()[0].split(",")
    assert "hypervisor" not in header and "state" not in header and "cpu_reserved_mhz" in header
    assert (out / "datastores.csv").read_text() == (
        "datastore,capacity_gib,free_gib,state\nds-1,1000,400,connected\nds-2,500,450,maintenance\n"
    )


def test_float32_is_told_short(tmp_path: Path) -> None:
    snapshot = read_folder(write(tmp_path / "in"))
    out = write_folder(snapshot, tmp_path / "out")
    assert "475.5,1100" in (out / "loads.csv").read_text()


@pytest.mark.parametrize(
    "module", ["drs.io", "drs.io.columns", "drs.io.raw", "drs.io.build", "drs.io.readers.rvtools"]
)
def test_importing_is_light(module: str) -> None:
    code = (
        f"import sys, {module}\n"
        "heavy = {'pandas', 'pyarrow', 'pydantic', 'openpyxl', 'pyVmomi', 'ortools', 'numba'}\n"
        "heavy &= set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_csv_folder_is_read_without_pandas(tmp_path: Path) -> None:
    folder = write(tmp_path / "in")
    code = (
        "import sys, drs.io\n"
        f"drs.io.read_folder({str(folder)!r})\n"
        "sys.exit('pandas' if 'pandas' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_attributes_of_the_module_are_there() -> None:
    from drs import io

    for name in dir(io):
        assert getattr(io, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'read_all'"):
        io.read_all  # noqa: B018


def test_real_snapshots_round_trip(bench_data: Path, tmp_path: Path) -> None:
    folders = sorted((bench_data / "data" / "snapshots").glob("bitbrains-*"))
    if not folders:
        pytest.skip("no snapshots in the benchmark data")
    for folder in folders:
        snapshot = read_folder(folder)
        assert (
            read_folder(write_folder(snapshot, tmp_path / folder.name, "parquet")).digest == snapshot.digest
        )
        assert read_folder(write_folder(snapshot, tmp_path / folder.name, "csv")).digest == snapshot.digest
        assert np.isfinite(snapshot.capacity("memory")).all()
