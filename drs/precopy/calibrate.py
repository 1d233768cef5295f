"""Fit a profile's free constants to a table of one's own migrations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drs.errors import UnknownNameError, did_you_mean
from drs.precopy.ask import Ask
from drs.precopy.dirty import DirtyModel
from drs.precopy.inputs import Checker
from drs.precopy.interval import Z
from drs.precopy.pricing import Estimate, estimate
from drs.precopy.profiles import Profile, renamed
from drs.precopy.profiles import profile as find_profile
from drs.words import count, percent, some

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

SHRINK = 1.0
"""What a constant that is off by a factor of ten costs in the sum of all errors: as much as one row that is off by a
factor of e. A few rows stay near the profile, many have their own way."""

NEAR_A_BOUND = 0.02
"""A constant within this of its least or most (relative) was stopped there and not found there."""

ODD = 3.0
"""Half intervals beyond which a row does not fit what the other rows say."""


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
    cross_validated, fitted, before : dict of Score
        By measured quantity: errors on rows left out of the fit, on the rows of the fit, and of the profile that the
        fit began from on the same rows.
    folds : int
    kept : bool
        Whether the profile's own constants stayed, because on rows left out the fitted ones were no better.
    at_bound : tuple of str
        Constants that ended at the least or the most that they may be: something else is wrong there.
    odd_rows : tuple of int
        Rows (from 0) that lie far outside the fitted interval: another path, another hour, a mistyped figure.
    unpriced : dict
        Rows that the profile refuses or calls endless, and why; they count as wrong by a factor of ten, or not at all
        where it refuses.
    """

    profile: Profile
    values: Mapping[str, float]
    cross_validated: Mapping[str, Score]
    fitted: Mapping[str, Score]
    before: Mapping[str, Score]
    folds: int
    kept: bool = False
    at_bound: tuple[str, ...] = ()
    odd_rows: tuple[int, ...] = ()
    unpriced: Mapping[int, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Fit: {'; '.join(self.sentences())}>"

    def sentences(self) -> list[str]:
        """What the fit found and what it did not, in words."""
        told = []
        for key, score in self.cross_validated.items():
            was = self.before[key]
            told.append(
                f"{key}: median error {percent(was.median_ratio, 1)} before, {percent(score.median_ratio, 1)} on "
                f"{count(score.n, 'row')} left out of the fit"
            )
        values = ", ".join(f"{key} {value:.4g}" for key, value in self.values.items())
        if self.kept:
            told.append("the profile's own constants stay: no others were better on rows left out")
        elif values:
            told.append(f"fitted: {values}")
        if self.at_bound:
            told.append(f"at the end of what it may be: {', '.join(self.at_bound)}")
        if self.odd_rows:
            told.append(
                f"{count(len(self.odd_rows), 'row')} far outside the interval: {some([str(i) for i in self.odd_rows])}"
            )
        if self.unpriced:
            told.append(
                f"{count(len(self.unpriced), 'row')} without a price: {some([str(i) for i in self.unpriced])}"
            )
        return told

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
    the fit, and constants cost what they leave the profile by (`SHRINK`), so that twenty rows do not either. Where
    the fitted constants are not better than the profile's own by more than luck on rows left out, those stay. The
    profile's own spread (`total_error_ratio`, `downtime_error_ratio`) is set from errors of rows that were left out,
    by the rank that so few rows support; where they are too few to support any, it is never narrowed.

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
        For measurements that are not positive, too few rows, columns that nobody reads, arguments that `estimate`
        refuses, and rows of which none can be priced.
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
    _check_columns(check, table)
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

    began = _log_errors(base, table, truth)
    unpriced = _unpriced(base, table, n)
    if all(np.isnan(errors).all() for errors in began.values()):
        reasons = "; ".join(dict.fromkeys(unpriced.values()))
        check.fault(
            "measurements", f"no row of {n} can be priced: {reasons}", f"migrations that {base.title} does"
        )
    check.done()

    order = np.random.default_rng(seed).permutation(n)
    held_out = {key: np.full(n, np.nan) for key in truth}
    outside = {key: np.full(n, np.nan) for key in INTERVALS if key in truth}
    as_is = _outside(base, table, truth)
    parts = np.array_split(order, min(folds, n))
    for part in parts:
        rest = np.setdiff1d(order, part)
        fold = _search(base, _rows(table, rest), {key: v[rest] for key, v in truth.items()}, chosen)
        left = _rows(table, part), {key: v[part] for key, v in truth.items()}
        for key, errors in _log_errors(fold, *left).items():
            held_out[key][part] = errors
        for key, distance in _outside(fold, *left).items():
            outside[key][part] = distance
    kept = not _is_better(held_out, began)
    best = base if kept else _search(base, table, truth, chosen)
    if kept:
        held_out, outside = began, as_is
    changes = {
        name: _spread(outside[key], float(getattr(base, name)))
        for key, name in INTERVALS.items()
        if key in outside
    }
    told = () if kept else tuple(chosen)
    no_longer = tuple(key for key in best.placeholders if key not in told)
    best = renamed(best.with_(**changes, placeholders=no_longer), name, f"{base.title}, fitted to {n} runs")
    return Fit(
        profile=best,
        values={key: float(getattr(best, key)) for key in chosen},
        cross_validated={key: _score(errors) for key, errors in held_out.items()},
        fitted={key: _score(errors) for key, errors in _log_errors(best, table, truth).items()},
        before={key: _score(errors) for key, errors in began.items()},
        folds=len(parts),
        kept=kept,
        at_bound=() if kept else tuple(key for key in chosen if _at_bound(key, float(getattr(best, key)))),
        odd_rows=_odd_rows(best, outside),
        unpriced=unpriced,
    )


def _check_columns(check: Checker, table: Mapping[str, Any]) -> None:
    """Every column is an argument of `estimate` or a measurement; the one that was meant is named."""
    known = [*Ask.__annotations__, *MEASURED]
    for key in table:
        if key not in Ask.__annotations__ or key == "profile":
            check.fault(
                f"measurements, column {key}",
                "unknown" if key != "profile" else "given beside the argument `profile`",
                "an argument of `estimate` or one of " + ", ".join(MEASURED),
                did_you_mean(key, known) if key != "profile" else "",
            )


def _unpriced(base: Profile, table: Mapping[str, Any], n: int) -> dict[int, str]:
    """Rows that the profile refuses or that would never end, and why."""
    ask: Ask = dict(table)  # type: ignore[assignment]
    ask["profile"] = base
    said: Estimate = estimate(**ask)
    total = np.broadcast_to(np.asarray(said.total_s, dtype=float), (n,))
    advice = np.broadcast_to(np.asarray(said.advice, dtype=object), (n,))
    return {int(i): str(advice[i]).split("; ")[0] for i in np.flatnonzero(~np.isfinite(total))}


def _loss(errors: Mapping[str, NDArray[np.float64]]) -> float:
    """What a fit minimises: a run that is wrongly called endless counts as one wrong by a factor of ten."""
    return sum(
        weight * float(np.nanmean(np.minimum(np.abs(errors[key]), np.log(10.0))))
        for key, weight in MEASURED.items()
        if key in errors and not np.isnan(errors[key]).all()
    )


def _is_better(new: Mapping[str, NDArray[np.float64]], old: Mapping[str, NDArray[np.float64]]) -> bool:
    """Whether new constants are better on rows left out by more than luck: in sum by over one standard error of the
    rows' differences, and not worse in time."""
    gain = np.zeros(len(next(iter(old.values()))))
    for key, was in old.items():
        cut = [np.nan_to_num(np.minimum(np.abs(e), np.log(10.0))) for e in (was, new[key])]
        each = cut[0] - cut[1]
        if key == "total_s" and each.mean() < 0.0:
            return False
        gain += MEASURED[key] * each
    return bool(gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)))


def _at_bound(key: str, value: float) -> bool:
    """Whether a constant was stopped at the least or the most that it may be."""
    _, low, high = FREE[key]
    return value <= low * (1.0 + NEAR_A_BOUND) or value >= high * (1.0 - NEAR_A_BOUND)


def _odd_rows(profile: Profile, outside: Mapping[str, NDArray[np.float64]]) -> tuple[int, ...]:
    """Rows further outside the band of uncertain inputs than `ODD` times what the profile's own spread adds."""
    odd: set[int] = set()
    for key, distance in outside.items():
        reach = max(Z * float(getattr(profile, INTERVALS[key])), 0.05)
        odd.update(np.flatnonzero(distance > ODD * reach).tolist())
    return tuple(sorted(odd))


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
        outside = float(np.maximum(low - point, 0).sum() + np.maximum(point - high, 0).sum())
        return outside + _loss(_log_errors(at(point), table, truth)) + far(point)

    given = np.array([float(getattr(base, key)) for key in free])
    start = np.clip(np.log(np.clip(given, 1e-12, 1e12)), low, high)
    known = np.isfinite(given) & (given > 0)  # 0 and inf say that the profile knows nothing of it
    home, n_rows = start.copy(), max(np.size(values) for values in truth.values())

    def far(point: NDArray[np.float64]) -> float:
        return SHRINK / n_rows * float((known * np.abs(point - home)).sum() / np.log(10.0))

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
    with np.errstate(divide="ignore"):
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


def _spread(distance: NDArray[np.float64], own: float) -> float:
    """The log-normal spread that brings `COVERED` of such rows inside their interval.

    Of n rows the one of rank ceil(COVERED (n + 1)) bounds the next row with that chance (split conformal prediction:
    Lei et al., JASA 2018, section 2.2). Where no row has that rank, n rows do not support a narrower interval than the
    profile's `own`.
    """
    known = np.sort(np.clip(distance[~np.isnan(distance)], -10.0, 10.0))
    if not len(known):
        return own
    rank = int(np.ceil(COVERED * (len(known) + 1)))
    if rank > len(known):
        return max(own, float(known[-1]) / Z)
    return max(0.0, float(known[rank - 1])) / Z


def _score(errors: NDArray[np.float64]) -> Score:
    ratios = np.abs(np.expm1(errors[np.isfinite(errors)]))
    if not ratios.size:
        return Score(0, float("nan"), float("nan"))
    return Score(int(ratios.size), float(np.median(ratios)), float(np.mean(ratios)))
