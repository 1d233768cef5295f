"""Balancing over time against balancing a moment: plan on a week's load, then live through the next day.

    python benchmarks/quality/time_axis.py [--dataset medium] [--iterations 1000000] [--seeds 1,2]

The last 24 hours of the load history are held out. Each method sees what came before and moves VMs once; then the
held-out hours are replayed, hour by hour, on the placement that it left. All methods have the dataset's rules,
the same goals but for how demand is read (balance as far as possible, then the cheapest moves), the same limit on
moves, and the same search budget.

Figures, of CPU, over the held-out day:

std             mean over the hours and clusters of the standard deviation of the hosts' load, what DRS balances
over 80, 90 %   hours in which a host was above that load, all hosts added
undelivered     demand above the hosts' capacity, in GHz h
"""

from __future__ import annotations

import argparse
import dataclasses
import sys

import numpy as np

import drs
from drs.api import read_policy, read_rules
from drs.goals import Balance, BalanceOverTime, Goal, Moves
from drs.model import LoadHistory, Placement, Snapshot

HELD_OUT_H = 24


def split(snapshot: Snapshot) -> tuple[Snapshot, LoadHistory]:
    """The snapshot as it was before the held-out day, with the history up to then; and that day."""
    loads = snapshot.loads
    if loads is None:
        raise SystemExit(f"{snapshot.name} has no load history")
    cut = int(np.searchsorted(loads.time, loads.time[-1] - np.timedelta64(HELD_OUT_H, "h"), side="right"))
    before, day = (
        LoadHistory(loads.time[part], loads.cpu_mhz[part], loads.memory_active_mib[part])
        for part in (slice(0, cut), slice(cut, None))
    )
    return with_demand(dataclasses.replace(snapshot, loads=before), before.cpu_mhz[-1]), day


def with_demand(snapshot: Snapshot, cpu_mhz: np.ndarray) -> Snapshot:
    """The snapshot with this CPU demand, f4[n_vms]; a VM without a figure keeps its own."""
    vms = snapshot.vms
    demand = np.where(np.isnan(cpu_mhz), vms.cpu_demand_mhz, cpu_mhz).astype(np.float64)
    return dataclasses.replace(snapshot, vms=dataclasses.replace(vms, cpu_demand_mhz=demand))


def live_through(snapshot: Snapshot, placement: Placement, day: LoadHistory) -> dict[str, float]:
    """The held-out day on a placement."""
    capacity, hosts = snapshot.capacity("cpu"), snapshot.hosts
    usable = hosts.state == "connected"
    hours = float(np.median(np.diff(day.time)) / np.timedelta64(1, "h"))
    figures = {"std": 0.0, "over_80": 0.0, "over_90": 0.0, "undelivered_ghz_h": 0.0}
    clusters = [usable & (hosts.cluster_idx == cluster) for cluster in range(len(snapshot.clusters))]
    for sample in day.cpu_mhz:
        demand = with_demand(snapshot, sample).demand("cpu")
        use = np.bincount(placement.host_idx, weights=demand, minlength=len(hosts))
        load = use / capacity
        figures["std"] += float(np.mean([load[members].std() for members in clusters])) / len(day)
        figures["over_80"] += hours * int((load[usable] > 0.8).sum())
        figures["over_90"] += hours * int((load[usable] > 0.9).sum())
        figures["undelivered_ghz_h"] += hours * float(np.maximum(0.0, use - capacity).sum()) / 1000
    return figures


def methods() -> dict[str, Goal]:
    """What each method looks at, as a goal."""
    return {
        "last hour": Balance(target=0.0),
        "90th percentile of each VM": Balance(target=0.0, percentile=90.0),
        "mean of each VM": BalanceOverTime(target=0.0, n_buckets=1),
        "8 parts of the day": BalanceOverTime(target=0.0, n_buckets=8),
        "24 parts of the day": BalanceOverTime(target=0.0),
        "48 parts of the history": BalanceOverTime(target=0.0, n_buckets=48, parts_of="history"),
    }


def main() -> None:
    """Run all methods and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="medium", help="a bundled dataset or a snapshot folder")
    parser.add_argument("--iterations", type=int, default=1_000_000)
    parser.add_argument("--max-moves", type=int, default=None)
    parser.add_argument("--seeds", default="1,2", help="with commas between them; figures are the mean")
    args = parser.parse_args()
    whole = drs.read(args.dataset)
    snapshot, day = split(whole)
    rules, policy = read_rules(args.dataset), read_policy(args.dataset)
    limits = dataclasses.replace(policy.limits, max_moves=args.max_moves)
    print("| plan made on | moves | std | host-hours over 80 % | over 90 % | undelivered GHz h |")
    print("|---|---|---|---|---|---|")

    def row(name: str, moves: float, found: dict[str, float]) -> None:
        print(
            f"| {name} | {moves:.0f} | {found['std']:.4f} | {found['over_80']:.0f} | {found['over_90']:.0f} | "
            f"{found['undelivered_ghz_h']:.0f} |",
            flush=True,
        )

    row("nothing is moved", 0, live_through(snapshot, Placement.of(snapshot), day))
    for name, goal in methods().items():
        aims = dataclasses.replace(policy, goals=(goal, Moves()), limits=limits)
        runs, moves = [], []
        for seed in map(int, args.seeds.split(",")):
            result = drs.solve(
                drs.Problem(snapshot, rules, aims),
                solver="localsearch",
                time_s=None,
                iterations=args.iterations,
                seed=seed,
            )
            runs.append(live_through(snapshot, result.placement, day))
            moves.append(len(result.moved_vms))
        row(name, float(np.mean(moves)), {key: float(np.mean([run[key] for run in runs])) for key in runs[0]})


if __name__ == "__main__":
    sys.exit(main())
