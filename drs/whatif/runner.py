"""Runs scenarios, each in its own process, and gathers a row of metrics for each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drs.errors import DrsError
from drs.frame import DataFrame, frame
from drs.io.changes import Edited
from drs.io.table_file import check_table_path, write_table
from drs.model.selector import Selector, entries
from drs.problem.policy import Policy
from drs.problem.scope import hosts_of, within
from drs.result import Result
from drs.rules import Rule, Violation
from drs.stop import OnProgress, Progress
from drs.whatif.scenarios import Scenario, read_scenarios

if TYPE_CHECKING:
    from drs.api import Source
    from drs.model import Snapshot

DEFAULT_TIME_S = 10.0


def run(
    source: Source,
    scenarios: Path | Sequence[Scenario],
    *,
    out: Path | None = None,
    jobs: int = 1,
    dask: str | None = None,
    rules: Sequence[Rule] | None = None,
    policy: Policy | None = None,
    cluster: Selector = (),
    on_progress: OnProgress | None = None,
) -> DataFrame:
    """One row for each scenario, in their order.

    A scenario that cannot be answered has its reason in the column `error`; the others go on. An interrupt
    keeps the rows that are done.

    Parameters
    ----------
    jobs : local worker processes.
    dask : address of a Dask scheduler to use instead (needs the extra `dask`).
    cluster : the clusters that take part, names or patterns, where a scenario does not name its own.
    out : a .parquet or .csv file, written whole or not at all.
    """
    from drs import api

    if out is not None:
        check_table_path(out)
    snapshot = api.read(source)
    rules = api.read_rules(source) if rules is None else rules
    policy = api.read_policy(source) if policy is None else policy
    asked = read_scenarios(scenarios) if isinstance(scenarios, (str, Path)) else list(scenarios)
    hosts_of(snapshot, cluster)
    if entries(cluster):
        asked = [
            each if each.clusters else each.model_copy(update={"cluster": entries(cluster)}) for each in asked
        ]
    tasks = [(snapshot, scenario, tuple(rules), policy) for scenario in asked]
    rows: list[dict[str, Any]] = []
    began = time.monotonic()
    try:
        for row in _rows(tasks, jobs, dask):
            rows.append(row)
            if on_progress:
                done = len(rows) / len(tasks)
                note = f"{len(rows)} of {len(tasks)}: {row['scenario']}"
                on_progress(Progress("what-if", time.monotonic() - began, done, float(len(rows)), note=note))
    except KeyboardInterrupt:
        if not rows:
            raise
    table = frame(rows)
    if out is not None:
        write_table(table, out)
    return table


def _rows(tasks: Sequence[tuple[Any, ...]], jobs: int, dask: str | None) -> Any:
    if dask is not None:
        try:
            from distributed import Client
        except ImportError:
            from drs.errors import SolverUnavailableError

            raise SolverUnavailableError(
                "a Dask scheduler needs the library distributed: pip install 'drs-optimizer[dask]'",
                "pip install 'drs-optimizer[dask]'",
            ) from None
        with Client(dask) as client:
            yield from client.gather(client.map(answer, *zip(*tasks, strict=True)))
    elif jobs == 1 or len(tasks) == 1:
        yield from (answer(*task) for task in tasks)
    else:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        # "spawn": numba's and OR-tools' threads do not survive a fork.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=context) as pool:
            yield from pool.map(answer, *zip(*tasks, strict=True))


def answer(snapshot: Snapshot, scenario: Scenario, rules: Sequence[Rule], policy: Policy) -> dict[str, Any]:
    """The row of one scenario."""
    from drs import api

    row: dict[str, Any] = {"scenario": scenario.name, "error": "", "notes": ""}
    time_s = DEFAULT_TIME_S if scenario.time_s is None and scenario.iterations is None else scenario.time_s
    try:
        edited = scenario.edit(snapshot, rules, policy)
        row["notes"] = "; ".join(edited.notes)
        if scenario.rolling is not None:
            return {**row, **campaign(edited, scenario, time_s)}
        result = api.advise(
            edited.snapshot,
            mode=scenario.mode,
            options=scenario.options,
            rules=edited.rules,
            policy=edited.policy,
            max_moves=scenario.max_moves,
            solver=scenario.solver,
            time_s=time_s,
            iterations=scenario.iterations,
            seed=scenario.seed,
        )
    except DrsError as error:
        return {**row, "error": str(error)}
    return {**row, **outcome(result)}


def campaign(edited: Edited, scenario: Scenario, time_s: float | None) -> dict[str, Any]:
    """The figures of a rolling campaign in one flat row: those of all its steps together."""
    from drs import api, modes

    assert scenario.rolling is not None
    began = time.monotonic()
    told = modes.rolling(
        api.advise,
        edited.snapshot,
        rules=edited.rules,
        policy=edited.policy,
        cluster=next(iter(scenario.clusters), ""),
        baseline=scenario.baseline,
        hosts=scenario.rolling.hosts,
        at_once=scenario.rolling.at_once,
        service_s=scenario.rolling.service_s,
        shut_down=scenario.shut_down,
        also=scenario.rolling.also,
        solver=scenario.solver,
        time_s=time_s,
        iterations=scenario.iterations,
        seed=scenario.seed,
    )
    return {
        "status": "blocked" if told.blocked else "rolling",
        "n_hosts": edited.snapshot.n_hosts,
        "n_vms": edited.snapshot.n_vms,
        "n_moves": told.n_moves,
        "n_moved_again": told.n_moved_again,
        "n_steps": len(told.steps),
        "n_blocked": len(told.blocked),
        "makespan_s": told.total_s,
        "elapsed_s": time.monotonic() - began,
    }


def _inside(result: Result, violations: Sequence[Violation]) -> list[Violation]:
    """Those of the clusters that take part."""
    return within(result.snapshot, result.problem.scope, violations)[0]


def outcome(result: Result) -> dict[str, Any]:
    """The figures of a result in one flat row."""
    plan = result.plan
    row: dict[str, Any] = {
        "status": result.status,
        "n_hosts": result.snapshot.n_hosts,
        "n_vms": result.snapshot.n_vms,
        "n_moves": len(plan.moves) if plan else 0,
        "n_stranded": len(plan.stranded) if plan else 0,
        "n_unplaced": int((result.placement.host_idx < 0).sum()),
        "violations_before": len(_inside(result, result.violations_before)),
        "violations_after": len(_inside(result, result.violations_after)),
        "n_findings": len(result.findings),
        "audit": "; ".join(str(finding) for finding in result.findings),
        "makespan_s": plan.makespan_s if plan else 0.0,
        "max_downtime_ms": plan.max_downtime_ms if plan else 0.0,
        "total_transferred_mib": plan.total_transferred_mib if plan else 0.0,
    }
    for when, table in (("before", result.metrics_before), ("after", result.metrics_after)):
        for resource, figures in table.items():
            for name, value in figures.items():
                row[f"{resource}_{name}_{when}"] = value
    for score in result.goals:
        row |= {
            f"{score.name}_before": score.before,
            f"{score.name}_after": score.after,
            f"{score.name}_bound": score.bound,
            f"{score.name}_gap_ratio": score.gap_ratio,
        }
    row["elapsed_s"] = result.elapsed_s
    return row
