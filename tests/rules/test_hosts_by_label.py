"""Rules and frozen hours name hosts by their site, rack or vCenter."""

from __future__ import annotations

import pandas as pd
import pytest

from drs.errors import InputError
from drs.io import from_frames
from drs.model import Placement, Snapshot
from drs.problem import Problem
from drs.rules import NotRunOn, RunOn
from drs.rules.selecting import select_hosts


def two_sites() -> Snapshot:
    return from_frames(
        {
            "hosts": pd.DataFrame(
                {"host": ["h1", "h2", "h3", "site:X"], "site": ["A", "B", "B", "C"], "rack": ["r1", "r1", "r2", ""],
                 "cpu_mhz": 1000.0, "memory_mib": 1024.0}
            ),
            "vms": pd.DataFrame({"vm": ["v"], "host": ["h1"], "memory_mib": 64.0, "cpu_demand_mhz": 10.0}),
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("selector", "meant"),
    [
        ("site:B", [1, 2]),
        ("rack:r*", [0, 1, 2]),
        (["site:A", "h3"], [0, 2]),
        ("site:X", [3]),  # a host of that name comes first
        ("rack:", []),
        ("cluster:c", []),
    ],
)
def test_a_label_means_all_hosts_that_have_it(selector, meant):
    assert select_hosts(selector, two_sites()).tolist() == meant


def test_the_rule_says_the_same_in_both_readings():
    snapshot = two_sites()
    for rule, allowed in ((RunOn("v", "site:B"), {1, 2}), (NotRunOn("v", "rack:r1"), {2, 3})):
        (term,) = rule.lower(snapshot)
        for host in range(4):
            there = Placement([host], snapshot.disks.datastore_idx)
            assert (not list(rule.check(snapshot, there))) == (host in allowed)
            assert (term.cost(there.host_idx, snapshot.vms.host_idx) == 0) == (host in allowed)


def test_a_label_that_no_host_has_is_an_error_with_the_near_miss():
    snapshot = two_sites()
    with pytest.raises(InputError, match=r"no host has the rack 'r22'.*did you mean r2"):
        Problem(snapshot, [RunOn("v", "rack:r22", name="there")])
