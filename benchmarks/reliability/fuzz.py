"""Random clusters through the command line, each answer checked by code that knows nothing of drs.

    python benchmarks/reliability/fuzz.py [--minutes 60] [--seed 0] [--out out/fuzz] [--fast]
    python benchmarks/reliability/fuzz.py --only 4711        # one case again, in this process

A case is a snapshot folder with any of the tables, states, rules, goals and profiles, and a command with any mode and
solver; the seed makes it. The checker reads the CSV files that went in and the `plan.json` and tables that came
out. It asks: does it end with an exit code that the manual has; is every figure finite; does every VM move from
where it is; does the snapshot after hold what the moves reach; do rules, capacity, host states and the plan's own
claims hold; is every folder that was written read again; does the same seed give the same plan; does a second run
after `optimal` find nothing to do. Tiny clusters are enumerated, and bound, proof and verdict compared.

Kernels run under bounds checking (`--fast` leaves it out), in a process of their own, so that a crash is a finding
as well. Each finding is kept in `out/fuzz/SEED` with the inputs and `REPRO.txt`.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

CLOCK = ("elapsed_s", "created_at")
"""Fields of an answer that the clock writes."""
LONGEST_S = 300.0
"""A case that takes longer hangs."""

STATES = ("connected",) * 6 + ("maintenance", "quarantine", "disconnected", "standby")
BASELINES = ("", "", "intel-haswell", "intel-broadwell", "intel-skylake", "amd-zen2")
PROFILES = ("vmware", "vmware", "qemu", "xen", "kvm")
SOLVERS = ("auto", "auto", "localsearch", "lns", "greedy", "cpsat")

Row = dict[str, Any]
Tables = dict[str, list[Row]]


# --- the cases ---


class Case:
    """What one seed makes: a folder, the words of a command, and what is known of it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.tiny = seed % 5 == 0
        self.tables = self.tiny_tables() if self.tiny else self.any_tables()
        self.rules = self.tiny_rules() if self.tiny else self.any_rules()
        self.policy = self.tiny_policy() if self.tiny else self.any_policy()
        self.words = self.command()

    def pick(self, *values: Any) -> Any:
        return self.rng.choice(values)

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def tiny_tables(self) -> Tables:
        """Hosts that differ in size only, and so few VMs that all placements can be counted."""
        n_hosts = self.rng.randint(1, 3)
        n_vms = self.rng.randint(1, 6 if n_hosts < 3 else 5)
        hosts = [
            {"host": f"h{i}", "cpu_mhz": self.pick(10_000, 20_000), "memory_mib": self.pick(32_768, 65_536)}
            for i in range(n_hosts)
        ]
        vms: list[Row] = []
        for i in range(n_vms):
            cpu_mhz, memory_mib = self.pick(500, 1000, 2000, 4000), self.pick(1024, 2048, 4096, 8192)
            host = f"h{self.rng.randrange(n_hosts)}"
            vms.append({"vm": f"v{i}", "host": host, "memory_mib": memory_mib, "cpu_demand_mhz": cpu_mhz})
        return {"hosts": hosts, "vms": vms}

    def tiny_rules(self) -> list[Row]:
        vms = [row["vm"] for row in self.tables["vms"]]
        hosts = [row["host"] for row in self.tables["hosts"]]
        found: list[Row] = []
        for number in range(self.rng.randint(0, 3)):
            kind = self.pick("keep-apart", "keep-together", "run-on", "not-run-on")
            group = self.rng.sample(vms, self.rng.randint(1, len(vms)))
            one: Row = {"type": kind, "name": f"rule-{number}", "policy": "hard", "vms": group}
            if kind.endswith("run-on"):
                one["hosts"] = self.rng.sample(hosts, self.rng.randint(1, len(hosts)))
            found.append(one)
        return found

    def tiny_policy(self) -> Row:
        goal = {"type": "balance", "target": 0.0, "slack_ratio": 0.0, "worth_ratio": 0.0}
        return {"goal": [goal]}

    def any_tables(self) -> Tables:
        """Any of the tables, with any of their states; often a cluster that is broken somewhere."""
        rng, chance = self.rng, self.chance
        clusters = [f"c{i}" for i in range(rng.randint(1, 3))]
        sites = ["", "north", "south"] if chance(0.4) else [""]
        hosts: list[Row] = []
        for i in range(rng.randint(1, 9)):
            row: Row = {
                "host": f"h{i}",
                "cpu_mhz": self.pick(10_000, 20_000, 40_000),
                "memory_mib": self.pick(32_768, 65_536, 131_072),
                "cluster": rng.choice(clusters),
                "state": rng.choice(STATES),
                "rack": self.pick("", "r1", "r2"),
                "vmotion_mbps": self.pick(1000, 10_000, 10_000, 25_000),
                "cpu_reserved_mhz": self.pick(0, 0, 1000),
                "memory_reserved_mib": self.pick(0, 0, 2048),
                "power_idle_w": self.pick("", 90, 200),
                "cpu_cores": self.pick("", 8, 16),
                "gpu_capacity": self.pick(0, 0, 4),
                "hypervisor": self.pick("esxi", "esxi", "kvm", "xen"),
                "evc_max": self.pick(*BASELINES),
            }
            hosts.append(row)
        tables: Tables = {"hosts": hosts}
        if chance(0.7):
            tables["clusters"] = [
                {
                    "cluster": name,
                    "site": rng.choice(sites),
                    "ha_failover_hosts": self.pick(0, 0, 1),
                    "automation": self.pick("full", "full", "partial", "manual"),
                    "migration_threshold": self.pick(1, 2, 3, 4, 5),
                    "cpu_overcommit_ratio": self.pick(1, 1, 2),
                }
                for name in clusters
            ]
        largest = max(row["memory_mib"] for row in hosts)
        gpus = max(row["gpu_capacity"] for row in hosts)
        vms: list[Row] = []
        for i in range(rng.randint(1, 28)):
            memory_mib = min(self.pick(1024, 4096, 8192, 16_384, 32_768), largest // 2)
            vms.append({
                "vm": f"{self.pick('web', 'db', 'app')}-{i}",
                "host": "" if chance(0.06) else rng.choice(hosts)["host"],
                "memory_mib": memory_mib,
                "cpu_demand_mhz": self.pick(0, 200, 1000, 2500, 5000),
                "vcpus": self.pick(1, 2, 4),
                "power": self.pick(*["on"] * 9, "off"),
                "automation": self.pick("", "", "", "manual"),
                "dirty_rate_mibps": self.pick("", "", 5, 80, 600, 3000),
                "downtime_budget_ms": self.pick("", "", "", 300),
                "gpus": self.pick(0, 0, 0, 0, 1),
                "gpu_demand": min(self.pick(0, 0, 0, 1), gpus),
                "memory_reservation_mib": self.pick(0, 0, 0, 512),
            })  # fmt: skip
        tables["vms"] = vms
        if chance(0.5):
            stores = [f"ds {i}" if chance(0.2) else f"ds-{i}" for i in range(rng.randint(1, 4))]
            tables["datastores"] = [
                {"datastore": name, "capacity_gib": self.pick(500, 2000), "latency_ms": self.pick("", 3, 40),
                 "state": self.pick(*["connected"] * 5, "maintenance")}
                for name in stores
            ]  # fmt: skip
            tables["disks"] = [
                {
                    "vm": row["vm"],
                    "disk": f"d{k}",
                    "datastore": rng.choice(stores),
                    "size_gib": self.pick(5, 20, 80),
                }
                for row in vms
                for k in range(rng.randint(0, 2))
            ]
            if chance(0.5):
                tables["mounts"] = [
                    {"host": row["host"], "datastore": store}
                    for row in hosts
                    for store in stores
                    if chance(0.8)
                ]
        if chance(0.25):
            tables["portgroups"] = [
                {"host": row["host"], "network": net}
                for row in hosts
                for net in ("lan", "dmz")
                if chance(0.8)
            ] or [{"host": hosts[0]["host"], "network": "lan"}]
            known = sorted({row["network"] for row in tables["portgroups"]})
            tables["nics"] = [{"vm": row["vm"], "network": rng.choice(known)} for row in vms if chance(0.6)]
        if chance(0.3):
            tables["links"] = [
                {"a": row["host"], "b": self.pick("s1", "s2"), "bandwidth_mbps": self.pick(200, 1000, 10_000)}
                for row in hosts
            ] + [
                {
                    "a": "s1",
                    "b": "s2",
                    "bandwidth_mbps": self.pick(100, 1000),
                    "latency_ms": self.pick(0, 2, 90),
                }
            ]
        if chance(0.2):
            tables["loads"] = [
                {
                    "vm": row["vm"],
                    "time": f"2026-01-0{day}T{hour:02d}:00:00Z",
                    "cpu_mhz": self.pick(100, 900, 3000),
                }
                for row in vms[:6]
                for day in (1, 2)
                for hour in (2, 14)
            ]
        if chance(0.15) and len(clusters) == 1:
            tables["pools"] = [{"pool": "gold", "cpu_shares": 8000}, {"pool": "lead", "cpu_limit_mhz": 4000}]
            for row in vms:
                row["pool"] = self.pick("", "gold", "lead")
        return tables

    def any_rules(self) -> list[Row]:
        vms = [row["vm"] for row in self.tables["vms"]]
        hosts = [row["host"] for row in self.tables["hosts"]]
        rng = self.rng

        def group() -> Any:
            return rng.sample(vms, rng.randint(1, min(5, len(vms))))

        def some_hosts() -> Any:
            return rng.sample(hosts, rng.randint(1, len(hosts)))

        made: dict[str, Callable[[], Row]] = {
            "keep-apart": lambda: {"vms": group(), "scope": self.pick("host", "host", "cluster")},
            "keep-together": lambda: {"vms": group(), "scope": self.pick("host", "cluster")},
            "run-on": lambda: {"vms": group(), "hosts": some_hosts()},
            "not-run-on": lambda: {"vms": group(), "hosts": some_hosts()},
            "pinned": lambda: {"vms": group()},
            "max-vms": lambda: {"hosts": some_hosts(), "at_most": rng.randint(0, 6)},
            "spread": lambda: {"vms": group(), "scope": "host", "at_least": 2},
            "confine": lambda: {"vms": group(), "scope": "host", "at_most": 2},
            "never-with": lambda: {"vms": group(), "others": group()},
            "dependency": lambda: {"vms": group(), "needs": group(), "scope": "cluster"},
            "move-limit": lambda: {"at_most": rng.randint(0, 5), "vms": group()},
            "vcpu-ratio": lambda: {"max_ratio": self.pick(2.0, 4.0)},
            "datastore-capacity": lambda: {"max_ratio": self.pick(0.5, 0.9)},
            "disks-together": lambda: {"vms": group()},
            "capacity": lambda: {"resource": self.pick("cpu", "memory"), "max_ratio": self.pick(0.7, 0.9)},
        }
        found: list[Row] = []
        for number in range(rng.randint(0, 5)):
            kind = rng.choice(list(made))
            if kind in ("datastore-capacity", "disks-together") and "disks" not in self.tables:
                continue
            one = {"type": kind, "name": f"rule-{number}", **made[kind]()}
            one["policy"] = self.pick("hard", "not_worse", "not_worse", "soft")
            found.append(one)
        return found

    def any_policy(self) -> Row:
        vms = [row["vm"] for row in self.tables["vms"]]
        hosts = [row["host"] for row in self.tables["hosts"]]
        rng = self.rng
        goals = (
            {"type": "balance"},
            {"type": "balance", "measure_by": self.pick("mad", "max", "range"), "target": 0.0},
            {"type": "balance-over-time", "n_buckets": 2},
            {"type": "consolidate", "by": self.pick("power", "hosts")},
            {"type": "moves"},
            {"type": "move-distance", "across": ["cluster", "rack"], "prices": [2.0, 1.0]},
            {"type": "over-target", "ratio": 0.6},
            {"type": "prefer-hosts", "vms": rng.choice(vms), "hosts": [rng.choice(hosts)]},
            {"type": "licences", "vms": [rng.choice(vms)]},
            {"type": "group-moves", "groups": [[rng.choice(vms)]]},
            {"type": "happiness"},
            {"type": "free-balance"},
        )
        policy: Row = {"profile": rng.choice(PROFILES)} if self.chance(0.5) else {}
        if policy.get("profile") == "kvm":
            del policy["profile"]
        if self.chance(0.7):
            policy["goal"] = [dict(goal) for goal in rng.sample(goals, rng.randint(1, 3))]
        if self.chance(0.3):
            policy["limits"] = {"max_moves": rng.randint(0, 6)}
        if self.chance(0.2):
            policy["storage_moves"] = True
        if self.chance(0.2):
            policy["migration_scope"] = self.pick("cluster", "vcenter", "any")
        return policy

    def command(self) -> list[str]:
        """The verb with its options; the folder comes second."""
        hosts = [row["host"] for row in self.tables["hosts"]]
        vms = [row["vm"] for row in self.tables["vms"]]
        words: dict[str, list[str]] = {
            "balance": [],
            "evacuate": ["--evacuate", self.rng.choice(hosts)],
            "recover": ["--lost", self.rng.choice(hosts)],
            "place": ["--mode", "place", "--new", f"{self.rng.choice(vms)}={self.rng.randint(1, 3)}"],
            "consolidate": ["--mode", "consolidate"],
            "storage": ["--mode", "storage"],
            "upgrade-evc": ["--mode", "upgrade-evc"],
            "rolling": [],
        }
        self.mode = "balance" if self.tiny or self.chance(0.4) else self.rng.choice(list(words))
        budget = ["--iterations", str(self.pick(0, 30, 200, 1000)), "--seed", str(self.rng.randint(0, 3))]
        verb = "rolling" if self.mode == "rolling" else "advise"
        return [verb, *words[self.mode], *budget, "--solver", self.rng.choice(SOLVERS)]

    def write(self, folder: Path) -> Path:
        """The case as a snapshot folder."""
        folder.mkdir(parents=True)
        for name, rows in self.tables.items():
            if not rows:
                continue
            columns = list(dict.fromkeys(key for row in rows for key in row))
            with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
        (folder / "rules.toml").write_text("".join(f"[[rule]]\n{_toml(rule)}\n" for rule in self.rules))
        goals = self.policy.get("goal", ())
        plain = {key: value for key, value in self.policy.items() if key not in ("goal", "limits")}
        text = _toml(plain) + "".join(f"[[goal]]\n{_toml(goal)}\n" for goal in goals)
        if "limits" in self.policy:
            text += f"[limits]\n{_toml(self.policy['limits'])}"
        (folder / "policy.toml").write_text(text)
        return folder


def _toml(table: Row) -> str:
    """Scalars and lists of a table; JSON writes them as TOML does."""
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())


# --- the checker: it reads files, and shares nothing with drs ---


def read_tables(folder: Path) -> Tables:
    """Every CSV file of a folder."""
    found: Tables = {}
    for path in folder.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            found[path.stem] = list(csv.DictReader(file))
    return found


def _finite(value: Any, where: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _finite(item, f"{where}.{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _finite(item, f"{where}[{number}]")
    elif isinstance(value, float) and not abs(value) < 1e15:
        yield f"{where} is {value}"


def _homes(tables: Tables) -> dict[str, str]:
    return {row["vm"]: row.get("host") or "" for row in tables["vms"]}


def _broken(rule: Row, home: dict[str, str], cluster: dict[str, str], today: dict[str, str]) -> float:
    """By how much a rule of one of the plain kinds is broken; 0 for a kind that this checker does not know."""
    kind, vms = rule["type"], rule.get("vms", [])
    placed = [vm for vm in vms if home.get(vm)]
    scope = rule.get("scope", "host")
    if scope not in ("host", "cluster"):
        return 0.0
    where = {vm: home[vm] if scope == "host" else cluster[home[vm]] for vm in placed}
    counts = Counter(where.values())
    if kind == "keep-apart":
        return float(sum(max(0, n - int(rule.get("at_most", 1))) for n in counts.values()))
    if kind == "keep-together":
        return float(len(placed) - max(counts.values(), default=0))
    if kind == "run-on":
        return float(sum(home[vm] not in rule["hosts"] for vm in placed))
    if kind == "not-run-on":
        return float(sum(home[vm] in rule["hosts"] for vm in placed))
    if kind == "pinned":
        return float(sum(bool(today.get(vm)) and home[vm] != today[vm] for vm in placed))
    if kind == "max-vms":
        of_host = Counter(host for host in home.values() if host)
        return float(sum(max(0, of_host[host] - rule["at_most"]) for host in rule["hosts"]))
    return 0.0


def check_answer(before: Tables, rules: list[Row], plan: Row, after: Tables) -> Iterator[str]:
    """What is wrong with one answer, found from the files alone."""
    yield from _finite(plan)
    today, then = _homes(before), _homes(after)
    new = {vm for vm in then if vm not in today}
    position = {**today, **dict.fromkeys(new, "")}
    moves = plan["moves"]
    end = {move["step"]: move["start_s"] + move["total_s"] for move in moves}
    state = {row["host"]: row.get("state") or "connected" for row in before["hosts"]}
    for move in sorted(moves, key=lambda move: (move["start_s"], move["step"])):
        vm = move["vm"]
        if vm not in position:
            yield f"an unknown VM {vm} moves"
            continue
        if position[vm] and move["from_host"] != position[vm]:
            yield f"{vm} moves from {move['from_host']} and is on {position[vm]}"
        position[vm] = move["to_host"]
        if state.get(move["to_host"], "connected") == "disconnected":
            yield f"{vm} moves to {move['to_host']}, which is disconnected"
        for step in move["after_steps"]:
            if end[step] > move["start_s"] + 1e-5:
                yield f"step {move['step']} starts before step {step} has ended"
        if move["total_s"] < 0 or move["downtime_ms"] < 0 or move["transferred_mib"] < 0:
            yield f"a negative figure in step {move['step']}"
    started = {vm for vm in then if not today.get(vm) and then[vm]}
    if plan["mode"] == "recover":  # a restart is a power-on elsewhere, and no move
        started |= set(then) - {move["vm"] for move in moves}
    wrong = [vm for vm in then if vm not in started and position.get(vm, "") != then[vm]]
    if wrong:
        yield f"the moves lead elsewhere than the snapshot after: {', '.join(sorted(wrong)[:4])}"
    if moves and abs(plan["schedule"]["makespan_s"] - max(end.values())) > 0.01:
        yield "the makespan is not the end of the last move"
    if plan["schedule"]["makespan_bound_s"] > plan["schedule"]["makespan_s"] + 0.01:
        yield "the makespan is below its bound"
    for goal in plan["goals"]:
        if goal["bound"] is not None and goal["bound"] > goal["after"] + 1e-6 * (1 + abs(goal["after"])):
            yield f"goal {goal['name']} is below its bound"
    if set(plan["violations"]) != {"before", "after", "during"}:
        yield "violations are not told before, after and during"
    yield from check_end(before, rules, plan, after)


def check_end(before: Tables, rules: list[Row], plan: Row, after: Tables) -> Iterator[str]:
    """What is wrong with the state in which an answer ends: rules and memory, against what the answer says."""
    today, then = _homes(before), _homes(after)
    new = {vm for vm in then if vm not in today}
    started = {vm for vm in then if not today.get(vm) and then[vm]}
    told = {violation["rule"] for violation in plan["violations"]["after"]}
    cluster = {row["host"]: row.get("cluster") or "cluster-1" for row in before["hosts"]}
    requested = plan["mode"] not in ("balance", "consolidate")
    for rule in rules:
        was, now = _broken(rule, today, cluster, today), _broken(rule, then, cluster, today)
        if now and rule["name"] not in told:
            yield f"{rule['name']} ({rule['type']}) is broken by {now:g} and the answer does not say so"
        if rule["policy"] == "soft":
            continue
        if now > was and not started and not new:
            yield f"{rule['name']} ({rule['type']}) is broken by {now:g}, today by {was:g}"
        if rule["policy"] == "hard" and now and not requested and plan["status"] in ("optimal", "feasible"):
            yield f"hard {rule['name']} broken by {now:g} with status {plan['status']}"
    size = {row["vm"]: float(row["memory_mib"]) if row.get("power") != "off" else 0.0 for row in after["vms"]}
    room = {
        row["host"]: float(row["memory_mib"]) - float(row.get("memory_reserved_mib") or 0)
        for row in before["hosts"]
    }
    use_before, use_after = Counter[str](), Counter[str]()
    for vm, amount in size.items():
        use_before[today.get(vm, "")] += amount
        use_after[then[vm]] += amount
    own = any(rule["type"] == "capacity" and rule["policy"] == "soft" for rule in rules)
    for host, free in room.items():
        if use_after[host] > max(free, use_before[host]) + 1e-6 and not (own or started or new):
            yield f"{host} holds {use_after[host]:g} MiB of {free:g}, today {use_before[host]:g}"


def enumerate_all(case: Case, plan: Row) -> Iterator[str]:
    """A tiny cluster: every placement counted, against bound, proof and verdict."""
    hosts, vms = case.tables["hosts"], case.tables["vms"]
    names = [row["host"] for row in hosts]
    today = {row["vm"]: row["host"] for row in vms}
    cluster = dict.fromkeys(names, "cluster-1")

    def loads(home: tuple[str, ...], demand: str, capacity: str) -> list[float]:
        use = Counter[str]()
        for row, host in zip(vms, home, strict=True):
            use[host] += row[demand]
        return [use[row["host"]] / row[capacity] for row in hosts]

    def spread(of: list[float]) -> float:
        mean = sum(of) / len(of)
        return float((sum((x - mean) ** 2 for x in of) / len(of)) ** 0.5) if len(of) > 1 else 0.0

    best, feasible = float("inf"), False
    pairs = (("cpu_demand_mhz", "cpu_mhz"), ("memory_mib", "memory_mib"))
    now = [loads(tuple(today.values()), *pair) for pair in pairs]
    if any(load > 1 for of in now for load in of):
        return  # what is over-full today comes before the goal, in an order that this checker does not know
    for home in itertools.product(names, repeat=len(vms)):
        there = dict(zip(today, home, strict=True))
        if any(_broken(rule, there, cluster, today) for rule in case.rules):
            continue
        both = [loads(home, *pair) for pair in pairs]
        if any(load > 1 + 1e-9 for of in both for load in of):
            continue
        feasible = True
        best = min(best, sum(spread(of) for of in both))
    status = plan["status"]
    if status == "infeasible" and feasible:
        yield "infeasible, and a placement that keeps every rule exists"
    if status in ("optimal", "feasible") and not feasible:
        yield f"{status}, and no placement keeps every rule"
    goal = next((goal for goal in plan["goals"] if goal["name"] == "balance"), None)
    if not feasible or goal is None or status not in ("optimal", "feasible"):
        return
    if goal["after"] < best - 1e-6:
        yield f"balance {goal['after']:.9g}, and no placement is below {best:.9g}"
    if goal["bound"] is not None and goal["bound"] > best + 1e-6:
        yield f"the bound {goal['bound']:.9g} is refuted: {best:.9g} is possible"
    if status == "optimal" and goal["after"] > best + 1e-6:
        yield f"optimal at {goal['after']:.9g}, and {best:.9g} is possible"


# --- one case through the command line ---

DENIED = ("own check refuses", "encountered in", "Traceback", "this is a bug")


def examine(seed: int, folder: Path) -> list[str]:
    """Run one case in this process; what is wrong, in sentences."""
    case = Case(seed)
    source = case.write(folder / "snapshot")
    (folder / "REPRO.txt").write_text(" ".join(["drs", case.words[0], "snapshot", *case.words[1:]]) + "\n")
    findings: list[str] = []
    out = folder / "out"
    done, plan = _run(case.words, source, out, findings)
    if plan is None or done not in (0, 3, 4):
        return findings
    limited = "limits" in case.policy or any(rule["type"] == "move-limit" for rule in case.rules)
    if case.words[0] == "rolling":
        at = source
        for number, step in enumerate(plan["steps"], start=1):
            there = out / f"step-{number:02d}" / "snapshot"
            if not there.is_dir():
                findings.append(f"step {number} has no folder")
                break
            now, then = read_tables(at), read_tables(there)
            problems = check_answer(now, case.rules, {**step["advice"], "mode": "rolling"}, then)
            findings += [f"step {number}: {problem}" for problem in problems]
            at = there
        folders = sorted(out.glob("*/snapshot"))
    else:
        findings += check_answer(read_tables(source), case.rules, plan, read_tables(out / "snapshot"))
        if case.tiny:
            findings += enumerate_all(case, plan)
        folders = [out / "snapshot"]
    for written in folders:
        ended, _ = _run(["check"], written, None, findings)
        if ended != 0:
            findings.append(f"{written.relative_to(folder)} is not read again: exit {ended}")
    _, again = _run(case.words, source, None, findings)
    if again is not None and _told(again) != _told(plan):
        findings.append("the same seed gave another answer")
    if case.words[0] == "advise" and case.mode == "balance" and plan["status"] == "optimal" and not limited:
        _, second = _run(case.words, out / "snapshot", None, findings)
        if second is not None and second["moves"]:
            vms = ", ".join(move["vm"] for move in second["moves"][:4])
            findings.append(f"a second run after optimal moves {vms}")
    return findings


def _told(document: Row) -> str:
    """An answer without what the clock says and where it lies."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items() if key not in CLOCK}
        return [plain(item) for item in value] if isinstance(value, list) else value

    return json.dumps(plain(document), sort_keys=True)


def _run(words: list[str], source: Path, out: Path | None, findings: list[str]) -> tuple[int, Row | None]:
    """The command's exit code and JSON; what it should not have said is noted."""
    from typer.testing import CliRunner

    from drs.cli import app

    written = ["--out", str(out)] if out is not None else []
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.simplefilter("error", RuntimeWarning)
        done = CliRunner().invoke(app, [words[0], str(source), *words[1:], *written, "--json"])
    if done.exit_code not in (0, 2, 3, 4) or any(said in done.stderr for said in DENIED):
        findings.append(f"exit {done.exit_code}: {' | '.join(done.stderr.strip().splitlines()[-2:])[:500]}")
        return done.exit_code, None
    if done.exit_code == 2:
        # A generator of valid inputs: a refusal is a finding unless it says what the random choice got wrong.
        return 2, None
    try:
        document: Row = json.loads(
            done.stdout, parse_constant=lambda name: findings.append(f"{name} in the JSON")
        )
    except ValueError:
        findings.append("stdout is no JSON")
        return done.exit_code, None
    return done.exit_code, document


# --- many cases ---


def work(first: int, folder: Path) -> None:
    """Seeds from `first` on, told line by line on stdout, until the process is ended."""
    for seed in itertools.count(first):
        print(f"begin {seed}", flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            case = Path(scratch) / "case"
            try:
                findings = examine(seed, case)
            except Exception as error:  # the fuzzer itself
                findings = [f"{type(error).__name__}: {error}"]
            if findings:
                kept = folder / str(seed)
                shutil.rmtree(kept, ignore_errors=True)
                shutil.copytree(case, kept)
                with (kept / "REPRO.txt").open("a") as file:
                    file.write("\n" + "\n".join(findings) + "\n")
            print(f"end {seed} {json.dumps(findings)}", flush=True)


def hunt(minutes: float, first: int, folder: Path, *, checked: bool) -> int:
    """Run cases for so long; returns how many had a finding."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / ("checked" if checked else "plain"))}
    if checked:
        environment["NUMBA_BOUNDSCHECK"] = "1"
    until = time.monotonic() + 60 * minutes
    seed, n_cases, n_bad = first, 0, 0
    while time.monotonic() < until:
        command = [sys.executable, __file__, "--worker", "--seed", str(seed), "--out", str(folder)]
        quiet = subprocess.DEVNULL
        worker = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=quiet, text=True)
        assert worker.stdout is not None
        watch = threading.Timer(max(1.0, min(LONGEST_S, until - time.monotonic() + LONGEST_S)), worker.kill)
        watch.start()
        for line in worker.stdout:
            what, number, *rest = line.rstrip("\n").split(" ", 2)
            seed = int(number)
            watch.cancel()
            if what == "end":
                n_cases += 1
                found = json.loads(rest[0])
                if found:
                    n_bad += 1
                    print(f"{seed}: {'; '.join(found)[:600]}", flush=True)
                if time.monotonic() > until:
                    worker.kill()
                    break
            watch = threading.Timer(LONGEST_S, worker.kill)
            watch.start()
        watch.cancel()
        worker.wait()
        if time.monotonic() < until:  # it died or was killed within a case
            n_bad += 1
            print(
                f"{seed}: the process ended with {worker.returncode} (-9: more than {LONGEST_S:g} s)",
                flush=True,
            )
            case = folder / str(seed)
            shutil.rmtree(case, ignore_errors=True)
            made = Case(seed)
            made.write(case / "snapshot")
            repro = " ".join(["drs", made.words[0], "snapshot", *made.words[1:]])
            (case / "REPRO.txt").write_text(f"{repro}\n\nended with {worker.returncode}\n")
            seed += 1
    print(f"{n_cases} cases from seed {first} on, {n_bad} with a finding")
    return n_bad


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="the first case")
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"))
    parser.add_argument("--fast", action="store_true", help="without bounds checking")
    parser.add_argument("--only", type=int, help="one case, in this process")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(given.seed, given.out)
    if given.only is not None:
        folder = given.out / str(given.only)
        shutil.rmtree(folder, ignore_errors=True)
        findings = examine(given.only, folder)
        print("\n".join(findings) or "nothing")
        return bool(findings)
    return 1 if hunt(given.minutes, given.seed, given.out, checked=not given.fast) else 0


if __name__ == "__main__":
    sys.exit(main())
