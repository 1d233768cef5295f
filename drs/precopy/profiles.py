"""Hypervisor profiles: stop rules and overheads, each constant with its source in `profiles.toml`.

>>> from drs.precopy import profile
>>> profile("vmware").switch_ms
500.0
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from importlib.resources import files
from math import inf, isnan
from pathlib import Path
from typing import Any

from drs.errors import Fault, InputError, UnknownNameError, did_you_mean
from drs.precopy.phases import CONGESTION_CONTROLS, THROTTLES


@dataclass(frozen=True, slots=True)
class Profile:
    """The constants of one hypervisor. `profiles.toml` says what each means and where it comes from."""

    name: str
    title: str
    switch_ms: float
    luck_ratio: float
    jitter_ratio: float
    stop_pages: float
    max_rounds: float
    max_sent_ratio: float
    timeout_s: float
    timeout_per_gib_s: float
    rate_limit_mbps: float
    timeout_forces: bool
    reread: bool
    quantum_ms: float
    quantum_pages: float
    buffer_ratio: float
    scattered_zero_mib: float
    throttle: str
    throttle_trigger_ratio: float
    throttle_initial_ratio: float
    throttle_increment_ratio: float
    throttle_max_ratio: float
    page_header_bytes: float
    zero_page_bytes: float
    zero_scan_s: float
    extra_memory_mib: float
    device_mib: float
    setup_s: float
    resume_ms: float
    resume_per_gib_ms: float
    resume_per_vcpu_ms: float
    settle_s: float
    link_ratio: float
    dirty_ratio: float
    window_ratio: float
    window_mib: float
    mtu_bytes: float
    congestion_control: str
    loss_error_ratio: float
    streams: int
    stream_exponent: float
    stream_mbps: float
    fill_mbps: float
    encrypt_mbps: float
    rtt_factor: float
    rtt_unseen_factor: float
    storage_resume_ms: float
    precopy_loss_ratio: float
    settle_loss_s: float
    max_rtt_ms: float
    min_bandwidth_mbps: float
    stun_warning_s: float
    post_copy: bool
    load_error_ratio: float
    load_downtime_ratio: float
    bandwidth_error_ratio: float
    dirty_error_ratio: float
    total_error_ratio: float
    downtime_error_ratio: float
    placeholders: tuple[str, ...] = ()
    """Names of the constants here that have no source."""

    def with_(self, **changes: Any) -> Profile:
        """A copy with some constants changed, checked as a profile file is.

        Raises
        ------
        UnknownNameError
            For a constant that profiles do not have.
        InputError
            For a value of the wrong type or sign.
        """
        table = {key: value for key, value in asdict(self).items() if key != "name"}
        unknown = [key for key in changes if key not in table]
        if unknown:
            raise UnknownNameError.of(f"profile {self.name}", unknown[0], table, "profile constant")
        return _build(self.name, {**table, **changes})

    def save(self, path: str | Path) -> Path:
        """Write the profile as TOML, to be given again as `profile=`. Returns the path."""
        lines = [f"# A profile of drs.precopy, made from {self.title or self.name}.", f"[{self.name}]"]
        for key, value in asdict(self).items():
            if key != "name":
                lines.append(f"{key} = {_toml(value)}")
        path = Path(path)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path


def profile(which: str | Path | Profile = "vmware") -> Profile:
    """The profile of this name, of this TOML file, or the profile itself.

    Raises
    ------
    UnknownNameError
        For a name that is neither a profile nor a file.
    InputError
        For a file that is not a profile.
    """
    if isinstance(which, Profile):
        return which
    known = _shipped()
    if str(which) in known:
        return known[str(which)]
    path = Path(which)
    if path.suffix == ".toml":
        return _read(path)
    raise UnknownNameError.of("profile", str(which), known, "hypervisor profile")


def profiles() -> Mapping[str, Profile]:
    """All profiles that come with drs, by name."""
    return dict(_shipped())


@cache
def _shipped() -> dict[str, Profile]:
    tables = tomllib.loads(files(__package__).joinpath("profiles.toml").read_text(encoding="utf-8"))
    common = tables.pop("common")
    merged: dict[str, dict[str, Any]] = {}
    for name, table in tables.items():
        base = merged[table.pop("base")] if "base" in table else common
        merged[name] = {**base, **table}
    return {name: _build(name, table) for name, table in merged.items()}


def _read(path: Path) -> Profile:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(Fault(f"profile {path}", str(error), "a readable TOML file")) from error
    return of_tables(tables, f"profile {path}")


def of_tables(tables: Mapping[str, Any], where: str) -> Profile:
    """The profile of a TOML document that is read already: one table, named as the profile.

    Raises
    ------
    InputError
        For a document that is no profile; `base` names a profile that comes with drs, never a file.
    """
    if len(tables) != 1 or not isinstance(next(iter(tables.values())), dict):
        raise InputError(Fault(where, f"{len(tables)} tables", "one table, named as the profile"))
    name, table = next(iter(tables.items()))
    table = dict(table)
    base = table.pop("base", None)
    if base is not None:
        if str(base) not in _shipped():
            raise UnknownNameError.of(f"{where}, base", str(base), _shipped(), "hypervisor profile")
        start = asdict(_shipped()[str(base)])
        start.pop("name")
        table = {**start, **table}
    return _build(name, table)


def to_tables(which: Profile) -> dict[str, dict[str, Any]]:
    """A profile as `of_tables` takes it."""
    constants = asdict(which)
    return {constants.pop("name"): constants}


def _build(name: str, table: Mapping[str, Any]) -> Profile:
    faults = []
    kinds = {field.name: str(field.type) for field in fields(Profile) if field.name != "name"}
    values: dict[str, Any] = {}
    for key in table:
        if key not in kinds:
            faults.append(
                Fault(f"profile {name}, {key}", "unknown key", "a profile constant", did_you_mean(key, kinds))
            )
    for key, kind in kinds.items():
        where = f"profile {name}, {key}"
        if key not in table:
            if key != "placeholders":
                faults.append(Fault(where, "missing", "a value", 'or start from another with base = "qemu"'))
            continue
        value = table[key]
        if kind in ("float", "int"):
            if isinstance(value, bool) or not isinstance(value, int | float) or isnan(value) or value < 0:
                faults.append(Fault(where, repr(value), "a number of at least 0"))
            else:
                values[key] = int(value) if kind == "int" else float(value)
        elif kind == "bool":
            if not isinstance(value, bool):
                faults.append(Fault(where, repr(value), "true or false"))
            values[key] = value
        elif kind == "str":
            values[key] = str(value)
        else:
            values[key] = tuple(value)
    if values.get("throttle", "none") not in THROTTLES:
        faults.append(
            Fault(f"profile {name}, throttle", repr(values["throttle"]), "one of " + ", ".join(THROTTLES))
        )
    if values.get("congestion_control", "reno") not in CONGESTION_CONTROLS:
        faults.append(
            Fault(
                f"profile {name}, congestion_control",
                repr(values["congestion_control"]),
                "one of " + ", ".join(CONGESTION_CONTROLS),
            )
        )
    if values.get("link_ratio") == 0 or values.get("link_ratio", 1.0) > 1.0:
        faults.append(
            Fault(f"profile {name}, link_ratio", str(values["link_ratio"]), "above 0 and at most 1")
        )
    if values.get("streams", 1) < 1:
        faults.append(Fault(f"profile {name}, streams", str(values["streams"]), "at least 1"))
    if faults:
        raise InputError(faults)
    return Profile(name=name, **values)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return "inf" if value == inf else repr(value)


def renamed(base: Profile, name: str, title: str) -> Profile:
    """The same constants under another name."""
    return replace(base, name=name, title=title)
