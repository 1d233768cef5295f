"""Runs a batch of scenarios: a generator from the file to the rows on disk."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drs.errors import DrsError, Fault, InputError
from drs.frame import DataFrame, frame
from drs.io.table_file import check_table_path, write_table
from drs.model.selector import Selector, entries
from drs.problem.policy import Policy
from drs.problem.scope import hosts_of
from drs.rules import Rule
from drs.stop import OnProgress, Progress
from drs.whatif import pool
from drs.whatif.batch import MOST, Batch, read_batch
from drs.whatif.row import Base
from drs.whatif.scenarios import Scenario
from drs.whatif.store import Store, read
from drs.words import seconds

if TYPE_CHECKING:
    from drs.api import Source

SHOWN = 40
"""So many rows are kept for whoever shows them."""
LOOK_BACK = 200
"""The rate is that of the last so many rows."""


@dataclass(frozen=True)
class Part:
    """Which scenarios of a file: a pattern of names or `AXIS=VALUE`, so many by chance, the first so many."""

    where: str = ""
    sample: int | None = None
    limit: int | None = None
    seed: int = 0


@dataclass
class Ran:
    """What became of a batch.

    n_asked : scenarios that were meant. n_before : those that an earlier run had done. n_done : those of this run.
    n_failed : without an answer, among these. interrupted : whether it was ended before all were done.
    first : the first rows. out : where all rows are; None where they were only given out.
    """

    n_asked: int
    n_before: int = 0
    n_done: int = 0
    n_failed: int = 0
    interrupted: bool = False
    elapsed_s: float = 0.0
    out: Path | None = None
    first: list[dict[str, Any]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)

    @property
    def n_left(self) -> int:
        """Scenarios that are not done."""
        return self.n_asked - self.n_before - self.n_done

    def sentences(self) -> list[str]:
        """In words."""
        done = f"{self.n_done:,} of {self.n_asked:,} scenarios answered in {seconds(self.elapsed_s)}"
        if self.n_before:
            done += f", {self.n_before:,} before"
        if self.n_failed:
            done += f"; {self.n_failed:,} without an answer"
        lines = [done]
        lines += [f"{name}: {why.splitlines()[0]}" for name, why in self.failed]
        if self.n_failed > len(self.failed):
            lines.append(f"and {self.n_failed - len(self.failed):,} more; the column error says why")
        if self.interrupted and self.out is not None:
            lines.append(f"interrupted: {self.n_left:,} are left; what is done stands in {self.out}")
        return lines


def run(
    source: Source,
    scenarios: Path | str | Batch | Sequence[Scenario],
    *,
    out: Path | None = None,
    jobs: int = 1,
    dask: str | None = None,
    executor: Executor | None = None,
    resume: bool = False,
    rules: Sequence[Rule] | None = None,
    policy: Policy | None = None,
    cluster: Selector = (),
    on_progress: OnProgress | None = None,
) -> DataFrame:
    """One row for each scenario, in their order: `stream` for batches that fit in memory.

    A scenario that cannot be answered has its reason in the column `error`; the others go on. An interrupt
    keeps the rows that are done.
    """
    rows: list[dict[str, Any]] = []
    ran = stream(
        source, scenarios, out=out, jobs=jobs, dask=dask, executor=executor, resume=resume, rules=rules, policy=policy,
        cluster=cluster, on_progress=on_progress, on_row=rows.append,
    )  # fmt: skip
    if ran.interrupted and not rows:
        raise KeyboardInterrupt
    if out is not None and out.suffix == ".parquet":
        return read(out).sort_values("number", ignore_index=True)  # rows come as they are done
    return frame(sorted(rows, key=lambda row: int(row["number"])))


def stream(
    source: Source,
    scenarios: Path | str | Batch | Sequence[Scenario],
    *,
    out: Path | None = None,
    jobs: int = 1,
    dask: str | None = None,
    executor: Executor | None = None,
    resume: bool = False,
    part: Part | None = None,
    max_scenarios: int = MOST,
    rules: Sequence[Rule] | None = None,
    policy: Policy | None = None,
    cluster: Selector = (),
    on_row: Callable[[dict[str, Any]], None] | None = None,
    on_progress: OnProgress | None = None,
) -> Ran:
    """Answer scenarios and write their rows as they come; memory does not grow with their number.

    Parameters
    ----------
    out : a Parquet dataset (`results.parquet`, a folder that can be read while the batch runs), or a .csv file,
        which is written at the end from the dataset beside it (`results.parts`).
    jobs : local worker processes. dask : address of a Dask scheduler to use instead (needs the extra `dask`).
    executor : any executor of `concurrent.futures` to use instead; it stays open, and should have `jobs` workers.
    resume : whether to go on with the results in `out`: what is done there, by the digest of snapshot, rules, policy
        and scenario, is not done again.
    part : only some of the scenarios. max_scenarios : more are a fault, told before anything is done.
    cluster : the clusters that take part, names or patterns, where a scenario does not name its own.
    on_row : is given each row as it comes.

    Raises
    ------
    InputError : for faults in the file or the options. What goes wrong within a scenario stands in its row.
    """
    from drs import api

    if out is not None:
        _check_out(out)
    snapshot = api.read(source)
    rules = api.read_rules(source) if rules is None else rules
    policy = api.read_policy(source) if policy is None else policy
    if isinstance(scenarios, (str, Path)):
        batch = read_batch(Path(scenarios), snapshot, most=max_scenarios)
    else:
        batch = scenarios if isinstance(scenarios, Batch) else Batch.of(scenarios)
    hosts_of(snapshot, cluster)
    base = Base(snapshot, tuple(rules), policy)
    part = part or Part()
    n_asked = _count(batch, part)
    store = None
    if out is not None:
        from importlib.metadata import version

        folder = out if out.suffix == ".parquet" else out.with_suffix(".parts")
        about = {"snapshot": snapshot.name, "digest": base.digest, "n_scenarios": n_asked}
        about["drs"] = version("drs-optimizer")
        store = Store(folder, resume=resume, about=about)
    ran = Ran(n_asked, out=out)
    done = store.keys() if store is not None and resume else np.empty(0, dtype=np.uint64)
    tasks = _tasks(batch, part, base, entries(cluster), done, ran)
    if dask is not None:
        rows = pool.in_dask(base, tasks, dask)
    elif executor is not None:
        rows = pool.in_executor(base, tasks, executor, max(1, jobs) * pool.IN_FLIGHT)
    elif jobs > 1 and n_asked > 1:
        rows = pool.in_processes(base, tasks, min(jobs, n_asked))
    else:
        rows = pool.in_turn(base, tasks)
    _drive(rows, ran, store, on_row, on_progress)
    if store is not None and out is not None and out.suffix == ".csv":
        _write_csv(store, out, keep=ran.interrupted or ran.n_left > 0)
    return ran


def _check_out(out: Path) -> None:
    if out.suffix == ".parquet" and out.is_dir():
        check_table_path(out.with_suffix(".csv") if not out.with_suffix(".csv").is_dir() else out / "x.csv")
        return
    check_table_path(out)
    if out.suffix == ".parquet" and out.exists():
        raise InputError(
            Fault("out", f"{out} is a file", "a name that is not taken: the results are a folder")
        )


def _count(batch: Batch, part: Part) -> int:
    n = len(batch)
    if part.where:
        n = sum(1 for _ in batch.numbers(part.where))
        if not n:
            raise InputError(
                Fault("where", f"{part.where!r} means no scenario", "a pattern of names, or AXIS=VALUE")
            )
    return min(each for each in (n, part.sample, part.limit) if each is not None)


def _tasks(
    batch: Batch,
    part: Part,
    base: Base,
    cluster: tuple[str, ...],
    done: np.ndarray[Any, np.dtype[np.uint64]],
    ran: Ran,
) -> Iterator[pool.Task]:
    """What is left to do, one at a time."""
    for number in batch.numbers(part.where, part.sample, part.limit, part.seed):
        scenario = batch.scenario(number)
        if cluster and not scenario.clusters:
            scenario = scenario.model_copy(update={"cluster": cluster})
        if len(done):
            key = np.uint64(int(base.key(scenario), 16))
            at = int(np.searchsorted(done, key))
            if at < len(done) and done[at] == key:
                ran.n_before += 1
                continue
        yield number, scenario


def _drive(
    rows: Iterator[dict[str, Any]],
    ran: Ran,
    store: Store | None,
    on_row: Callable[[dict[str, Any]], None] | None,
    on_progress: OnProgress | None,
) -> None:
    """Take rows as they come, and tell how far it is; whatever ends it, what is done is written."""
    began = time.monotonic()
    times: deque[float] = deque(maxlen=LOOK_BACK)
    try:
        with closing(rows):  # type: ignore[type-var]
            for row in rows:
                if store is not None:
                    store.add(row)
                if on_row is not None:
                    on_row(row)
                ran.n_done += 1
                if len(ran.first) < SHOWN:
                    ran.first.append(row)
                if row["error"]:
                    ran.n_failed += 1
                    if len(ran.failed) < SHOWN // 4:
                        ran.failed.append((row["scenario"], row["error"]))
                times.append(time.monotonic())
                if on_progress is not None:
                    on_progress(_progress(ran, times, began))
    except KeyboardInterrupt:
        ran.interrupted = True
    finally:
        ran.elapsed_s = time.monotonic() - began
        if store is not None:
            store.flush()


def _progress(ran: Ran, times: deque[float], began: float) -> Progress:
    span_s = times[-1] - (times[0] if len(times) > 1 else began)
    rate = (len(times) - 1 or 1) / max(span_s, 1e-9)
    left = max(0, ran.n_left)
    note = f"{ran.n_before + ran.n_done:,} of {ran.n_asked:,}, {rate:.3g}/s, {seconds(left / rate)} left"
    if ran.n_failed:
        note += f", {ran.n_failed:,} failed"
    fraction = (ran.n_before + ran.n_done) / max(1, ran.n_asked)
    return Progress("what-if", times[-1] - began, fraction, float(ran.n_done), note=note)


def _write_csv(store: Store, out: Path, *, keep: bool) -> None:
    """The rows in the order of the scenarios as CSV; the dataset goes, unless it is still to be gone on with."""
    import shutil

    if not store.kinds:
        raise DrsError("no scenario was answered, so there is nothing to write")
    write_table(read(store.folder), out)
    if not keep:
        shutil.rmtree(store.folder)
