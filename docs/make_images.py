"""Makes the pictures of the documentation: `python docs/make_images.py`.

Runs the app and a headless Chromium (Debian: `apt-get install chromium`; `pip install playwright pillow`).
Writes docs/images/report.png and docs/images/app-*.png, each below 300 KB.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import drs
import drs.ui
from drs.report.html import render_report

IMAGES = Path(__file__).with_name("images")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
MOST_BYTES = 300_000
WIDTH = 1280


def save(png: bytes, name: str) -> None:
    """Write a picture with as many colours as fit into the limit."""
    from PIL import Image

    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (256, 128, 64, 32):
        memory = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(memory, "PNG", optimize=True)
        if memory.tell() < MOST_BYTES:
            break
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / name).write_bytes(memory.getvalue())
    sys.stderr.write(f"{name}: {memory.tell() // 1000} KB\n")


def quiet(page: Any) -> None:
    """Wait until the app has drawn everything."""
    page.wait_for_timeout(700)
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=90_000)
    page.wait_for_timeout(1500)


def whole(page: Any, name: str, most: int = 1700) -> None:
    """Photograph a page of the app from top to bottom, within reason."""
    page.set_viewport_size({"width": WIDTH, "height": 900})
    page.wait_for_timeout(300)
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": WIDTH, "height": max(700, min(most, height))})
    page.wait_for_timeout(1500)
    save(page.screenshot(), name)


def app_pictures(browser: Any, address: str, dataset: str, solver: str) -> None:
    """Every page of the app."""
    page = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
    page.goto(f"{address}/?dataset={dataset}")
    page.wait_for_selector("h1", timeout=90_000)
    quiet(page)
    whole(page, "app-overview.png", 1250)

    def go(name: str) -> None:
        page.get_by_role("link", name=name, exact=True).click()
        quiet(page)

    go("Migration calculator")
    whole(page, "app-calculator.png")
    go("Plan")
    if solver != "auto":
        page.get_by_text("Limits and solver").click()
        page.wait_for_timeout(500)
        page.get_by_test_id("stSelectbox").filter(has_text="Solver").locator("input").click()
        page.get_by_role("option", name=solver).click()
        quiet(page)
        page.get_by_text("Limits and solver").click()
    page.get_by_role("button", name="Find moves").click()
    page.wait_for_selector("text=report.html", timeout=120_000)
    quiet(page)
    whole(page, "app-advise.png", 1250)
    go("Host, VM, datastore")
    whole(page, "app-item.png", 1250)
    go("Run")
    whole(page, "app-run.png", 1250)
    go("Schedule and network")
    page.wait_for_selector("text=Time of all moves")
    whole(page, "app-schedule.png")
    go("Plan")
    page.get_by_role("button", name="Go on for").click()
    page.wait_for_selector("text=Stop with the best plan so far", timeout=60_000)
    page.wait_for_selector("text=report.html", timeout=180_000)
    quiet(page)
    go("Compare")
    whole(page, "app-compare.png", 1250)
    go("Frontier")
    page.get_by_role("button", name="Find the frontier").click()
    page.wait_for_selector("text=Order and time these moves", state="attached", timeout=90_000)
    quiet(page)
    whole(page, "app-frontier.png", 1250)
    page.close()


def main() -> None:
    """Make all pictures."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="small")
    parser.add_argument("--solver", default="auto")
    parser.add_argument("--time-s", type=float, default=10.0)
    asked = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("no chromium on this machine (Debian: apt-get install chromium)")
    result = drs.advise(asked.dataset, solver=asked.solver, time_s=asked.time_s)
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        drs.ui.serving() as address,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        report = Path(folder) / "report.html"
        report.write_text(render_report(result), encoding="utf-8")
        page = browser.new_page(viewport={"width": WIDTH, "height": 1500}, color_scheme="light")
        page.goto(report.as_uri())
        save(page.screenshot(), "report.png")
        app_pictures(browser, address, asked.dataset, asked.solver)
        browser.close()


if __name__ == "__main__":
    main()
