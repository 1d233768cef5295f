"""The frontier's page, driven as a user does, without a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from app_driver import healthy, in_hand
from streamlit.testing.v1 import AppTest

from drs import datasets, pareto
from drs.errors import Fault, InputError
from drs.ui.views import frontier as frontier_page

Open = Callable[..., AppTest]


def found_on(app: AppTest) -> AppTest:
    """The app once its search for the frontier has ended."""
    for _ in range(5):
        job = app.session_state[frontier_page.KEY].job
        if job is None:
            break
        assert job.wait(60.0)
        app.run()
    return healthy(app)


@pytest.fixture(scope="module")
def small() -> pareto.Frontier:
    """One frontier for all tests."""
    return pareto.frontier("small", time_s=None, iterations=60_000)


@pytest.fixture
def quick(small: pareto.Frontier, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The search is answered at once; returns what it was asked."""
    asked: list[dict[str, Any]] = []

    def answer(snapshot: Any, **ask: Any) -> pareto.Frontier:
        asked.append({"snapshot": snapshot, **ask})
        return small

    monkeypatch.setattr(pareto, "frontier", answer)
    return asked


def test_from_click_to_moves(open_app: Open, quick: list[dict[str, Any]], small: pareto.Frontier) -> None:
    app = open_app("frontier")
    app.slider(key="frontier.n_points").set_value(12).run()
    found_on(app.button(key="frontier.run").click().run())
    assert quick[0]["n_points"] == 12 and quick[0]["stop"].time_s == 20
    assert quick[0]["rules"], "the cluster's own rules count"
    tables = [frame.value for frame in app.dataframe]
    assert any("imbalance" in t.columns and len(t) == len(small.points) for t in tables)
    assert app.select_slider(key="frontier.choice").value == small.knee
    moves = next(t for t in tables if "VM" in t.columns)
    assert small.knee is not None and len(moves) == len(small.result(small.knee).moved_vms)

    healthy(app.select_slider(key="frontier.choice").set_value(0).run())
    moves = next(frame.value for frame in app.dataframe if "VM" in frame.value.columns)
    assert moves["VM"].tolist() == list(small.result(0).moved_vms)

    healthy(app.button(key="frontier.plan").click().run())
    assert in_hand(app).plan is not None
    assert any("Step" in frame.value.columns for frame in app.dataframe)
    healthy(app.switch_page("views/schedule.py").run())
    assert not app.info, "the schedule shows this plan"
    healthy(app.switch_page("views/advise.py").run())


def test_a_real_search_can_be_stopped(open_app: Open) -> None:
    app = open_app("frontier")
    app.number_input(key="frontier.time_s").set_value(600).run()
    app.button(key="frontier.run").click().run()
    healthy(app.button(key="frontier.stop").click().run())
    found_on(app)
    found = app.session_state[frontier_page.KEY].found
    assert found is not None and found.interrupted


def test_another_cluster_forgets(open_app: Open, quick: list[dict[str, Any]]) -> None:
    app = open_app("frontier")
    found_on(app.button(key="frontier.run").click().run())
    healthy(app.selectbox(key="sidebar.source").select("medium").run())
    assert app.session_state[frontier_page.KEY].found is None
    assert not app.dataframe


def test_a_failure_is_one_message(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> pareto.Frontier:
        raise InputError(Fault("rules.toml", "vm 'x'", "a name"))

    monkeypatch.setattr(pareto, "frontier", fail)
    app = open_app("frontier")
    found_on(app.button(key="frontier.run").click().run())
    assert len(app.error) == 1 and "rules" in app.error[0].value


def test_no_points_are_explained(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    from drs.rules import KeepApart

    snapshot = datasets.make_cluster(3, 9, 2)
    apart = KeepApart(snapshot.vms.name[:5].tolist(), policy="hard")
    nothing = pareto.frontier(snapshot, rules=(apart,), time_s=None, iterations=5_000)
    assert not nothing.points
    monkeypatch.setattr(pareto, "frontier", lambda *_, **__: nothing)
    app = open_app("frontier")
    found_on(app.button(key="frontier.run").click().run())
    assert len(app.error) == 1 and "no plan" in app.error[0].value
