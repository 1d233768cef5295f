"""The families of measured QEMU migrations, one line each: a plain link, long paths, bursts, starved hosts.

``python benchmarks/quality/precopy_families.py`` prints the table; `benchmarks/quality/precopy.py` puts it into
``docs/precopy-validation.md``. The link is the nominal one, the guest's writes are those that were set.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from drs.precopy import DirtyModel, estimate, share_link
from drs.units import BYTES_PER_MIB, BYTES_PER_S_PER_MBPS

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("DRS_BENCH_DATA", ROOT.parent / "shared"))
PAGE = DATA / "reference" / "precopy"

TIMEOUT_S = 45.0
"""When the measured runs that did not converge were cancelled; the long paths had no limit."""

BOOT_PAGES = 132
"""Pages beside the guest's own memory, in every measured run."""

MTU_BYTES = 9000.0
"""Packets of the shaped links."""

CORES = 2
"""Of the machine that measured; every guest ran beside others, on an emulated CPU."""

LOOPBACK_MBPS = 2000.0
"""Runs without a shaped link went over loopback, on an emulated CPU: about 250 MB/s while stopped."""


def measured_rows() -> pd.DataFrame:
    """All measured QEMU runs that came with the project."""
    return pd.concat(
        [pd.read_csv(PAGE / "qemu_measured.csv"), pd.read_csv(PAGE / "qemu_more.csv")], ignore_index=True
    )


def curve(row: Any) -> DirtyModel:
    """The guest's true classes: `share:pages;share:pages` of its page writes per second, and its bursts."""
    pairs = [[float(x) for x in item.split(":")] for item in row.classes.split(";")]
    pages = np.array([n for _, n in pairs])
    rates = np.array([row.page_writes_per_s * share / n for share, n in pairs])
    model = DirtyModel.classes(pages / 256, rates, bool(row.seq))
    busy, quiet = (float(x) for x in row.phase_s.split("/"))
    if quiet > 0:
        model = model.bursts(busy, quiet, row.rate_b / row.page_writes_per_s)
    return model


def arguments(row: Any, dirty: str = "classes") -> dict[str, Any]:
    """What `estimate` is told of one run. `dirty`: classes, two numbers, or two samples."""
    model = curve(row)
    capabilities, settings = json.loads(row.caps), json.loads(row.params)
    limit = row.max_bandwidth_Bps / BYTES_PER_S_PER_MBPS
    wan = row.family == "wan"
    path = row.wan_rate_Bps if wan else row.tbf_link_Bps
    ask: dict[str, Any] = {
        "memory_mib": row.mem_mb,
        "zero_ratio": row.zero_pages / (row.mem_mb * 256 + BOOT_PAGES),
        "downtime_limit_ms": row.downtime_limit_ms,
        "timeout_s": np.inf if wan else TIMEOUT_S,
        "profile": "qemu",
        "bandwidth_mbps": path / BYTES_PER_S_PER_MBPS or LOOPBACK_MBPS,
        "rate_limit_mbps": limit or None,
        "host_load_ratio": row.host_load1 / CORES,
    }
    if wan:
        ask |= {
            "rtt_ms": row.rtt_ms,
            "loss_ratio": row.loss,
            "window_mib": row.wmem / BYTES_PER_MIB,
            "mtu_bytes": MTU_BYTES,
            "congestion_control": row.cc,
        }
    if capabilities.get("multifd"):
        ask["streams"] = settings.get("multifd-channels", 2)
    if capabilities.get("auto-converge"):
        ask["throttle"] = True
    if dirty == "classes":
        ask["dirty"] = model
    elif dirty == "samples":
        ask |= {f"dirtied_{t}s_mib": float(model.dirtied_mib(t)) for t in (1, 10)}
    else:
        ask |= {"dirty_rate_mibps": float(model.dirtied_mib(1.0)), "working_set_mib": row.ws_pages / 256}
    return ask


@dataclass(frozen=True)
class Line:
    """What the model says of the rows of one family, beside the truth."""

    name: str
    truth: pd.DataFrame
    said: pd.DataFrame

    def figures(self) -> dict[str, str]:
        """Errors and coverage, ready to print."""
        rows, said = self.truth, self.said
        ended = (rows.status == "completed").to_numpy()
        total = rows.total_ms.to_numpy() / 1e3
        dark = rows.downtime_ms.to_numpy()
        endless = ~said.converged.to_numpy() & ended
        inside = (total >= said.total_low_s) & (total <= said.total_high_s)
        in_dark = ((dark >= said.downtime_low_ms) & (dark <= said.downtime_high_ms))[ended]
        wide = np.log(said.total_high_s / said.total_low_s)[ended]
        return {
            "rows": str(len(rows)),
            "time": percent((said.total_s / total - 1)[said.total_s < 1e9]),
            "bytes": percent(said.transferred_mib / (rows.transferred.to_numpy() / BYTES_PER_MIB) - 1),
            "black-out": percent((said.downtime_ms / dark - 1)[ended]),
            "wrongly endless + wrongly convergent": f"{endless.sum()} + {(said.converged & ~ended).sum()}",
            "time in interval": share(inside),
            "black-out in interval": share(in_dark),
            "interval of time, high / low": f"{np.exp(np.median(wide)):.2f}",
        }


def priced(rows: pd.DataFrame, dirty: str = "classes", **more: Any) -> pd.DataFrame:
    """The price of each row, one at a time."""
    names = (
        "total_s", "total_low_s", "total_high_s", "downtime_ms", "downtime_low_ms", "downtime_high_ms",
        "transferred_mib", "converged",
    )  # fmt: skip
    lines = []
    for row in rows.itertuples():
        price = estimate(**{**arguments(row, dirty), **more})
        lines.append({name: getattr(price, name) for name in names})
    table = pd.DataFrame(lines, index=range(len(rows)))
    endless = ~np.isfinite(table.total_s)
    table.loc[endless, "total_s"] = 1e9
    return table


def by_family(rows: pd.DataFrame, dirty: str = "classes") -> Iterator[Line]:
    """One line for each family but the concurrent one."""
    for family, part in rows.groupby("family", sort=False):
        if family != "conc":
            yield Line(str(family), part.reset_index(drop=True), priced(part, dirty))


def groups(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Migrations that ran at once on one link."""
    part = rows[rows.family == "conc"]
    yield from ((str(name), group) for name, group in part.groupby(part.tag.str.split(".").str[0]))


def together(group: pd.DataFrame) -> Mapping[str, Any]:
    """The arguments of `share_link` for one group."""
    asks = [arguments(row) for row in group.itertuples()]
    first = asks[0]
    ask = {key: np.array([a[key] for a in asks]) for key in ("memory_mib", "zero_ratio", "downtime_limit_ms")}
    models = [a["dirty"] for a in asks]
    ask["dirty"] = DirtyModel.classes(
        np.array([m.size_mib for m in models]), np.array([m.writes_per_page_s for m in models])
    )
    load = np.array([a["host_load_ratio"] for a in asks])
    return {
        **ask, "bandwidth_mbps": first["bandwidth_mbps"], "profile": "qemu", "timeout_s": TIMEOUT_S,
        "host_load_ratio": load,
    }  # fmt: skip


def concurrent(rows: pd.DataFrame) -> tuple[list[float], list[float], list[float], list[bool], list[bool]]:
    """Relative errors of the makespan of each group, and of the time and bytes of each migration; whether the makespan
    of each group and the time of each migration lie in their intervals."""
    makespan, time, sent = [], [], []
    whole, each = [], []
    for _, group in groups(rows):
        ask = dict(together(group))
        end = share_link(ask["bandwidth_mbps"] * 0.985, group.start_s.to_numpy(), **ask)
        total = group.total_ms.to_numpy() / 1e3
        start = group.start_s.to_numpy()
        makespan.append(float(end.makespan_s / (start + total).max() - 1))
        whole.append(bool(end.makespan_low_s <= (start + total).max() <= end.makespan_high_s))
        each += ((end.elapsed_low_s <= total) & (total <= end.elapsed_high_s)).tolist()
        time += (end.elapsed_s / total - 1).tolist()
        sent += (end.transferred_mib / (group.transferred.to_numpy() / BYTES_PER_MIB) - 1).tolist()
    return makespan, time, sent, whole, each


def percent(errors: Any) -> str:
    """`median / mean` of absolute percentage errors."""
    errors = np.abs(np.asarray(errors, dtype=float))
    errors = errors[np.isfinite(errors)]
    return f"{100 * np.median(errors):.1f} / {100 * errors.mean():.1f}" if errors.size else "–"


def share(inside: Any) -> str:
    """Part of the rows, in percent."""
    inside = np.asarray(inside, dtype=bool)
    return f"{100 * inside.mean():.0f} %" if inside.size else "–"


def main() -> int:
    if not PAGE.is_dir():
        print(f"no measured tables in {PAGE}: set DRS_BENCH_DATA", file=sys.stderr)
        return 2
    rows = measured_rows()
    for dirty in ("classes", "two", "samples"):
        print(dirty)
        table = {line.name: line.figures() for line in by_family(rows, dirty)}
        print(pd.DataFrame(table).T.to_string())
    *errors, whole, each = concurrent(rows)
    for name, values in zip(("makespan", "time", "bytes"), errors, strict=True):
        print("conc", name, percent(values))
    print("conc makespan in interval", share(whole), "time in interval", share(each))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
