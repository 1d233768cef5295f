"""When are we full? Month, resource and confidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from drs.capacity.answer import Answer
from drs.errors import Fault, InputError
from drs.model import Snapshot
from drs.problem.scope import clusters_of, hosts_of
from drs.words import percent

MONTH_S = 365.25 * 86_400 / 12
LEAST_S = 7 * 86_400
"""A history has to be so long before a trend is read from it."""


def growth_of_history(
    snapshot: Snapshot, *, draws: int, seed: int
) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Growth a month of all VMs together, as ratios, f8[draws] by resource, from the load history.

    A straight line through the daily means (least squares), bootstrapped over whole days (Efron 1979), so that the
    daily rhythm neither helps nor hurts.

    Raises
    ------
    InputError : without a history of a week or more.
    """
    loads = snapshot.loads
    how = "a table loads of a week or more, or the growth itself (growth_percent)"
    if loads is None or len(loads) < 2:
        raise InputError(Fault("loads", "no load history, and no growth is given", how))
    span_s = float((loads.time[-1] - loads.time[0]) / np.timedelta64(1, "s"))
    if span_s < LEAST_S:
        raise InputError(
            Fault("loads", f"a history of {span_s / 86_400:.1f} days, and no growth is given", how)
        )
    day = ((loads.time - loads.time[0]) / np.timedelta64(1, "D")).astype(np.float64)
    rng = np.random.default_rng(seed)
    found = {}
    for resource, history in (("cpu", loads.cpu_mhz), ("memory", loads.memory_active_mib)):
        known = ~np.isnan(history).any(axis=0)
        if not known.any():
            continue
        total = history[:, known].astype(np.float64).sum(axis=1)
        days = np.unique(day.astype(int))
        mean = np.array([total[day.astype(int) == d].mean() for d in days])
        slopes = []
        for _ in range(draws):
            chosen = rng.integers(len(days), size=len(days))
            x, y = days[chosen].astype(float), mean[chosen]
            spread = float(((x - x.mean()) ** 2).sum())
            slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread if spread > 0 else 0.0
            slopes.append(slope * MONTH_S / 86_400 / max(mean.mean(), 1e-9))
        found[resource] = np.array(slopes)
    return found


def when_full(
    snapshot: Snapshot,
    *,
    cluster: str | tuple[str, ...] = (),
    growth_percent: Mapping[str, float] | float | None = None,
    uncertainty_percent: float = 0.0,
    failures: int = 1,
    headroom_ratio: float = 0.0,
    most_months: int = 60,
    draws: int = 1000,
    seed: int = 0,
) -> Answer:
    """The month in which the first resource of a cluster is used up, with the hosts of `failures` failures kept free.

    With rebalancing the hosts of a cluster count together; without, the first host that is full counts, every VM
    growing alike where it is.

    Parameters
    ----------
    growth_percent : a month, compound, of each resource or all; fitted to the load history where not given.
    uncertainty_percent : standard deviation of a given growth.
    """
    rng = np.random.default_rng(seed)
    if growth_percent is None:
        rates = growth_of_history(snapshot, draws=draws, seed=seed)
        source = "growth fitted to the load history"
        if "memory" not in rates:
            rates["memory"] = rates["cpu"]
    else:
        given = (
            dict.fromkeys(("cpu", "memory"), growth_percent)
            if isinstance(growth_percent, (int, float))
            else growth_percent
        )
        rates = {r: rng.normal(float(v), uncertainty_percent, draws) / 100 for r, v in given.items()}
        source = "growth as given"
    scope = hosts_of(snapshot, cluster)
    rows: list[dict[str, Any]] = []
    best: dict[str, Any] | None = None
    for name in clusters_of(snapshot, scope):
        at = snapshot.clusters.position[name]
        member = np.flatnonzero((snapshot.hosts.cluster_idx == at) & (snapshot.hosts.state == "connected"))
        if len(member) == 0:
            continue
        for resource, rate in rates.items():
            room = snapshot.capacity(resource)[member] * (1.0 - headroom_ratio)
            if resource == "cpu":
                room = room * snapshot.clusters.cpu_overcommit_ratio[at]
            usable = float(np.sort(room)[: max(0, len(room) - failures)].sum())
            use = np.bincount(snapshot.vms.host_idx[snapshot.vms.host_idx >= 0],
                              weights=snapshot.demand(resource)[snapshot.vms.host_idx >= 0],
                              minlength=snapshot.n_hosts)[member]  # fmt: skip
            shared = _months(float(use.sum()), usable, rate)
            alone = np.min(
                [_months(float(u), float(r), rate) for u, r in zip(use, room, strict=True)], axis=0
            )
            low, middle, high = np.sort(shared)[[draws // 10, draws // 2, draws - 1 - draws // 10]]
            row = {
                "cluster": name, "resource": resource, "used_ratio": float(use.sum()) / max(usable, 1e-9),
                "growth_percent_month": float(np.median(rate)) * 100, "months": float(middle),
                "months_10": float(low), "months_90": float(high),
                "months_without_rebalancing": float(np.sort(alone)[draws // 2]),
                "full_within_ratio": float((shared <= most_months).mean()),
            }  # fmt: skip
            rows.append(row)
            if best is None or row["months"] < best["months"]:
                best = row
    if best is None:
        raise InputError(Fault("cluster", "no connected host", "a cluster with hosts"))
    when, what = best["months"], f"{best['cluster']} by {best['resource']}"
    if not np.isfinite(when) or when > most_months:
        sentence = f"no cluster is full within {most_months} months; the first would be {what}"
    else:
        sentence = (
            f"{what} is full in {when:.1f} months (80 % between {best['months_10']:.1f} and {best['months_90']:.1f}); "
            f"without rebalancing its first host is full in {best['months_without_rebalancing']:.1f}"
        )
    rate_said, share = best["growth_percent_month"], best["full_within_ratio"]
    proof = f"{source}, {percent(rate_said / 100, 2)} a month; {percent(share)} of {draws:,} draws"
    proof += f" are full within {most_months} months"
    used = best["used_ratio"]
    binding = (
        f"{best['resource']} of {best['cluster']}: {percent(used)} of what N+{failures} leaves is used today"
    )
    notes = (
        ("memory grows as CPU does: the history has none",)
        if growth_percent is None and rates["memory"] is rates["cpu"]
        else ()
    )
    return Answer("when-full", float(when) if np.isfinite(when) else None, "months", sentence, proof, False, binding,
                  tuple(rows), notes)  # fmt: skip


def _months(
    use: float, room: float, rate: np.ndarray[Any, np.dtype[np.float64]]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Months until a use that grows by so much a month fills a room; 0 where it does today, inf for never."""
    if use >= room:
        return np.zeros(len(rate))
    if use <= 0:
        return np.full(len(rate), np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        months = np.log(room / use) / np.log1p(np.maximum(rate, 0.0))
    return np.where(rate > 0, months, np.inf)
