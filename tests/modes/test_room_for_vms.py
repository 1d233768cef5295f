"""Room for VMs of a size: today's counts and the plans of `defragment`, against brute force on tiny clusters."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from tiny import cluster
from typer.testing import CliRunner

import drs
from drs import Snapshot, modes
from drs.cli import app
from drs.errors import InputError
from drs.goals import Balance, Moves
from drs.model.flavour import Flavour, flavour, flavours, with_vms
from drs.modes import Options
from drs.problem import Problem
from drs.problem.policy import Limits, Policy
from drs.rules import KeepApart, MaxVms, Pinned, Rule
from drs.rules.failover import Failover
from drs.stop import Run, Stop

LARGE = "4000mhz/4g"
NEED = {"cpu": 4000.0, "memory": 4096.0}


def scattered(seed: int) -> Snapshot:
    """Three hosts with VMs of three sizes, as they come."""
    rng = np.random.default_rng(seed)
    vms = {
        f"v{k}": (f"h{rng.integers(3)}", float(rng.choice((1500.0, 2000.0, 3500.0))), 1024.0)
        for k in range(6)
    }
    return cluster(["h0", "h1", "h2"], vms)


def counted(snapshot: Snapshot, host_idx: Sequence[int], need: Mapping[str, float] = NEED) -> int:
    """Slots by hand."""
    total = 0
    for host in range(snapshot.n_hosts):
        if snapshot.hosts.state[host] != "connected":
            continue
        there = np.asarray(host_idx) == host
        free = [
            (snapshot.capacity(resource)[host] - snapshot.demand(resource)[there].sum()) / size
            for resource, size in need.items()
        ]
        total += max(0, int(np.floor(min(free) + 1e-9)))
    return total


def best_by_trying(snapshot: Snapshot, most_moves: int, rules: Sequence[Rule] = ()) -> int:
    """The most slots of any placement that moves few enough and keeps the rules."""
    problem = Problem(snapshot, rules, Policy(limits=Limits(max_moves=most_moves)))
    start, best = problem.lowered.start, 0
    for assign in itertools.product(range(snapshot.n_hosts), repeat=snapshot.n_vms):
        where = np.array(assign, dtype=np.int32)
        if np.count_nonzero(where != start) <= most_moves and not problem.lowered.broken_walls(where):
            best = max(best, counted(snapshot, assign))
    return best


def test_a_flavour_is_read() -> None:
    assert flavour("16c/32g") == Flavour("16c/32g", vcpus=16.0, memory_mib=32768.0)
    assert flavour(" 2.5ghz/512m/1gpus=0.5") == Flavour(
        "2.5ghz/512m/1gpus", cpu_mhz=2500.0, memory_mib=512.0, more={"gpus": 1.0}, weight=0.5
    )
    assert [each.weight for each in flavours("16c/32g=3, 32c/64g")] == [3.0, 1.0]


@pytest.mark.parametrize(
    "text", ["", "16", "16c/16c", "c/32g", "16c=0", "16c=x", "0c", "16c, 16c", "-4c", "16c/=2"]
)
def test_what_is_no_flavour_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        flavours(text)


def test_a_vcpu_is_a_core_and_a_vm_more_changes_nothing_else() -> None:
    snapshot = cluster({"a": {"cpu_cores": 4}, "b": {"cpu_cores": 5}, "c": {}}, {"v": ("a", 100, 100)})
    wish = flavour("2c/1g")
    assert wish.demand(snapshot) == {"cpu": 4500.0, "memory": 1024.0}, (
        "the median clock of 2,500 and 2,000 MHz"
    )
    more = with_vms(snapshot, [wish])
    assert more.n_vms == 2 and more.vms.host_idx.tolist() == [0, -1]
    assert more.demand("cpu").tolist() == [100.0, 4500.0]


@pytest.mark.parametrize("seed", range(4))
def test_today_is_counted_exactly(seed: int) -> None:
    snapshot = scattered(seed)
    found = modes.room(Problem(snapshot), LARGE).flavours[0]
    assert found.slots == sum(found.by_cluster.values()) == counted(snapshot, snapshot.vms.host_idx.tolist())


def test_rules_in_force_count() -> None:
    snapshot = cluster({"a": {}, "b": {}, "m": {"state": "maintenance"}}, {"v": ("a", 1000, 1024)})

    def slots(*rules: Rule) -> int:
        return modes.room(Problem(snapshot, rules), "2000mhz/1g").flavours[0].slots

    assert slots() == 4 + 5
    assert slots(MaxVms(at_most=3)) == 2 + 3
    assert slots(MaxVms(at_most=3, hosts="b")) == 4 + 3
    assert slots(Failover("cpu", n_hosts=1)) == 2 + 2
    assert slots(Pinned("v")) == 9


def test_a_rule_over_several_hosts_is_named() -> None:
    snapshot = cluster({f"h{k}": {"rack": f"r{k // 2}"} for k in range(4)}, {"v": ("h0", 1000, 1024)})
    apart = KeepApart("*", scope="rack", name="one-a-rack")
    assert modes.room(Problem(snapshot, [apart]), LARGE).notes == (
        "one-a-rack counts new VMs over several hosts together; it is not counted here",
    )


def test_fragment_rate_is_that_of_the_literature() -> None:
    """Free 9, 5 and 3 GHz: of 17 are 1, 1 and 3 of no use to VMs of 4 GHz."""
    snapshot = cluster(["a", "b", "c"], {"x": ("a", 1000, 10), "y": ("b", 5000, 10), "z": ("c", 7000, 10)})
    found = modes.room(Problem(snapshot), "4000mhz").flavours[0]
    assert found.slots == 3
    assert found.fragment_rate == {"cpu": pytest.approx((1 + 1 + 3) / 17)}


def test_a_mix_fits_as_often_as_trying_says() -> None:
    snapshot = cluster(["a", "b"], {"x": ("a", 1000, 10)})
    found = modes.room(Problem(snapshot), "2000mhz=2, 5000mhz")
    # 9 and 10 GHz: (2 + 2 + 5) on the one; on the other 2 + 2 + 5 again
    assert (found.mixes, found.mixes_at_most) == (2, 2)
    assert modes.room(Problem(snapshot), "2000mhz=2, 6000mhz").mixes == 1
    assert modes.room(Problem(snapshot), "2000mhz, 90000mhz").mixes == 0
    sentences = found.sentences()
    assert any("2 × 2000mhz with 1 × 5000mhz: 2 times" in line for line in sentences)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("most_moves", [1, 2])
def test_defragment_finds_what_trying_finds_and_proves_it(seed: int, most_moves: int) -> None:
    snapshot = scattered(seed)
    policy = Policy(limits=Limits(max_moves=most_moves))
    result = drs.advise(
        snapshot, mode="defragment", options=Options(flavours=(LARGE,)), policy=policy, time_s=20
    )
    best = best_by_trying(snapshot, most_moves)
    (made,) = result.report.flavours
    assert made.slots_after == made.at_most == best
    assert made.slots_after == counted(snapshot, result.plan.placement.host_idx.tolist())
    assert len(result.plan.moves) <= most_moves
    assert made.slots_before == counted(snapshot, snapshot.vms.host_idx.tolist())


def test_defragment_keeps_rules() -> None:
    """A whole host is to be free: y may go to a or c, z to a or b, x to b or c."""
    snapshot = cluster(["a", "b", "c"], {"x": ("a", 7000, 10), "y": ("b", 3000, 10), "z": ("c", 3000, 10)})

    def made(*rules: Rule) -> tuple[int, int | None, list[str]]:
        options = Options(flavours=("10000mhz",))
        result = drs.advise(snapshot, options=options, rules=rules, time_s=20)
        assert not result.violations_after
        (room,) = result.report.flavours
        return room.slots_after, room.at_most, [f"{move.vm}>{move.to_host}" for move in result.plan.moves]

    assert made()[:2] == (1, 1)
    assert made(KeepApart(["y", "z"]), Pinned("x"))[2] in (["y>a"], ["z>a"])
    assert made(Pinned(["x", "y"]))[2] in (["z>a"], ["z>b"])
    assert made(Pinned("*")) == (0, 0, [])


def test_the_reason_is_room_for_new_vms() -> None:
    snapshot = cluster(["a", "b"], {"x": ("a", 3000, 10), "y": ("b", 3000, 10)})
    result = drs.advise(snapshot, options=Options(flavours=("10000mhz",)), time_s=20)
    (move,) = result.plan.moves
    assert move.reason == f"makes room for new VMs on {move.from_host}, slots of 10000mhz: 0 → 1"


def test_nothing_else_moves_and_a_plan_that_gains_nothing_has_no_moves() -> None:
    snapshot = cluster(["a", "b"], {"x": ("a", 6000, 10), "y": ("a", 3000, 10)})
    policy = Policy(goals=(Balance(), Moves()))
    result = drs.advise(snapshot, options=Options(flavours=("5000mhz",)), policy=policy, time_s=20)
    assert result.mode == "defragment" and not result.plan.moves, "two slots on b, and a has none to give"
    assert result.report.flavours[0].slots_before == 2


def test_several_flavours_are_added_by_their_weights() -> None:
    snapshot = cluster(["a", "b"], {"x": ("a", 6000, 10), "y": ("b", 6000, 10)})
    result = drs.advise(snapshot, options=Options(flavours=("10000mhz=5", "4000mhz")), time_s=20)
    large, small = result.report.flavours
    assert (large.slots_before, small.slots_before) == (0, 2)
    assert (large.slots_after, large.at_most) == (0, None), "both VMs on one host are too much"
    assert small.slots_after == 2


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Options(flavours=("16x/32g",)), "unknown unit or resource x"),
        (Options(flavours=("16c/32g",)), "no host has cpu_cores"),
        (Options(flavours=("16c", "16c")), "stands twice"),
    ],
)
def test_a_size_that_cannot_be_counted_is_refused(asked: Options, said: str) -> None:
    with pytest.raises(InputError, match=said):
        drs.advise(scattered(0), options=asked, time_s=1)
    with pytest.raises(InputError, match="for which VMs"):
        drs.advise(scattered(0), mode="defragment", time_s=1)


def test_a_flavour_that_fits_no_empty_host_has_no_slots() -> None:
    snapshot = scattered(1)
    assert modes.room(Problem(snapshot), "90000mhz/4g").flavours[0].slots == 0
    result = drs.advise(snapshot, options=Options(flavours=("90000mhz/4g",)), time_s=5)
    assert result.report.flavours[0].at_most == 0 and not result.plan.moves
    assert any("even if it were empty" in warning for warning in result.warnings)


def test_with_moves_every_flavour_has_its_own_plan() -> None:
    snapshot = scattered(2)
    found = modes.room(Problem(snapshot), LARGE, max_moves=2, advise=drs.advise, run=Run(Stop(20.0).begin()))
    within = found.flavours[0].within
    assert within is not None and within.slots == within.at_most == best_by_trying(snapshot, 2)
    where = {str(name): int(h) for name, h in zip(snapshot.vms.name, snapshot.vms.host_idx, strict=True)}
    for vm, here, there in within.moves:
        assert where[vm] == snapshot.hosts.position[here]
        where[vm] = snapshot.hosts.position[there]
    assert counted(snapshot, list(where.values())) == within.slots


def test_the_command_line_says_the_same() -> None:
    run = CliRunner().invoke(app, ["check", "small", "--room", "4c/16g=3, 8c/32g", "--json"])
    assert run.exit_code == 0, run.output
    room = json.loads(run.stdout)["room"]
    direct = modes.room(Problem(drs.read("small"), drs.api.read_rules("small")), "4c/16g=3, 8c/32g")
    assert [each["slots"] for each in room["flavours"]] == [each.slots for each in direct.flavours]
    assert room["mixes"] == direct.mixes
    shown = CliRunner().invoke(
        app, ["check", "small", "--room", "8c/32g", "--max-moves", "3", "--time-s", "10"]
    )
    assert "8c/32g: " in shown.output and "of 3" in shown.output
    wrong = CliRunner().invoke(app, ["check", "small", "--max-moves", "3"])
    assert wrong.exit_code == 2
