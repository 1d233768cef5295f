"""A file of scenarios: ask, models, templates, grids, samples, base files; all faults together, with near misses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from drs import datasets
from drs.errors import InputError
from drs.io.change_kinds import Grow, Noise
from drs.model import Snapshot
from drs.problem.policy import Policy
from drs.whatif import Batch, Scenario, read_batch
from drs.whatif.row import Base, answer


@pytest.fixture(scope="module")
def small() -> Snapshot:
    return datasets.load("small")


def read(tmp_path: Path, text: str, snapshot: Snapshot | None = None, **more: int) -> Batch:
    path = tmp_path / "s.toml"
    path.write_text(text)
    return read_batch(path, snapshot, **more)


def test_ask_holds_for_all_unless_they_say_otherwise(tmp_path: Path) -> None:
    batch = read(tmp_path, '[ask]\niterations = 7\nfailures = 1\n[[scenario]]\nname = "a"\n'
                           '[[scenario]]\nname = "b"\niterations = 9\n')  # fmt: skip
    assert [(each.iterations, each.failures, each.bounds) for each in batch] == [(7, 1, False), (9, 1, False)]


def test_a_model_and_a_template_become_hosts_and_vms(tmp_path: Path, small: Snapshot) -> None:
    text = """
[model.big]
cpu_mhz = 99000
memory_mib = 900000
price = 20000
[template.web]
memory_mib = 4096
cpu_demand_mhz = 700
vcpus = 2
disks = [40]
datastore = "STORE"
networks = ["NET"]
[[scenario]]
name = "a"
add_hosts = [{ model = "big", count = 2, cluster = "prod-01" }]
add_vms = [{ template = "web", count = 3 }]
replace_hosts = [{ where = "evc_max == 'intel-broadwell'", model = "big" }]
""".replace("STORE", str(small.datastores.name[0])).replace("NET", str(small.networks[0]))
    batch = read(tmp_path, text)
    assert batch.prices == {"big": 20000}
    changed = batch.scenario(0).edit(small).snapshot
    big = changed.hosts.cpu_mhz == 99000
    assert sorted(changed.hosts.name[big].tolist()) == sorted(
        ["big-1", "big-2", *small.hosts.name[small.hosts.evc_max == "intel-broadwell"].tolist()]
    )
    new = changed.vms.position["web-1"]
    assert changed.vms.host_idx[new] == -1 and changed.vms.memory_mib[new] == 4096
    assert changed.disks.size_gib[changed.disks.vm_idx == new].tolist() == [40.0]
    assert (changed.nic_vm_idx == new).sum() == 1


def test_a_grid_is_a_product_and_zipped_axes_go_together(tmp_path: Path, small: Snapshot) -> None:
    batch = read(
        tmp_path,
        '[[grid]]\naxes = { p = { from = 0, to = 20, step = 10 }, host = { hosts = "esx-a-0[12]" }, q = [1, 2, 3] }\n'
        'zip = [["p", "q"]]\ngrow = [{ cpu_percent = "$p", periods = 1 }]\ndrop_hosts = ["$host"]\n',
        small,
    )
    assert len(batch) == 6
    assert [(each.at["p"], each.at["q"], each.at["host"]) for each in batch][:3] == [
        (0, 1, "esx-a-01"), (0, 1, "esx-a-02"), (10, 2, "esx-a-01")]  # fmt: skip
    assert batch.scenario(5).name == "p 20, host esx-a-02, q 3"
    assert batch.scenario(5).grow[0].cpu_percent == 20 and batch.scenario(5).drop_hosts == ("esx-a-02",)
    assert list(batch.numbers("host=esx-a-02")) == [1, 3, 5]
    assert list(batch.numbers("p=20")) == [4, 5]
    assert list(batch.numbers(sample=2, seed=3)) == list(batch.numbers(sample=2, seed=3))


def test_a_sample_is_the_same_whatever_is_drawn_beside_it(tmp_path: Path) -> None:
    text = ('[[sample]]\ncount = 400\nseed = 5\ndraw = { g = { dist = "lognormal", mean = 4, std = 2 } }\n'
            'grow = [{ cpu_percent = "$g", months = 1 }]\nnoise = [{ cpu_std = 0.3 }]\n')  # fmt: skip
    batch = read(tmp_path, text)
    drawn = np.array([each.at["g"] for each in batch], dtype=float)
    assert drawn.mean() == pytest.approx(4, rel=0.1) and drawn.std() == pytest.approx(2, rel=0.25)
    again = read(tmp_path, text.replace("count = 400", "count = 3"))
    assert again.scenario(2) == batch.scenario(2)
    assert len({each.noise[0].seed for each in batch}) > 390


def test_noise_has_mean_one_and_goes_with_the_application(small: Snapshot) -> None:
    def factors(**fields: object) -> np.ndarray:  # type: ignore[type-arg]
        found = []
        for seed in range(60):
            asked = Scenario(name="s", noise=[Noise(cpu_std=0.5, seed=seed, **fields)])
            found.append(asked.edit(small).snapshot.vms.cpu_demand_mhz[small.vms.cpu_demand_mhz > 0])
        return np.array(found) / small.vms.cpu_demand_mhz[small.vms.cpu_demand_mhz > 0]

    for dist in ("lognormal", "gamma"):
        drawn = factors(dist=dist)
        assert (drawn >= 0).all()
        assert drawn.mean() == pytest.approx(1.0, abs=0.04) and drawn.std() == pytest.approx(0.5, abs=0.06)
    names = small.vms.name[small.vms.cpu_demand_mhz > 0].tolist()
    web = [k for k, name in enumerate(names) if str(name).startswith("web-shop-")][:2]
    together = factors(correlation=1.0)
    assert np.corrcoef(together[:, web[0]], together[:, web[1]])[0, 1] == pytest.approx(1.0)
    alone = factors(correlation=0.0)
    assert abs(np.corrcoef(alone[:, web[0]], alone[:, web[1]])[0, 1]) < 0.4


def test_growth_is_compound_and_reaches_history_reservation_and_disks() -> None:
    medium = datasets.make_cluster(4, 12, history_days=1)
    name = str(medium.vms.name[0])
    asked = Scenario(
        name="s",
        change=[{"do": "set", "table": "vms", "rows": name, "column": "cpu_reservation_mhz", "value": 10}],
    )
    reserved = asked.edit(medium).snapshot
    grown = Scenario(name="s", grow=[Grow(cpu_percent=10, disk_percent=5, months=12)]).edit(reserved).snapshot
    ratio = 1.1**12
    assert grown.vms.cpu_demand_mhz == pytest.approx(reserved.vms.cpu_demand_mhz * ratio)
    assert grown.loads is not None and reserved.loads is not None
    assert np.allclose(grown.loads.cpu_mhz, reserved.loads.cpu_mhz * ratio, equal_nan=True, rtol=1e-4)
    assert grown.vms.cpu_reservation_mhz[0] == pytest.approx(10 * ratio)
    assert grown.disks.size_gib == pytest.approx(reserved.disks.size_gib * 1.05**12)
    assert Grow(cpu_percent=10, years=1, per="year").ratio(10) == pytest.approx(1.1)
    assert Grow(cpu_percent=10, months=6, compound=False).ratio(10) == pytest.approx(1.6)


def test_growth_beyond_a_host_is_answered(small: Snapshot) -> None:
    asked = Scenario(
        name="s", grow=[Grow(vms="web-shop-01", memory_percent=10_000, periods=1)], iterations=50
    )
    row = answer(Base(small), 0, asked)
    assert row["error"] == ""
    new = Scenario(name="s", iterations=50, mode="place",
                   add_vms=[{"name": "giant", "columns": {"memory_mib": 9e6, "cpu_demand_mhz": 10}}])  # fmt: skip
    row = answer(Base(small), 0, new)
    assert row["error"] == "" and row["n_unplaced"] == 1 and row["status"] in ("infeasible", "no_solution")


def test_a_status_is_never_feasible_with_a_vm_unplaced(small: Snapshot) -> None:
    asked = Scenario(name="s", iterations=50, plan=False,
                     add_vms=[{"name": "giant", "columns": {"memory_mib": 9e6, "cpu_demand_mhz": 10}}])  # fmt: skip
    row = answer(Base(small), 0, asked)
    assert row["n_unplaced"] == 1 and row["status"] in ("infeasible", "no_solution")


def test_a_lost_host_that_a_rule_names(small: Snapshot) -> None:
    from drs.rules import RunOn

    rule = RunOn("web-shop-01", ["esx-a-01", "esx-a-02"], name="licence", policy="hard")
    for asked in ({"lost": ["esx-a-01"]}, {"drop_hosts": ["esx-a-01"]}):
        row = answer(Base(small, (rule,)), 0, Scenario(name="s", iterations=200, **asked))  # type: ignore[arg-type]
        assert row["error"] == "" and row["n_unplaced"] == 0, row
    assert "narrowed" in row["notes"]


def test_links_can_be_cut_and_upgraded() -> None:
    medium = datasets.load("medium")
    a, b = str(medium.links.a[0]), str(medium.links.b[0])
    faster = Scenario(name="s", links=[{"a": a, "b": b, "bandwidth_ratio": 4.0}]).edit(medium).snapshot
    assert faster.links.bandwidth_mbps[0] == 4 * medium.links.bandwidth_mbps[0]
    cut = Scenario(name="s", cut_links=[{"a": b, "b": a}]).edit(medium).snapshot
    assert not any({x, y} == {a, b} for x, y in zip(cut.links.a, cut.links.b, strict=True))
    with pytest.raises(InputError, match="no link between"):
        Scenario(name="s", cut_links=[{"a": a, "b": "nowhere"}]).edit(medium)


def test_rules_change_by_name(small: Snapshot) -> None:
    from drs.rules import KeepApart

    rule = KeepApart("web-shop-*", name="ha")
    asked = Scenario(name="s", change=[{"do": "set-rules", "rules": "ha", "fields": {"at_most": 3}}])
    (changed,) = asked.edit(small, (rule,)).rules
    assert changed.at_most == 3 and changed.label == "ha"  # type: ignore[attr-defined]


def test_a_base_file_is_overridden_by_name(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text('[ask]\niterations = 3\nmode = "balance"\n[[scenario]]\nname = "a"\n'
                                        '[[scenario]]\nname = "b"\n')  # fmt: skip
    text = 'base = "base.toml"\n[ask]\niterations = 8\n[[scenario]]\nname = "b"\nmax_moves = 1\n'
    batch = read(tmp_path, text)
    assert [(each.name, each.iterations, each.max_moves) for each in batch] == [("a", 8, None), ("b", 8, 1)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[ask]\niteration = 3\n", "did you mean iterations?"),
        ("[model.x]\ncpu_mh = 3\n", "did you mean cpu_mhz?"),
        (
            '[model.big]\ncpu_mhz = 3\n[[scenario]]\nname = "a"\nadd_hosts = [{ model = "bgi" }]\n',
            "did you mean big?",
        ),
        ("[[grid]]\naxes = { a = [] }\n", "field axes.a: no value"),
        ("[[grid]]\naxes = { a = [1] }\ndrop_hosts = ['$b']\n", "$b is no axis"),
        ("[[grid]]\naxes = { a = { from = 1, two = 3 } }\n", "{ from, to, step }"),
        ("[[grid]]\naxes = { a = [1, 'x'] }\n", "values of one kind"),
        ("[[grid]]\naxes = { a = [1, 2], b = [1] }\nzip = [['a', 'b']]\n", "a has 2, b has 1"),
        ("[[grid]]\naxes = { a = [1, -200] }\ngrow = [{ cpu_percent = '$a', months = 1 }]\n", "at a = -200"),
        ("[[sample]]\ncount = 0\n", "field count: 0"),
        ("[[sample]]\ncount = 2\ndraw = { g = { dist = 'norml', mean = 1 } }\n", "did you mean normal?"),
        ("[[sample]]\ncount = 2\ndraw = { g = { dist = 'normal', mean = 1 } }\n", "normal without std"),
        (
            "[[sample]]\ncount = 2\ndraw = { g = { dist = 'normal', mean = 1, std = 1 } }\n"
            "scale_vms = [{ cpu_ratio = '$g' }]\n",
            "gives a negative load",
        ),
        ('[[scenario]]\nname = "a"\ngrow = [{ cpu_percent = 3 }]\n', "one of months, years, periods"),
        ('base = "s.toml"\n', "not based on this one"),
    ],
)
def test_faults(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)


def test_faults_are_told_together(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, '[ask]\niteration = 3\n[model.x]\ncpu_mh = 3\n[[scenario]]\nname = "a"\nmoed = "b"\n'
                       '[[grid]]\naxes = { a = [] }\n')  # fmt: skip
    assert len(caught.value.faults) == 4


def test_too_many_scenarios_are_told_before_anything_is_done(tmp_path: Path) -> None:
    text = "[[grid]]\naxes = { a = { from = 1, to = 1000 }, b = { from = 1, to = 1000 } }\n"
    with pytest.raises(InputError, match="1,000,000 scenarios; expected at most 5,000"):
        read(tmp_path, text, most=5000)


def test_conditions_select_and_say_what_they_do_not_know(small: Snapshot) -> None:
    asked = Scenario(name="s", drop_vms="web-*", change=[
        {"do": "drop-hosts", "where": "evc_max == 'intel-broadwell'"},
        {"do": "set", "table": "vms", "where": "memory_mib > 16384", "column": "cpu_shares", "value": 5},
    ])  # fmt: skip
    changed = asked.edit(small).snapshot
    assert not (changed.hosts.evc_max == "intel-broadwell").any()
    assert (changed.vms.cpu_shares[changed.vms.memory_mib > 16384] == 5).all()
    wrong = Scenario(name="s", change=[{"do": "drop-hosts", "where": "evcmax == 'x'"},
                                       {"do": "drop-hosts", "where": "@x"}, {"do": "drop-hosts"}])  # fmt: skip
    with pytest.raises(InputError) as caught:
        wrong.edit(small)
    assert len(caught.value.faults) == 3 and "did you mean evc_max?" in str(caught.value)


def test_hosts_are_meant_by_label() -> None:
    medium = datasets.load("medium")
    rack = str(medium.hosts.rack[0])
    changed = Scenario(name="s", drop_hosts=f"rack:{rack}").edit(medium).snapshot
    assert not (changed.hosts.rack == rack).any() and 0 < changed.n_hosts < medium.n_hosts


def test_no_bounds_unless_asked(small: Snapshot) -> None:
    rows = [answer(Base(small), 0, Scenario(name="s", iterations=200, plan=False, bounds=bounds))
            for bounds in (False, True)]  # fmt: skip
    assert rows[0]["moves_bound"] == 0.0 < rows[1]["moves_bound"]
    assert rows[0]["balance_after"] == pytest.approx(rows[1]["balance_after"], abs=0.01)


def test_the_policy_of_one_scenario_leaves_the_others(small: Snapshot) -> None:
    base = Base(small, (), Policy())
    asked = Scenario(name="s", max_moves=0, iterations=100)
    assert answer(base, 0, asked)["n_moves"] == 0
    assert base.policy.limits.max_moves is None
