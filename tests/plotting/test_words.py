"""Figures in words."""

from __future__ import annotations

import doctest
import math

import pytest

from drs import words


def test_examples_of_the_docstrings() -> None:
    assert doctest.testmod(words).failed == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (words.seconds(0), "0 s"),
        (words.seconds(59.6), "1 min 00 s"),
        (words.seconds(math.inf), "never"),
        (words.seconds(math.nan), "–"),
        (words.seconds(3599.7), "1 h 00 min"),
        (words.milliseconds(0), "0 ms"),
        (words.milliseconds(math.nan), "–"),
        (words.mebibytes(0), "0 MiB"),
        (words.megabits(math.inf), "no limit"),
        (words.number(math.inf), "∞"),
        (words.number(-math.inf), "none"),
        (words.percent(math.nan), "–"),
        (words.count(0, "VM"), "0 VMs"),
        (words.count(2, "entry", "entries"), "2 entries"),
        (words.shortened("short"), "short"),
        (words.amount("cpu", 2500), "2.5 GHz"),
        (words.amount("memory", 2048), "2.0 GiB"),
        (words.amount("vgpu", 3), "3"),
    ],
)
def test_edges(given: str, said: str) -> None:
    assert given == said


def test_shortened_names_keep_their_ends() -> None:
    name = "production-database-cluster-node-0017"
    short = words.shortened(name, 16)
    assert len(short) == 16 and short.startswith("prod") and short.endswith("0017")
