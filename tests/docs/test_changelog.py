"""Fragments reach the changelog whole, once, and in its section Unreleased."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

BEFORE = "# Changelog\n\n## Unreleased\n\n- the first;\n\n## 0.1.0\n\n- old.\n"


def run(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "fold_changes.py", root],
        capture_output=True,
        text=True,
        check=False,
    )


def project(root: Path, **fragments: str) -> Path:
    (root / "CHANGELOG.md").write_text(BEFORE)
    (root / "changes").mkdir()
    (root / "changes" / "README.md").write_text("# About\n")
    for name, text in fragments.items():
        (root / "changes" / f"{name}.md").write_text(text)
    return root


def test_bullets_go_to_the_section_unreleased(tmp_path: Path) -> None:
    root = project(tmp_path, b="- b, on\n  two lines;\n", a="- a;\n")
    assert run(root).returncode == 0
    assert (root / "CHANGELOG.md").read_text() == (
        "# Changelog\n\n## Unreleased\n\n- the first;\n- a;\n- b, on\n  two lines;\n\n## 0.1.0\n\n- old.\n"
    )
    assert [path.name for path in (root / "changes").iterdir()] == ["README.md"]


def test_what_is_no_list_moves_nothing(tmp_path: Path) -> None:
    root = project(tmp_path, good="- fine.\n", bad="## A heading\n", empty="")
    done = run(root)
    assert done.returncode == 1
    assert "changes/bad.md: '## A heading'" in done.stderr and "changes/empty.md" in done.stderr
    assert (root / "CHANGELOG.md").read_text() == BEFORE
    assert len(list((root / "changes").iterdir())) == 4


def test_our_own_changelog_can_take_fragments(tmp_path: Path) -> None:
    ours = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    root = project(tmp_path, new="- a new line.\n")
    (root / "CHANGELOG.md").write_text(ours, encoding="utf-8")
    assert run(root).returncode == 0
    folded = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    assert folded.count("- a new line.") == 1
    assert [line for line in folded.splitlines() if line != "- a new line." and line] == [
        line for line in ours.splitlines() if line
    ]


def test_our_own_fragments_are_lists(tmp_path: Path) -> None:
    fragments = {
        path.stem: path.read_text(encoding="utf-8")
        for path in (ROOT / "changes").glob("*.md")
        if path.name != "README.md"
    }
    done = run(project(tmp_path, **fragments))
    assert done.returncode == 0, done.stderr
