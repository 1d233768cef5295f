"""The page about the format is current."""

from __future__ import annotations

from pathlib import Path

from drs.io.columns import columns, tables
from drs.io.reference import TABLES, snapshot_format, write

PAGE = Path(__file__).parents[2] / "docs" / "snapshot-format.md"


def test_the_page_is_current(tmp_path: Path) -> None:
    write(tmp_path / "page.md")
    assert PAGE.read_text(encoding="utf-8") == (tmp_path / "page.md").read_text(encoding="utf-8"), (
        "run: python -c \"from drs.io.reference import write; write('docs/snapshot-format.md')\""
    )


def test_the_page_names_everything() -> None:
    page = snapshot_format()
    assert list(TABLES) == list(tables())
    for column in columns():
        assert f"`{column.column}`" in page and column.meaning in page
