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

from drs.precopy import DirtyModel, Profile, estimate, fit, share_link
from drs.precopy import profile as find_profile
from drs.precopy.baselines import btrplace, dirty_vector, geometric, memory_over_bandwidth
from drs.units import BYTES_PER_MIB, BYTES_PER_S_PER_MBPS

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("DRS_BENCH_DATA", ROOT.parent / "shared"))
PAGE = DATA / "reference" / "precopy"
REPORT = ROOT / "docs" / "precopy-validation.md"

WINDOWS_S = np.array([0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0])
"""Of the dirty vector that the predictor of 2023 is given."""

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


def price_qemu(
    rows: pd.DataFrame, *, dirty: str, link: str, sender_mbps: float = np.inf, profile: str | Profile = "qemu"
) -> dict[str, pd.DataFrame]:
    """What each model says of each row: time, bytes, black-out, verdict (and the interval).

    `sender_mbps` is what the sender's CPU gives beside the guest; every model gets it.
    """
    said: dict[str, list[dict[str, Any]]] = {}
    for row in rows.itertuples():
        curve = classes(row)
        rate, working_set = float(curve.dirtied_mib(1.0)), row.ws_pages / 256
        zero = row.zero_pages / (row.mem_mb * 256 + BOOT_PAGES)
        nominal = row.tbf_link_Bps / BYTES_PER_S_PER_MBPS or LOOPBACK_MBPS
        limit = row.max_bandwidth_Bps / BYTES_PER_S_PER_MBPS or None
        if limit:  # over loopback, and free of the guest while it is stopped
            limit = min(limit, sender_mbps)
        else:
            nominal = min(nominal, sender_mbps)
        own = row.transferred / (row.total_ms / 1e3) / BYTES_PER_S_PER_MBPS
        ask: dict[str, Any] = {
            "memory_mib": row.mem_mb,
            "zero_ratio": zero,
            "downtime_limit_ms": row.downtime_limit_ms,
            "timeout_s": TIMEOUT_S,
            "profile": profile,
            "bandwidth_mbps": nominal,
            "rate_limit_mbps": limit,
        }
        if link == "own" and limit:
            ask["rate_limit_mbps"] = own
        elif link == "own":
            ask |= {"bandwidth_mbps": own, "link_ratio": 1.0}
        known = curve  # each model gets the same: what two numbers do not say, no simple model is told
        if dirty == "classes":
            ask["dirty"] = curve
        elif dirty == "samples":
            ask |= {f"dirtied_{t}s_mib": float(curve.dirtied_mib(t)) for t in (1, 10)}
        else:
            ask |= {"dirty_rate_mibps": rate, "working_set_mib": working_set}
            known = DirtyModel.two_numbers(rate, working_set)
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
        cold = (float(known.dirtied_mib(10.0)) - rate) / 9
        for name, base in (
            ("geometric", geometric(used, flow, rate, downtime_limit_ms=row.downtime_limit_ms)),
            ("BtrPlace", btrplace(used, flow, rate, 1.0, cold)),
            (
                "dirty vector",
                dirty_vector(
                    used,
                    flow,
                    WINDOWS_S,
                    known.dirtied_mib(WINDOWS_S),
                    downtime_limit_ms=row.downtime_limit_ms,
                ),
            ),
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
        covered = ["–", "–"]
        if "low" in table:
            total = rows.total_ms / 1e3
            inside = (
                (total >= table.total_low) & (total <= table.total_high),
                (dark >= table.low[ended]) & (dark <= table.high[ended]),
            )
            covered = [f"{100 * part.mean():.0f} %" for part in inside]
        lines.append(
            [
                name,
                percent(table.total_s / (rows.total_ms / 1e3) - 1),
                percent(table.transferred_mib / (rows.transferred / BYTES_PER_MIB) - 1),
                percent(table.downtime_ms[ended] / dark - 1),
                f"{(table.converged & ~ended).sum()} + {(~table.converged & ended).sum()} of {len(rows)}",
                *covered,
            ]
        )
    return lines


HEAD = [
    "model",
    "time",
    "bytes",
    "black-out",
    "verdicts wrong (called convergent + called endless)",
    "time in interval",
    "black-out in interval",
]


def fit_sender(rows: pd.DataFrame) -> Profile:
    """The profile `qemu` with the sender's CPU (`stream_mbps`) fitted to the time of some runs."""
    nominal = (rows.tbf_link_Bps / BYTES_PER_S_PER_MBPS).replace(0.0, LOOPBACK_MBPS)
    limit = (rows.max_bandwidth_Bps / BYTES_PER_S_PER_MBPS).replace(0.0, np.inf)
    table = {
        "memory_mib": rows.mem_mb.to_numpy(),
        "zero_ratio": (rows.zero_pages / (rows.mem_mb * 256 + BOOT_PAGES)).to_numpy(),
        "bandwidth_mbps": nominal.to_numpy(),
        "rate_limit_mbps": limit.to_numpy(),
        "dirty_rate_mibps": np.array([float(classes(row).dirtied_mib(1.0)) for row in rows.itertuples()]),
        "working_set_mib": (rows.ws_pages / 256).to_numpy(),
        "downtime_limit_ms": rows.downtime_limit_ms.to_numpy(),
        "total_s": (rows.total_ms / 1e3).to_numpy(),
    }
    return fit(table, profile="qemu", free=["stream_mbps"], folds=4, name="starved").profile


def section_qemu() -> list[str]:
    rows = qemu_rows()
    judged, fitted = rows[~rows.used_to_fit], rows[rows.used_to_fit]
    noise = judged[judged.family == "noise"]
    host, left_out = fit_sender(noise[::2]), noise[1::2]
    n_link = (judged.family == "link").sum()
    text = section(
        "QEMU 7.2, guests whose writes are known",
        f"""
        Fitted on {len(fitted)} rows (every second `link` row and `{LOOKED_AT}`): the constants
        `link_ratio`, `quantum_ms`, `resume_ms`, `luck_ratio`, `total_error_ratio`,
        `downtime_error_ratio` of the profile `qemu`. Judged on the other {len(judged)} rows:
        {n_link} `link` (one guest on a busy host) and {len(noise)} `noise` (repeats of four
        migrations on a starved host).

        The link is a poor description of the starved host: its emulated guests leave the sender too
        little CPU to fill it. As shipped, the profile knows nothing of that, and errs more in time
        than the geometric model, whose bytes are too many by as much as its rate is too high. One
        number of the host mends it: `stream_mbps`, fitted to every second `noise` row, is
        {host.stream_mbps:.0f} Mbit/s, and the rows between are judged with it; the simple models
        get it too. Which remedy to use was decided with all `noise` rows on the table.

        The judged rows were not blind. All rows were on the table while the model was built: the
        132 pages beside the guest's memory, the 4392 scattered zero pages and their place in the
        scan were read from all of them, the stop speed over loopback ({LOOPBACK_MBPS:.0f} Mbit/s)
        from six judged `noise` rows, and a share of the one-second rate for a hot set was tried on
        all rows and not kept. `luck_ratio` lies between that one row and the plateaus of all
        cancelled runs. The coverage of the judged rows was seen when the interval got its fixed
        part (0.4 `quantum_ms`). The other constants named above were chosen on the fitted rows
        alone. Rows of other families are the better test.
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
                shipped = ", as shipped" if (link, family) == ("nominal", "noise") else ""
                text += [f"### `{family}`, {title}{shipped}, {what}, {len(part)} rows", ""]
                text += markdown(HEAD, judge_qemu(part, said))
            if link == "nominal":
                spread = host.with_(stream_mbps=np.inf)
                known = price_qemu(
                    left_out, dirty=dirty, link=link, sender_mbps=host.stream_mbps, profile=spread
                )
                text += [
                    f"### `noise`, {title} and the host's fitted sender, {what}, {len(left_out)} rows",
                    "",
                ]
                text += markdown(HEAD, judge_qemu(left_out, known))
            if dirty == "classes":
                text += [f"### all judged rows, {title}, {what}, {len(judged)} rows", ""]
                text += markdown(HEAD, judge_qemu(judged, said))
                text += [f"### rows used to fit, {title}, {what}, {len(fitted)} rows", ""]
                text += markdown(HEAD, judge_qemu(fitted, said))
    return text


def section_families() -> list[str]:
    import precopy_families as families  # beside this file, which tests load without its folder

    rows = families.measured_rows()
    text = section(
        "Harder families: long paths, starved hosts, bursts",
        """
        All rows that came with the project, nominal link. Those of `wan`, `thr`, `burst`, `autoconv`, `postcopy` and
        `conc` were on the table while this version was built: `jitter_ratio`, `load_error_ratio`,
        `load_downtime_ratio` and the spread of page rates were set with them in sight, so these are no forecasts.
        The model is told of each run the load of the machine per core (`host_load_ratio`), and on long paths
        congestion control and an MTU of 9000 bytes. A run that is called endless has no time: it counts beside the
        errors, not among them. Post-copy was started by hand, which the model is not told.
        """,
    )
    head: list[str] = []
    lines = []
    for dirty, what in (("classes", "true classes"), ("samples", "D(1 s), D(10 s)"), ("two", "two numbers")):
        for line in families.by_family(rows, dirty):
            figures = line.figures()
            head = ["family", "told", *figures]
            lines.append([line.name, what, *figures.values()])
    text += markdown(head, lines)
    spans, times, sent, whole, each = families.concurrent(rows)
    text += [
        f"Concurrent groups (`conc`, {len(spans)}): makespan {percent(spans)}, time of each {percent(times)}, "
        f"bytes {percent(sent)}; inside their intervals {families.share(whole)} of the makespans and "
        f"{families.share(each)} of the migrations.",
        "",
    ]
    return text


def in_first_pair(run: pd.Series) -> pd.Series:
    """Every second pair of runs: there and back belong together, since the directions differ."""
    return (run - 1) % 4 < 2


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
        `setup_s` and `link_ratio` fitted on half of the plain memory-only runs, then `encrypt_mbps`
        on half of the tunnelled ones; judged on the other halves and on all runs that moved memory
        and disk (half-full disks), which were never used to fit. The halves are every second pair
        of iterations, there and back, because the two directions and the six machines differ; an
        earlier split by every second row mixed that up, and gave intervals that held too few rows.

        Runs with disks took the same time with tunnelling on and off. Nova says why: tunnelling
        "is not compatible with block migration" and carries the "migration stream (but not disk
        stream)" (`live_migration_tunnelled`, nova.conf), so they are priced as plain. The first
        reading here priced them as tunnelled and was 130 % too high; the rule was looked up after
        that. The guests' dirty rate is not in the table and is taken to be 0, which makes the
        geometric model the same as bytes over link.
        """,
    )
    lines = []
    for tunnel in ("off", "on"):
        of_kind = rows.tunneling == tunnel
        alone = rows[of_kind & shared]
        train, rest = alone[in_first_pair(alone.iteration)], alone[~in_first_pair(alone.iteration)]
        ask: dict[str, Any] = {
            "memory_mib": train.memory_mib.to_numpy(),
            "bandwidth_mbps": 10_000.0,
            "encrypted": tunnel == "on",
            "total_s": train.duration_s.to_numpy(),
        }
        if tunnel == "off":
            plain = fit(ask, profile="qemu", free=["link_ratio", "setup_s"], folds=4, name="plain").profile
            which = plain
        else:
            which = fit(ask, profile=plain, free=["encrypt_mbps"], folds=4, name="tunnelled").profile
        cases = [
            ("vmotion", which, rest),
            ("cross_vcenter", plain, rows[of_kind & ~shared]),
        ]
        for kind, used, part in cases:
            disk = part.disk_used_gib.to_numpy() if kind == "cross_vcenter" else 0.0
            said = estimate(
                memory_mib=part.memory_mib.to_numpy(),
                bandwidth_mbps=10_000.0,
                disk_gib=disk,
                kind=kind,
                encrypted=used.name == "tunnelled",
                profile=used,
            )
            mib = part.memory_mib.to_numpy() + 1024.0 * disk
            naive = memory_over_bandwidth(mib, 10_000.0).total_s
            tuned = memory_over_bandwidth(mib, 10_000.0 * used.link_ratio).total_s
            truth = part.duration_s.to_numpy()
            medians = (
                pd.DataFrame({"flavor": part.flavor, "t": truth, "p": said.total_s})
                .groupby("flavor")
                .median()
            )
            inside = (truth >= said.total_low_s) & (truth <= said.total_high_s)
            lines.append(
                [
                    "plain" if tunnel == "off" else f"labelled tunnelled, priced as {used.name}",
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
    to_fit = {k: whole[(whole.parallel == k) & in_first_pair(whole.run)] for k in (1, 2)}
    alone, queued = (float(rows.evacuation_s.mean()) / 12 for rows in to_fit.values())
    text = section(
        "Evacuation of 12 VMs, 1 to 4 at a time",
        f"""
        k requests are sent, and the next k when all are done. OpenStack Nova runs one migration of
        a host at a time unless told otherwise (`max_concurrent_live_migrations`, 1), the others
        wait: `share_link(..., at_once=1)`. Every second pair of runs (there and back) with one request
        at a time sets the time of one, {alone:.1f} s; every second pair with two sets it for a host
        with others in its queue, {queued:.1f} s. The other pairs, and all runs with three and four,
        are judged. A batch is judged in the order in which it ended, since the table does not hold
        the order of the requests. The queue
        was found in the table, by those times, before Nova's default was looked up; what makes the
        work of a queue slower is not known.
        """,
    )
    lines = []
    for k in (1, 2, 3, 4):
        chosen, spans = each[each.parallel == k], whole[whole.parallel == k]
        if k in to_fit:
            chosen, spans = chosen[~in_first_pair(chosen.run)], spans[~in_first_pair(spans.run)]
        truth = np.sort(chosen.sort_values(["run", "vm"]).duration_s.to_numpy().reshape(-1, k), axis=1)
        service = alone if k == 1 else queued
        at_once, fair, unhindered = (batch(k, service, 1), batch(k, alone, None), np.full(k, alone))
        one_by_one = alone * np.arange(1, k + 1)
        lines.append(
            [
                str(k),
                *(percent((said / truth - 1).ravel()) for said in (at_once, fair, one_by_one)),
                *(
                    percent(12 / k * said.max() / spans.evacuation_s - 1)
                    for said in (at_once, fair, one_by_one, unhindered)
                ),
            ]
        )
    head = [
        "at a time",
        "one VM, this model",
        "one VM, shared link",
        "one VM, one after the other",
        "whole, this model",
        "whole, shared link",
        "whole, one after the other",
        "whole, each undisturbed",
    ]
    return text + markdown(head, lines)


def batch(k: int, service_s: float, at_once: int | None) -> Any:
    """Seconds until each of k requests is done, each of which takes `service_s` alone."""
    fixed_s = 6.75
    which = find_profile("qemu").with_(link_ratio=1.0, setup_s=fixed_s, resume_ms=0.0, extra_memory_mib=0.0)
    mib = (service_s - fixed_s) * 1000 * BYTES_PER_S_PER_MBPS / BYTES_PER_MIB * 4096 / 4104
    ask: dict[str, Any] = {"memory_mib": np.full(k, mib), "bandwidth_mbps": 1000.0, "profile": which}
    return share_link(1000.0, np.zeros(k), at_once=at_once, **ask).elapsed_s


def section_working_sets() -> list[str]:
    text = section(
        "Working sets of real programs (KubeVirt VEP 248, 1 Gbit/s)",
        """
        Each pass gives one sample of the dirty curve: how long it took and what was left after it.
        Judged in two ways: the second half of the passes from the first, and each pass from the
        third on from all before it, older passes counting less (`half_life=6`, relative errors;
        both chosen on these tables, so this is no forecast of other programs). The halves were
        judged first; the other way was added after the model lost to the constant rate (the median
        one so far) on `ex_5_kernel`, whose program changes its phase: its second half was busier,
        which nothing in the first half tells, and the constant rate, too high for the first half
        at these pass lengths, happens to suit it. The mean of `ex_2_mariadb` is one pass, the
        last: 26 MiB after 2.2 s, where any curve through the passes before says 150 to 250.
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
                float(DirtyModel.samples(window[:n], left[:n], half_life=6).dirtied_mib(window[i]))
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
    for part in (
        section_qemu,
        section_families,
        section_openstack,
        section_parallel,
        section_working_sets,
        section_published,
    ):
        text += part()
    body = "\n".join(text).rstrip() + "\n"
    REPORT.write_text(body, encoding="utf-8")
    print(body)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
