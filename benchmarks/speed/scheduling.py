"""How long a plan takes to make, by stage and size: CPU seconds, in one run.

    python benchmarks/speed/scheduling.py [--fill 0.75]

Stages: `order` (safe order with parking), `bound` (the lower bounds), `serial` (one serial schedule), `fluid` (one
simulation with max-min fair shares), `list` (`make_plan` as a whole with the first schedules only), `plan`
(`make_plan` as a whole), `replay` (the independent check of order, room, rules and
concurrency, as for every plan of more than 60 moves).
The kernels are compiled before anything is timed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "quality"))

from scheduling import full

from drs.planning import Concurrency, make_plan, replay
from drs.planning import order as ordering
from drs.planning.pricing import Pricer, legs_between
from drs.planning.rooms import Rooms
from drs.planning.schedule.bounds import makespan_bound
from drs.planning.schedule.fluid import flows_of, run_fluid
from drs.planning.schedule.serial import Serial
from drs.planning.schedule.shares import with_links
from drs.planning.schedule.tasks import build_tasks
from drs.terms import Capacity, During


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """A result and the CPU seconds that it took."""
    began = time.process_time()
    result = work()
    return result, time.process_time() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fill", type=float, default=0.75)
    fill = parser.parse_args().fill
    make_plan(*full(4, 4, 0.75))
    print(
        "n_moves,n_hosts,order_cpu_s,bound_cpu_s,serial_cpu_s,fluid_cpu_s,list_cpu_s,plan_cpu_s,replay_cpu_s"
    )
    for n_moves, n_hosts in ((20, 10), (100, 20), (500, 100), (2000, 200), (2000, 1000), (5000, 2000)):
        snapshot, target = full(n_moves, n_hosts, fill)
        during = [
            During(Capacity("memory", snapshot.demand("memory"), snapshot.capacity("memory")), "memory")
        ]
        pricer = Pricer(snapshot)
        legs = legs_between(snapshot, target)
        rooms = Rooms.of(snapshot, during, [leg.vm for leg in legs])
        hosts_for = ordering.default_hosts(snapshot)
        found, order_s = timed(lambda: ordering.find_order(legs, rooms, pricer, hosts_for))  # noqa: B023
        priced, flows = pricer.price(found.legs), flows_of(pricer, found.legs)
        tasks = build_tasks(
            snapshot, pricer.network, found.legs, priced, rooms.free, found.take, found.give, found.before,
            Concurrency(), pricer.profile.link_ratio, flows.beside_s,
        )  # fmt: skip
        shares = with_links(tasks, np.ones(len(tasks)), priced.total_s)
        _, bound_s = timed(lambda: makespan_bound(tasks, priced.total_s, priced.transferred_mib))  # noqa: B023
        serial = Serial(tasks, shares)
        start, serial_s = timed(lambda: serial.starts(np.arange(len(tasks))))  # noqa: B023
        _, fluid_s = timed(lambda: run_fluid(tasks, shares, flows, np.argsort(start, kind="stable")))  # noqa: B023
        _, list_s = timed(lambda: make_plan(snapshot, target, during, method="list"))  # noqa: B023
        plan, plan_s = timed(lambda: make_plan(snapshot, target, during))  # noqa: B023
        _, replay_s = timed(lambda: replay(plan, during, times=False))  # noqa: B023
        figures = ",".join(
            f"{value:.3f}" for value in (order_s, bound_s, serial_s, fluid_s, list_s, plan_s, replay_s)
        )
        print(f"{n_moves},{n_hosts},{figures}", flush=True)


if __name__ == "__main__":
    main()
