"""What changes select beyond names, and what they draw: conditions on columns, and factors with a correlation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from drs.errors import did_you_mean
from drs.io.change_kinds import Noise
from drs.io.raw import Faults

if TYPE_CHECKING:
    import pandas as pd


def matching(frame: pd.DataFrame | None, key: str, condition: str, where: str, faults: Faults) -> list[str]:
    """The names of the rows for which a condition holds; a fault where it cannot be read or names no column.

    Parameters
    ----------
    frame : the table, None where the snapshot has none.
    condition : as `DataFrame.query` reads it, without `@` and names that begin with `__`.
    """
    if frame is None:
        faults.add(where, condition, "a table that is there")
        return []
    columns = [str(column) for column in frame.columns]
    if "@" in condition or "__" in condition:
        faults.add(where, condition, f"an expression over the columns {', '.join(columns)}")
        return []
    try:
        found = frame.query(condition, engine="python")
    except Exception as error:  # whatever an expression can do wrong
        named = re.search(r"name '(\w+)' is not defined", str(error))
        near = did_you_mean(named[1], columns) if named else ""
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        faults.add(
            where, f"{condition!r}: {said}", f"an expression over the columns {', '.join(columns)}", near
        )
        return []
    return [str(name) for name in found[key].drop_duplicates()]


def application(name: str, pattern: re.Pattern[str] | None) -> str:
    """The application of a VM: the first group of the pattern, else its name without the number at the end."""
    if pattern is None:
        return re.sub(r"[-_.]?\d+$", "", name)
    found = pattern.search(name)
    return (found[1] if found.groups() else found[0]) if found else name


def draw_factors(
    noise: Noise, vms: Sequence[str], where: str, faults: Faults
) -> dict[tuple[str, str], dict[str, float]]:
    """Factors of mean 1 by (table, column) and VM.

    The scores of one application's VMs have the given correlation (a Gaussian copula: one common factor and one of the
    VM's own); a score becomes a factor through the inverse distribution. The draw depends on the seed and on the
    VMs in their order, not on what else stands in the snapshot.
    """
    pattern = None
    if noise.by:
        try:
            pattern = re.compile(noise.by)
        except re.error as error:
            faults.add(where, f"{noise.by!r}: {error}", "a regular expression")
            return {}
    rng = np.random.default_rng(noise.seed)
    groups = [application(name, pattern) for name in vms]
    number = {group: k for k, group in enumerate(dict.fromkeys(groups))}
    of = np.array([number[group] for group in groups], dtype=np.int64)
    rho = noise.correlation
    targets = {
        "cpu_std": [("vms", "cpu_demand_mhz"), ("loads", "cpu_mhz")],
        "memory_std": [
            ("vms", "memory_active_mib"),
            ("vms", "memory_consumed_mib"),
            ("loads", "memory_active_mib"),
        ],
        "dirty_rate_std": [("vms", "dirty_rate_mibps")],
    }
    found: dict[tuple[str, str], dict[str, float]] = {}
    for field, columns in targets.items():
        common, own = rng.standard_normal(len(number)), rng.standard_normal(len(vms))
        std = getattr(noise, field)
        if std == 0.0 or not vms:
            continue
        score = np.sqrt(rho) * common[of] + np.sqrt(1.0 - rho) * own
        if noise.dist == "lognormal":
            sigma2 = np.log1p(std**2)
            factor = np.exp(np.sqrt(sigma2) * score - sigma2 / 2)
        else:
            factor = stats.gamma.ppf(stats.norm.cdf(score), a=1 / std**2, scale=std**2)
        by_vm = dict(zip(vms, factor.tolist(), strict=True))
        found.update(dict.fromkeys(columns, by_vm))
    return found
