"""Tables whose columns are defined once: the terminal, the report, the app and the frame show the same ones."""

from __future__ import annotations

import dataclasses
import re

import pytest
from rich.console import Console

from drs.planning import Move
from drs.report.document import moves_csv, to_document
from drs.report.html import render_report
from drs.report.tables import GOALS, IMMOVABLE, MOVES, STRANDED, VIOLATIONS, frame, rich_table, told
from drs.report.text import print_result
from drs.result import Reason, Result

TITLES = [column.title for column in MOVES]


def heads(html: str, section: str) -> list[str]:
    """The titles of the first table of a section of the report."""
    table = html[html.index(f'id="{section}"') :]
    return re.findall(r"<th scope=\"col\"[^>]*>([^<]*)</th>", table[: table.index("</thead>")])


def printed(result: Result) -> list[list[str]]:
    console = Console(width=400, record=True, file=None, quiet=False)
    with console.capture() as said:
        print_result(console, result, None)
    return [re.split(r"\s{2,}", line.strip()) for line in said.get().splitlines()]


def test_all_faces_show_the_same_columns_of_moves(result: Result) -> None:
    assert result.plan is not None
    assert heads(render_report(result), "h-moves") == TITLES
    assert list(frame(MOVES, told(result.plan.moves, result.reasons)).columns) == TITLES
    assert TITLES in printed(result)


def test_all_faces_show_the_same_columns_of_goals(result: Result) -> None:
    titles = [column.title for column in GOALS]
    assert heads(render_report(result), "h-goals") == titles
    assert list(frame(GOALS, result.goals).columns) == titles
    assert titles in printed(result)


def test_columns_of_moves_are_named_as_in_the_document_and_the_frame(result: Result) -> None:
    assert result.plan is not None
    keys = {column.name for column in MOVES}
    fields = {field.name for field in dataclasses.fields(Move)}
    assert keys - fields == {"priority"}
    assert set(result.plan.to_frame().columns) == fields
    assert moves_csv(result).splitlines()[0].split(",") == list(result.plan.to_frame().columns)
    reasoned = dataclasses.replace(
        result, reasons=(Reason(result.plan.moves[0].vm, "", "", 2, {}, "it stays broken"),)
    )
    assert keys <= set(to_document(reasoned)["moves"][0])


@pytest.mark.parametrize("face", ["html", "app", "text"])
def test_a_row_says_the_same_in_each_face(result: Result, face: str) -> None:
    assert result.plan is not None
    rows = told(result.plan.moves, result.reasons)
    if face == "html":
        shown = render_report(result)
    elif face == "app":
        shown = frame(MOVES, rows).to_csv()
    else:
        with (console := Console(width=400)).capture() as said:
            console.print(rich_table(MOVES, rows))
        shown = said.get()
    for row in rows:
        for column in MOVES:
            assert column.show(row) in shown, (face, column.name)


def test_flags_are_told_with_the_vm(result: Result) -> None:
    assert result.plan is not None
    lines = frame(MOVES, told(result.plan.moves, ()))["VM"]
    assert lines[2].endswith("(may not converge)") and lines[4].endswith("(parking)")


def test_a_move_without_a_price_is_not_possible() -> None:
    move = Move(1, 1, "web", "vmotion", "a", "b", total_s=float("nan"), downtime_ms=float("nan"))
    assert list(frame(MOVES, told([move], ()))["Downtime"]) == ["not possible"]


def test_an_open_gap_is_no_number(result: Result) -> None:
    gaps = list(frame(GOALS, result.goals)["Gap"])
    assert gaps[0] == "proven best" and gaps[2] == "–"


def test_names_of_columns_are_fields_of_what_they_show(result: Result) -> None:
    assert result.plan is not None
    shown = (
        (GOALS, result.goals), (VIOLATIONS, result.violations_before),
        (STRANDED, result.plan.stranded), (IMMOVABLE, result.immovable),
    )  # fmt: skip
    for columns, rows in shown:
        assert len(frame(columns, rows)) == len(rows) > 0
        for column in columns:
            assert column.value(rows[0]) == getattr(rows[0], column.name)
