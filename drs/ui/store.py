"""What the app keeps: snapshots, plans and jobs by id, in SQLite and files of one folder.

Everything belongs to a desk, whose id nobody guesses: a link that names it opens it, and nothing else does. Nothing is
overwritten: an answer is a new plan. The store knows nothing of streamlit, so a search in a process of its own uses it
too, and goes on without the page and the server that began it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from drs import io
from drs.errors import Fault, InputError
from drs.model import Snapshot
from drs.problem.policy import Policy
from drs.rules import Rule

STORE_VARIABLE = "DRS_UI_STORE"
"""How `drs ui` tells the app, and the searches that it begins, where the store is."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS snapshots (
    desk TEXT NOT NULL, key TEXT NOT NULL, label TEXT NOT NULL, source TEXT NOT NULL, added_at TEXT NOT NULL,
    n_hosts INTEGER NOT NULL, n_vms INTEGER NOT NULL, notes TEXT NOT NULL, PRIMARY KEY (desk, key));
CREATE TABLE IF NOT EXISTS plans (
    id TEXT PRIMARY KEY, desk TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL, question TEXT NOT NULL,
    mode TEXT NOT NULL, made_at TEXT NOT NULL, parent TEXT NOT NULL, status TEXT NOT NULL,
    interrupted INTEGER NOT NULL, figures TEXT NOT NULL, request TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, desk TEXT NOT NULL, key TEXT NOT NULL, question TEXT NOT NULL, request TEXT NOT NULL,
    parent TEXT NOT NULL, state TEXT NOT NULL, stage TEXT NOT NULL DEFAULT '', fraction REAL NOT NULL DEFAULT 0,
    elapsed_s REAL NOT NULL DEFAULT 0, score REAL, bound REAL, time_s REAL NOT NULL, stop INTEGER NOT NULL DEFAULT 0,
    plan TEXT NOT NULL DEFAULT '', faults TEXT NOT NULL DEFAULT '[]', begun_at TEXT NOT NULL,
    pid INTEGER NOT NULL DEFAULT 0, seen INTEGER NOT NULL DEFAULT 0);
"""


def default_folder() -> Path:
    """The store of this user: what `--store` says, else the folder for data of this platform."""
    said = os.environ.get(STORE_VARIABLE)
    if said:
        return Path(said)
    from platformdirs import user_data_path

    return user_data_path("drs", appauthor=False) / "app"


def now() -> str:
    """This moment, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def is_id(text: str) -> bool:
    """Whether it can be the id of a desk, a plan or a job; what comes from a link is no path."""
    return 8 <= len(text) <= 40 and all(sign.isalnum() or sign in "-_" for sign in text)


@dataclass(frozen=True)
class KeptSnapshot:
    """A snapshot of a desk, with the rules and policy beside it."""

    key: str
    label: str
    source: str
    added_at: str
    n_hosts: int
    n_vms: int
    notes: tuple[str, ...] = ()
    """What was said when it was read."""


@dataclass(frozen=True)
class KeptPlan:
    """A plan of a desk. `figures`: what a list tells of it; `request`: what was asked, to be asked again."""

    id: str
    desk: str
    key: str
    name: str
    question: str
    mode: str
    made_at: str
    parent: str
    status: str
    interrupted: bool
    figures: Mapping[str, Any]
    request: Mapping[str, Any]


@dataclass(frozen=True)
class KeptJob:
    """A search: running, or how it ended. `state`: queued, running, done, failed or lost."""

    id: str
    desk: str
    key: str
    question: str
    request: Mapping[str, Any]
    parent: str
    state: str
    stage: str
    fraction: float
    elapsed_s: float
    score: float | None
    bound: float | None
    time_s: float
    stop: bool
    plan: str
    faults: tuple[str, ...]
    begun_at: str
    pid: int
    seen: bool

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.state in ("queued", "running")


class Store:
    """One folder.

    Raises
    ------
    InputError : where the folder cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            for part in ("problems", "plans", "logs"):
                (folder / part).mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.chmod(0o700)
            with self._open() as db:
                db.executescript(SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise InputError(
                Fault("store", f"{folder}: {error}", "a folder that this user can write")
            ) from None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self.folder / "store.sqlite", timeout=20.0)
        db.row_factory = sqlite3.Row
        try:
            with db:
                yield db
        finally:
            db.close()

    def _rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        with self._open() as db:
            return [dict(row) for row in db.execute(statement, values)]

    def _set(self, statement: str, *values: Any) -> int:
        with self._open() as db:
            return db.execute(statement, values).rowcount

    # ------------------------------------------------------------------------------------------------- desks

    @cached_property
    def home(self) -> str:
        """The desk that `drs ui` opens for the user whose store this is."""
        file = self.folder / "home"
        if not file.exists():
            new = file.with_name(f"home-{os.getpid()}")
            new.touch(mode=0o600)
            new.write_text(new_id(), encoding="ascii")
            new.replace(file)
        return file.read_text(encoding="ascii").strip()

    # --------------------------------------------------------------------------------------------- snapshots

    def problem_file(self, key: str) -> Path:
        """Where a snapshot lies with its rules and policy: a saved problem."""
        return self.folder / "problems" / f"{key}.zip"

    def keep_snapshot(
        self,
        desk: str,
        snapshot: Snapshot,
        rules: Sequence[Rule],
        policy: Policy,
        label: str,
        source: str,
        notes: Sequence[str] = (),
    ) -> str:
        """Keep a snapshot with its rules and policy; returns its key, which is made of what it says."""
        words = f"{snapshot.digest}\0{io.write_rules(rules)}\0{io.write_policy(policy)}"
        key = f"{snapshot.digest}-{hashlib.sha256(words.encode()).hexdigest()[:8]}"
        if not self.problem_file(key).exists():
            io.save_problem(self.problem_file(key), snapshot, rules, policy)
        self._set(
            "INSERT OR IGNORE INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            desk, key, label, source, now(), snapshot.n_hosts, snapshot.n_vms, json.dumps(list(notes)),
        )  # fmt: skip
        return key

    def snapshots(self, desk: str) -> list[KeptSnapshot]:
        """Those of a desk, the newest first."""
        rows = self._rows("SELECT * FROM snapshots WHERE desk = ? ORDER BY added_at DESC", desk)
        return [
            KeptSnapshot(
                **{**{k: v for k, v in row.items() if k != "desk"}, "notes": tuple(json.loads(row["notes"]))}
            )
            for row in rows
        ]

    def forget_snapshot(self, desk: str, key: str) -> None:
        """Delete a snapshot of a desk with the plans made for it."""
        for plan in self.plans(desk, key):
            self.forget_plan(desk, plan.id)
        self._set("DELETE FROM snapshots WHERE desk = ? AND key = ?", desk, key)
        if not self._rows("SELECT 1 FROM snapshots WHERE key = ?", key):
            self.problem_file(key).unlink(missing_ok=True)

    # ------------------------------------------------------------------------------------------------- plans

    def plan_folder(self, plan: str) -> Path:
        """Where the files of a plan lie."""
        return self.folder / "plans" / plan

    def add_plan(self, plan: KeptPlan) -> None:
        """A new plan, whose files lie in its folder already."""
        self._set(
            "INSERT INTO plans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            plan.id, plan.desk, plan.key, plan.name, plan.question, plan.mode, plan.made_at, plan.parent, plan.status,
            int(plan.interrupted), json.dumps(dict(plan.figures)), json.dumps(dict(plan.request)),
        )  # fmt: skip

    def plans(self, desk: str, key: str | None = None) -> list[KeptPlan]:
        """Those of a desk, the newest first; with `key` only those for that snapshot."""
        rows = self._rows("SELECT * FROM plans WHERE desk = ? ORDER BY rowid DESC", desk)
        return [_plan(row) for row in rows if key is None or row["key"] == key]

    def plan(self, desk: str, plan: str) -> KeptPlan | None:
        """One plan of a desk; None where there is none of that id."""
        rows = self._rows("SELECT * FROM plans WHERE desk = ? AND id = ?", desk, plan)
        return _plan(rows[0]) if rows else None

    def rename_plan(self, desk: str, plan: str, name: str) -> None:
        """Give a plan another name."""
        self._set("UPDATE plans SET name = ? WHERE desk = ? AND id = ?", name, desk, plan)

    def forget_plan(self, desk: str, plan: str) -> None:
        """Delete a plan with its files."""
        if self._set("DELETE FROM plans WHERE desk = ? AND id = ?", desk, plan):
            shutil.rmtree(self.plan_folder(plan), ignore_errors=True)

    def history(self, desk: str, plan: str) -> list[KeptPlan]:
        """A plan and those it was made from, the first one first."""
        chain: list[KeptPlan] = []
        found = self.plan(desk, plan)
        while found is not None and found.id not in [each.id for each in chain]:
            chain.append(found)
            found = self.plan(desk, found.parent)
        return chain[::-1]

    # -------------------------------------------------------------------------------------------------- jobs

    def add_job(
        self, desk: str, key: str, question: str, request: Mapping[str, Any], time_s: float, parent: str
    ) -> str:
        """A new job that waits for somebody to begin it; returns its id."""
        job = new_id()
        self._set(
            "INSERT INTO jobs (id, desk, key, question, request, parent, state, time_s, begun_at) "
            "VALUES (?, ?, ?, ?, ?, ?, 'queued', ?, ?)",
            job, desk, key, question, json.dumps(dict(request)), parent, time_s, now(),
        )  # fmt: skip
        return job

    def job(self, job: str) -> KeptJob | None:
        """One job; None where there is none of that id."""
        rows = self._rows("SELECT * FROM jobs WHERE id = ?", job)
        return _job(rows[0]) if rows else None

    def jobs(self, desk: str, *, unseen: bool = True) -> list[KeptJob]:
        """The jobs of a desk that run, or whose end nobody has seen; the oldest first."""
        rows = self._rows("SELECT * FROM jobs WHERE desk = ? ORDER BY rowid", desk)
        found = [_job(row) for row in rows]
        return [job for job in found if job.running or (unseen and not job.seen)]

    def tell(self, job: str, **changes: Any) -> bool:
        """Change what is known of a job; returns whether it is to stop."""
        names = ", ".join(f"{name} = ?" for name in changes)
        self._set(f"UPDATE jobs SET {names} WHERE id = ?", *changes.values(), job)
        return bool(self._rows("SELECT stop FROM jobs WHERE id = ?", job)[0]["stop"])

    def stop_job(self, desk: str, job: str) -> None:
        """Ask a job to end with the best that it has."""
        self._set("UPDATE jobs SET stop = 1 WHERE desk = ? AND id = ?", desk, job)


def new_id() -> str:
    """An id that nobody guesses."""
    return secrets.token_urlsafe(12)


def _plan(row: Mapping[str, Any]) -> KeptPlan:
    said = {
        "interrupted": bool(row["interrupted"]),
        "figures": json.loads(row["figures"]),
        "request": json.loads(row["request"]),
    }
    return KeptPlan(**{**row, **said})


def _job(row: Mapping[str, Any]) -> KeptJob:
    said: dict[str, Any] = {
        "request": json.loads(row["request"]),
        "stop": bool(row["stop"]),
        "faults": tuple(json.loads(row["faults"])),
        "seen": bool(row["seen"]),
    }
    return KeptJob(**{**row, **said})


__all__ = [
    "STORE_VARIABLE",
    "KeptJob",
    "KeptPlan",
    "KeptSnapshot",
    "Store",
    "default_folder",
    "is_id",
    "new_id",
]
