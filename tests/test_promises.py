"""What docs and help promise, tried as they say it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import drs
from drs import io, rules
from drs.cli import app
from drs.errors import InputError
from drs.model import cpu
from drs.problem import Problem

HOSTS = pd.DataFrame(
    {"host": ["a", "b"], "cpu_mhz": 9000.0, "memory_mib": 65_536.0, "cpu_vendor": ["intel", "amd"]}
)
VMS = pd.DataFrame({"vm": ["x", "y"], "host": ["a", "a"], "memory_mib": 4096.0, "cpu_demand_mhz": 100.0})


def run(*words: object) -> str:
    return (
        CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200", "TERM": "dumb"}).output
    )


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_soft_rule_lifts_no_law_of_the_hardware(weight: float) -> None:
    snapshot = drs.read({"hosts": HOSTS, "vms": VMS})
    mine = rules.Evc(policy="soft", weight=weight)
    problem = Problem(snapshot, [mine])
    assert [rule.policy for rule in problem.rules_in_force if rule.type == "evc"] == ["not_worse", "soft"]
    assert problem.allowed_hosts(0).tolist() == [True, False]
    lifted = Problem(snapshot, [rules.Evc(policy="hard")])
    assert [rule.policy for rule in lifted.rules_in_force if rule.type == "evc"] == ["hard"]


def test_a_custom_baseline_is_an_anonymous_set_equal_to_itself() -> None:
    hosts = HOSTS.assign(cpu_vendor="intel", evc_max=["custom-mask", "intel-haswell"])
    snapshot = drs.read({"hosts": hosts, "vms": VMS})
    assert cpu.allowed_hosts(snapshot, 0).tolist() == [True, False]
    assert cpu.compatible("custom-mask", "custom-mask")
    assert not cpu.compatible("custom-mask", "intel-haswell")
    with pytest.raises(InputError, match="unknown EVC baseline 'my-mode'"):
        drs.read({"hosts": hosts.assign(evc_max="my-mode"), "vms": VMS})


def test_every_fault_of_every_rule_is_told_at_once(tmp_path: Path) -> None:
    io.write_folder(drs.read({"hosts": HOSTS, "vms": VMS}), tmp_path / "s")
    (tmp_path / "s" / "rules.toml").write_text(
        '[[rule]]\ntype = "keep-apart"\nname = "apart"\nvms = ["x", "nope"]\n'
        '[[rule]]\ntype = "pinned"\nvmz = "x"\n'
    )
    said = run("check", tmp_path / "s")
    assert "field vmz: an unknown field" in said
    assert "nope" in said


def test_an_unknown_column_names_the_one_that_was_meant() -> None:
    with pytest.warns(io.InputWarning, match="did you mean memory_active_mib"):
        drs.read({"hosts": HOSTS, "vms": VMS.assign(memroy_active_mib=1.0)})


def test_help_says_what_it_means_and_the_trigger_is_where_the_page_says() -> None:
    assert "tables scenario, grid and sample" in run("what-if", "--help")
    assert callable(drs.automatic.trigger.decide)
    for verb in ("check", "explain", "estimate", "advise"):
        assert "--rules" in run(verb, "--help")
        assert "--policy" in run(verb, "--help")
