"""Google's ROADEF/EURO challenge 2012 (machine reassignment), judged by an evaluator that knows nothing of drs.

    python benchmarks/quality/roadef.py MODEL ASSIGNMENT --time-s 60 --seed 1 --out NEW.txt
    python benchmarks/quality/roadef.py --all FOLDER --csv results.csv [--only a1_4,b_1] [--time-s 300]

The first writes a solution in the challenge's format and prints its cost. The second solves every
`model_*.txt` with its `assignment_*.txt` in FOLDER, one after the other; what the CSV already holds (same
instance, time, seed, solver) is not run again, so it may be stopped and continued. A `results.csv` in FOLDER with
published costs (columns `instance`, `winner_s41_300s`, `best_published`) adds these to the table.

Time is wall-clock and counts everything after the kernel is compiled: reading, building, solving. `cpu_s` is
what the two threads got of the processors in that time: less than twice as much says that the machine was
busy with other things. A gap is 100 x (cost - best published) / initial cost, the challenge's own score.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from dataclasses import dataclass
from pathlib import Path

COLUMNS = (
    "instance", "time_s", "seed", "solver", "initial", "cost", "winner", "best_published", "gap_percent",
    "winner_gap_percent", "seconds", "cpu_s", "broken",
)  # fmt: skip


@dataclass
class Model:
    """A model file, read by this file's own reader."""

    resources: list[tuple[bool, int]]
    machines: list[tuple[int, int, list[int], list[int], list[int]]]
    """(neighbourhood, location, capacities, safety capacities, move costs)"""
    services: list[tuple[int, list[int]]]
    processes: list[tuple[int, list[int], int]]
    balances: list[tuple[int, int, int, int]]
    weights: tuple[int, int, int]


def read_model(path: Path) -> Model:
    """Read a model file, number by number."""
    numbers = iter(map(int, path.read_text().split()))

    def some(n: int) -> list[int]:
        return [next(numbers) for _ in range(n)]

    resources = [(bool(next(numbers)), next(numbers)) for _ in range(next(numbers))]
    n, m = len(resources), next(numbers)
    machines = [(next(numbers), next(numbers), some(n), some(n), some(m)) for _ in range(m)]
    services = []
    for _ in range(next(numbers)):
        spread, n_needs = some(2)
        services.append((spread, some(n_needs)))
    processes = [(next(numbers), some(n), next(numbers)) for _ in range(next(numbers))]
    balances = [(next(numbers), next(numbers), next(numbers), next(numbers)) for _ in range(next(numbers))]
    weights = (next(numbers), next(numbers), next(numbers))
    if next(numbers, None) is not None:
        raise ValueError(f"{path} goes on after its end")
    return Model(resources, machines, services, processes, balances, weights)


def read_assignment(path: Path) -> list[int]:
    """Read an assignment file."""
    return list(map(int, path.read_text().split()))


def evaluate(model: Model, before: list[int], after: list[int]) -> tuple[int, list[str]]:
    """Cost of an assignment and every constraint that it breaks, in whole numbers throughout."""
    n, m = len(model.resources), len(model.machines)
    broken: list[str] = []
    if len(after) != len(model.processes) or any(not 0 <= machine < m for machine in after):
        return 0, ["not one machine for each process"]
    use = [[0] * n for _ in range(m)]
    gone = [[0] * n for _ in range(m)]
    on_machine: set[tuple[int, int]] = set()
    locations: list[set[int]] = [set() for _ in model.services]
    neighbourhoods: list[set[int]] = [set() for _ in model.services]
    moved = [0] * len(model.services)
    process_cost = machine_cost = 0
    for process, (service, needs, move_cost) in enumerate(model.processes):
        old, new = before[process], after[process]
        for k, need in enumerate(needs):
            use[new][k] += need
            if old != new and model.resources[k][0]:
                gone[old][k] += need
        if (service, new) in on_machine:
            broken.append(f"conflict: service {service} twice on machine {new}")
        on_machine.add((service, new))
        neighbourhoods[service].add(model.machines[new][0])
        locations[service].add(model.machines[new][1])
        if old != new:
            moved[service] += 1
            process_cost += move_cost
            machine_cost += model.machines[old][4][new]
    cost = 0
    for machine, (_, _, capacity, safety, _) in enumerate(model.machines):
        for k, (_, weight) in enumerate(model.resources):
            if use[machine][k] + gone[machine][k] > capacity[k]:
                broken.append(f"capacity: resource {k} of machine {machine}")
            cost += weight * max(0, use[machine][k] - safety[k])
        for a, b, target, weight in model.balances:
            free_a, free_b = capacity[a] - use[machine][a], capacity[b] - use[machine][b]
            cost += weight * max(0, target * free_a - free_b)
    for service, (spread, needs) in enumerate(model.services):
        if len(locations[service]) < spread:
            broken.append(f"spread: service {service} in {len(locations[service])} of {spread} locations")
        for other in needs:
            alone = neighbourhoods[service] - neighbourhoods[other]
            broken += [f"dependency: service {service} without {other} in {where}" for where in sorted(alone)]
    by_process, by_service, by_machine = model.weights
    cost += by_process * process_cost + by_service * max(moved, default=0) + by_machine * machine_cost
    return cost, broken


def warm_up() -> None:
    """Compile the kernel (or load it), so that no run pays for it."""
    import tempfile

    from drs.io import roadef
    from drs.solvers import localsearch
    from drs.stop import Run, Stop

    with tempfile.TemporaryDirectory() as folder:
        model, start = Path(folder) / "model.txt", Path(folder) / "start.txt"
        model.write_text("1 1 10 2 0 0 10 4 0 1 0 0 10 4 1 0 1 0 0 3 0 3 1 0 2 1 0 1 1 0 1 10 100")
        start.write_text("0 0 0")
        lowered = roadef.read(model, start).lowered
    localsearch.solve(lowered, lowered.start, Run(Stop(iterations=5000), 0))


def solve(model: Path, assignment: Path, time_s: float, seed: int, solver: str) -> tuple[list[int], float]:
    """The new assignment and the seconds that it took."""
    from drs.io import roadef
    from drs.solvers import auto, localsearch
    from drs.stop import Run, Stop

    stop = Stop(time_s).begin()
    lowered = roadef.read(model, assignment).lowered
    engine = auto.solve if solver == "auto" else localsearch.solve
    answer = engine(lowered, lowered.start, Run(stop, seed))
    return answer.assign.tolist(), stop.elapsed_s


def run(model: Path, assignment: Path, out: Path | None, args: argparse.Namespace) -> dict[str, object]:
    """Solve one instance and judge the answer: a row of the CSV without published costs."""
    cpu_began = time.process_time()
    after, seconds = solve(model, assignment, args.time_s, args.seed, args.solver)
    cpu_s = time.process_time() - cpu_began
    if out is not None:
        out.write_text(" ".join(map(str, after)) + "\n")
        after = read_assignment(out)
    read, before = read_model(model), read_assignment(assignment)
    initial, _ = evaluate(read, before, before)
    cost, broken = evaluate(read, before, after)
    for line in broken[:20]:
        print("BROKEN", line, file=sys.stderr)
    return {
        "instance": model.stem.removeprefix("model_"), "time_s": f"{args.time_s:g}", "seed": args.seed,
        "solver": args.solver, "initial": initial, "cost": cost, "seconds": f"{seconds:.1f}",
        "cpu_s": f"{cpu_s:.1f}", "broken": len(broken),
    }  # fmt: skip


def published(folder: Path) -> dict[str, dict[str, str]]:
    """Published costs by instance."""
    path = folder / "results.csv"
    if not path.is_file():
        return {}
    with path.open() as file:
        return {row["instance"]: row for row in csv.DictReader(file) if "best_published" in row}


def gaps(row: dict[str, object], known: dict[str, str]) -> None:
    """Add what others reached to a row."""
    initial, cost = int(str(row["initial"])), int(str(row["cost"]))
    for column, source, gap in (
        ("winner", "winner_s41_300s", "winner_gap_percent"),
        ("best_published", "best_published", "gap_percent"),
    ):
        value = known.get(source, "")
        row[column] = value
        row[gap] = f"{100 * (cost - int(value)) / max(1, initial):.4f}" if value else ""


def table(rows: list[dict[str, object]]) -> str:
    """The rows as Markdown."""
    lines = [
        "| instance | time | CPU | initial | drs | winner (300 s) | best published | gap to best | gap to winner |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        costs = (row["initial"], row["cost"], row["winner"], row["best_published"])
        cells = [f"{int(str(cost)):,}" if cost else "" for cost in costs]
        if int(str(row["broken"])):
            cells[1] += f" ({row['broken']} broken)"
        share = [f"{row[gap]} %" if row[gap] else "" for gap in ("gap_percent", "winner_gap_percent")]
        times = [f"{row[column]} s" for column in ("seconds", "cpu_s")]
        lines.append(f"| {' | '.join([str(row['instance']), *times, *cells, *share])} |")
    return "\n".join(lines)


def run_all(args: argparse.Namespace) -> int:
    """All instances of a folder that are not in the CSV yet."""
    known = published(args.all)
    rows: list[dict[str, object]] = []
    if args.csv.is_file():
        with args.csv.open() as file:
            rows = [dict(row) for row in csv.DictReader(file)]
    key = {column: str(getattr(args, column)) for column in ("seed", "solver")}
    key["time_s"] = f"{args.time_s:g}"
    chosen = args.only.split(",") if args.only else []
    names = [path.stem.removeprefix("model_") for path in sorted(args.all.glob("model_*.txt"))]
    names = [name for name in chosen or names if name in names]

    def mine(row: dict[str, object]) -> bool:
        return all(str(row[column]) == value for column, value in key.items())

    if not names:
        print(f"no model_*.txt in {args.all}", file=sys.stderr)
        return 2
    for name in names:
        if any(row["instance"] == name and mine(row) for row in rows):
            continue
        assignment = args.all / f"assignment_{name}.txt"
        out = args.solutions / f"new_{name}.txt" if args.solutions else None
        row = run(args.all / f"model_{name}.txt", assignment, out, args)
        gaps(row, known.get(name, {}))
        rows.append(row)
        new = not args.csv.is_file()
        with args.csv.open("a", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if new:
                writer.writeheader()
            writer.writerow(row)
        print(f"{time.strftime('%H:%M:%S')} {name}: {row['cost']} gap {row['gap_percent']} %", flush=True)
    print(table([row for row in rows if row["instance"] in names and mine(row)]))
    return 1 if any(int(str(row["broken"])) for row in rows if mine(row)) else 0


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("assignment", type=Path, nargs="?")
    parser.add_argument("--time-s", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--solver", choices=("localsearch", "auto"), default="localsearch")
    parser.add_argument("--out", type=Path, help="where the new assignment is written")
    parser.add_argument("--all", type=Path, metavar="FOLDER")
    parser.add_argument("--only", default="", help="instances, with commas between them")
    parser.add_argument("--csv", type=Path, default=Path("roadef-results.csv"))
    parser.add_argument("--solutions", type=Path, help="folder for the new assignments of --all")
    args = parser.parse_args()
    if args.all is None and (args.model is None or args.assignment is None):
        parser.error("give MODEL and ASSIGNMENT, or --all FOLDER")
    warm_up()
    if args.all is not None:
        return run_all(args)
    row = run(args.model, args.assignment, args.out, args)
    print(f"initial cost {row['initial']}")
    print(f"cost {row['cost']}")
    print(f"{row['broken']} constraints broken, {row['seconds']} s, {row['cpu_s']} s of CPU")
    return 1 if row["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
