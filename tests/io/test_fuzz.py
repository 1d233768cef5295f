"""Whatever stands in the files: a snapshot that can be written and read again, or an InputError."""

from __future__ import annotations

import datetime
import decimal
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from io_cases import GOOD, write

from drs.errors import InputError
from drs.io import from_frames, read_folder, read_policy, read_rules, to_frames
from drs.io.columns import columns

pytestmark = pytest.mark.filterwarnings("ignore::drs.io.InputWarning")

ODD = [
    "", " ", "-1", "0", "1e308", "nan", "inf", "1_000", "0x10", '"', "'", ",", ";", "\t", "é", "\x00", "\r",
    "\n", "=1+1", "on", "esx-01", "web-01", "2026-01-31", "true", "１２",
]  # fmt: skip
cells = st.one_of(st.sampled_from(ODD), st.text(max_size=4))


@given(st.sampled_from(sorted(GOOD)), st.integers(0, 400), st.integers(0, 12), cells)
def test_spoiled_text(file: str, at: int, length: int, insert: str) -> None:
    text = GOOD[file]
    spoiled = text[:at] + insert + text[at + length :]
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), **{file.replace(".", "_"): spoiled})
        _read_or_complain(Path(folder))


@given(st.sampled_from(sorted(GOOD)), st.integers(0, 400), st.binary(max_size=4))
def test_spoiled_bytes(file: str, at: int, insert: bytes) -> None:
    data = GOOD[file].encode()
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), **{file.replace(".", "_"): data[:at] + insert + data[at:]})
        _read_or_complain(Path(folder))


def _read_or_complain(folder: Path) -> None:
    try:
        snapshot = read_folder(folder)
    except InputError as error:
        assert error.faults and all(fault.where and fault.given and fault.expected for fault in error.faults)
    else:
        assert from_frames(to_frames(snapshot)).digest == snapshot.digest


values = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(), st.text(max_size=3), st.binary(max_size=3),
    st.just(decimal.Decimal("1.5")), st.just(datetime.date(2026, 1, 31)), st.just([1]), st.just({"a": 1}),
    st.just(datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC)), st.just(datetime.timedelta(seconds=1)),
    st.just(float("nan")), st.just(complex(1, 1)), st.just(pd.NaT), st.just(pd.NA), st.just(object()),
)  # fmt: skip


@given(
    st.sampled_from([c for c in columns() if not c.column.startswith("<")]),
    st.lists(values, min_size=3, max_size=3),
)
def test_frames_of_anything(column: Any, spoiled: list[Any]) -> None:
    frames = {name.removesuffix(".csv"): _frame(text) for name, text in GOOD.items()}
    frame = frames[column.table]
    frame[column.column] = pd.Series((spoiled * 3)[: len(frame)], dtype=object)
    try:
        from_frames(frames)
    except InputError as error:
        assert error.faults


def _frame(text: str) -> pd.DataFrame:
    header, *rows = [line.split(",") for line in text.strip().split("\n")]
    return pd.DataFrame([[cell or None for cell in row] for row in rows], columns=header)


@pytest.mark.parametrize(
    "array",
    [
        pa.array([True, False, None]),
        pa.array([b"1", b"\xff", None]),
        pa.array([decimal.Decimal("1.50"), None, None]),
        pa.array([datetime.date(2026, 1, 31)] * 3),
        pa.array([1, 2, 3], pa.timestamp("ns")),
        pa.array([1, 2, 3], pa.duration("s")),
        pa.array([1, 2, 3], pa.time32("s")),
        pa.array([[1], [2], []]),
        pa.array([{"a": 1}] * 3),
        pa.nulls(3),
        pa.array([1.5, float("nan"), float("inf")], pa.float16()) if hasattr(pa, "float16") else pa.nulls(3),
        pa.array(["a", "b", "a"]).dictionary_encode(),
    ],
    ids=lambda array: str(array.type),
)
@pytest.mark.parametrize("column", ["memory_active_mib", "vm", "power", "host"])
def test_parquet_of_anything(array: Any, column: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "in", vms_csv=None, disks_csv=None, nics_csv=None, loads_csv=None)
    frame = _frame(GOOD["vms.csv"])
    table = pa.table(
        {name: pa.array(list(frame[name]), from_pandas=True) for name in frame.columns if name != column}
        | {column: array}
    )
    pq.write_table(table, folder / "vms.parquet")
    _read_or_complain(folder)


toml_values = st.recursive(
    st.one_of(
        st.booleans(), st.integers(-3, 3), st.floats(), st.text(max_size=5), st.just("1979-05-27T07:32:00Z")
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(
    st.sampled_from(["type", "name", "vms", "scope", "at_most", "policy", "when", "weight", "x"]), toml_values
)
def test_rules_of_anything(key: str, value: Any) -> None:
    from drs.io.raw import Faults
    from drs.io.rules_toml import rules_of

    table = {"type": "keep-apart", "vms": "web-*", key: value}
    faults = Faults()
    rules = rules_of({"rule": [table, value]} if key == "x" else {"rule": [table]}, "rules.toml", faults)
    assert bool(faults) != bool(rules)


@given(
    st.sampled_from(
        ["goal", "goals", "limits", "concurrency", "trigger", "profile", "migration_scope", "max_moves"]
    ),
    toml_values,
)
def test_policies_of_anything(key: str, value: Any) -> None:
    from drs.io.policy_toml import policy_of
    from drs.io.raw import Faults

    faults = Faults()
    policy = policy_of({key: value}, "policy.toml", faults)
    assert (policy is None) == bool(faults)


@given(st.text(max_size=60))
def test_toml_of_anything(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, read in (("rules.toml", read_rules), ("policy.toml", read_policy)):
            (Path(folder) / name).write_text(text, encoding="utf-8", errors="surrogatepass")
            try:
                read(Path(folder))
            except InputError as error:
                assert error.faults
