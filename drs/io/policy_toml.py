"""`policy.toml`: goals in order, limits, concurrency, cost-model profile, trigger."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drs.errors import InputError
from drs.io.fields import read_fields
from drs.io.raw import Faults
from drs.io.toml import is_file, read_toml

if TYPE_CHECKING:
    from drs.precopy.profiles import Profile
    from drs.problem.policy import Freeze, Policy

MAPPINGS = ("host_cost", "network_cost", "datastore_cost")

LONGEST_PAUSE_S = 86_400.0
"""Between two waves at most a day: schedules are replayed second by second."""


def read_policy(path: str | Path) -> Policy:
    """Read a policy.

    Parameters
    ----------
    path : str or Path
        A TOML file: `[[goal]]` tables with a `type`, in order (or `goals`, a list of types); a table for
        each part of a `Policy`, such as `[limits]` and `[trigger]`; keys for the rest, such as `profile`.
        Everything may be left out. Of a folder, its `policy.toml`; a folder without one has the default.

    Returns
    -------
    Policy
        With every default filled in.

    Raises
    ------
    InputError
        With all faults.
    """
    from drs.problem.policy import Policy

    path = Path(path)
    if path.is_dir():
        path = path / "policy.toml"
        if not is_file(path):
            return Policy()
    faults = Faults()
    policy = policy_of(read_toml(path), path.name, faults, path.parent)
    faults.raise_if_any()
    assert policy is not None
    return policy


def policy_of(
    document: Mapping[str, Any], label: str, faults: Faults, folder: Path | None = None
) -> Policy | None:
    """The policy of a TOML document that is read already.

    Parameters
    ----------
    document : mapping
        Its content.
    label : str
        What people know it as.
    faults : Faults
        Takes what is wrong.
    folder : Path, optional
        Where a profile that is given as a file is looked for.

    Returns
    -------
    Policy or None
        None when something was wrong.
    """
    from drs.problem.policy import Policy

    before = len(faults)
    classes = {
        name: hint
        for name, hint in typing.get_type_hints(Policy).items()
        if isinstance(hint, type) and dataclasses.is_dataclass(hint)
    }
    own = {key: value for key, value in document.items() if key not in (*classes, "goal", "goals")}
    for key in list(own):
        inside = [part for part, cls in classes.items() if key in {f.name for f in dataclasses.fields(cls)}]
        if inside:
            faults.add(
                f"{label}, key {key}",
                "a key outside of its table",
                f"{key} in the table [{inside[0]}]",
                f"write a line [{inside[0]}] before it",
            )
            del own[key]
    values: dict[str, Any] = {}
    for part, cls in classes.items():
        table = document.get(part, {})
        if not isinstance(table, dict):
            faults.add(f"{label}, key {part}", repr(table), f"a table [{part}]")
            continue
        positive: tuple[str, ...] = ()
        if part == "path":
            positive = ("mtu_bytes", "streams", "window_mib")
        if part == "concurrency":
            positive = tuple(
                f.name for f in dataclasses.fields(cls) if f.name not in MAPPINGS and f.name != "pause_s"
            )
        values[part] = read_fields(
            cls,
            table,
            f"{label}, [{part}]",
            faults,
            positive=positive,
            merge=MAPPINGS if part == "concurrency" else (),
            skip=("freeze",) if part == "windows" else (),
        )
    windows = document.get("windows", {})
    if isinstance(windows, dict) and "freeze" in windows:
        values["windows"] = dataclasses.replace(
            values.get("windows") or classes["windows"](), freeze=_freeze(windows["freeze"], label, faults)
        )
    _check_trigger(values.get("trigger"), label, faults)
    pause_s = getattr(values.get("concurrency"), "pause_s", 0.0)
    if pause_s > LONGEST_PAUSE_S:
        faults.add(
            f"{label}, [concurrency], field pause_s", f"{pause_s:g}", f"a number up to {LONGEST_PAUSE_S:g}"
        )
    goals = _goals(document, label, faults)
    if goals is not None:
        values["goals"] = goals
    plain = read_fields(Policy, own, label, faults, skip=("goal", "goals", *classes, "profile"))
    if "profile" in own and (profile := _profile(own["profile"], label, faults, folder)) is not None:
        values["profile"] = profile
    if len(faults) > before or plain is None:
        return None
    return dataclasses.replace(plain, **values)


def _freeze(given: Any, label: str, faults: Faults) -> tuple[Freeze, ...]:
    """The tables of frozen hours."""
    from drs.problem.policy import Freeze
    from drs.words import days_of_week, hours_of_day

    if not isinstance(given, list):
        cure = "write [[windows.freeze]] in double brackets" if isinstance(given, dict) else ""
        faults.add(f"{label}, [windows], key freeze", "no list", "[[windows.freeze]] tables", cure)
        return ()
    found = []
    for number, table in enumerate(given, start=1):
        where = f"{label}, [[windows.freeze]] {number}"
        if not isinstance(table, dict):
            faults.add(where, repr(table), "a table")
            continue
        each = read_fields(Freeze, table, where, faults)
        if each is None:
            continue
        for name, read, expected in (
            ("between", hours_of_day, 'hours of the day, such as "08:00-18:00"'),
            ("days", days_of_week, 'days of the week, such as "mon-fri" or "sat, sun"'),
        ):
            try:
                read(getattr(each, name))
            except ValueError:
                faults.add(f"{where}, field {name}", repr(getattr(each, name)), expected)
        found.append(each)
    return tuple(found)


def _goals(document: Mapping[str, Any], label: str, faults: Faults) -> tuple[Any, ...] | None:
    if "goal" in document and "goals" in document:
        faults.add(f"{label}, key goals", "both goals and [[goal]]", "one of them")
        return None
    if "goal" not in document and "goals" not in document:
        return None
    key = "goal" if "goal" in document else "goals"
    given = document[key]
    if not isinstance(given, list):
        cure = "write [[goal]] in double brackets" if isinstance(given, dict) else ""
        faults.add(f"{label}, key {key}", "no list", "[[goal]] tables, or a list of types of goals", cure)
        return None
    return _goals_of(given, f"{label}, [[goal]]", faults)


def _goals_of(given: list[Any], label: str, faults: Faults) -> tuple[Any, ...]:
    """Goals from a list of types and tables; a goal may have goals as its `parts`."""
    from drs.goals import GOALS

    goals = []
    for number, one in enumerate(given, start=1):
        table = {"type": one} if isinstance(one, str) else one
        where = f"{label} {number}"
        if not isinstance(table, dict):
            faults.add(where, repr(one), "a type of goal, or a table")
            continue
        kind = table.get("type")
        if kind is None:
            faults.add(
                where, "the required field type is missing", f"type = one of {', '.join(sorted(GOALS))}"
            )
            continue
        if not isinstance(kind, str) or kind not in GOALS:
            faults.add(
                f"{where}, field type",
                f"unknown goal type {kind!r}",
                f"one of {', '.join(sorted(GOALS))}",
                faults.near(str(kind).replace("_", "-"), GOALS),
            )
            continue
        where = f'{where} ("{kind}")'
        if isinstance(table.get("parts"), list):
            table = {**table, "parts": _goals_of(table["parts"], f"{where}, parts", faults)}
        read = read_fields(GOALS[kind], table, where, faults, skip=("type",))
        if read is not None:
            goals.append(read)
    return tuple(goals)


TRIGGER_RANGES = {
    "imbalance_ratio": (0.0, 100.0),
    "host_load_ratio": (0.01, 2.0),
    "hold_n": (1, 1_000_000),
    "release_ratio": (0.0, 1.0),
}
"""What the thresholds of the trigger may be; 0.9 is 90 %."""


def _check_trigger(trigger: Any, label: str, faults: Faults) -> None:
    """Note thresholds that never raise the alarm, always raise it, or never end it."""
    if trigger is None:
        return
    for name, (least, most) in TRIGGER_RANGES.items():
        value = getattr(trigger, name)
        if not least <= value <= most:
            hint = f"{value / 100:g} for {value:g} %" if most <= 2 < value else ""
            faults.add(f"{label}, [trigger], field {name}", f"{value:g}", f"{least:g} to {most:g}", hint)


def _profile(which: Any, label: str, faults: Faults, folder: Path | None) -> str | Profile | None:
    """The profile that a policy names or holds; None, and a fault, where there is no such profile."""
    from drs.precopy.profiles import of_tables, profile

    where = f"{label}, field profile"
    try:
        if isinstance(which, dict):
            return of_tables(which, where)
        if not isinstance(which, str):
            faults.add(where, repr(which), "the name of a profile, or of a TOML file beside the policy")
            return None
        if not which.endswith(".toml"):
            profile(which)
            return which
        if folder is None or Path(which).name != which:  # an upload must not name a file of this machine
            faults.add(where, repr(which), "the name of a TOML file that lies beside the policy")
            return None
        return profile(folder / which)
    except InputError as error:
        for fault in error.faults:
            faults.add(f"{where}: {fault.where}", fault.given, fault.expected, fault.hint)
        return None
