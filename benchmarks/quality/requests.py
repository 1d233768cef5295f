"""What a request moves, and what else: one row for each kind of request, on any snapshot folder or dataset.

    python benchmarks/quality/requests.py small medium path/to/snapshot [--time-s 30] [--only KIND] [--out requests.csv]

Every request is about things found in the snapshot itself, from a seed: the host in the middle of the order by number
of VMs, VMs on it, the cluster with the fewest VMs and the one with the most room. `asked` is how many VMs the request
is about, `done` how many of them come where they are asked, `others` how many VMs move that it is not about.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import drs
from drs import api, modes
from drs.io import InputWarning
from drs.rules import Pinned, Rule, RunOn

COLUMNS = ("snapshot", "request", "asked", "done", "moves", "others", "starts", "seconds", "status", "by")


@dataclass(frozen=True)
class Case:
    """A snapshot, its rules and policy, and how long to search."""

    name: str
    snapshot: drs.Snapshot
    rules: tuple[Rule, ...]
    policy: Any
    time_s: float
    seed: int

    def vms_on(self, hosts: Sequence[int]) -> list[str]:
        """Running VMs on some hosts."""
        vms = self.snapshot.vms
        return [str(name) for name in vms.name[np.isin(vms.host_idx, hosts) & vms.on]]

    def row(self, request: str, asked: Sequence[str], ask: Callable[[], Any], **more: Any) -> dict[str, Any]:
        """One request carried out."""
        begun = time.monotonic()
        result = ask()
        moved = {move.vm for move in result.plan.moves}
        known = set(self.snapshot.vms.name.tolist())
        left = getattr(result.report, "left", None)
        stay = {entry[0] for entry in left} if left is not None else set()
        waiting = {each.vm for each in getattr(result.report, "waiting", ())}
        return {
            "snapshot": self.name, "request": request, "asked": len(asked),
            "done": len(set(asked) - stay - waiting), "moves": len(result.plan.moves),
            "others": len((moved & known) - set(asked)),
            "starts": len(getattr(result.report, "restarts", getattr(result.report, "placed", ()))),
            "seconds": round(time.monotonic() - begun, 1), "status": result.status,
            "by": str(result.stats.get("engines", result.solver)), **more,
        }  # fmt: skip

    def advise(self, rules: Sequence[Rule] = (), max_moves: int | None = None, **options: Any) -> Any:
        """One advice."""
        return drs.advise(
            self.snapshot, rules=(*self.rules, *rules), policy=self.policy, options=modes.Options(**options),
            max_moves=max_moves, time_s=self.time_s, seed=self.seed,
        )  # fmt: skip


def requests(case: Case) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """The kinds of requests, each by its name."""
    snapshot = case.snapshot
    hosts, vms = snapshot.hosts, snapshot.vms
    rng = np.random.default_rng(case.seed)
    up = np.flatnonzero(hosts.state == "connected")
    n_on = np.bincount(vms.host_idx[(vms.host_idx >= 0) & vms.on], minlength=len(hosts))
    ranked = up[np.argsort(n_on[up], kind="stable")]
    one = int(ranked[len(ranked) // 2])
    name = str(hosts.name[one])
    on_one = case.vms_on([one])
    same = np.array([h for h in up if hosts.cluster_idx[h] == hosts.cluster_idx[one] and h != one])

    def empty(**more: Any) -> Callable[[], dict[str, Any]]:
        kind = more.pop("kind")
        return lambda: case.row(kind, on_one, lambda: case.advise(evacuate=(name,), **more))

    yield "empty one host", empty(kind="empty one host")
    yield "the same with max-moves", empty(kind="the same with max-moves", max_moves=len(on_one))
    pinned = Pinned([on_one[0]], name="pinned by hand")
    yield "empty a host, one VM pinned", empty(kind="empty a host, one VM pinned", rules=[pinned])
    yield "empty one host, also repair", empty(kind="empty one host, also repair", also=("repair",))
    yield "lose one host", lambda: case.row("lose one host", on_one, lambda: case.advise(lost=(name,)))
    like = str(rng.choice(on_one))
    copies = [f"{like}-copy-{k}" for k in range(1, 6)]
    yield "5 new VMs", lambda: case.row("5 new VMs", copies, lambda: case.advise(new=(f"{like}=5",)))
    yield "rolling over 3 hosts", lambda: _rolling(case, [name, *hosts.name[same[:2]].tolist()])
    other = str(hosts.name[same[np.argmax(n_on[same])]])
    yield (
        "move 3 VMs",
        lambda: case.row(
            "move 3 VMs", on_one[:3], lambda: case.advise(move=tuple(f"{vm}={other}" for vm in on_one[:3]))
        ),
    )
    big = sorted(on_one, key=lambda vm: -float(vms.memory_mib[vms.position[vm]]))[0]
    back = sorted(case.vms_on([int(hosts.position[other])]),
                  key=lambda vm: -float(vms.memory_mib[vms.position[vm]]))[0]  # fmt: skip
    yield (
        "swap two large VMs",
        lambda: case.row(
            "swap two large VMs", [big, back], lambda: case.advise(move=(f"{big}={other}", f"{back}={name}"))
        ),
    )
    if len(snapshot.clusters) > 1:
        yield "empty a cluster into another", lambda: _refresh(case, rng)


def _rolling(case: Case, hosts: Sequence[str]) -> dict[str, Any]:
    """Hosts one after the other; VMs that move more than once count once among those asked, each move in `moves`."""
    begun = time.monotonic()
    asked = set(case.vms_on([case.snapshot.hosts.position[host] for host in hosts]))
    told = modes.rolling(
        drs.advise, case.snapshot, rules=case.rules, policy=case.policy, hosts=list(hosts), time_s=case.time_s,
        seed=case.seed,
    )  # fmt: skip
    moved = {move.vm for step in told.steps for move in step.result.plan.moves}
    return {
        "snapshot": case.name, "request": "rolling over 3 hosts", "asked": len(asked), "done": len(asked & moved),
        "moves": told.n_moves, "others": len(moved - asked), "starts": 0,
        "seconds": round(time.monotonic() - begun, 1), "status": told.status, "by": f"{len(told.steps)} steps",
    }  # fmt: skip


def _refresh(case: Case, rng: np.random.Generator) -> dict[str, Any]:
    """The cluster with the fewest running VMs into the one with the most free memory, 20 of them bound by a rule."""
    snapshot = case.snapshot
    of = snapshot.hosts.cluster_idx
    on = (snapshot.vms.host_idx >= 0) & snapshot.vms.on
    n = np.bincount(of[snapshot.vms.host_idx[on]], minlength=len(snapshot.clusters))
    free = np.bincount(of, weights=snapshot.capacity("memory"), minlength=len(n))
    used = np.bincount(of[snapshot.vms.host_idx[on]], weights=snapshot.demand("memory")[on], minlength=len(n))
    room = free - used
    old = int(np.argmin(np.where(n > 0, n, n.max() + 1)))
    room[old] = -np.inf
    new = int(np.argmax(room))
    asked = case.vms_on(np.flatnonzero(of == old).tolist())
    bound = sorted(rng.choice(asked, min(20, len(asked) // 4), replace=False).tolist())
    hosts = [str(host) for host in snapshot.hosts.name[of == old]]
    rule = RunOn(bound, hosts, name="licence", policy="hard")
    return case.row(
        f"empty a cluster into another, {len(bound)} VMs bound", asked,
        lambda: case.advise([rule], evacuate=tuple(hosts), to_clusters=(str(snapshot.clusters.name[new]),)),
    )  # fmt: skip


def run(source: str, time_s: float, seed: int, only: str) -> Iterator[dict[str, Any]]:
    """The rows of one snapshot."""
    snapshot = drs.read(source)
    case = Case(Path(source).name, snapshot, api.read_rules(source), api.read_policy(source), time_s, seed)
    for kind, ask in requests(case):
        if only in kind:
            yield ask()


def main() -> None:
    """Prints the rows as they come, and writes them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("snapshots", nargs="+", help="datasets or snapshot folders")
    parser.add_argument("--time-s", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="kinds with this in their name")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore", InputWarning)
    print(" | ".join(COLUMNS), flush=True)
    rows = []
    for source in given.snapshots:
        for row in run(source, given.time_s, given.seed, given.only):
            rows.append(row)
            print(" | ".join(str(row[column]) for column in COLUMNS), flush=True)
    if given.out:
        with given.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
