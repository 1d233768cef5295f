"""`check_rule` passes a sound rule and catches one planted fault of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import numpy as np
import pytest

from drs.errors import Fault
from drs.model import Placement, Snapshot
from drs.rules import Quorum, Rule, RunOn, Violation
from drs.rules.base import Judge
from drs.terms import AtMost, Term
from drs.testing import check_rule
from drs.testing.rules_conformance import SMALL, draw_rule
from drs.testing.scenarios import ask


@dataclass(frozen=True)
class TooWide(Quorum):
    """Its terms let one VM more away."""

    def lower(self, snapshot: Snapshot) -> list[Term]:
        (term,) = super().lower(snapshot)
        assert isinstance(term, AtMost)
        return [replace(term, limit=term.limit + 1)]


@dataclass(frozen=True)
class Blind(Quorum):
    """Its `check` finds nothing."""

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        yield from ()


@dataclass(frozen=True)
class Stranger(Quorum):
    """Its violations name a VM that does not exist."""

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        for found in super().check(snapshot, placement):
            yield replace(found, vms=("nobody",))


class Rigid(AtMost):
    """A limit that does not give way to what is broken today."""

    def relaxed(self, start: np.ndarray) -> AtMost:
        return self


@dataclass(frozen=True)
class NoWayBack(Quorum):
    """Its wall stands on today's placement."""

    def lower(self, snapshot: Snapshot) -> list[Term]:
        (term,) = super().lower(snapshot)
        assert isinstance(term, AtMost)
        return [Rigid(term.items, term.domain, term.limit)]


@dataclass(frozen=True)
class Careless(Quorum):
    """It takes any field."""

    def faults(self, snapshot: Snapshot) -> Iterator[Fault]:
        yield from ()


@dataclass(frozen=True)
class OfTwoMinds(RunOn):
    """Its judge allows what its mask forbids, where no random placement looks."""

    def judge(self, snapshot: Snapshot) -> Judge:
        strict, last = super().judge(snapshot), snapshot.n_vms - 1
        return lambda vm, host: "" if vm == last else strict(vm, host)

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        yield from RunOn(self.vms, self.hosts, name=self.label).check(snapshot, placement)


FIELDS: dict[str, Any] = {"vms": "web-*", "hosts": ("b-1", "b-2"), "at_least": 3}


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (TooWide(**FIELDS), "`check` finds it broken by"),
        (Blind(**FIELDS), "`check` finds it broken by 0"),
        (Stranger(**FIELDS), "names \\['nobody'\\]"),
        (NoWayBack(**FIELDS), "`relaxed` of Rigid breaks today's placement"),
        (Careless(**FIELDS), "is no fault of"),
        (OfTwoMinds("*", "b-*"), "`allowed` says False, `judge` says ''"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Rule) else "",
)
def test_a_planted_fault_is_caught(rule: Rule, says: str) -> None:
    with pytest.raises(AssertionError, match=says) as caught:
        check_rule(rule, seed=3)
    assert "seed 3" in str(caught.value)


def test_a_class_that_is_not_registered_is_told() -> None:
    @dataclass(frozen=True)
    class Mine(Quorum):
        pass

    with pytest.raises(AssertionError, match="register it with @rule"):
        check_rule(Mine(**FIELDS))


def test_a_rule_of_ones_own_snapshot() -> None:
    snapshot = ask({
        "defaults": {"hosts": {"cpu_mhz": 1000, "memory_mib": 1024}},
        "hosts": {"x-[1-2]": {}}, "vms": {"v-[1-3]": {"host": "x-1", "cpu_demand_mhz": 1, "memory_mib": 1}},
    })[0]  # fmt: skip
    check_rule(Quorum("v-*", "x-2", at_least=2), snapshot)
    with pytest.raises(AssertionError, match="it has faults against this snapshot"):
        check_rule(Quorum("v-*", "y-2", at_least=2), snapshot)


def test_a_field_of_which_nothing_can_be_drawn_is_told() -> None:
    @dataclass(frozen=True)
    class Odd(Quorum):
        _: KW_ONLY
        table: dict[str, int]

    with pytest.raises(TypeError, match=r"Odd\.table"):
        check_rule(Odd)


def test_the_same_seed_draws_the_same_rule() -> None:
    snapshot = ask(SMALL)[0]
    one, two = (draw_rule(Quorum, snapshot, np.random.default_rng(5)) for _ in range(2))
    assert one == two
