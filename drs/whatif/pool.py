"""Where scenarios are answered: in this process, in local processes, by an executor of the caller's, or by Dask.

All of them take tasks from a generator, have a bounded number of them in flight, and give rows as they are done.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from typing import Any

from drs.errors import DrsError, Fault, InputError, SolverUnavailableError
from drs.whatif.row import Base, answer
from drs.whatif.scenarios import Scenario

Task = tuple[int, Scenario]
Row = dict[str, Any]

IN_FLIGHT = 3
"""Tasks that wait or run, for each worker."""

DASK_TIMEOUT = "10s"
"""So long a scheduler may take to answer."""

_here: dict[str, Base] = {}


def _at_home(base: Base) -> None:
    """What a local worker does first: it keeps the snapshot, leaves interrupts to the driver, and ends with it."""
    import multiprocessing
    import signal
    from multiprocessing.connection import wait as wait_for

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _here["base"] = base
    parent = multiprocessing.parent_process()
    if parent is not None:

        def orphaned() -> None:
            wait_for([parent.sentinel])
            os._exit(1)

        threading.Thread(target=orphaned, daemon=True).start()


def _answer_here(number: int, scenario: Scenario) -> Row:
    return answer(_here["base"], number, scenario)


def lost(base: Base, task: Task, why: str) -> Row:
    """The row of a scenario whose worker gave no answer."""
    number, scenario = task
    at = {f"at_{name}": value for name, value in scenario.at.items()}
    return {
        "number": number,
        "scenario": scenario.name,
        "error": why,
        "notes": "",
        **at,
        "key": base.key(scenario),
    }


def in_turn(base: Base, tasks: Iterable[Task]) -> Iterator[Row]:
    """One after the other in this process."""
    for number, scenario in tasks:
        yield answer(base, number, scenario)


def _local(base: Base, jobs: int) -> Executor:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    # "spawn": numba's and OR-tools' threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=_at_home, initargs=(base,))


def in_processes(base: Base, tasks: Iterable[Task], jobs: int) -> Iterator[Row]:
    """In local processes. A worker that dies takes nothing with it: what it may have been at is asked once more, each
    scenario alone, and one that ends its worker again has that in its row."""
    source = iter(tasks)
    while True:
        pool = _local(base, jobs)
        flying: dict[Future[Row], Task] = {}
        suspects: list[Task] = []
        try:
            yield from _flown(pool, source, flying, jobs * IN_FLIGHT, base)
            return
        except BrokenExecutor:
            for future, task in flying.items():
                if future.done() and not future.cancelled() and future.exception() is None:
                    yield future.result()
                else:
                    suspects.append(task)
        finally:
            _shut(pool)
        for task in suspects:
            yield _alone(base, task)


def _alone(base: Base, task: Task) -> Row:
    """A scenario in a process of its own."""
    pool = _local(base, 1)
    try:
        row = pool.submit(_answer_here, *task).result()
        row["notes"] = "; ".join(filter(None, [row.get("notes", ""), "asked again: its first worker died"]))
        return row
    except BrokenExecutor:
        return lost(base, task, "its worker process died twice (killed, or out of memory)")
    finally:
        _shut(pool)


def _shut(pool: Executor) -> None:
    """End a pool at once, with its workers."""
    processes = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        if process.is_alive():
            process.terminate()
    for process in processes:
        process.join(5.0)
        if process.is_alive():
            process.kill()


def _flown(
    pool: Executor,
    source: Iterator[Task],
    flying: dict[Future[Row], Task],
    most: int,
    base: Base,
) -> Iterator[Row]:
    """Rows as they are done, with so many tasks in flight at most. Raises BrokenExecutor when a worker dies."""
    open_ = True
    while True:
        while open_ and len(flying) < most:
            task = next(source, None)
            if task is None:
                open_ = False
                break
            try:
                flying[pool.submit(_answer_here, *task)] = task
            except BrokenExecutor:
                future: Future[Row] = Future()
                flying[future] = task
                raise
        if not flying:
            return
        # A wait with an end, so that an interrupt is heard on every platform.
        done, _ = wait(flying, timeout=1.0, return_when=FIRST_COMPLETED)
        for future in done:
            try:
                row = future.result()
            except BrokenExecutor:
                raise
            except Exception as error:
                row = lost(
                    base, flying[future], f"its worker gave no answer: {type(error).__name__}: {error}"
                )
            del flying[future]
            yield row


def in_executor(base: Base, tasks: Iterable[Task], executor: Executor, most: int) -> Iterator[Row]:
    """By an executor of the caller's, which is left open. The snapshot goes with each task."""
    source = iter(tasks)
    flying: dict[Future[Row], Task] = {}
    open_ = True
    try:
        while True:
            while open_ and len(flying) < most:
                task = next(source, None)
                if task is None:
                    open_ = False
                    break
                flying[executor.submit(answer, base, *task)] = task
            if not flying:
                return
            done, _ = wait(flying, timeout=1.0, return_when=FIRST_COMPLETED)
            for future in done:
                task = flying.pop(future)
                try:
                    row = future.result()
                except BrokenExecutor as error:
                    raise DrsError(f"the executor broke: {error}") from None
                except Exception as error:
                    row = lost(base, task, f"its worker gave no answer: {type(error).__name__}: {error}")
                yield row
    finally:
        for future in flying:
            future.cancel()


def in_dask(base: Base, tasks: Iterable[Task], address: str) -> Iterator[Row]:
    """By the workers of a Dask scheduler; the snapshot is sent to each of them once."""
    try:
        from distributed import Client, as_completed
        from distributed.utils import silence_logging_cmgr
    except ImportError:
        raise SolverUnavailableError(
            "a Dask scheduler needs the library distributed: pip install 'drs-optimizer[dask]'",
            "pip install 'drs-optimizer[dask]'",
        ) from None
    import logging

    with silence_logging_cmgr(logging.CRITICAL):
        try:
            client = Client(address, timeout=DASK_TIMEOUT, set_as_default=False)
        except (OSError, ValueError, ImportError) as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                Fault("dask", f"no scheduler answers at {address!r}: {said}", "HOST:PORT or tcp://HOST:PORT")
            ) from None
        try:
            workers = sum(client.nthreads().values())
            if not workers:
                raise InputError(
                    Fault(
                        "dask",
                        f"the scheduler at {address!r} has no worker",
                        "a running worker: dask worker ADDRESS",
                    )
                )
            held = client.scatter(base, broadcast=True)
            source, flying = iter(tasks), as_completed()
            of: dict[str, Task] = {}

            def fly() -> None:
                task = next(source, None)
                if task is not None:
                    future = client.submit(answer, held, *task, pure=False, retries=1)
                    of[future.key] = task
                    flying.add(future)

            for _ in range(workers * IN_FLIGHT):
                fly()
            for future in flying:
                task = of.pop(future.key)
                if future.status == "finished":
                    row = future.result()
                else:
                    why = repr(future.exception()) if future.status == "error" else future.status
                    row = lost(base, task, f"its worker gave no answer: {why}")
                future.release()
                fly()
                yield row
        finally:
            client.close(timeout=5)
