"""The app under test, its caches cleared between tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from app_driver import healthy
from streamlit.testing.v1 import AppTest

import drs.ui
from drs.ui.store import STORE_VARIABLE
from drs.ui.work import THREADS_VARIABLE

ROOT = Path(drs.ui.__file__).parent


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv(STORE_VARIABLE, str(tmp_path / "store"))
    monkeypatch.setenv(THREADS_VARIABLE, "1")
    monkeypatch.delenv(drs.ui.SNAPSHOT_VARIABLE, raising=False)
    st.cache_data.clear()
    st.cache_resource.clear()
    yield
    st.cache_data.clear()
    st.cache_resource.clear()


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
