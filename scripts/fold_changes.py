"""Moves the fragments of `changes/` into the section Unreleased of `CHANGELOG.md`, and deletes them.

python scripts/fold_changes.py [FOLDER]     # the folder with CHANGELOG.md and changes/, by default this project
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

HEADING = "## Unreleased"


def fold(changelog: str, fragments: dict[str, str]) -> str:
    """The changelog with the bullets of the fragments at the end of its section Unreleased.

    Raises
    ------
    ValueError
        With a line for each fragment that is no list of bullets, and for a changelog without the section.
    """
    faults = []
    bullets: list[str] = []
    for name, text in sorted(fragments.items()):
        lines = [line.rstrip() for line in text.strip().splitlines()]
        wrong = [line for line in lines if line and not line.startswith(("- ", "  "))]
        if not lines or wrong or not lines[0].startswith("- "):
            shown = repr((wrong or ["an empty file"])[0])
            faults.append(f"changes/{name}: {shown}; expected a list of bullets, each begins with '- '")
        bullets += [line for line in lines if line]
    start = re.search(rf"^{HEADING}$", changelog, re.MULTILINE)
    if start is None:
        faults.append(f"CHANGELOG.md: no line {HEADING!r}; expected that section at its top")
    if faults or start is None:
        raise ValueError("\n".join(faults))
    following = re.search(r"^## ", changelog[start.end() :], re.MULTILINE)
    end = start.end() + following.start() if following else len(changelog)
    section, rest = changelog[:end].rstrip(), changelog[end:]
    gap = "\n" if section.splitlines()[-1].startswith(("- ", "  ")) else "\n\n"
    return section + gap + "\n".join(bullets) + "\n" + (f"\n{rest}" if rest else "")


def main(root: Path) -> int:
    """Fold, or say what is wrong and change nothing."""
    paths = [path for path in sorted((root / "changes").glob("*.md")) if path.name != "README.md"]
    if not paths:
        sys.stdout.write("changes/ has no fragments\n")
        return 0
    changelog = root / "CHANGELOG.md"
    try:
        folded = fold(
            changelog.read_text(encoding="utf-8"),
            {path.name: path.read_text(encoding="utf-8") for path in paths},
        )
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    changelog.write_text(folded, encoding="utf-8")
    for path in paths:
        path.unlink()
    sys.stdout.write(f"{len(paths)} fragments moved to CHANGELOG.md\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent))
