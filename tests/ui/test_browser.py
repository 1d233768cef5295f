"""The app in a real browser: press the button, wait for the moves, take a picture."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import drs.ui
from drs.ui.work import THREADS_VARIABLE

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
        page.get_by_role("button", name="Find moves").click(timeout=180_000)
        page.wait_for_selector("[data-testid=stDataFrame]", timeout=180_000)
        page.wait_for_selector("text=report.html", timeout=180_000)
        page.screenshot(path=str(picture))
        browser.close()
    assert picture.stat().st_size > 20_000
    assert not errors
    assert not outside, "the app loads nothing from elsewhere"


@pytest.fixture
def browser() -> Iterator[Any]:
    """Debian's Chromium without a window."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


def ask(page: Any) -> None:
    """Begin a search on the page of the plan."""
    page.get_by_role("button", name="Find moves").click(timeout=180_000)
    page.wait_for_selector("text=Stop with the best plan so far", timeout=180_000)


@pytest.mark.slow
def test_a_search_survives_reload_and_restart_and_is_shared_with_nobody(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(THREADS_VARIABLE)
    store = tmp_path / "store"
    mine = browser.new_context().new_page()
    with drs.ui.serving(store) as address:
        mine.goto(f"{address}/?dataset=small&page=advise")
        ask(mine)
        mine.reload()
        mine.wait_for_selector("text=Tasks", timeout=180_000)
        link = mine.url.partition("?")[2]
    # The server is gone; the search is a process of its own and goes on.
    with drs.ui.serving(store) as address:
        mine.goto(f"{address}/advise?{link}")
        mine.wait_for_selector("text=report.html", timeout=180_000)
        mine.wait_for_url("**plan=**", timeout=30_000)
        again = browser.new_context().new_page()
        again.goto(f"{address}/advise?{mine.url.partition('?')[2]}")
        again.wait_for_selector("text=report.html", timeout=180_000)
        other = browser.new_context().new_page()
        other.goto(f"{address}/advise?dataset=small")
        other.wait_for_selector("text=Ask for a plan", timeout=180_000)
        other.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=180_000)
        assert (
            other.get_by_text("Plan in hand").count() == 0 and other.get_by_text("report.html").count() == 0
        )


@pytest.mark.slow
def test_from_the_hot_spot_to_the_script(browser: Any, address: str) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 1200})
    page.goto(f"{address}/?dataset=small")
    page.get_by_role("button", name="Show", exact=True).first.click(timeout=180_000)
    page.wait_for_selector("text=Empty this host", timeout=180_000)
    page.get_by_role("link", name="Plan", exact=True).click()
    ask(page)
    page.wait_for_selector("text=report.html", timeout=180_000)
    page.get_by_role("link", name="Run", exact=True).click()
    page.get_by_role("tab", name="Scripts").click(timeout=180_000)
    with page.expect_download(timeout=180_000) as waiting:
        page.get_by_role("button", name="Download plan.ps1").click()
    text = Path(waiting.value.path()).read_text()
    assert "Start-One" in text and "[switch]$Move" in text
    page.close()
