"""The app under test, its caches cleared between tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import drs.ui
from drs.ui.state import KEY, AppState

ROOT = Path(drs.ui.__file__).parent
PAGES = ("overview", "advise", "schedule", "calculator")


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(drs.ui.SNAPSHOT_VARIABLE, raising=False)
    st.cache_data.clear()
    st.cache_resource.clear()
    yield
    st.cache_data.clear()
    st.cache_resource.clear()


def app_state(app: AppTest) -> AppState:
    """What the app remembers."""
    found: AppState = app.session_state[KEY]
    return found


def healthy(app: AppTest) -> AppTest:
    """The app, after a check that no page shows a traceback."""
    assert not app.exception, app.exception[0].message
    return app


def finished(app: AppTest, timeout_s: float = 60.0) -> AppTest:
    """The app once its search has ended."""
    for _ in range(5):
        job = app_state(app).job
        if job is None:
            break
        assert job.wait(timeout_s)
        app.run()
    return healthy(app)


@pytest.fixture
def open_app() -> Callable[..., AppTest]:
    """Opens the packaged app on a dataset and a page."""

    def start(page: str = "overview", dataset: str = "small") -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        app.query_params["dataset"] = dataset
        healthy(app.run())
        if page != "overview":
            healthy(app.switch_page(f"views/{page}.py").run())
        return app

    return start
