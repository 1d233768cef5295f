"""Fit a profile's free constants to a table of one's own migrations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drs.errors import UnknownNameError
from drs.precopy.ask import Ask
from drs.precopy.dirty import DirtyModel
from drs.precopy.inputs import Checker
from drs.precopy.interval import Z
from drs.precopy.pricing import Estimate, estimate
from drs.precopy.profiles import Profile, renamed
from drs.precopy.profiles import profile as find_profile

MEASURED = {"total_s": 1.0, "transferred_mib": 1.0, "downtime_ms": 0.25}
"""What can be fitted to, and its weight: black-outs scatter far more than times and bytes."""

FREE = {
    "link_ratio": ("total_s", 0.02, 1.0),
    "setup_s": ("total_s", 1e-3, 600.0),
    "encrypt_mbps": ("total_s", 1.0, 1e6),
    "stream_mbps": ("total_s", 1.0, 1e6),
    "zero_scan_s": ("total_s", 1e-8, 1e-5),
    "dirty_ratio": ("transferred_mib", 0.1, 10.0),
    "resume_ms": ("downtime_ms", 0.1, 60_000.0),
}
"""Constants that can be fitted: the measurement that each needs, its least and its most."""

INTERVALS = {"total_s": "total_error_ratio", "downtime_ms": "downtime_error_ratio"}
"""The constant that widens the interval of each measured quantity."""

ON_REQUEST = ("zero_scan_s", "encrypt_mbps", "stream_mbps")
"""Constants that only some tables can tell."""

COVERED = 0.85
"""Share of the left-out rows that the 80 % interval must hold: rows of the next table, from another day or
another guest, differ from these by more than these from each other."""


@dataclass(frozen=True, slots=True)
class Score:
    """Absolute percentage errors of one measured quantity, as ratios."""

    n: int
    median_ratio: float
    mean_ratio: float


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted profile and how well it does.

    Attributes
    ----------
    profile : Profile
        To be given as `profile=`, or saved.
    values : dict
        The fitted constants.
    cross_validated, fitted : dict of Score
        By measured quantity: errors on rows left out of the fit, and on the rows of the fit.
    folds : int
    """

    profile: Profile
    values: Mapping[str, float]
    cross_validated: Mapping[str, Score]
    fitted: Mapping[str, Score]
    folds: int

    def save(self, path: str | Path) -> Path:
        """Write the profile as TOML."""
        return self.profile.save(path)


def fit(
    measurements: Mapping[str, Any],
    *,
    profile: str | Path | Profile = "qemu",
    free: Sequence[str] | None = None,
    folds: int = 5,
    seed: int = 0,
    name: str = "fitted",
) -> Fit:
    """Fit the free constants of a profile to measured migrations.

    The sum of absolute logarithmic errors is minimised (Nelder-Mead), so that one starved run does not bend
    the fit. The profile's own spread (`total_error_ratio`, `downtime_error_ratio`) is set from errors of rows
    that were left out.

    Parameters
    ----------
    measurements : mapping or DataFrame
        Columns named as the arguments of `estimate` (scalars allowed), and at least one of `total_s`,
        `transferred_mib`, `downtime_ms`, with NaN where a run has no such value.
    profile : str, path or Profile
        Where the fit starts, and what it keeps for all else.
    free : sequence of str, optional
        Of `FREE`; default: all that the measured columns can tell, without `ON_REQUEST`.
    folds : int
        Cross-validation; at most the number of rows.
    seed : int
        Of the shuffle into folds.
    name : str
        Of the fitted profile.

    Raises
    ------
    InputError
        For measurements that are not positive, too few rows, or arguments that `estimate` refuses.
    UnknownNameError
        For a constant that cannot be fitted.
    """
    base = find_profile(profile)
    table = {str(key): measurements[key] for key in measurements}
    check = Checker()
    truth: dict[str, NDArray[np.float64]] = {}
    for key in MEASURED:
        if key in table:
            values = np.atleast_1d(np.asarray(table.pop(key), dtype=float))
            check.each(key, values, values <= 0, "above 0")
            truth[key] = values
    if not truth:
        check.fault("measurements", "no measured column", "one of " + ", ".join(MEASURED))
    n = max((len(values) for values in truth.values()), default=0)
    chosen = free
    if chosen is None:
        chosen = [key for key, (need, _, _) in FREE.items() if need in truth and key not in ON_REQUEST]
    for key in chosen:
        if key not in FREE:
            raise UnknownNameError.of("free", key, FREE, "constant that can be fitted")
    if truth and n < len(chosen) + 1:
        check.fault("measurements", f"{n} rows", f"more than {len(chosen)}, one for each free constant")
    if folds < 2:
        check.fault("folds", str(folds), "at least 2")
    check.done()

    order = np.random.default_rng(seed).permutation(n)
    held_out = {key: np.full(n, np.nan) for key in truth}
    outside = {key: np.full(n, np.nan) for key in INTERVALS if key in truth}
    parts = np.array_split(order, min(folds, n))
    for part in parts:
        rest = np.setdiff1d(order, part)
        fold = _search(base, _rows(table, rest), {key: v[rest] for key, v in truth.items()}, chosen)
        left = _rows(table, part), {key: v[part] for key, v in truth.items()}
        for key, errors in _log_errors(fold, *left).items():
            held_out[key][part] = errors
        for key, distance in _outside(fold, *left).items():
            outside[key][part] = distance
    best = _search(base, table, truth, chosen)
    changes = {INTERVALS[key]: _spread(distance) for key, distance in outside.items()}
    no_longer = tuple(key for key in best.placeholders if key not in chosen)
    best = renamed(best.with_(**changes, placeholders=no_longer), name, f"{base.title}, fitted to {n} runs")
    return Fit(
        profile=best,
        values={key: float(getattr(best, key)) for key in chosen},
        cross_validated={key: _score(errors) for key, errors in held_out.items()},
        fitted={key: _score(errors) for key, errors in _log_errors(best, table, truth).items()},
        folds=len(parts),
    )


def _rows(table: Mapping[str, Any], rows: NDArray[np.int64]) -> dict[str, Any]:
    """The same table with only these rows; scalars stay."""
    chosen: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, DirtyModel):
            chosen[key] = value.part(rows)
        elif isinstance(value, str | Profile | Path) or np.ndim(value) == 0:
            chosen[key] = value
        else:
            chosen[key] = np.asarray(value)[rows]
    return chosen


def _search(
    base: Profile, table: Mapping[str, Any], truth: Mapping[str, ArrayLike], free: Sequence[str]
) -> Profile:
    from scipy.optimize import minimize

    low = np.log([FREE[key][1] for key in free])
    high = np.log([FREE[key][2] for key in free])

    def at(point: NDArray[np.float64]) -> Profile:
        values = np.exp(np.clip(point, low, high))
        return base.with_(**{key: float(value) for key, value in zip(free, values, strict=True)})

    def loss(point: NDArray[np.float64]) -> float:
        errors = _log_errors(at(point), table, truth)
        outside = float(np.maximum(low - point, 0).sum() + np.maximum(point - high, 0).sum())
        # A run that is wrongly called endless counts as one wrong by a factor of ten.
        return outside + sum(
            weight * float(np.nanmean(np.minimum(np.abs(errors[key]), np.log(10.0))))
            for key, weight in MEASURED.items()
            if key in errors
        )

    given = np.array([float(getattr(base, key)) for key in free])
    start = np.clip(np.log(np.clip(given, 1e-12, 1e12)), low, high)
    # The loss is flat where a constant is too small to matter, so each is first tried over its whole range.
    for _ in range(2):
        for i in range(len(free)):
            tries = [
                np.where(np.arange(len(free)) == i, value, start)
                for value in np.linspace(low[i], high[i], 17)
            ]
            start = min([start, *tries], key=loss)
    for width in (0.5, 0.05):
        simplex = np.vstack(
            [start, start + width * np.where(start > (low + high) / 2, -1, 1) * np.eye(len(free))]
        )
        options = {"initial_simplex": simplex, "maxfev": 150 * len(free), "xatol": 1e-3, "fatol": 1e-5}
        start = minimize(loss, start, method="Nelder-Mead", options=options).x
    return at(start)


def _log_errors(
    profile: Profile, table: Mapping[str, Any], truth: Mapping[str, ArrayLike]
) -> dict[str, NDArray[np.float64]]:
    ask: Ask = dict(table)  # type: ignore[assignment]
    ask["profile"] = profile
    said: Estimate = estimate(**ask)
    return {
        key: np.log(np.asarray(getattr(said, key), dtype=float) / np.asarray(truth[key])) for key in truth
    }


def _outside(
    profile: Profile, table: Mapping[str, Any], truth: Mapping[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """How far each row lies outside the band of uncertain inputs alone (logarithmic, below 0: inside)."""
    ask: Ask = dict(table)  # type: ignore[assignment]
    ask["profile"] = profile.with_(**dict.fromkeys(INTERVALS.values(), 0.0))
    said = estimate(**ask)
    bands = {
        "total_s": (said.total_low_s, said.total_high_s),
        "downtime_ms": (said.downtime_low_ms, said.downtime_high_ms),
    }
    with np.errstate(divide="ignore"):
        return {
            key: np.maximum(np.log(truth[key] / np.asarray(high)), np.log(np.asarray(low) / truth[key]))
            for key, (low, high) in bands.items()
            if key in truth
        }


def _spread(distance: NDArray[np.float64]) -> float:
    """The log-normal spread that brings `COVERED` of the rows inside their interval."""
    return max(0.0, float(np.nanquantile(np.clip(distance, -10.0, 10.0), COVERED))) / Z


def _score(errors: NDArray[np.float64]) -> Score:
    ratios = np.abs(np.expm1(errors[np.isfinite(errors)]))
    if not ratios.size:
        return Score(0, float("nan"), float("nan"))
    return Score(int(ratios.size), float(np.median(ratios)), float(np.mean(ratios)))
