"""Moves chosen by hand: every fault with its row and field."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from drs import io
from drs.errors import InputError
from drs.io.moves_csv import moves_from, read_moves
from drs.model import Snapshot


@pytest.fixture
def snapshot() -> Snapshot:
    return io.from_frames(
        {
            "hosts": pd.DataFrame(
                {"host": ["esx-1", "esx-2"], "cpu_mhz": [1e4, 1e4], "memory_mib": [65536, 65536]}
            ),
            "vms": pd.DataFrame(
                {
                    "vm": ["web", "db"],
                    "host": ["esx-1", "esx-2"],
                    "memory_mib": [4096, 8192],
                    "cpu_demand_mhz": [500, 900],
                }
            ),
            "datastores": pd.DataFrame({"datastore": ["ds-1", "ds-2"], "capacity_gib": [500, 500]}),
            "disks": pd.DataFrame(
                {"vm": ["db", "db"], "disk": ["0", "1"], "datastore": ["ds-1", "ds-1"], "size_gib": [20, 30]}
            ),
        }
    )


def test_positions(snapshot: Snapshot) -> None:
    read = moves_from(
        [{"vm": "db", "to_host": "esx-1", "to_datastore": "ds-2 ds-1"}, {"vm": "web", "to_host": "esx-2"}],
        snapshot,
    )
    assert read["vm_idx"] == [1, 0]
    assert read["to_host_idx"] == [0, 1]
    assert read["to_datastores"] == [[1, 0], None]


@pytest.mark.parametrize(
    ("row", "field", "expected"),
    [
        ({"vm": "dbb", "to_host": "esx-1"}, "field vm", "did you mean db?"),
        ({"vm": "", "to_host": "esx-1"}, "field vm", "nothing"),
        ({"vm": "db", "to_host": "esx-l"}, "field to_host", "did you mean esx-"),
        ({"vm": "db", "to_datastore": "ds-9"}, "field to_datastore", "the name of a datastore"),
        ({"vm": "db", "to_datastore": "ds-1 ds-2 ds-1"}, "field to_datastore", "one, or 2"),
        ({"vm": "db"}, "row 2", "at least one of them"),
        ({"vm": "db", "to_host": "esx-1", "kind": "vmotoin"}, "field kind", "did you mean vmotion?"),
    ],
)
def test_faults(snapshot: Snapshot, row: dict[str, str], field: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        moves_from([{"vm": "web", "to_host": "esx-2"}, row], snapshot, "moves.csv")
    assert len(caught.value.faults) == 1
    text = str(caught.value)
    assert "moves.csv, row 2" in text and field in text and expected in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "an empty file"),
        ("vm,to_host\n", "no move"),
        ("machine,to_host\nweb,esx-1\n", "column is missing"),
        ("vm;to_host\nweb;esx-1\n", "moves.csv, header: columns that are separated by semicolons"),
        ("vm,to_host\nweb,esx-1\nwéb,esx-1\n", "moves.csv, line 3: the byte 0xe9 is not UTF-8"),
    ],
)
def test_broken_files(snapshot: Snapshot, tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "moves.csv").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=expected):
        read_moves(tmp_path / "moves.csv", snapshot)


def test_a_missing_file(snapshot: Snapshot, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_moves(tmp_path / "moves.csv", snapshot)


def test_many_faults_are_told_together(snapshot: Snapshot) -> None:
    with pytest.raises(InputError) as caught:
        moves_from([{"vm": "x", "to_host": "y"}, {"vm": "db"}], snapshot)
    assert len(caught.value.faults) == 3
