"""One scenario to one row of figures."""

from __future__ import annotations

import hashlib
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from drs import advice, modes
from drs.errors import DrsError
from drs.io.changes import Edited
from drs.model import Snapshot
from drs.problem.policy import Policy
from drs.problem.scope import within
from drs.result import Result
from drs.rules import Rule, Violation
from drs.stop import Run
from drs.whatif.scenarios import Scenario

DEFAULT_TIME_S = 10.0
FAILURES_S = 10.0
"""Time for the proof of N+k of one scenario, at most."""

MEANINGS: Mapping[str, str] = {
    "number": "Number of the scenario in its file, from 0",
    "scenario": "Its name",
    "error": "Why it has no answer; empty where it has one",
    "notes": "What the changes took along that nobody asked for",
    "status": "`optimal`, `feasible`, `infeasible` (proven) or `no_solution`: one that leaves a VM without a host or a "
    "hard rule broken is never `feasible`; `rolling` or `blocked` of a campaign",
    "n_hosts": "Hosts after the changes",
    "n_vms": "VMs after the changes",
    "n_moves": "Moves of the plan; without a plan, VMs whose host differs",
    "n_stranded": "Moves that no safe order reaches",
    "n_unplaced": "VMs that have no host in the end",
    "violations_before": "Broken rules before the plan, those of the clusters that take part",
    "violations_after": "Broken rules after it",
    "n_hard_broken": "Hard rules among them",
    "n_findings": "What the audit found worse than today",
    "audit": "The same in words",
    "makespan_s": "Time from the first move to the last",
    "max_downtime_ms": "Longest standstill of a VM",
    "total_transferred_mib": "Memory and disks sent",
    "<resource>_<figure>_<when>": "`mean`, `std`, `max`, `max_min` of the hosts' load over capacity, and "
    "`over_capacity`, `before` and `after` the plan",
    "<goal>_<figure>": "`before`, `after`, `bound` and `gap_ratio` of each goal (bounds where `bounds = true`)",
    "survives": "So many host failures are survived after the plan, of those looked at (`failures`)",
    "failures_hold": "Whether every cluster survives as many as it is to tolerate",
    "at_<axis>": "Where the scenario stands on an axis of its grid, or what was drawn for it",
    "n_steps": "Steps of a rolling campaign",
    "n_blocked": "Steps that cannot be done",
    "n_moved_again": "VMs that a campaign moves more than once",
    "elapsed_s": "Time that it took",
    "key": "What a batch that goes on knows it by: digest of snapshot, rules, policy and scenario",
}
"""The columns of the results."""


@dataclass(frozen=True)
class Base:
    """What all scenarios of a batch vary."""

    snapshot: Snapshot
    rules: tuple[Rule, ...] = ()
    policy: Policy = field(default_factory=Policy)

    @cached_property
    def digest(self) -> str:
        """Of snapshot, rules and policy, 16 hex digits."""
        from drs.io.problem_file import write_policy, write_rules

        text = f"{self.snapshot.digest}\n{write_rules(self.rules)}\n{write_policy(self.policy)}\n{self.policy.profile}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def key(self, scenario: Scenario) -> str:
        """What a scenario of this batch is known by."""
        text = f"{self.digest}\n{scenario.model_dump_json(exclude_defaults=True)}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def answer(base: Base, number: int, scenario: Scenario) -> dict[str, Any]:
    """The row of one scenario; whatever goes wrong with it stands in `error`."""
    began = time.monotonic()
    row: dict[str, Any] = {"number": number, "scenario": scenario.name, "error": "", "notes": ""}
    row |= {f"at_{name}": value for name, value in scenario.at.items()}
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            row |= _figures(base, scenario, row)
        row["notes"] = "; ".join(
            dict.fromkeys(filter(None, [row["notes"], *(str(each.message) for each in said)]))
        )
    except DrsError as error:
        row["error"] = str(error)
    except Exception as error:  # a fault in drs costs its own scenario, never the batch
        at = traceback.extract_tb(error.__traceback__)[-1]
        row["error"] = f"a bug in drs: {type(error).__name__}: {error} ({at.name}, line {at.lineno})"
    row.setdefault("elapsed_s", time.monotonic() - began)
    row["key"] = base.key(scenario)
    return row


def _figures(base: Base, scenario: Scenario, row: dict[str, Any]) -> dict[str, Any]:
    time_s = DEFAULT_TIME_S if scenario.time_s is None and scenario.iterations is None else scenario.time_s
    edited = scenario.edit(base.snapshot, base.rules, base.policy)
    row["notes"] = "; ".join(edited.notes)
    if scenario.rolling is not None:
        return campaign(edited, scenario, time_s)
    import dataclasses

    policy = edited.policy
    if scenario.max_moves is not None:
        policy = dataclasses.replace(
            policy, limits=dataclasses.replace(policy.limits, max_moves=scenario.max_moves)
        )
    run = dataclasses.replace(Run.begin(time_s, scenario.iterations, scenario.seed), bounds=scenario.bounds)
    result = advice.advise(
        edited.snapshot, edited.rules, policy, mode=scenario.mode, options=scenario.options,
        solver=scenario.solver, run=run, with_plan=scenario.plan,
    )  # fmt: skip
    figures = outcome(result)
    if scenario.failures:
        figures |= surviving(result, scenario.failures)
    return figures


def surviving(result: Result, failures: int) -> dict[str, Any]:
    """The failures that the clusters survive after a plan: the least of them, and whether it is enough."""
    placement = result.plan.placement if result.plan is not None else result.placement
    report = modes.admission(result.problem, failures, time_s=FAILURES_S, host_idx=placement.host_idx)
    return {
        "survives": min((each.survives for each in report.clusters), default=0),
        "failures_hold": all(each.survives >= min(max(each.wanted, 1), failures) for each in report.clusters),
    }


def campaign(edited: Edited, scenario: Scenario, time_s: float | None) -> dict[str, Any]:
    """The figures of a rolling campaign in one flat row: those of all its steps together."""
    from drs import api

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
    placement = plan.placement if plan is not None else result.placement
    hard = {rule.label for rule in result.problem.rules_in_force if rule.policy == "hard"}
    after = _inside(result, result.violations_after)
    unplaced, broken = int((result.placement.host_idx < 0).sum()), sum(each.rule in hard for each in after)
    status: str = result.status
    if status in ("optimal", "feasible") and (unplaced or broken):
        status = "no_solution"
    differs = (placement.host_idx != result.snapshot.vms.host_idx) & (result.snapshot.vms.host_idx >= 0)
    row: dict[str, Any] = {
        "status": status,
        "n_hosts": result.snapshot.n_hosts,
        "n_vms": result.snapshot.n_vms,
        "n_moves": len(plan.moves) if plan else int(np.count_nonzero(differs)),
        "n_stranded": len(plan.stranded) if plan else 0,
        "n_unplaced": unplaced,
        "violations_before": len(_inside(result, result.violations_before)),
        "violations_after": len(after),
        "n_hard_broken": broken,
        "n_findings": len(result.findings),
        "audit": "; ".join(str(finding) for finding in result.findings),
        "makespan_s": plan.makespan_s if plan else np.nan,
        "max_downtime_ms": plan.max_downtime_ms if plan else np.nan,
        "total_transferred_mib": plan.total_transferred_mib if plan else np.nan,
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
