"""Sphinx configuration."""

from __future__ import annotations

import re
from typing import Any

project = "drs"
author = "The drs founders"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
html_theme = "furo"
html_title = "drs"
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
default_role = "code"  # docstrings write `name` as Markdown does
autodoc_typehints = "none"  # the signature has them
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
napoleon_google_docstring = False
napoleon_use_ivar = True
suppress_warnings = ["myst.xref_missing", "ref.python"]

BARS = re.compile(r"\|(?=[^`]*(?:`[^`]*`[^`]*)*$)")  # |x| outside of backticks is an absolute value
FIELD = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*) : ?(.*)$")


def as_lists(app: Any, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """The house's short form `name : meaning`, outside of numpydoc's sections, becomes a list of fields."""
    lines[:] = [BARS.sub(r"\\|", line) for line in lines]
    if any(re.fullmatch(r"-{3,}", line) for line in lines):
        return
    made: list[str] = []
    inside = False
    for line in lines:
        hit = FIELD.match(line)
        if hit:
            if not inside:
                made.append("")
            made.append(f"- **{hit[1].replace('*', '')}**: {hit[2]}")
            inside = True
        elif inside and line.startswith("    "):
            made.append(f"  {line.strip()}")
        else:
            if inside and line.strip():
                made.append("")
            inside = inside and not line.strip()
            made.append(line)
    lines[:] = [*made, ""]


def setup(app: Any) -> None:
    """Sphinx calls this."""
    app.connect("autodoc-process-docstring", as_lists, priority=100)
