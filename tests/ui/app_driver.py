"""Driving the app without a browser."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from drs.ui.state import KEY, AppState

PAGES = ("overview", "advise", "frontier", "schedule", "calculator")


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
