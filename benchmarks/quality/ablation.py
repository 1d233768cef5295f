"""What each part of local search is worth: the same problems with named constants of the search changed.

    python benchmarks/quality/ablation.py small medium --set STEPS_A_ROUND=1e9 --iterations 4e6 --seeds 12
    python benchmarks/quality/ablation.py FOLDER/model_a2_2.txt --set PROPOSALS=1 --set PROPOSALS=0,ANNEAL_SUM=1

    python benchmarks/quality/ablation.py 64x640 66x1320 --set SAVING=0 --seeds 2
    python benchmarks/quality/ablation.py 64x640 66x1320 --set TODAY=1e9 --workers 1 --iterations 2e6 --seeds 2

A problem is a bundled dataset with its rules, HOSTSxVMS for a generated cluster (seed 1, fill 0.6), or a model of
the ROADEF/EURO challenge 2012 whose `assignment_*.txt` lies beside it. Every `--set` is one variant, with commas
between the constants that it changes (those of `drs/solvers/localsearch.py`, written NAME=NUMBER); the search as it
is comes first. Printed are the means over seeds of every level's score. A budget of iterations gives the same
figures on every machine.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import drs
from drs import api
from drs.io import roadef
from drs.solvers import localsearch
from drs.stop import Run, Stop
from drs.terms.base import Lowered


def problem(name: str) -> Lowered:
    """A bundled dataset, a generated cluster, or an instance of the challenge."""
    path = Path(name)
    n_hosts, _, n_vms = name.partition("x")
    if n_hosts.isdigit() and n_vms.isdigit():
        snapshot = drs.datasets.make_cluster(int(n_hosts), int(n_vms), 1, n_clusters=1, fill_ratio=0.6)
        return drs.Problem(snapshot).lowered
    if path.name.startswith("model_"):
        return roadef.read(path, path.with_name(path.name.replace("model_", "assignment_", 1))).lowered
    return drs.Problem(drs.datasets.load(name), api.read_rules(name), api.read_policy(name)).lowered


def variant(text: str) -> dict[str, float]:
    """The constants of one `--set`."""
    out = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        if not isinstance(getattr(localsearch, name, None), int | float):
            raise argparse.ArgumentTypeError(f"{name!r} is no constant of drs.solvers.localsearch")
        out[name] = float(value)
    return out


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("problems", nargs="+")
    parser.add_argument("--set", type=variant, action="append", default=[], metavar="NAME=NUMBER,...")
    parser.add_argument("--iterations", type=float, default=4e6)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2, help="threads; each of many parts has one")
    asked = parser.parse_args()
    usual = {name: getattr(localsearch, name) for changed in asked.set for name in changed}
    print("| problem | search | mean scores |\n|---|---|---|")
    for name in asked.problems:
        lowered = problem(name)
        for changed in ({}, *asked.set):
            for constant, value in (usual | changed).items():
                setattr(localsearch, constant, type(getattr(localsearch, constant))(value))
            scores = np.mean(
                [
                    localsearch.solve(
                        lowered,
                        lowered.start,
                        Run(Stop(iterations=int(asked.iterations)), seed),
                        workers=asked.workers,
                    ).scores
                    for seed in range(1, asked.seeds + 1)
                ],
                axis=0,
            )
            said = "; ".join(f"{lv.name} {x:,.6g}" for lv, x in zip(lowered.levels, scores, strict=True))
            label = ", ".join(f"{constant} {value:g}" for constant, value in changed.items()) or "as it is"
            print(f"| {Path(name).stem} | {label} | {said} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
