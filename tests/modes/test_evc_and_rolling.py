"""EVC upgrades, rolling maintenance, rolling hardware refresh."""

from __future__ import annotations

import pandas as pd
import pytest
from tiny import cluster

import drs
from drs import modes
from drs.errors import InputError
from drs.modes import rolling
from drs.report.document import rolling_document
from drs.rules import Pinned
from drs.stop import Stop

OLD, NEW = {"evc_max": "intel-broadwell"}, {"evc_max": "intel-icelake"}


def run(snapshot, **more):
    return rolling(drs.advise, snapshot, solver="cpsat", time_s=8, **more)


def test_the_highest_baseline_and_who_is_in_the_way() -> None:
    snapshot = cluster({"a": OLD, "b": NEW}, {"x": ("a", 10, 64), "y": ("b", 10, 64)})
    report = drs.advise(snapshot, mode="upgrade-evc").report.clusters[0]
    assert report.highest == "intel-broadwell"
    assert report.power_off_first == ("y",)
    assert report.power_cycle == ()
    assert report.next_steps["intel-icelake"] == 1


def test_raising_a_mode_needs_power_cycles_only() -> None:
    clusters = pd.DataFrame([{"cluster": "cluster-1", "evc_mode": "intel-haswell"}])
    snapshot = cluster({"a": NEW, "b": NEW}, {"x": ("a", 10, 64)}, clusters=clusters)
    report = drs.advise(snapshot, mode="upgrade-evc").report.clusters[0]
    assert report.highest == "intel-icelake"
    assert report.power_cycle == ("x",)
    assert report.power_off_first == ()


def test_two_vendors_have_nothing_in_common() -> None:
    snapshot = cluster({"a": OLD, "b": {"evc_max": "amd-zen2"}}, {"x": ("a", 10, 64)})
    report = drs.advise(snapshot, mode="upgrade-evc").report.clusters[0]
    assert report.highest == ""
    assert "amd and intel" in report.why_not


def test_a_baseline_out_of_reach_is_refused_with_the_hosts() -> None:
    snapshot = cluster({"a": OLD, "b": NEW}, {"x": ("a", 10, 64)})
    result = drs.advise(snapshot, options=modes.Options(baseline="intel-icelake"))
    assert result.status == "infeasible"
    assert result.report.clusters[0].short_hosts == ("a",)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (modes.Options(baseline="intel-brodwell"), "did you mean intel-broadwell"),
        (modes.Options(cluster=("prod",), baseline="intel-icelake"), "unknown cluster"),
    ],
)
def test_bad_upgrades(options, said) -> None:
    with pytest.raises(InputError, match=said):
        drs.advise(cluster({"a": OLD, "b": NEW}, {"x": ("a", 10, 64)}), mode="upgrade-evc", options=options)


def test_every_host_has_its_turn_and_vms_move_to_hosts_that_are_done() -> None:
    vms = {name * 2: (name, 10, 4000) for name in "abcd"}
    campaign = run(cluster("abcd", vms), service_s=600.0)
    assert campaign.complete
    assert sorted(host for step in campaign.steps for host in step.hosts) == list("abcd")
    # the first host's VM must go where its turn is still to come; all others go to hosts that are done
    assert campaign.n_moved_again <= 2
    assert campaign.total_s >= 2400
    for step in campaign.steps:
        assert step.result.status in ("optimal", "feasible")
        assert set(step.result.report.emptied) == set(step.hosts)


def test_each_step_says_that_it_takes_the_reserve() -> None:
    """Four hosts at 70 % survive one failure; three at 94 % survive none, and the campaign says so of each step."""
    vms = {f"vm{k:02d}": (f"h{k % 4}", 100, 1024) for k in range(28)}
    clusters = pd.DataFrame({"cluster": ["cluster-1"], "ha_failover_hosts": [1]})
    done = rolling(drs.advise, cluster([f"h{k}" for k in range(4)], vms, clusters=clusters), time_s=6, seed=1)
    assert len(done.steps) == 4
    for step in done.steps:
        assert [each.kind for each in step.result.findings] == ["failures"]
    told = [line for line in done.sentences() if "worse than today" in line]
    assert len(told) == 4 and all("survives the loss of any 0 hosts, 1 wanted" in line for line in told)


def test_hosts_go_together_where_there_is_room() -> None:
    campaign = run(cluster("abcd", {"x": ("a", 10, 64)}), at_once=2)
    assert [len(step.hosts) for step in campaign.steps] == [2, 2]


@pytest.mark.filterwarnings("ignore::drs.io.InputWarning")  # the contradiction is told beforehand
def test_a_host_that_cannot_empty_is_reported_and_the_others_go_on() -> None:
    vms = {"x": ("a", 10, 64), "y": ("b", 10, 64)}
    campaign = run(cluster("abc", vms), rules=[Pinned(["x"], name="dongle")])
    assert [each.host for each in campaign.blocked] == ["a"]
    assert "dongle" in campaign.blocked[0].reasons[0]
    assert sum(len(step.hosts) for step in campaign.steps) == 2
    assert rolling_document(campaign)["status"] == "infeasible"


def test_an_interrupt_keeps_the_steps_that_are_planned() -> None:
    stop = Stop()
    vms = {"x": ("a", 10, 64), "y": ("b", 10, 64), "z": ("c", 10, 64)}
    campaign = run(cluster("abc", vms), stop=stop, on_progress=lambda _: stop.interrupt())
    (step,) = campaign.steps
    assert step.result.plan.moves and not set(step.hosts) & set(campaign.waiting)
    assert len(campaign.waiting) == 2 and campaign.final is None
    assert not campaign.complete and rolling_document(campaign)["status"] == "no_solution"
    assert campaign.sentences()[-1] == f"interrupted: {', '.join(campaign.waiting)} had no turn yet"


def test_a_full_cluster_cannot_roll() -> None:
    vms = {name * 2: (name, 10, 9000) for name in "abc"}
    campaign = run(cluster("abc", vms))
    assert len(campaign.blocked) == 3
    assert "memory capacity" in campaign.blocked[0].reasons[0]


def test_a_refresh_keeps_every_step_migratable() -> None:
    # y carries Ice Lake's features: b can only be emptied once a host was replaced that then takes it.
    snapshot = cluster({"a": OLD, "b": NEW, "c": OLD}, {"x": ("a", 10, 64), "y": ("b", 10, 64)})
    campaign = run(snapshot, baseline="intel-sapphirerapids")
    assert campaign.complete
    hosts = [host for step in campaign.steps for host in step.hosts]
    assert hosts[0] != "b"
    assert campaign.upgrade.highest == "intel-sapphirerapids"
    assert set(campaign.upgrade.power_cycle) == {"x", "y"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"cluster": "nope"}, "unknown cluster"),
        ({"hosts": ["zz"]}, "'zz' is no host of"),
        ({"at_once": 9}, "at_once"),
        ({"baseline": "intel-foo"}, "unknown EVC baseline"),
        ({"service_s": -1.0}, "service_s"),
    ],
)
def test_bad_campaigns(more, said) -> None:
    with pytest.raises(InputError, match=said):
        run(cluster({"a": OLD, "b": NEW}, {"x": ("a", 10, 64)}), **more)
