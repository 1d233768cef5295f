"""One line in columns.csv is all that a new column needs: planted here for each table that has rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from io_cases import GOOD, write

from drs.errors import InputError
from drs.io import columns as the_columns
from drs.io import from_frames, read_folder, to_frames, write_folder
from drs.io.change_kinds import SetColumn
from drs.io.changes import apply
from drs.io.columns import Column
from drs.io.reference import snapshot_format

PLANTED = {
    "hosts": ("asset_no", "number", "7"),
    "clusters": ("contact", "name", "ann"),
    "pools": ("owner", "name", "bob"),
    "vms": ("when_emptied", "choice", "restart"),
    "disks": ("twin", "name", "d2"),
    "datastores": ("made_for", "evc", "intel-haswell"),
    "links": ("jitter_ms", "number", "0.5"),
}
"""Table: column, type, and what stands in its first row; the others are empty."""


def line(table: str) -> Column:
    name, kind, _ = PLANTED[table]
    choices = ("migrate", "restart") if kind == "choice" else ()
    default = {"number": "3", "choice": "migrate"}.get(kind, "none")
    bounds = ">=0" if kind == "number" else ""
    return Column(table, name, name, False, "", kind, "", default, bounds, choices, "", f"Planted in {table}")  # type: ignore[arg-type]


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The lines as if they stood in the file."""
    with_lines = (*the_columns.columns(), *(line(table) for table in PLANTED))
    monkeypatch.setattr(the_columns, "columns", lambda: with_lines)
    monkeypatch.setattr("drs.io.reference.columns", lambda: with_lines)
    the_columns.tables.cache_clear()
    yield
    monkeypatch.undo()
    the_columns.tables.cache_clear()


def with_column(table: str, cell: str) -> str:
    """The table of the good input with the planted column: a cell in its first row, none below."""
    header, *rows = GOOD[f"{table}.csv"].splitlines()
    cells = [cell, *[""] * (len(rows) - 1)]
    lines = [f"{header},{PLANTED[table][0]}", *(f"{row},{own}" for row, own in zip(rows, cells, strict=True))]
    return "\n".join(lines) + "\n"


def planted_folder(folder: Path) -> Path:
    return write(
        folder, **{f"{table}_csv": with_column(table, cell) for table, (_, _, cell) in PLANTED.items()}
    )


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize("table", PLANTED)
def test_a_planted_column_is_read_written_and_told(table: str, tmp_path: Path) -> None:
    name, kind, cell = PLANTED[table]
    snapshot = read_folder(planted_folder(tmp_path / "in"))
    values = getattr(snapshot, table).value(name)
    default = {"number": "3", "choice": "migrate"}.get(kind, "")
    assert [f"{value:g}" if kind == "number" else str(value) for value in values.tolist()] == [
        cell,
        *[default] * (len(values) - 1),
    ]
    for format_ in ("csv", "parquet"):
        write_folder(snapshot, tmp_path / format_, format_)  # type: ignore[arg-type]
        again = read_folder(tmp_path / format_)
        assert again.digest == snapshot.digest
        assert np.array_equal(getattr(again, table).value(name), values)
    frames = to_frames(snapshot)
    assert name in frames[table].columns
    assert from_frames(frames).digest == snapshot.digest
    assert f"| `{name}` |" in snapshot_format() and f"Planted in {table}" in snapshot_format()


@pytest.mark.usefixtures("planted")
def test_a_planted_column_counts_for_the_digest_and_only_where_it_says_something(tmp_path: Path) -> None:
    snapshot = read_folder(planted_folder(tmp_path / "in"))
    other = read_folder(write(tmp_path / "plain"))
    assert snapshot.digest != other.digest
    write_folder(other, tmp_path / "out")
    assert all(
        name not in path.read_text()
        for path in (tmp_path / "out").glob("*.csv")
        for name, _, _ in PLANTED.values()
    )


@pytest.mark.usefixtures("planted")
def test_a_planted_column_is_checked(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in",
        vms_csv=with_column("vms", "restarts"),
        hosts_csv=with_column("hosts", "-7"),
        datastores_csv=with_column("datastores", "intel-haswel"),
    )
    with pytest.raises(InputError) as caught:
        read_folder(folder)
    assert [str(fault) for fault in caught.value.faults] == [
        "hosts.csv, row 1 (esx-01), field asset_no: '-7'; expected a number of 0 or more",
        "vms.csv, row 1 (web-01), field when_emptied: 'restarts'; expected one of migrate, restart "
        "(did you mean restart?)",
        "datastores.csv, row 1 (ds-1), field made_for: unknown EVC baseline 'intel-haswel'; expected the key of "
        "an EVC baseline such as intel-broadwell (did you mean intel-haswell?)",
    ]


@pytest.mark.usefixtures("planted")
def test_a_planted_column_is_edited(tmp_path: Path) -> None:
    snapshot = read_folder(planted_folder(tmp_path / "in"))
    change = SetColumn(table="vms", rows=("web-02",), column="when_emptied", value="restart")
    after = apply(snapshot, [change]).snapshot
    assert after.vms.value("when_emptied") is not None
    assert after.vms.more["when_emptied"].tolist() == ["restart", "restart", "migrate"]
    with pytest.raises(ValueError, match="read-only"):
        after.vms.more["when_emptied"][0] = "migrate"


def test_what_is_written_and_read_again_is_the_same_cluster(tmp_path: Path) -> None:
    """Columns that hold nothing but their default are no part of it; others stay."""
    from drs import datasets, io

    snapshot = datasets.make_cluster(3, 9, 2)
    io.write_folder(snapshot, tmp_path / "plain")
    again = io.read_folder(tmp_path / "plain")
    assert again.digest == snapshot.digest and not again.hosts.more
    derated = pd.read_csv(tmp_path / "plain" / "hosts.csv").assign(derate_ratio=[1.0, 0.5, 1.0])
    derated.to_csv(tmp_path / "plain" / "hosts.csv", index=False)
    third = io.read_folder(tmp_path / "plain")
    assert third.hosts.more["derate_ratio"].tolist() == [1.0, 0.5, 1.0] and third.digest != snapshot.digest
