"""The JSON document of `drs advise --json`, and the folder that `--out` writes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drs.errors import Fault, InputError
from drs.frame import frame
from drs.io.moves_csv import POWER_ON
from drs.planning import Move
from drs.report.summary import by_cluster, not_touched, problems
from drs.report.tables import Start, starts
from drs.result import Curve, Finding, Given, Report, Result
from drs.rules import Violation

if TYPE_CHECKING:
    from drs.modes.rolling import Rolling


def _number(value: float) -> float | None:
    """JSON has no infinity: an unknown bound or gap is null."""
    return value if math.isfinite(value) else None


def violation_document(violation: Violation) -> dict[str, Any]:
    """One broken rule."""
    return {
        "rule": violation.rule,
        "vms": list(violation.vms),
        "hosts": list(violation.hosts),
        "amount": violation.amount,
        "unit": violation.unit,
        "sentence": violation.sentence,
    }


def to_document(result: Result) -> dict[str, Any]:
    """What `drs advise --json` prints; every number finite or null."""
    from drs.io.plan_file import extras, move_extras

    snapshot, plan = result.snapshot, result.plan
    moves = plan.moves if plan else ()
    more = move_extras(result)
    reasons = {
        reason.vm: {
            "priority": reason.priority,
            "gains": {goal: _number(gain) for goal, gain in reason.gains.items()},
            "without": reason.without,
            "purpose": reason.purpose,
            "room_for": list(reason.room_for),
            "approval": reason.approval,
        }
        for reason in result.reasons
    }
    counted = {
        when: {**table, "violations": len(problems(result, violations))}
        for when, table, violations in (
            ("before", result.metrics_before, result.violations_before),
            ("after", result.metrics_after, result.violations_after),
        )
    }
    return {
        **extras(result),
        "snapshot": {
            "name": snapshot.name,
            "digest": snapshot.digest,
            "n_hosts": snapshot.n_hosts,
            "n_vms": snapshot.n_vms,
            "provenance": dataclasses.asdict(snapshot.rests_on),
            "memory_counts": snapshot.memory_counts,
        },
        "mode": result.mode,
        "status": result.status,
        "interrupted": result.interrupted,
        "solver": result.solver,
        "seed": result.seed,
        "elapsed_s": result.elapsed_s,
        "iterations": result.iterations,
        "goals": [
            {
                "name": score.name,
                "unit": score.unit,
                "before": score.before,
                "after": score.after,
                "bound": _number(score.bound),
                "gap_ratio": _number(score.gap_ratio),
            }
            for score in result.goals
        ],
        "metrics": counted,
        "violations": {
            "before": [violation_document(violation) for violation in result.violations_before],
            "after": [violation_document(violation) for violation in result.violations_after],
            "during": list(plan.broken_during) if plan else [],
        },
        "moves": [
            {**move_document(move), **reasons.get(move.vm, {}), **finite(more[move.step])} for move in moves
        ],
        "report": None if result.report is None else finite(_of_report(result.report)),
        "conflicts": [finite(dataclasses.asdict(conflict)) for conflict in result.conflicts],
        "stranded": [dataclasses.asdict(move) for move in plan.stranded] if plan else [],
        "immovable": [dataclasses.asdict(vm) for vm in result.immovable],
        "schedule": {
            "makespan_s": plan.makespan_s if plan else 0.0,
            **finite(
                {
                    "makespan_low_s": plan.makespan_low_s if plan else 0.0,
                    "makespan_high_s": plan.makespan_high_s if plan else 0.0,
                }
            ),
            "makespan_bound_s": plan.makespan_bound_s if plan else 0.0,
            "max_downtime_ms": plan.max_downtime_ms if plan else 0.0,
            "total_transferred_mib": plan.total_transferred_mib if plan else 0.0,
        },
        "timing": None if result.timing is None else finite(_of_report(result.timing)),
        "stage": None if result.stage is None else finite(_of_report(result.stage)),
        "curve": None if result.curve is None else finite(_curve(result.curve)),
        "audit": [finding_document(finding) for finding in result.findings],
        "warnings": list(result.warnings),
        "not_more": None if result.not_more is None else finite(_of_report(result.not_more)),
        "not_touched": not_touched(result),
        "clusters": [dataclasses.asdict(row) for row in by_cluster(result)],
    }


def finding_document(finding: Finding) -> dict[str, Any]:
    """What a proposed state makes worse than today; `when` is the step after which it does, null at the end."""
    document: dict[str, Any] = finite(dataclasses.asdict(finding))
    return document


def _of_report(report: Report) -> dict[str, Any]:
    return {**dataclasses.asdict(report), "sentences": report.sentences()}  # type: ignore[call-overload]


POINTS = 200
"""Points of a curve in a document, at most."""


def _curve(curve: Curve) -> dict[str, Any]:
    """A curve at some points: the first, the last, the bend, and others evenly between."""
    n = len(curve)
    at = sorted({0, n, curve.bend, *range(0, n, max(1, -(-n // POINTS)))})
    return {
        "n_moves": at,
        "gib": [curve.gib[k] for k in at],
        "price_s": [curve.price_s[k] for k in at],
        "goals": {name: [scores[k] for k in at] for name, scores in curve.goals.items()},
        "may_end": [curve.may_end[k] for k in at],
        "bend": curve.bend,
        "shares_at_bend": curve.shares(curve.bend),
        "vms": list(curve.vms),
        "sentences": curve.sentences(),
    }


def finite(value: Any) -> Any:
    """The same with every number finite or null, tuples as lists."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return _number(value) if isinstance(value, float) else value


def read_plan(path: Path) -> dict[str, Any]:
    """The document of a `plan.json`, or of the folder that holds it.

    Raises
    ------
    InputError : where there is none, or it is no plan.
    """
    import json

    file = path / "plan.json" if path.is_dir() else path
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            Fault(str(path), "no plan there", "a plan.json, or the folder that holds it")
        ) from None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(Fault(str(path), f"cannot be read: {error}", "a plan.json")) from None
    if not isinstance(document, dict) or not _is_plan(document):
        raise InputError(Fault(str(path), "no plan", "a plan.json, as drs advise writes it"))
    return document


def _is_plan(document: dict[str, Any]) -> bool:
    """Whether it has moves and a schedule as `to_document` writes them."""
    moves = document.get("moves")
    fields = {"step", "vm", "kind", "from_host", "to_host", "to_datastores", "start_s"}
    return (
        isinstance(moves, list)
        and all(isinstance(move, dict) and fields <= move.keys() for move in moves)
        and isinstance(document.get("schedule"), dict)
    )


def move_document(move: Move) -> dict[str, Any]:
    """One move."""
    return {column.name: _plain(getattr(move, column.name)) for column in dataclasses.fields(move)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return _number(value) if isinstance(value, float) else value


def moves_csv(result: Result) -> str:
    """The moves as `moves.csv` has them: the columns of `Plan.to_frame`, lists with spaces between.

    VMs that are powered on come after them, of the kind `power_on`, from no host and without a price; `after_steps`
    are the moves that they wait for. Safe in a spreadsheet and read back by `drs estimate`: see `drs.io.spreadsheet`.
    """
    from drs.io import spreadsheet

    moves = result.plan.moves if result.plan else ()
    rows = [dataclasses.asdict(move) for move in moves] + [_started(start) for start in starts(result)]
    columns = [column.name for column in dataclasses.fields(Move)]
    table = frame(rows, columns=columns)
    for column in ("from_datastores", "to_datastores", "after_steps"):
        table[column] = [spreadsheet.joined(str(part) for part in value) for value in table[column]]
    return spreadsheet.csv_of(table)


def _started(start: Start) -> dict[str, Any]:
    return {
        "step": start.step,
        "vm": start.vm,
        "kind": POWER_ON,
        "from_host": "",
        "to_host": start.host,
        "from_datastores": (),
        "to_datastores": (),
        "reason": f"it is powered on, restart priority {start.priority}",
        "after_steps": start.after_steps,
    }


def rolling_document(campaign: Rolling) -> dict[str, Any]:
    """What `drs rolling --json` prints; each step as `drs advise --json`."""
    return {
        "mode": "rolling",
        "cluster": campaign.cluster,
        "status": campaign.status,
        "baseline": campaign.baseline,
        "total_s": campaign.total_s,
        "n_moves": campaign.n_moves,
        "n_moved_again": campaign.n_moved_again,
        "steps": [
            {
                "hosts": list(step.hosts),
                "start_s": step.start_s,
                "end_s": step.end_s,
                "service_s": step.service_s,
                "shut_down": list(step.shut_down),
                "advice": to_document(step.result),
            }
            for step in campaign.steps
        ],
        "blocked": [dataclasses.asdict(each) for each in campaign.blocked],
        "waiting": list(campaign.waiting),
        "final": None if campaign.final is None else to_document(campaign.final),
        "upgrade": None if campaign.upgrade is None else dataclasses.asdict(campaign.upgrade),
        "sentences": campaign.sentences(),
    }


def write(result: Result, folder: Path, report_html: str) -> None:
    """plan.json, moves.csv, report.html, and the cluster before and after with its rules, all or nothing.

    Raises
    ------
    InputError : when the folder holds something that drs did not write.
    """
    from drs import io

    with io.own_folder(folder, "out") as new:
        _write_into(result, new, report_html)


def write_rolling(campaign: Rolling, folder: Path, render: Callable[[Result], str]) -> None:
    """rolling.json, and for each step, and the balancing after the last, a folder as of `write`; all or nothing.

    Raises
    ------
    InputError : when the folder holds something that drs did not write.
    """
    import json

    from drs import io

    with io.own_folder(folder, "out") as new:
        text = json.dumps(finite(rolling_document(campaign)), indent=2, ensure_ascii=False, allow_nan=False)
        (new / "rolling.json").write_text(text + "\n", encoding="utf-8")
        parts = {f"step-{number:02d}": step.result for number, step in enumerate(campaign.steps, start=1)}
        if campaign.final is not None:
            parts["final"] = campaign.final
        for name, result in parts.items():
            (new / name).mkdir()
            _write_into(result, new / name, render(result))


def _write_into(result: Result, new: Path, report_html: str) -> None:
    import json

    from drs import io
    from drs.io.plan_file import write_before

    text = json.dumps(to_document(result), indent=2, ensure_ascii=False, allow_nan=False)
    (new / "plan.json").write_text(text + "\n", encoding="utf-8")
    if result.plan is not None:
        (new / "moves.csv").write_text(moves_csv(result), encoding="utf-8", newline="")
    (new / "report.html").write_text(report_html, encoding="utf-8")
    write_before(result, new)
    io.write_folder(result.snapshot_after, new / "snapshot")
    # A request is no standing wish: what it added to the rules and the policy ends with it.
    given = result.given or Given(tuple(result.problem.rules), result.problem.policy)
    (new / "snapshot" / "rules.toml").write_text(io.write_rules(given.rules), encoding="utf-8")
    (new / "snapshot" / "policy.toml").write_text(io.write_policy(given.policy), encoding="utf-8")
