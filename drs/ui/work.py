"""A search of the app in a process of its own: `python -m drs.ui.work STORE JOB`.

It reads what is asked from the store, tells its progress there, and leaves a plan there. So it needs neither the page
nor the server that began it, and is found again by both.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import subprocess
import sys
import threading
import tomllib
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drs import api, io, modes
from drs.errors import DrsError, InputError
from drs.io.policy_toml import policy_of
from drs.io.raw import Faults
from drs.io.rules_toml import rules_of
from drs.options import Options, RollingOptions
from drs.problem.policy import Policy
from drs.report import document
from drs.report.html import headline, render_report
from drs.result import Asked, Result
from drs.rules import Rule
from drs.stop import Progress, Stop
from drs.ui.store import KeptJob, KeptPlan, Store, new_id, now

log = logging.getLogger(__name__)

THREADS_VARIABLE = "DRS_UI_THREADS"
"""Where it is set, searches run in threads of the app itself: for tests, and where no process may be started."""
TELL_S = 0.4
ROLLING = "rolling"


def request_of(
    mode: str,
    options: Options | RollingOptions,
    rules: Sequence[Rule],
    policy: Policy,
    solver: str,
    seed: int,
) -> dict[str, Any]:
    """What is asked, as plain values."""
    return {
        "mode": mode,
        "options": dataclasses.asdict(options),
        "rules_toml": io.write_rules(rules),
        "policy_toml": io.write_policy(policy),
        "solver": solver,
        "seed": seed,
    }


def rules_and_policy(request: Mapping[str, Any]) -> tuple[tuple[Rule, ...], Policy]:
    """The rules and the policy of a request.

    Raises
    ------
    InputError : where the store holds what this version does not know.
    """
    faults = Faults()
    rules = rules_of(tomllib.loads(request["rules_toml"]), "store, rules", faults)
    policy = policy_of(tomllib.loads(request["policy_toml"]), "store, policy", faults, Path())
    faults.raise_if_any()
    assert policy is not None
    return rules, policy


def options_of(request: Mapping[str, Any]) -> Options | RollingOptions:
    """The options of a request."""
    said: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in request["options"].items()
    }
    return RollingOptions(**said) if request["mode"] == ROLLING else Options(**said)


def begin(store: Store, job: str) -> None:
    """Begin a job: in a process of its own, which outlives this one."""
    if os.environ.get(THREADS_VARIABLE):
        store.tell(job, pid=os.getpid())  # it ends with this process, and then is told as lost
        threading.Thread(target=work, args=(store, job), name=f"drs-{job}", daemon=True).start()
        return
    with (store.folder / "logs" / f"{job}.log").open("wb") as out:
        worker = subprocess.Popen(
            [sys.executable, "-m", "drs.ui.work", str(store.folder), job],
            stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    store.tell(job, pid=worker.pid)
    threading.Thread(target=worker.wait, daemon=True).start()  # so that no zombie stays


def looked_after(store: Store, job: KeptJob) -> KeptJob:
    """The job; one whose process is gone without a word is marked as lost."""
    if not job.running or not job.pid or _alive(job.pid):
        return job
    again = store.job(job.id)
    if again is None or not again.running:
        return again or job
    log_file = store.folder / "logs" / f"{job.id}.log"
    tail = log_file.read_text(errors="replace").strip().splitlines()[-1:] if log_file.exists() else []
    said = [
        "Its process ended before it had an answer, for instance because the machine was restarted.",
        *tail,
    ]
    store.tell(job.id, state="lost", faults=json.dumps(said))
    return store.job(job.id) or job


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def work(store: Store, job_id: str) -> None:
    """Do a job to its end, whatever that is."""
    job = store.job(job_id)
    assert job is not None
    stop = Stop(job.time_s)
    telling = _Telling(store, job_id, stop)
    store.tell(job_id, state="running", stage="Reading the cluster")
    try:
        with telling:
            plan = _answered(store, job, stop, telling)
        store.tell(job_id, state="done", plan=plan, fraction=1.0)
    except Exception as error:  # told by the page, never a traceback
        if isinstance(error, InputError):
            said = [str(fault) for fault in error.faults]
        elif isinstance(error, DrsError):
            said = [str(error)]
        else:
            log.error("the search failed", exc_info=True)
            (store.folder / "logs" / f"{job_id}.txt").write_text(traceback.format_exc(), encoding="utf-8")
            said = [f"This is a bug in drs, please report it: {type(error).__name__}: {error}"]
        store.tell(job_id, state="failed", faults=json.dumps(said))


class _Telling:
    """Tells the store how far a search is, and stops it when the store says so, every `TELL_S` seconds."""

    def __init__(self, store: Store, job: str, stop: Stop) -> None:
        self.store, self.job, self.stop = store, job, stop
        self.progress: Progress | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __call__(self, progress: Progress) -> None:
        self.progress = progress

    def _run(self) -> None:
        while not self._over.wait(TELL_S):
            p = self.progress
            said: dict[str, Any] = {"elapsed_s": self.stop.elapsed_s}
            if p is not None:
                finite = {"score": p.score, "bound": p.bound}
                said |= {"stage": p.stage, "fraction": min(1.0, max(0.0, p.fraction))}
                said |= {
                    name: value if abs(value) != float("inf") else None for name, value in finite.items()
                }
            if self.store.tell(self.job, **said):
                self.stop.interrupt()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def _answered(store: Store, job: KeptJob, stop: Stop, telling: _Telling) -> str:
    """Search, and keep the answer; returns the id of the plan."""
    request = job.request
    snapshot = api.read(store.problem_file(job.key))
    rules, policy = rules_and_policy(request)
    options = options_of(request)
    if isinstance(options, RollingOptions):
        campaign = modes.rolling(
            api.advise, snapshot, rules=rules, policy=policy,
            **{field.name: getattr(options, field.name) for field in dataclasses.fields(options)},
            solver=request["solver"], seed=request["seed"], stop=stop, on_progress=telling,
        )  # fmt: skip
        plan = new_id()
        document.write_rolling(campaign, store.plan_folder(plan), render_report)
        figures = {
            "headline": campaign.sentences()[0],
            "n_moves": campaign.n_moves,
            "makespan_s": campaign.total_s,
        }
        store.add_plan(
            KeptPlan(plan, job.desk, job.key, _name(store, job.desk), job.question, ROLLING, now(), job.parent,
                     campaign.status, stop.interrupted, figures, request)
        )  # fmt: skip
        return plan
    result = api.advise(
        snapshot, mode=request["mode"], options=options, rules=rules, policy=policy, solver=request["solver"],
        seed=request["seed"], stop=stop, on_progress=telling,
    )  # fmt: skip
    if result.asked is None:
        asked = Asked(
            snapshot, rules, policy, request["mode"], options, request["solver"], request["seed"], job.time_s
        )
        result = dataclasses.replace(result, asked=asked)
    telling(Progress("Writing the plan", stop.elapsed_s, 1.0, 0.0))
    return keep(store, job.desk, job.key, result, job.question, request, job.parent)


def keep(
    store: Store,
    desk: str,
    key: str,
    result: Result,
    question: str,
    request: Mapping[str, Any],
    parent: str = "",
) -> str:
    """Keep a result as a new plan; returns its id."""
    plan = new_id()
    document.write(result, store.plan_folder(plan), render_report(result))
    figures = figures_of(result)
    store.add_plan(
        KeptPlan(plan, desk, key, _name(store, desk), question, result.mode, now(), parent, result.status,
                 result.interrupted, figures, request)
    )  # fmt: skip
    return plan


def figures_of(result: Result) -> dict[str, Any]:
    """What a list of plans, and a comparison, tell of a plan."""
    plan = result.plan
    return document.finite(  # type: ignore[no-any-return]
        {
            "headline": headline(result),
            "n_moves": len(plan.moves) if plan else 0,
            "makespan_s": plan.makespan_s if plan else 0.0,
            "max_downtime_ms": plan.max_downtime_ms if plan else 0.0,
            "transferred_mib": plan.total_transferred_mib if plan else 0.0,
            "n_broken": len(result.violations_after),
            "goals": {
                goal.name: {
                    "before": goal.before,
                    "after": goal.after,
                    "bound": goal.bound,
                    "unit": goal.unit,
                }
                for goal in result.goals
            },
        }
    )


def _name(store: Store, desk: str) -> str:
    taken = {plan.name for plan in store.plans(desk)}
    number = len(taken) + 1
    while f"Plan {number}" in taken:
        number += 1
    return f"Plan {number}"


if __name__ == "__main__":
    work(Store(Path(sys.argv[1])), sys.argv[2])
