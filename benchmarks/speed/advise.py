"""Whole-process figures of the main job, side by side in one run.

    python benchmarks/speed/advise.py [--runs 3] [--time-s 20]

Prints, as medians over the runs: wall and CPU seconds and peak memory of `import drs` beside `import pandas`,
of `drs advise` from process start to the written report on `small` and `medium` by each solver, and by how
much a run exceeds its `--time-s`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def measure(words: list[str]) -> tuple[float, float, float, str]:
    """(wall s, CPU s, peak MiB, stdout) of one process."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(words, stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        if status:
            raise SystemExit(f"{' '.join(words)} ended with {os.waitstatus_to_exitcode(status)}")
        out.seek(0)
        return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out.read()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--time-s", type=float, default=20.0)
    asked = parser.parse_args()
    python = [sys.executable, "-c"]
    with tempfile.TemporaryDirectory() as scratch:
        out = str(Path(scratch) / "plan")
        jobs = {"import drs": [*python, "import drs"], "import pandas": [*python, "import pandas"]}
        for name in ("small", "medium"):
            for solver in ("auto", "greedy"):
                jobs[f"advise {name}, {solver}, --time-s {asked.time_s:g}"] = [
                    sys.executable, "-m", "drs.cli", "advise", name, "--solver", solver,
                    "--time-s", f"{asked.time_s:g}", "--seed", "1", "--out", out, "--json",
                ]  # fmt: skip
        print("| command | wall s | CPU s | peak MiB | status | moves | cpu std after | over --time-s by |")
        print("|---|---|---|---|---|---|---|---|")
        measure(jobs[f"advise small, auto, --time-s {asked.time_s:g}"])  # compiles what is not yet cached
        for label, words in jobs.items():
            runs = [measure(words) for _ in range(asked.runs)]
            wall, cpu, peak = (statistics.median(run[i] for run in runs) for i in range(3))
            row = [label, f"{wall:.2f}", f"{cpu:.2f}", f"{peak:.0f}"]
            if runs[0][3]:
                document = json.loads(runs[0][3])
                after = document["metrics"]["after"]["cpu"]["std"]
                over = max(0.0, wall - asked.time_s)
                row += [document["status"], str(len(document["moves"])), f"{after:.4f}", f"{over:.1f} s"]
            print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
