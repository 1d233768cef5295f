"""The journal of a plan that is carried out: what was asked of the platform, before it is asked.

SQLite in WAL mode with full sync: what stands in it survives a kill and a power cut. A step is written as
`starting` before the platform is asked and as `running` with the id of its task after; whoever comes later finds
one of the two and looks the task up before anything is repeated. One process writes at a time.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from drs.errors import DrsError, Fault, InputError
from drs.io.atomic import JOURNAL
from drs.planning import Move

NAME = JOURNAL
Status = Literal["waiting", "starting", "running", "done", "failed", "skipped"]

TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS steps (
    step INTEGER PRIMARY KEY, vm TEXT NOT NULL, kind TEXT NOT NULL, from_host TEXT NOT NULL, to_host TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'waiting', attempts INTEGER NOT NULL DEFAULT 0, task TEXT NOT NULL DEFAULT '',
    asked_at TEXT, ended_at TEXT, reason TEXT NOT NULL DEFAULT '',
    predicted_s REAL, measured_s REAL, predicted_downtime_ms REAL, measured_downtime_ms REAL);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, event TEXT NOT NULL, step INTEGER, vm TEXT, text TEXT NOT NULL,
    more TEXT NOT NULL DEFAULT '{}');
"""


class JournalError(DrsError):
    """A journal that is held by another process, or belongs to another plan."""


@dataclass(frozen=True)
class Step:
    """One step as the journal has it; `asked_at` is the platform's clock just before it was asked."""

    step: int
    vm: str
    kind: str
    from_host: str
    to_host: str
    status: Status
    attempts: int
    task: str
    asked_at: datetime | None
    ended_at: datetime | None
    reason: str
    predicted_s: float | None
    measured_s: float | None
    predicted_downtime_ms: float | None
    measured_downtime_ms: float | None


def utc_now() -> str:
    """Now, as the journal writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=10.0)
    connection.row_factory = sqlite3.Row
    return connection


class Journal:
    """The journal of one plan, open for writing; a context that releases it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = _locked(path.with_name(path.name + ".lock"))
        try:
            self._db = _connect(path)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(TABLES)
        except sqlite3.DatabaseError as error:
            os.close(self._lock)
            raise InputError(
                Fault(str(path), f"no journal: {error}", "a journal that drs apply wrote")
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()
        os.close(self._lock)

    def begin(self, facts: Mapping[str, str], moves: Iterable[Move]) -> bool:
        """Write down the plan; False where it stands there already.

        Raises
        ------
        JournalError : where another plan or another platform stands there.
        """
        found = self.facts()
        if found:
            for name in ("plan", "platform"):
                if found.get(name) != facts[name]:
                    raise JournalError(
                        f"{self.path} belongs to another {name}: {found.get(name)}, not {facts[name]}"
                    )
            return False
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT INTO facts VALUES (?, ?)", list(facts.items()))
        self._db.executemany(
            "INSERT INTO steps (step, vm, kind, from_host, to_host, predicted_s, predicted_downtime_ms) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(m.step, m.vm, m.kind, m.from_host, m.to_host, m.total_s, m.downtime_ms) for m in moves],
        )
        self._db.execute("COMMIT")
        return True

    def facts(self) -> dict[str, str]:
        """What is known of the whole: plan, platform, when it began."""
        return {row["name"]: row["value"] for row in self._db.execute("SELECT * FROM facts")}

    def steps(self) -> dict[int, Step]:
        """The steps as they are."""
        return _steps(self._db)

    def note(self, event: str, text: str, *, step: Step | None = None, more: Mapping[str, Any] | None = None,
             **changes: Any) -> dict[str, Any]:  # fmt: skip
        """One event, and what it changes in a step, in one transaction that is on the disk when this returns."""
        at = utc_now()
        self._db.execute("BEGIN IMMEDIATE")
        if step is not None and changes:
            columns = ", ".join(f"{name} = ?" for name in changes)
            values = [
                value.isoformat() if isinstance(value, datetime) else value for value in changes.values()
            ]
            self._db.execute(f"UPDATE steps SET {columns} WHERE step = ?", [*values, step.step])
        number, vm = (step.step, step.vm) if step is not None else (None, None)
        self._db.execute(
            "INSERT INTO events (at, event, step, vm, text, more) VALUES (?, ?, ?, ?, ?, ?)",
            (at, event, number, vm, text, json.dumps(dict(more or {}))),
        )
        self._db.execute("COMMIT")
        return {"at": at, "event": event, "step": number, "vm": vm, "text": text, **(more or {})}


def _steps(connection: sqlite3.Connection) -> dict[int, Step]:
    found = {}
    for row in connection.execute("SELECT * FROM steps ORDER BY step"):
        values = dict(row)
        for name in ("asked_at", "ended_at"):
            values[name] = datetime.fromisoformat(values[name]) if values[name] else None
        found[values["step"]] = Step(**values)
    return found


def _locked(path: Path) -> int:
    """A lock that the system takes back when the process ends, however it ends."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise InputError(
            Fault(str(path), f"{error.strerror}", "a folder where the journal can be written")
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(handle, 32).decode(errors="replace").strip()
        os.close(handle)
        raise JournalError(f"another drs carries out this plan now (process {holder or '?'})") from None
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    return handle


def read_journal(path: Path) -> tuple[dict[str, str], dict[int, Step], list[dict[str, Any]]]:
    """The facts, steps and events of a journal, whoever writes in it at the moment.

    Raises
    ------
    InputError : where there is none.
    """
    file = path / NAME if path.is_dir() else path
    if not file.is_file():
        raise InputError(
            Fault(str(path), "no journal there", f"a {NAME}, or the folder of a plan that drs apply began")
        )
    try:
        connection = _connect(file)
        try:
            facts = {row["name"]: row["value"] for row in connection.execute("SELECT * FROM facts")}
            events = [
                {**{k: row[k] for k in ("at", "event", "step", "vm", "text")}, **json.loads(row["more"])}
                for row in connection.execute("SELECT * FROM events ORDER BY id")
            ]
            return facts, _steps(connection), events
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise InputError(Fault(str(file), f"no journal: {error}", "a journal that drs apply wrote")) from None
