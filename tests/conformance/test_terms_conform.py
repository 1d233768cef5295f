"""Every reader of terms knows every class, refuses one that it does not know, and a fault in it is caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from drs.model import Snapshot
from drs.planning.replay import _Group, watch
from drs.planning.rooms import Rooms
from drs.solvers.exact import model as exact
from drs.solvers.exact.model import ExactModel, interchangeable
from drs.solvers.kernel.search import Search
from drs.terms import COSTS, LIMITS, During, Level, Limit, Lowered, Wall, Weighted, fused, restrict
from drs.terms.fused import fuse
from drs.testing import ask, check_term
from drs.testing.problems import KINDS, draw_term, random_lowered

TERMS = LIMITS + COSTS


@pytest.mark.parametrize("of", TERMS, ids=lambda of: of.__name__)
def test_every_reading_agrees_with_the_law(of: type) -> None:
    check_term(of, rounds=40)


def test_the_random_generator_covers_all_terms() -> None:
    assert {kind.of for kind in KINDS.values()} == set(TERMS)
    walls: set[type] = set()
    costs: set[type] = set()
    for seed in range(120):
        lowered = random_lowered(seed, n=8, m=4)
        walls |= {type(wall.term) for wall in lowered.walls}
        costs |= {type(entry.term) for level in lowered.levels for entry in level.terms}
    assert walls == set(LIMITS)
    assert costs == set(TERMS)


@pytest.mark.parametrize("of", LIMITS, ids=lambda of: of.__name__)
def test_every_limit_says_what_it_costs_on_the_way(of: type) -> None:
    assert isinstance(draw_term(of, np.random.default_rng(0), 5, 3), Limit)


@dataclass(frozen=True, eq=False)
class Odd:
    """A new term: item 0 in bin 0."""

    def cost(self, assign, start):
        return float(assign[0] != 0)

    def relaxed(self, start):
        return self

    def about(self):
        return np.zeros(1, dtype=np.int32)

    def grouped(self, group, n_groups):
        return self


def lowered_with(term: object, *, wall: bool) -> Lowered:
    start = np.zeros(3, dtype=np.int32)
    walls = (Wall(term, "odd"),) if wall else ()
    levels = () if wall else (Level("odd", (Weighted(term),)),)
    return Lowered(3, 2, start, walls, levels)


def two_hosts() -> Snapshot:
    hosts = {"esx-[1-2]": {"cpu_mhz": 20000, "memory_mib": 65536}}
    vms = {"web-[1-2]": {"host": "esx-1", "cpu_demand_mhz": 1000, "memory_mib": 4096}}
    return ask({"hosts": hosts, "vms": vms})[0]


READERS: dict[str, Callable[[], object]] = {
    "fuse, cost": lambda: fuse(lowered_with(Odd(), wall=False)),
    "fuse, wall": lambda: fuse(lowered_with(Odd(), wall=True)),
    "restrict, cost": lambda: restrict.restrict(
        lowered_with(Odd(), wall=False), np.zeros(3, np.int32), np.array([0]), np.array([0, 1])
    ),
    "restrict, wall": lambda: restrict.restrict(
        lowered_with(Odd(), wall=True), np.zeros(3, np.int32), np.array([0]), np.array([0, 1])
    ),
    "exact, who is alike": lambda: interchangeable(lowered_with(Odd(), wall=False)),
    "exact, cost": lambda: exact.cost_of(Odd(), ExactModel(Lowered(3, 2, np.zeros(3, np.int32), (), ()))),
    "exact, wall": lambda: exact.add_wall(Odd(), ExactModel(Lowered(3, 2, np.zeros(3, np.int32), (), ()))),
    "worst case on the way": lambda: Rooms.of(two_hosts(), [During(Odd(), "odd")], [0]),
    "replay": lambda: watch(Odd(), np.zeros(3, np.int32)),
    "random generator": lambda: draw_term(Odd, np.random.default_rng(0), 3, 2),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_refuses_a_term_that_it_does_not_know(reader: str) -> None:
    with pytest.raises(TypeError, match="Odd"):
        READERS[reader]()


def test_check_term_names_the_reading_that_does_not_know_a_new_term() -> None:
    with pytest.raises(TypeError, match="no compiled form of the term Odd"):
        check_term(lambda rng, n, m: Odd())


# One fault in each reading, planted; `check_term` catches it and names the reading.


def compiled_without_weight(patch: pytest.MonkeyPatch) -> None:
    """The compiled form forgets the level's weight."""
    right = fused.fuse_cost.dispatch(LIMITS[2])

    def wrong(term, builder, level, weight):
        right(term, builder, level, 1.0)

    patch.setattr(fused, "fuse_cost", wrong)


def compiled_wall_one_too_wide(patch: pytest.MonkeyPatch) -> None:
    right = fused.fuse_wall
    patch.setattr(
        fused, "fuse_wall", lambda term, builder: right(replace(term, limit=term.limit + 1), builder)
    )


def restricted_forgets_the_frozen(patch: pytest.MonkeyPatch) -> None:
    """The restriction leaves out the items that are frozen."""
    patch.setattr(
        restrict,
        "restrict_term",
        lambda term, view: (replace(term, items=view.free_items(term.items)), 0.0),
    )


def exact_one_too_wide(patch: pytest.MonkeyPatch) -> None:
    right = exact.cost_of
    patch.setattr(exact, "cost_of", lambda term, model: right(replace(term, limit=term.limit + 1), model))


def worst_case_sees_only_the_end(patch: pytest.MonkeyPatch) -> None:
    """On the way a VM counts on its new host only."""
    patch.setattr(LIMITS[2], "worst_cost", lambda self, here, there, start: self.cost(there, start))


def grouped_keeps_the_old_items(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LIMITS[2], "grouped", lambda self, group, n: replace(self, items=self.items[:1] * 0))


def relaxed_is_not_wide_enough(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LIMITS[2], "relaxed", lambda self, start: self)


def replay_lets_all_pass(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_Group, "breaks", lambda self, *args: None)


FAULTS = [
    (compiled_without_weight, "reads_fused"),
    (compiled_wall_one_too_wide, "reads_fused"),
    (restricted_forgets_the_frozen, "reads_restricted"),
    (exact_one_too_wide, "reads_exact"),
    (worst_case_sees_only_the_end, "reads_on_the_way"),
    (grouped_keeps_the_old_items, "reads_grouped"),
    (relaxed_is_not_wide_enough, "reads_law"),
    (replay_lets_all_pass, "reads_replay"),
]


@pytest.mark.parametrize(("plant", "reading"), FAULTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_fault_in_a_reading_is_caught(
    plant: Callable[[pytest.MonkeyPatch], None], reading: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError, match=f"AtMost, seed .*{reading}"):
        check_term(LIMITS[2], rounds=100)


def test_a_search_over_a_known_term_is_not_refused() -> None:
    """The readers refuse by class, not always."""
    lowered = random_lowered(1, n=6, m=3)
    Search(fuse(lowered), lowered.start, 0)
    assert len(interchangeable(lowered)[0]) == 6
