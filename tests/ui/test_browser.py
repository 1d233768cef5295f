"""The app in a real browser: press the button, wait for the moves, take a picture."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import drs.ui

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A running app on a free port."""
    with drs.ui.serving() as url:
        yield url


@pytest.mark.slow
def test_the_advice_in_a_browser(address: str, tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    picture = tmp_path / "advise.png"
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        outside: list[str] = []
        page.on(
            "request",
            lambda sent: (
                outside.append(sent.url)
                if not sent.url.startswith((address, address.replace("http", "ws"), "data:", "blob:"))
                else None
            ),
        )
        page.goto(f"{address}/?dataset=small&page=advise")
        page.get_by_role("button", name="Find moves").click(timeout=60_000)
        page.wait_for_selector("[data-testid=stDataFrame]", timeout=60_000)
        page.wait_for_selector("text=report.html", timeout=60_000)
        page.screenshot(path=str(picture))
        browser.close()
    assert picture.stat().st_size > 20_000
    assert not errors
    assert not outside, "the app loads nothing from elsewhere"
