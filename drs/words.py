"""Figures and titles in words: one spelling of each, for the sentences, the charts, the report and the app."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import time
from types import MappingProxyType

KIND_TITLES: Mapping[str, str] = MappingProxyType(
    {
        "vmotion": "vMotion",
        "storage": "Storage vMotion",
        "cross_vcenter": "Cross-vCenter",
        "long_distance": "Long-distance",
        "cold": "Cold",
    }
)
STATUS_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "optimal": "Proven optimal",
        "feasible": "Feasible",
        "infeasible": "Infeasible",
        "no_solution": "No solution found",
    }
)
RESOURCE_TITLES: Mapping[str, str] = MappingProxyType({"cpu": "CPU", "memory": "Memory"})


def resource_title(resource: str, memory: str = "") -> str:
    """How a resource is called in a heading: `cpu` is CPU, `vgpu_slots` is vgpu slots.

    memory : which memory counts, said of memory.

    >>> resource_title("memory", "active"), resource_title("cpu", "active")
    ('Memory (active)', 'CPU')
    """
    title = RESOURCE_TITLES.get(resource, resource.replace("_", " "))
    return f"{title} ({memory})" if memory and resource == "memory" else title


def goal_title(name: str) -> str:
    """How a goal is called in a heading: `moves` is Moves."""
    return name.replace("_", " ").replace("-", " ").capitalize()


def seconds(value_s: float) -> str:
    """A duration as people say it.

    >>> seconds(0.4), seconds(42), seconds(95), seconds(7260)
    ('0.4 s', '42 s', '1 min 35 s', '2 h 01 min')
    """
    if math.isnan(value_s):
        return "–"
    if math.isinf(value_s):
        return "never"
    if value_s < 10:
        return f"{value_s:.1f} s" if value_s and not float(value_s).is_integer() else f"{value_s:.0f} s"
    whole = round(value_s)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(value_s / 60)
    return f"{minutes // 60:,} h {minutes % 60:02d} min"


def seconds_range(low_s: float, high_s: float) -> str:
    """An interval of a duration.

    >>> seconds_range(42, 95), seconds_range(42, math.inf)
    ('42 s to 1 min 35 s', '42 s or more, maybe without an end')
    """
    if math.isinf(high_s):
        return f"{seconds(low_s)} or more, maybe without an end"
    return f"{seconds(low_s)} to {seconds(high_s)}"


UNITS_S: Mapping[str, float] = MappingProxyType(
    {"s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
)
"""Units in which people write a duration."""


def duration_s(text: str) -> float:
    """A duration as people write it, in seconds; a plain number is seconds.

    Raises
    ------
    ValueError : where it is none.

    >>> duration_s("4h"), duration_s("1h30m"), duration_s("90 s"), duration_s("14400")
    (14400.0, 5400.0, 90.0, 14400.0)
    """
    whole = text.strip().lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(min|[smhd])", whole)
    if parts and re.fullmatch(r"(?:\d+(?:\.\d+)?\s*(?:min|[smhd])\s*)+", whole):
        return sum(float(figure) * UNITS_S[unit] for figure, unit in parts)
    value = float(whole)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def stage_of(text: str) -> tuple[str, float]:
    """How much of a plan people ask for: `("moves", 200)`, `("gib", 50)` or `("s", 1800)`.

    Raises
    ------
    ValueError : where it is none of the three.

    >>> stage_of("200"), stage_of("50 GiB"), stage_of("30min")
    (('moves', 200.0), ('gib', 50.0), ('s', 1800.0))
    """
    whole = text.strip().lower()
    unit, amount = "moves", math.nan
    if whole.isdecimal():
        amount = float(whole)
    elif found := re.fullmatch(r"(\d+(?:\.\d+)?)\s*(gib|tib)", whole):
        unit, amount = "gib", float(found[1]) * (1024.0 if found[2] == "tib" else 1.0)
    elif whole and not whole[-1].isdigit():
        unit, amount = "s", duration_s(whole)
    if not (math.isfinite(amount) and amount > 0):
        raise ValueError(text)
    return unit, amount


WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def hours_of_day(text: str) -> tuple[time, time]:
    """Hours of the day as people write them.

    Raises
    ------
    ValueError : where they are none.

    >>> hours_of_day("22:00-06:00")
    (datetime.time(22, 0), datetime.time(6, 0))
    """
    first, dash, last = text.replace(" ", "").partition("-")
    if not dash:
        raise ValueError(text)

    def clock(part: str) -> time:
        hour, _, minute = part.partition(":")
        if not (hour.isdecimal() and minute.isdecimal() and len(minute) == 2):
            raise ValueError(text)
        return time(0) if (hour, minute) == ("24", "00") else time(int(hour), int(minute))

    return clock(first), clock(last)


def days_of_week(text: str) -> tuple[int, ...]:
    """Days of the week as people write them, 0 for Monday; all of them where nothing is written.

    Raises
    ------
    ValueError : where they are none.

    >>> days_of_week("mon-fri"), days_of_week("sat, sun"), days_of_week("fri-mon")
    ((0, 1, 2, 3, 4), (5, 6), (0, 4, 5, 6))
    """
    if not text.strip():
        return tuple(range(7))
    found: set[int] = set()
    for part in text.lower().split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        begin = WEEKDAYS.index(first)
        end = WEEKDAYS.index(last) if dash else begin
        found.update((begin + k) % 7 for k in range((end - begin) % 7 + 1))
    return tuple(sorted(found))


def milliseconds(value_ms: float) -> str:
    """A downtime as people say it.

    >>> milliseconds(0.3), milliseconds(214.6), milliseconds(12_000)
    ('0.3 ms', '215 ms', '12 s')
    """
    if math.isnan(value_ms):
        return "–"
    if value_ms >= 2000 or math.isinf(value_ms):
        return seconds(value_ms / 1000)
    return f"{value_ms:.0f} ms" if value_ms >= 10 or value_ms == 0 else f"{value_ms:.1f} ms"


def mebibytes(value_mib: float) -> str:
    """An amount of data as people say it.

    >>> mebibytes(512), mebibytes(20480), mebibytes(3 * 1024**2)
    ('512 MiB', '20.0 GiB', '3.0 TiB')
    """
    if math.isnan(value_mib):
        return "–"
    for unit, size in (("TiB", 1024.0**2), ("GiB", 1024.0)):
        if value_mib >= size:
            return f"{value_mib / size:,.1f} {unit}"
    return f"{value_mib:,.0f} MiB"


def megabits(value_mbps: float) -> str:
    """A rate as people say it.

    >>> megabits(940), megabits(25000)
    ('940 Mbit/s', '25 Gbit/s')
    """
    if math.isinf(value_mbps):
        return "no limit"
    return f"{value_mbps / 1000:,.3g} Gbit/s" if value_mbps >= 1000 else f"{value_mbps:,.3g} Mbit/s"


def number(value: float) -> str:
    """A figure without a unit, to four digits.

    >>> number(3.0), number(0.123456), number(12345.6)
    ('3', '0.1235', '12,346')
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "none"
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def percent(value_ratio: float, digits: int = 0) -> str:
    """A ratio as a percentage.

    >>> percent(0.256), percent(float("inf"))
    ('26 %', '–')
    """
    return f"{100 * value_ratio:.{digits}f} %" if math.isfinite(value_ratio) else "–"


def amount(resource: str, value: float) -> str:
    """A demand or a capacity of a resource, in the unit that people use."""
    if resource == "cpu":
        return f"{value / 1000:,.1f} GHz"
    return mebibytes(value) if resource == "memory" else number(value)


def count(n: int, one: str, many: str = "") -> str:
    """A number of things.

    >>> count(1, "move"), count(1200, "move")
    ('1 move', '1,200 moves')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def shortened(name: str, most: int = 24) -> str:
    """A name that fits, its middle left out where it is long.

    >>> shortened("a-very-long-name-of-a-virtual-machine", 16)
    'a-very-…-machine'
    """
    if len(name) <= most:
        return name
    head = (most - 1) // 2
    return f"{name[:head]}…{name[len(name) - (most - 1 - head) :]}"


def some(names: Sequence[str], most: int = 6) -> str:
    """Names in words, not all of them when there are many.

    >>> some(["a", "b"]), some(["a", "b", "c"], 2)
    ('a, b', 'a, b and 1 more')
    """
    shown = ", ".join(names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


_UNSEEN = {
    **{sign: f"\\x{sign:02x}" for sign in (*range(0x20), *range(0x7F, 0xA0)) if sign not in (0x09, 0x0A)},
    # Marks that turn the direction of what follows.
    **{sign: f"\\u{sign:04x}" for sign in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))},
}


def visible(text: str) -> str:
    """A text with its control characters spelled out, so that no name can steer a terminal.

    >>> visible("web" + chr(27) + "[31m")
    'web\\\\x1b[31m'
    """
    return text.translate(_UNSEEN)
