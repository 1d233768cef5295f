"""The README opens with its two commands and shows Python; `tests/docs/test_examples.py` runs what it prints."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_there_is_an_example() -> None:
    assert re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_pictures_and_links_exist() -> None:
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in target]
    assert targets
    for target in targets:
        assert (ROOT / target).exists(), target


def test_it_opens_with_both_commands() -> None:
    first = README[:2500]
    assert "make demo" in first and "make test" in first


def test_every_target_that_contributing_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"make ([a-z]+)(?=`|  )", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    assert {"fast", "test", "docs", "pages"} <= named <= targets
