"""Every rule's page names all of its fields, and its example is one that works."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest

from drs.io.raw import Faults
from drs.io.rules_toml import rules_of
from drs.rules import RULES, Rule

PAGES = Path(__file__).parents[2] / "docs" / "rules"
COMMON = {field.name for field in dataclasses.fields(Rule)}


@pytest.mark.parametrize("kind", sorted(RULES))
def test_page(kind: str) -> None:
    page = (PAGES / f"{kind}.md").read_text(encoding="utf-8")
    for title in ("## Fields", "## Example", "## How it is measured", "## Policy"):
        assert title in page
    own = [field.name for field in dataclasses.fields(RULES[kind]) if field.name not in COMMON and field.init]
    assert [name for name in own if f"| `{name}`" not in page] == []
    faults = Faults()
    (rule,) = rules_of(tomllib.loads(page.split("```toml")[1].split("```")[0]), f"{kind}.md", faults)
    faults.raise_if_any()
    assert type(rule) is RULES[kind]


def test_index_names_every_rule() -> None:
    index = (PAGES / "index.md").read_text(encoding="utf-8")
    assert [kind for kind in RULES if f"[{kind}]({kind}.md)" not in index] == []
