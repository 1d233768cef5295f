"""The pages that work on kept plans: decisions on moves, compare, run, one thing, the data."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from app_driver import app_state, finished, healthy, in_hand, the_store
from streamlit.testing.v1 import AppTest

import drs.ui
from drs import api, datasets
from drs import io as drs_io
from drs.ui.changes import decision_key, first_of, price_rows, rules_of, shares_of
from drs.ui.items import short_names
from drs.ui.views.run import chain_of, safe_stops

Open = Callable[..., AppTest]


def planned(open_app: Open, dataset: str = "small") -> AppTest:
    """The app with a quick plan in hand."""
    app = open_app("advise", dataset)
    app.number_input(key="advise.time_s").set_value(2)
    app.selectbox(key="advise.solver").select("greedy")
    return finished(app.run().button(key="advise.run").click().run())


def test_reject_two_pin_one_and_solve_again(open_app: Open) -> None:
    app = planned(open_app)
    first = in_hand(app)
    kept = the_store().plan(app_state(app).desk, app_state(app).plan)
    assert first.plan is not None and kept is not None
    vms = list(dict.fromkeys(move.vm for move in first.plan.moves))
    assert app.button(key="plan.again").disabled
    app.multiselect(key=decision_key(kept, "reject")).set_value(vms[:2])
    app.multiselect(key=decision_key(kept, "pin")).set_value(vms[2:3])
    healthy(app.run())
    finished(app.button(key="plan.again").click().run())
    second = in_hand(app)
    assert second.plan is not None
    goes = {move.vm: move.to_host for move in second.plan.moves}
    was = {move.vm: move.to_host for move in first.plan.moves}
    assert all(goes.get(vm) != was[vm] for vm in vms[:2]) and vms[2] not in goes
    assert "2 moves rejected, 1 move pinned" in app.title[0].value.replace("\\", "")
    price = next(frame.value for frame in app.dataframe if "Loses" in frame.value.columns)
    assert "Duration" in price["Figure"].tolist() and any("bound" in row for row in price["Figure"])
    assert len(the_store().plans(app_state(app).desk)) == 2, "the first plan is kept"

    healthy(app.switch_page("views/compare.py").run())
    table = next(frame.value for frame in app.dataframe if "Today" in frame.value.columns)
    assert {"Plan 1", "Plan 2"} <= set(table.columns)
    healthy(app.button(key=f"compare.take.{kept.id}").click().run())
    assert app_state(app).plan == kept.id


def test_a_vm_is_decided_once(open_app: Open) -> None:
    app = planned(open_app)
    kept = the_store().plan(app_state(app).desk, app_state(app).plan)
    plan = in_hand(app).plan
    assert plan is not None and kept is not None
    for decision in ("keep", "pin"):
        app.multiselect(key=decision_key(kept, decision)).set_value([plan.moves[0].vm])
    healthy(app.run())
    assert app.button(key="plan.again").disabled and "Decide once" in app.error[0].value


def test_the_price_of_a_veto_tells_what_is_lost() -> None:
    import dataclasses

    from drs.ui.store import KeptPlan

    def plan(after: float, bound: float, seconds: float) -> KeptPlan:
        goals = {"balance": {"before": 1.0, "after": after, "bound": bound, "unit": "x"}}
        figures = {"goals": goals, "n_moves": 3, "makespan_s": seconds, "max_downtime_ms": 5.0, "n_broken": 0}
        return KeptPlan("a", "d", "k", "n", "q", "balance", "t", "", "optimal", False, figures, {})

    rows = {row[0]: row for row in price_rows(plan(0.2, 0.2, 60.0), plan(0.5, 0.3, 30.0))}
    loses = [row[3] for name, row in rows.items() if name.lower().startswith(("balance", "even"))]
    assert "0.3" in loses and "0.1" in loses
    assert rows["Duration"][3] == "gains 30 s" and rows["Moves"][3] == "nothing"
    assert dataclasses.is_dataclass(KeptPlan)


def test_the_first_moves_of_a_plan_give_most_of_the_gain() -> None:
    result = api.advise("small", time_s=None, iterations=3_000, solver="greedy")
    assert result.curve is not None
    for goal in result.curve.shares(0):
        gains = shares_of(result.curve, goal)
        assert gains[0] == 0.0 and gains[-1] == pytest.approx(1.0)
        n = first_of(gains, 0.8)
        assert all(gain >= 0.8 - 1e-9 for gain in gains[n:]) and gains[n - 1] < 0.8
    assert first_of([0.0, 0.9, 0.5, 1.0], 0.8) == 3, "it may lose in between"


def test_decisions_are_rules() -> None:
    result = api.advise("small", time_s=None, iterations=3_000, solver="greedy")
    assert result.plan is not None
    a, b, c = (move.vm for move in result.plan.moves[:3])
    keep, reject, pin = rules_of(result, {"keep": [a], "reject": [b], "pin": [c]})
    assert not list(keep.check(result.snapshot, result.placement))
    assert list(reject.check(result.snapshot, result.placement))
    assert list(pin.check(result.snapshot, result.placement))


def test_safe_stops_end_no_move_midway_and_break_nothing_more() -> None:
    result = api.advise("small", time_s=None, iterations=3_000, solver="greedy")
    plan = result.plan
    assert plan is not None
    stops = safe_stops(result, plan)
    assert stops and stops[-1][0] == plan.moves[-1].step
    for step, at_s, broken, _ in stops:
        number = [move.step for move in plan.moves].index(step) + 1
        assert all(move.end_s <= at_s + 1e-9 for move in plan.moves[:number])
        assert all(move.start_s >= at_s - 1e-9 for move in plan.moves[number:])
        assert broken <= len(result.violations_before)
    waits = [move for move in plan.moves if move.after_steps]
    for move in waits[:3]:
        chain = chain_of(plan, move.step)
        assert chain[-1] == move.step and set(move.after_steps) <= set(chain)


def test_the_run_page_offers_every_script(open_app: Open) -> None:
    app = planned(open_app)
    healthy(app.switch_page("views/run.py").run())
    for kind in app.selectbox(key="run.kind").options:
        healthy(app.selectbox(key="run.kind").select(kind).run())
        assert app.code or app.error, "a script, or why there is none"
    assert any("Starts" in each.value for each in app.markdown)


@pytest.mark.parametrize("kind", ["Host", "VM", "Datastore"])
def test_one_thing(kind: str, open_app: Open) -> None:
    app = open_app("item")
    app.session_state["item.kind"] = kind.lower()
    healthy(app.run())
    thing = app_state(app).thing
    assert thing is not None and thing[0] == kind.lower() and app.title[0].value.replace("\\", "") == thing[1]
    if kind == "VM":
        where = next(frame.value for frame in app.dataframe if "May it" in frame.value.columns)
        cluster = app_state(app).cluster
        assert cluster is not None and len(where) == cluster.snapshot.n_hosts - 1
        assert all(why for may, why in zip(where["May it"], where["Why not"], strict=True) if may == "no")
        assert all(row > 0 for row in where["Lasts, s"][where["May it"] == "yes"])


def test_a_pin_counts_in_every_plan(open_app: Open) -> None:
    app = open_app("item")
    app.session_state["item.kind"] = "vm"
    healthy(app.run())
    thing = app_state(app).thing
    assert thing is not None
    healthy(app.toggle(key=f"item.pin.{thing[1]}").set_value(True).run())
    healthy(app.switch_page("views/advise.py").run())
    app.number_input(key="advise.time_s").set_value(2)
    finished(app.run().button(key="advise.run").click().run())
    kept = the_store().plan(app_state(app).desk, app_state(app).plan)
    assert kept is not None and "pinned" in kept.question and thing[1] in kept.request["rules_toml"]


def test_emptying_a_host_is_one_click(open_app: Open) -> None:
    app = open_app("item")
    thing = app_state(app).thing
    assert thing is not None and thing[0] == "host"
    app.button(key="item.empty").click().run()
    finished(app)
    result = in_hand(app)
    host = result.snapshot.hosts.position[thing[1]]
    assert result.mode == "evacuate" and not (result.placement.host_idx == host).any()


def test_a_link_finds_the_plan_again_and_another_desk_does_not(open_app: Open) -> None:
    app = planned(open_app)
    link = {name: app.query_params[name] for name in ("desk", "plan")}
    for desk, finds in ((link["desk"], True), (["another-desk"], False)):
        fresh = AppTest.from_file(str(Path(drs.ui.__file__).with_name("app.py")), default_timeout=60)
        fresh.query_params["dataset"] = "small"
        fresh.query_params["desk"] = desk[0] if isinstance(desk, list) else desk
        fresh.query_params["plan"] = link["plan"][0] if isinstance(link["plan"], list) else link["plan"]
        healthy(fresh.run())
        assert bool(app_state(fresh).plan) == finds
        assert bool(fresh.error) != finds


def test_a_folder_that_changed_is_read_again(
    open_app: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine"
    drs_io.write_folder(datasets.make_cluster(4, 12, 5), folder)
    monkeypatch.setenv(drs.ui.SNAPSHOT_VARIABLE, str(folder))
    app = AppTest.from_file(str(Path(drs.ui.__file__).with_name("app.py")), default_timeout=60)
    healthy(app.run())
    cluster = app_state(app).cluster
    assert cluster is not None and not cluster.rules
    vms = cluster.snapshot.vms.name[:2].tolist()
    (folder / "rules.toml").write_text(f'[[rule]]\ntype = "keep-apart"\nvms = {vms!r}\n')
    healthy(app.run())
    assert any("changed" in each.value for each in app.warning)
    healthy(app.button(key="sidebar.reload").click().run())
    assert len(app_state(app).cluster.rules) == 1  # type: ignore[union-attr]
    assert not any("changed" in each.value for each in app.warning)
    (folder / "rules.toml").write_text("no toml")
    healthy(app.button(key="sidebar.reload").click().run())
    assert "still showing" in app.error[0].value
    assert len(app_state(app).cluster.rules) == 1  # type: ignore[union-attr]
    shutil.rmtree(folder)
    healthy(app.run())


def test_the_cluster_filter_narrows_the_pages(open_app: Open) -> None:
    app = open_app(dataset="medium")
    cluster = app_state(app).cluster
    assert cluster is not None
    name = str(cluster.snapshot.clusters.name[0])
    healthy(app.selectbox(key="sidebar.cluster").select(name).run())
    hosts = next(frame.value for frame in app.dataframe if "CPU load" in frame.value.columns)
    assert set(hosts["Cluster"]) == {name}


def test_about_the_data_deletes_what_was_kept(open_app: Open) -> None:
    app = planned(open_app)
    healthy(app.switch_page("views/data.py").run())
    (snapshot,) = the_store().snapshots(app_state(app).desk)
    healthy(app.button(key=f"data.delete.{snapshot.key}").click().run())
    assert not the_store().plans(app_state(app).desk) and not app_state(app).plan


def test_names_lose_the_domain_that_all_share() -> None:
    assert short_names(["a.x.org", "b.x.org"]) == ["a", "b"]
    assert short_names(["a.x.org", "b.y.org"]) == ["a.x", "b.y"]
    assert short_names(["a", "b.x"]) == ["a", "b.x"] and short_names(["a.x"]) == ["a.x"]
