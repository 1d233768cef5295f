"""Judge the pre-copy model on measured migrations, side by side with the simpler models.

Run by hand: ``python benchmarks/quality/precopy.py``. Reads the measured tables from the folder that the
environment variable DRS_BENCH_DATA names (default: ``../shared`` beside the repository), prints every table
and writes ``docs/precopy-validation.md``. Nothing of the measured tables is copied into the repository but
the errors.
"""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from drs.precopy import DirtyModel, estimate, fit, profile, share_link
from drs.precopy.baselines import btrplace, geometric, memory_over_bandwidth
from drs.units import BYTES_PER_MIB, BYTES_PER_S_PER_MBPS

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("DRS_BENCH_DATA", ROOT.parent / "shared"))
PAGE = DATA / "reference" / "precopy"
REPORT = ROOT / "docs" / "precopy-validation.md"

TIMEOUT_S = 45.0
"""When the measured QEMU runs that did not converge were cancelled."""

BOOT_PAGES = 132
"""Pages beside the guest's own memory, in every measured QEMU run."""

LOOPBACK_MBPS = 2000.0
"""Runs without a shaped link went over loopback, on an emulated CPU: about 250 MB/s while stopped."""

LOOKED_AT = "link08-mix3"
"""This row set the profile's `luck_ratio`: it counts as fitted."""


def qemu_rows() -> pd.DataFrame:
    """The measured QEMU runs, with `used_to_fit`: every second `link` row, and the one that was looked at."""
    rows = pd.read_csv(PAGE / "qemu_measured.csv")
    link = rows.index[rows.family == "link"]
    rows["used_to_fit"] = rows.index.isin(link[::2]) | (rows.tag == LOOKED_AT)
    return rows


def classes(row: Any) -> DirtyModel:
    """The guest's true classes: `share:pages;share:pages` of its page writes per second."""
    pairs = [[float(x) for x in item.split(":")] for item in row.classes.split(";")]
    pages = np.array([n for _, n in pairs])
    rates = np.array([row.page_writes_per_s * share / n for share, n in pairs])
    return DirtyModel.classes(pages / 256, rates, bool(row.seq))


def price_qemu(rows: pd.DataFrame, *, dirty: str, link: str) -> dict[str, pd.DataFrame]:
    """What each model says of each row: time, bytes, black-out, verdict (and the interval)."""
    said: dict[str, list[dict[str, Any]]] = {}
    for row in rows.itertuples():
        curve = classes(row)
        rate, working_set = float(curve.dirtied_mib(1.0)), row.ws_pages / 256
        zero = row.zero_pages / (row.mem_mb * 256 + BOOT_PAGES)
        nominal = row.tbf_link_Bps / BYTES_PER_S_PER_MBPS or LOOPBACK_MBPS
        limit = row.max_bandwidth_Bps / BYTES_PER_S_PER_MBPS or None
        own = row.transferred / (row.total_ms / 1e3) / BYTES_PER_S_PER_MBPS
        ask: dict[str, Any] = {
            "memory_mib": row.mem_mb,
            "zero_ratio": zero,
            "downtime_limit_ms": row.downtime_limit_ms,
            "timeout_s": TIMEOUT_S,
            "profile": "qemu",
            "bandwidth_mbps": nominal,
            "rate_limit_mbps": limit,
        }
        if link == "own" and limit:
            ask["rate_limit_mbps"] = own
        elif link == "own":
            ask |= {"bandwidth_mbps": own, "link_ratio": 1.0}
        if dirty == "classes":
            ask["dirty"] = curve
        else:
            ask |= {"dirty_rate_mibps": rate, "working_set_mib": working_set}
        price = estimate(**ask)
        said.setdefault("this model", []).append(
            {
                "total_s": price.total_s,
                "transferred_mib": price.transferred_mib,
                "downtime_ms": price.downtime_ms,
                "converged": price.converged,
                "low": price.downtime_low_ms,
                "high": price.downtime_high_ms,
                "total_low": price.total_low_s,
                "total_high": price.total_high_s,
            }
        )
        flow = own if link == "own" else limit or nominal
        used = row.mem_mb * (1 - zero)
        cold = (float(curve.dirtied_mib(10.0)) - rate) / 9
        for name, base in (
            ("geometric", geometric(used, flow, rate, downtime_limit_ms=row.downtime_limit_ms)),
            ("BtrPlace", btrplace(used, flow, rate, 1.0, cold)),
            ("memory / bandwidth", memory_over_bandwidth(used, flow)),
        ):
            ended = bool(base.converged) and float(base.total_s) < TIMEOUT_S
            carried = TIMEOUT_S * flow * BYTES_PER_S_PER_MBPS / BYTES_PER_MIB
            said.setdefault(name, []).append(
                {
                    "total_s": float(base.total_s) if ended else TIMEOUT_S,
                    "transferred_mib": float(base.transferred_mib) if ended else carried,
                    "downtime_ms": float(base.downtime_ms),
                    "converged": ended,
                }
            )
    return {name: pd.DataFrame(lines, index=rows.index) for name, lines in said.items()}


def percent(errors: Any) -> str:
    """`median / mean` of absolute percentage errors."""
    errors = np.abs(np.asarray(errors, dtype=float))
    errors = errors[np.isfinite(errors)]
    return f"{100 * np.median(errors):.1f} / {100 * errors.mean():.1f}" if errors.size else "–"


def judge_qemu(rows: pd.DataFrame, said: dict[str, pd.DataFrame]) -> list[list[str]]:
    """One line for each model."""
    lines = []
    for name, table in said.items():
        table = table.loc[rows.index]
        ended = rows.status == "completed"
        dark = rows.downtime_ms[ended]
        covered = "–"
        if "low" in table:
            inside = (dark >= table.low[ended]) & (dark <= table.high[ended])
            covered = f"{100 * inside.mean():.0f} %"
        lines.append(
            [
                name,
                percent(table.total_s / (rows.total_ms / 1e3) - 1),
                percent(table.transferred_mib / (rows.transferred / BYTES_PER_MIB) - 1),
                percent(table.downtime_ms[ended] / dark - 1),
                f"{(table.converged & ~ended).sum()} + {(~table.converged & ended).sum()} of {len(rows)}",
                covered,
            ]
        )
    return lines


HEAD = [
    "model",
    "time",
    "bytes",
    "black-out",
    "verdicts wrong (called convergent + called endless)",
    "black-out in interval",
]


def section_qemu() -> list[str]:
    rows = qemu_rows()
    judged, fitted = rows[~rows.used_to_fit], rows[rows.used_to_fit]
    n_link, n_noise = (judged.family == "link").sum(), (judged.family == "noise").sum()
    text = section(
        "QEMU 7.2, guests whose writes are known",
        f"""
        Fitted on {len(fitted)} rows (every second `link` row and `{LOOKED_AT}`): the constants
        `link_ratio`, `quantum_ms`, `resume_ms`, `luck_ratio` of the profile `qemu`. Judged on the
        other {len(judged)} rows: {n_link} `link` (one guest on a busy host) and {n_noise} `noise`
        (repeats of four migrations on a starved host, of which the nominal link is a poor
        description).

        The judged rows were not blind. All rows were on the table while the model was built: the
        132 pages beside the guest's memory, the 4392 scattered zero pages and their place in the
        scan were read from all of them, the stop speed over loopback ({LOOPBACK_MBPS:.0f} Mbit/s)
        from six judged `noise` rows, and a share of the one-second rate for a hot set was tried on
        all rows and not kept. `luck_ratio` lies between that one row and the plateaus of all
        cancelled runs. The other constants named above were chosen on the fitted rows alone. Rows
        of other families are the better test.
        """,
    )
    for link, title in (("nominal", "nominal link"), ("own", "each run's own throughput")):
        for dirty, what in (
            ("classes", "true dirty classes"),
            ("two", "two numbers: 1 s rate and working set"),
        ):
            said = price_qemu(rows, dirty=dirty, link=link)
            for family in ("link", "noise"):
                part = judged[judged.family == family]
                text += [f"### `{family}`, {title}, {what}, {len(part)} rows", ""]
                text += markdown(HEAD, judge_qemu(part, said))
            if dirty == "classes":
                text += [f"### all judged rows, {title}, {what}, {len(judged)} rows", ""]
                text += markdown(HEAD, judge_qemu(judged, said))
                text += [f"### rows used to fit, {title}, {what}, {len(fitted)} rows", ""]
                text += markdown(HEAD, judge_qemu(fitted, said))
    return text


def section_openstack() -> list[str]:
    rows = pd.read_csv(PAGE / "osic_live_migration_durations.csv")
    rows = rows[~rows.file.str.contains("after_patch|timeout_infinity")].copy()
    size = {"small": (4096, 20), "medium": (8192, 40), "large": (16384, 80)}
    rows["memory_mib"] = rows.flavor.map(lambda f: size[f][0])
    rows["disk_used_gib"] = rows.flavor.map(lambda f: size[f][1])
    shared = rows.file.str.contains("shared")
    text = section(
        "OpenStack on 10 GbE (osic/benchmarking_live-migration)",
        """
        `setup_s` and `link_ratio` fitted on every second plain memory-only run, then `encrypt_mbps`
        on every second tunnelled one; judged on the other memory-only runs and on all runs that
        moved memory and disk (half-full disks), which were never used to fit. Runs with disks took
        the same time with tunnelling on and off. That was seen on the judged rows themselves, after
        pricing them as tunnelled had failed; both readings are shown, and the second is no
        forecast. The guests' dirty rate is not in the table and is taken to be 0, which makes the
        geometric model the same as bytes over link.
        """,
    )
    lines = []
    for tunnel in ("off", "on"):
        of_kind = rows.tunneling == tunnel
        train = rows[of_kind & shared].iloc[::2]
        ask: dict[str, Any] = {
            "memory_mib": train.memory_mib.to_numpy(),
            "bandwidth_mbps": 10_000.0,
            "encrypted": tunnel == "on",
            "total_s": train.duration_s.to_numpy(),
        }
        if tunnel == "off":
            found = fit(ask, profile="qemu", free=["link_ratio", "setup_s"], folds=4, name="plain")
        else:
            found = fit(ask, profile=found.profile, free=["encrypt_mbps"], folds=4, name="tunnelled")
        both = rows[of_kind & ~shared]
        cases = [("vmotion", tunnel == "on", rows[of_kind & shared].iloc[1::2])]
        cases += [
            ("cross_vcenter", encrypted, both) for encrypted in ([True, False] if tunnel == "on" else [False])
        ]
        for kind, encrypted, part in cases:
            disk = part.disk_used_gib.to_numpy() if kind == "cross_vcenter" else 0.0
            said = estimate(
                memory_mib=part.memory_mib.to_numpy(),
                bandwidth_mbps=10_000.0,
                disk_gib=disk,
                kind=kind,
                encrypted=encrypted,
                profile=found.profile,
            )
            mib = part.memory_mib.to_numpy() + 1024.0 * disk
            naive = memory_over_bandwidth(mib, 10_000.0).total_s
            tuned = memory_over_bandwidth(mib, 10_000.0 * found.profile.link_ratio).total_s
            truth = part.duration_s.to_numpy()
            medians = (
                pd.DataFrame({"flavor": part.flavor, "t": truth, "p": said.total_s})
                .groupby("flavor")
                .median()
            )
            inside = (truth >= said.total_low_s) & (truth <= said.total_high_s)
            lines.append(
                [
                    {(True, True): "tunnelled", (True, False): "tunnelled, priced as plain (hindsight)"}.get(
                        (tunnel == "on", encrypted), "plain"
                    ),
                    "memory" if kind == "vmotion" else "memory and disk",
                    f"{len(train)} / {len(part)}",
                    percent(said.total_s / truth - 1),
                    percent(medians.p / medians.t - 1),
                    percent(btrplace(mib, 10_000.0, 0.0, 1.0, 0.0).total_s / truth - 1),
                    percent(naive / truth - 1),
                    percent(tuned / truth - 1),
                    f"{100 * inside.mean():.0f} %",
                ]
            )
    text += markdown(
        [
            "transport",
            "what moved",
            "rows fitted / judged",
            "this model",
            "this model, medians by flavour",
            "BtrPlace",
            "bytes / link",
            "bytes / fitted rate",
            "time in interval",
        ],
        lines,
    )
    return text


def section_parallel() -> list[str]:
    whole = pd.read_csv(PAGE / "osic_parallel_host_evacuation.csv")
    each = pd.read_csv(PAGE / "osic_parallel_per_vm.csv")
    alone = float(each[(each.parallel == 1) & (each.run % 2 == 1)].duration_s.median())
    text = section(
        "Evacuation of 12 VMs, 1 to 4 at a time",
        """
        Every second run with one VM at a time sets the time of one. **The model of this package,
        max-min fair shares of the link (`share_link`, with the fixed work that the other OpenStack
        table gave), fails here**, and "one after the other" is better. Seen afterwards, and no
        forecast: k requests took about k times as long as one, as if they waited for each other, so
        the link is not what they share. That the whole took longer with more at a time is in no
        model here.
        """,
    )
    fixed_s = 6.75
    plain = profile("qemu").with_(link_ratio=1.0, setup_s=fixed_s, resume_ms=0.0, extra_memory_mib=0.0)
    memory = (alone - fixed_s) * 1000 * BYTES_PER_S_PER_MBPS / BYTES_PER_MIB * 4096 / 4104
    lines = []
    for k in (1, 2, 3, 4):
        chosen, spans = each[each.parallel == k], whole[whole.parallel == k]
        if k == 1:
            chosen, spans = chosen[chosen.run % 2 == 0], spans[spans.run % 2 == 0]
        batch = share_link(
            1000.0, np.zeros(k), memory_mib=np.full(k, memory), bandwidth_mbps=1000.0, profile=plain
        )
        shared = float(np.max(batch.elapsed_s))
        lines.append(
            [
                str(k),
                percent(shared / chosen.duration_s - 1),
                percent(k * alone / chosen.duration_s - 1),
                percent(12 / k * shared / spans.evacuation_s - 1),
                percent(12 * alone / spans.evacuation_s - 1),
                percent(12 / k * alone / spans.evacuation_s - 1),
            ]
        )
    head = [
        "at a time",
        "one VM, this model",
        "one VM, k times one (hindsight)",
        "whole, this model",
        "whole, one after the other",
        "whole, each undisturbed",
    ]
    return text + markdown(head, lines)


def section_working_sets() -> list[str]:
    text = section(
        "Working sets of real programs (KubeVirt VEP 248, 1 Gbit/s)",
        """
        Each pass gives one sample of the dirty curve: how long it took and what was left after it.
        Judged in two ways: the second half of the passes from the first, and each pass from the
        third on from all before it. The halves were judged first; the other way was added after the
        model lost to the constant rate (the median one so far) on `ex_5_kernel`, whose program
        changes its phase.
        """,
    )
    lines = []
    for path in sorted(PAGE.glob("kubevirt_ex_*.csv")):
        rows = pd.read_csv(path)
        window, left = np.diff(rows.t_s.to_numpy()), rows["remaining_MiB"].to_numpy()[1:]
        half = max(len(window) // 2, 2)
        line = [path.stem.removeprefix("kubevirt_")]
        for known in ([half] * (len(window) - half), list(range(2, len(window)))):
            at = np.arange(len(window) - len(known), len(window))
            said = [
                float(DirtyModel.samples(window[:n], left[:n]).dirtied_mib(window[i]))
                for n, i in zip(known, at, strict=True)
            ]
            constant = [
                float(np.median(left[:n] / window[:n])) * window[i] for n, i in zip(known, at, strict=True)
            ]
            line += [
                str(len(at)),
                percent(np.array(said) / left[at] - 1),
                percent(np.array(constant) / left[at] - 1),
            ]
        lines.append(line)
    head = ["table", "second half", "this model", "constant rate", "one ahead", "this model", "constant rate"]
    return text + markdown(head, lines)


def section_published() -> list[str]:
    rows = pd.read_csv(PAGE / "published_migrations.csv").set_index("id")
    asks: dict[str, dict[str, Any]] = {
        "qemu-qat-none": {
            "memory_mib": 65536,
            "zero_ratio": 10 / 64,
            "bandwidth_mbps": 10848,
            "link_ratio": 1.0,
        },
        "virt97-stopped": {
            "streams": 8,
            "memory_mib": 30720,
            "zero_ratio": 1 - 20.8 / 30,
            "bandwidth_mbps": 24215,
            "link_ratio": 1.0,
        },
        "qemu-rdma-nopin": {"memory_mib": 8192, "bandwidth_mbps": 9500, "link_ratio": 1.0},
        "pve-12.6": {
            "memory_mib": 12.6 * 1024,
            "bandwidth_mbps": 806.6 * 8.388608,
            "link_ratio": 1.0,
            "profile": "proxmox",
        },
        "kubevirt-291-untuned": {
            "memory_mib": 8192,
            "bandwidth_mbps": 1000,
            "dirty_rate_mibps": 77.5,
            "working_set_mib": 78,
        },
        "qemu-autoconv-off": {
            "memory_mib": 262144,
            "bandwidth_mbps": 374755 / 1487.5 * 8.388608,
            "link_ratio": 1.0,
            "dirty_rate_mibps": 264,
            "downtime_limit_ms": 4000,
        },
    }
    lines = []
    for key, ask in asks.items():
        said = estimate(**{"profile": "qemu", **ask})
        row = rows.loc[key]
        lines.append(
            [
                key,
                *(str(row[c]) for c in ("total_s", "data_MiB", "downtime_ms")),
                f"{said.total_s:.1f}",
                f"{said.transferred_mib:.0f}",
                f"{said.downtime_ms:.0f}",
                "yes" if said.converged else "no",
            ]
        )
    head = [
        "run",
        "measured s",
        "measured MiB",
        "measured ms",
        "this model s",
        "this model MiB",
        "this model ms",
        "converges",
    ]
    text = section(
        "Published single migrations",
        """
        None was used to fit a constant. The inputs are what the source states; where a throughput
        is published it stands for the link. Chosen after a first look: the measured throughput for
        `qemu-autoconv-off` (with its nominal 20 Gbit/s the model wrongly calls it convergent) and
        scanning shared by streams (`virt97-stopped` was 14 % too slow without).
        `kubevirt-291-untuned` did end, and is called endless.
        """,
    )
    return text + markdown(head, lines)


def section(title: str, paragraph: str, level: int = 2) -> list[str]:
    """A heading and a paragraph, wrapped."""
    return [
        "#" * level + " " + title,
        "",
        *textwrap.wrap(" ".join(paragraph.split()), 110, break_on_hyphens=False),
        "",
    ]


def markdown(head: list[str], lines: list[list[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return ["| " + " | ".join(cells) + " |" for cells in (head, rule, *lines)] + [""]


def main() -> int:
    if not PAGE.is_dir():
        print(f"no measured tables in {PAGE}: set DRS_BENCH_DATA", file=sys.stderr)
        return 2
    text = section(
        "The pre-copy model against measured migrations",
        """
        Written by `benchmarks/quality/precopy.py`; do not edit. Errors are absolute percentage
        errors, median / mean. Runs that were cancelled count too: a model that calls a run endless
        is taken to predict the time limit and what the link carries until then.
        """,
        level=1,
    )
    for part in (section_qemu, section_openstack, section_parallel, section_working_sets, section_published):
        text += part()
    body = "\n".join(text).rstrip() + "\n"
    REPORT.write_text(body, encoding="utf-8")
    print(body)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
