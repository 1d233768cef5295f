"""Selectors: names, patterns and lists of either."""

from __future__ import annotations

import numpy as np
import pytest

from drs import datasets, read
from drs.model.selector import resolve, select


def test_names_patterns_and_lists_mean_ascending_positions_each_once() -> None:
    hosts = read(datasets.path("small")).hosts
    first, second = str(hosts.name[0]), str(hosts.name[1])
    assert select(second, hosts).tolist() == [1]
    assert select([second, first, second, first[:-1] + "[0-9]"], hosts).tolist()[:2] == [0, 1]
    assert select("*", hosts).tolist() == list(range(len(hosts)))
    assert select((), hosts).tolist() == []


def test_entries_that_name_nothing_are_told_apart_from_the_others() -> None:
    hosts = read(datasets.path("small")).hosts
    rows, unknown = resolve([str(hosts.name[2]), "no-such-host", "nowhere-*"], hosts)
    assert rows.tolist() == [2]
    assert unknown == ("no-such-host", "nowhere-*")


def test_a_name_with_a_sign_of_a_pattern_is_a_name_first() -> None:
    import dataclasses

    hosts = read(datasets.path("small")).hosts
    name = np.array(["a[1]", "a1", *hosts.name[2:].tolist()])
    assert select("a[1]", dataclasses.replace(hosts, name=name)).tolist() == [0]


def test_an_answer_is_kept_with_its_table_and_cannot_be_changed() -> None:
    hosts = read(datasets.path("small")).hosts
    rows = select(["*"], hosts)
    assert select(("*",), hosts) is rows
    with pytest.raises(ValueError, match="read-only"):
        rows[0] = 1
