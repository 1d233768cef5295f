"""The batch on disk and in processes: nothing lost, nothing twice, whatever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from drs import datasets, whatif
from drs.errors import InputError
from drs.whatif import Batch, Part, Scenario, pool, runner, store
from drs.whatif.row import Base

SCENARIOS = '[ask]\niterations = 20\nplan = false\n[[grid]]\naxes = { p = { from = 1, to = COUNT } }\n' \
            'grow = [{ cpu_percent = "$p", periods = 1 }]\n'  # fmt: skip


def written(tmp_path: Path, count: int) -> Path:
    path = tmp_path / "s.toml"
    path.write_text(SCENARIOS.replace("COUNT", str(count)))
    return path


def numbers(out: Path) -> list[int]:
    return sorted(whatif.read(out)["number"].tolist())


def started(tmp_path: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "drs",
        "what-if",
        "small",
        str(tmp_path / "s.toml"),
        "--out",
        str(out),
        *options,
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def children(pid: int) -> list[int]:
    """Worker processes of a driver (Linux)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
                command = (entry / "cmdline").read_text()
            except OSError:
                continue
            if int(text.rsplit(")", 1)[1].split()[1]) == pid and "spawn_main" in command:
                found.append(int(entry.name))
    return found


def waited(what: Any, most_s: float = 90.0) -> Any:
    end = time.monotonic() + most_s
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it took too long")


def cheap(monkeypatch: pytest.MonkeyPatch, fails: int = -1) -> None:
    def answer(base: Base, number: int, scenario: Scenario) -> dict[str, Any]:
        row = {
            "number": number,
            "scenario": scenario.name,
            "error": "",
            "n_moves": number % 5,
            "cpu_max_after": 0.5,
        }
        if number == fails:
            row["error"] = "no"
        return {**row, "key": base.key(scenario)}

    monkeypatch.setattr(pool, "answer", answer)


def test_memory_does_not_grow_with_the_scenarios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    cheap(monkeypatch)
    monkeypatch.setattr(store, "ROWS", 500)
    peaks = []
    for count in (2_000, 8_000):
        batch = whatif.read_batch(written(tmp_path, count))
        tracemalloc.start()
        ran = whatif.stream("small", batch, out=tmp_path / f"{count}.parquet")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert ran.n_done == count and numbers(tmp_path / f"{count}.parquet") == list(range(count))
    assert peaks[1] < 1.5 * peaks[0], peaks


def test_results_can_be_read_while_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap(monkeypatch)
    monkeypatch.setattr(store, "ROWS", 3)
    seen = []

    def look(row: dict[str, Any]) -> None:
        if row["number"] == 7:
            seen.append(len(pd.read_parquet(tmp_path / "r.parquet")))

    whatif.stream("small", written(tmp_path, 10), out=tmp_path / "r.parquet", on_row=look)
    assert seen == [6]


def test_columns_that_come_late_are_there_for_every_reader(tmp_path: Path) -> None:
    held = store.Store(tmp_path / "r.parquet", resume=False, about={})
    held.add({"number": 0, "scenario": "a", "error": "no", "key": "01"})
    held.flush()
    held.add({"number": 1, "scenario": "b", "error": "", "n_moves": 3, "at_x": 5, "key": "02"})
    held.add({"number": 2, "scenario": "c", "error": "", "at_x": "five", "key": "03"})
    held.flush()
    table = pd.read_parquet(tmp_path / "r.parquet").sort_values("number")
    assert table["n_moves"].tolist()[1] == 3 and table["at_x_text"].tolist()[2] == "five"
    assert held.keys().tolist() == [1, 2, 3]


def test_it_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap(monkeypatch, fails=4)
    out, path = tmp_path / "r.parquet", written(tmp_path, 12)
    first = whatif.stream("small", path, out=out, part=Part(limit=5))
    assert (first.n_done, first.n_failed) == (5, 1)
    with pytest.raises(InputError, match="holds results of an earlier run"):
        whatif.stream("small", path, out=out)
    then = whatif.stream("small", path, out=out, resume=True)
    assert (then.n_before, then.n_done, then.n_left) == (5, 7, 0)
    assert numbers(out) == list(range(12))
    other = datasets.load("medium")
    assert (
        whatif.stream(other, path, out=out, resume=True, rules=()).n_before == 0
    )  # another snapshot, another key


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "r.parquet").mkdir()
    (tmp_path / "r.parquet" / "thesis.txt").write_text("x")
    for resume in (False, True):
        with pytest.raises(InputError, match="holds no results of drs"):
            whatif.stream("small", written(tmp_path, 2), out=tmp_path / "r.parquet", resume=resume)


def test_a_csv_is_written_in_order_and_its_parts_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap(monkeypatch)
    whatif.stream("small", written(tmp_path, 9), out=tmp_path / "r.csv")
    assert pd.read_csv(tmp_path / "r.csv")["number"].tolist() == list(range(9))
    assert not (tmp_path / "r.parts").exists()


def test_any_executor_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap(monkeypatch)
    with ThreadPoolExecutor(2) as executor:
        table = whatif.run("small", written(tmp_path, 20), executor=executor, jobs=2)
        assert executor.submit(int, "3").result() == 3  # it stays open
    assert table["number"].tolist() == list(range(20))


def test_a_bug_in_one_scenario_costs_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    from drs.whatif import row

    def broken(*_: object) -> dict[str, Any]:
        raise ZeroDivisionError("x / 0")

    monkeypatch.setattr(row, "_figures", broken)
    table = whatif.run("small", Batch.of([Scenario(name="a"), Scenario(name="b")]))
    assert table["error"].str.contains("a bug in drs: ZeroDivisionError: x / 0").all()


def test_progress_tells_rate_end_and_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap(monkeypatch, fails=1)
    notes: list[str] = []
    whatif.stream("small", written(tmp_path, 5), on_progress=lambda progress: notes.append(progress.note))
    assert notes[-1].startswith("5 of 5, ") and "/s" in notes[-1] and notes[-1].endswith("1 failed")


def test_a_part_is_counted_and_an_empty_one_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap(monkeypatch)
    path = written(tmp_path, 30)
    assert whatif.stream("small", path, part=Part(where="p 1*")).n_asked == 11
    assert whatif.stream("small", path, part=Part(where="p=7")).n_done == 1
    assert whatif.stream("small", path, part=Part(sample=4, seed=2)).n_done == 4
    with pytest.raises(InputError, match="means no scenario"):
        whatif.stream("small", path, part=Part(where="q*"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_killed_worker_loses_nothing(tmp_path: Path) -> None:
    written(tmp_path, 30)
    out = tmp_path / "r.parquet"
    driver = started(tmp_path, out, "--jobs", "2")
    victim = waited(lambda: children(driver.pid))[0]
    waited(lambda: len(list(out.glob("*.parquet"))) > 1)
    os.kill(victim, signal.SIGKILL)
    _, said = driver.communicate(timeout=180)
    assert driver.returncode == 0, said
    assert numbers(out) == list(range(30))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_killed_driver_leaves_no_worker_and_is_gone_on_with(tmp_path: Path) -> None:
    written(tmp_path, 40)
    out = tmp_path / "r.parquet"
    driver = started(tmp_path, out, "--jobs", "2")
    workers = waited(lambda: len(children(driver.pid)) == 2 and children(driver.pid))
    waited(lambda: len(list(out.glob("*.parquet"))) > 1)
    driver.kill()
    driver.communicate(timeout=60)
    waited(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 20.0)
    before = numbers(out)
    assert 0 < len(before) < 40
    again = started(tmp_path, out, "--jobs", "2", "--resume")
    _, said = again.communicate(timeout=180)
    assert again.returncode == 0, said
    assert f"{len(before)} before" in said
    assert numbers(out) == list(range(40))


@pytest.mark.slow
def test_ctrl_c_says_what_is_done_and_how_to_go_on(tmp_path: Path) -> None:
    written(tmp_path, 200)
    out = tmp_path / "r.parquet"
    driver = started(tmp_path, out)
    waited(lambda: len(list(out.glob("*.parquet"))) > 1)
    driver.send_signal(signal.SIGINT)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode != 0
    assert "of 200 scenarios answered" in said and "--resume" in said
    assert 0 < len(numbers(out)) < 200


def test_a_worker_that_always_dies_has_that_in_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    base = Base(datasets.load("small"))
    monkeypatch.setattr(pool, "_answer_here", dies_at_one)
    tasks = [(n, Scenario(name=str(n))) for n in range(4)]
    rows = sorted(pool.in_processes(base, tasks, 2), key=lambda row: int(row["number"]))
    assert [row["number"] for row in rows] == [0, 1, 2, 3]
    assert ["died twice" in row["error"] for row in rows] == [False, True, False, False]


def dies_at_one(number: int, scenario: Scenario) -> dict[str, Any]:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"number": number, "scenario": scenario.name, "error": "", "notes": ""}


@pytest.fixture
def dask_scheduler() -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers on loopback, each a process of its own."""
    pytest.importorskip("distributed")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port),
               "--no-dashboard", "--no-show"]  # fmt: skip
    running = [subprocess.Popen(command, **quiet)]  # type: ignore[call-overload]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny",
              "--no-dashboard", "--host", "127.0.0.1"]  # fmt: skip
    running += [subprocess.Popen(worker, **quiet) for _ in range(2)]  # type: ignore[call-overload]
    try:
        from distributed import Client

        with Client(address, timeout="60s", set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield address, running
    finally:
        for process in running:
            process.kill()
            process.wait(30)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_dask_loses_nothing_when_a_worker_is_killed(
    tmp_path: Path, dask_scheduler: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    address, running = dask_scheduler
    out = tmp_path / "r.parquet"
    done: list[int] = []

    def kill_one(row: dict[str, Any]) -> None:
        done.append(row["number"])
        if len(done) == 4:
            running[1].kill()

    ran = whatif.stream("small", written(tmp_path, 16), out=out, dask=address, on_row=kill_one)
    assert ran.n_failed == 0, ran.failed
    assert sorted(done) == list(range(16)) == numbers(out)


@pytest.mark.filterwarnings("ignore")
def test_a_bad_dask_address_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(pool, "DASK_TIMEOUT", "1s")
    with pytest.raises(InputError, match="no scheduler answers at"):
        whatif.stream("small", written(tmp_path, 2), dask="tcp://127.0.0.1:1")


def test_the_rate_is_of_the_last_rows() -> None:
    from collections import deque

    ran = runner.Ran(10, n_done=4)
    assert runner._progress(ran, deque([0.0, 1.0, 2.0, 3.0]), 0.0).note == "4 of 10, 1/s, 6 s left"
