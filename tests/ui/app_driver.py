"""Driving the app without a browser."""

from __future__ import annotations

import time

from streamlit.testing.v1 import AppTest

from drs.result import Result
from drs.ui.kept import restored
from drs.ui.state import KEY, AppState
from drs.ui.store import Store, default_folder

PAGES = (
    "overview", "item", "advise", "compare", "frontier", "schedule", "run", "calculator", "data",
)  # fmt: skip


def app_state(app: AppTest) -> AppState:
    """What the app remembers."""
    found: AppState = app.session_state[KEY]
    return found


def healthy(app: AppTest) -> AppTest:
    """The app, after a check that no page shows a traceback."""
    assert not app.exception, app.exception[0].message
    return app


def finished(app: AppTest, timeout_s: float = 240.0) -> AppTest:
    """The app once its search has ended."""
    job = app_state(app).job
    end = time.monotonic() + timeout_s
    while job and time.monotonic() < end:
        found = the_store().job(job)
        assert found is not None
        if not found.running:
            app.run()
            break
        time.sleep(0.05)
    assert not app_state(app).job, "the search has ended"
    return healthy(app)


def the_store() -> Store:
    """The store of the app under test."""
    return Store(default_folder())


def in_hand(app: AppTest) -> Result:
    """The plan in hand, as it was kept."""
    now = app_state(app)
    assert now.plan, "there is a plan in hand"
    return restored(the_store().plan_folder(now.plan))
