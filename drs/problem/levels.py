"""The lexicographic order of a problem, built in one place for items of any kind: VMs on hosts, disks on datastores.

A limit of policy `hard` or `not_worse` becomes a wall that is as wide as today's assignment needs. Where it is
broken today it is also a cost: in the first level for `hard` rules (it has to vanish), in a later one for
`not_worse`. A `soft` limit is a cost only. The goals follow. A level says what it is for by its `role`; code
asks for the role, and its name is for readers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from drs.model import Snapshot
from drs.problem.request import Request
from drs.rules import Rule
from drs.terms import (
    Allowed,
    AtLeast,
    Capacity,
    During,
    Level,
    Lowered,
    MoveCost,
    Near,
    Role,
    Term,
    Wall,
    Weighted,
)
from drs.terms.base import Bools, Ints


def lower(
    snapshot: Snapshot,
    asked: Iterable[tuple[Rule, Term]],
    start: Ints,
    n_bins: int,
    *,
    goals: Sequence[Level],
    walls: Sequence[Wall] = (),
    placed: Sequence[Level] = (),
    request: Request | None = None,
    urgent: Sequence[Level] = (),
    soft: Sequence[Weighted] = (),
    item_names: Sequence[str] = (),
    bin_names: Sequence[str] = (),
) -> Lowered:
    """The problem as a solver sees it: levels `asked`, `hard`, placed, `not_worse`, `others`, urgent, `soft`, goals;
    urgent before `others` where the request is to repair as well.

    Parameters
    ----------
    asked : each rule with one of its terms, over the items
    start : i4[n_items], the bin of each item today, -1 for nowhere
    walls : more limits that no step crosses, beside those of the rules
    placed : levels that count the items that are nowhere. With them, a rule that holds only because items
        are nowhere today is also a cost, so that placing them does not break it where that can be avoided.
    request : what is asked comes first, then that few other items move. What is broken today and not asked for
        stays out of the levels, unless the request says so; that it gets no worse is the walls' matter.
    urgent : goals that come before soft rules
    soft : more preferences, beside those of the rules
    """
    of_rules: list[Wall] = []
    during: list[During] = []
    found: dict[Role, list[Weighted]] = {"asked": [], "hard": [], "not_worse": [], "soft": []}
    repairs = request is None or bool(request.also)
    waits = start < 0
    wanted = waits.copy()
    for rule, term in asked:
        scale = max(rule.scale(snapshot), 1e-12)
        if rule.policy == "soft":
            found["soft"].append(Weighted(term, rule.weight / scale, rule.label))
            continue
        broken = term.cost(start, start) > 0
        of_rules.append(Wall(term.relaxed(start) if broken else term, rule.label))
        cost = Weighted(term, 1.0 / scale, rule.label)
        if request is not None and rule in request.rules:
            found["asked"].append(cost)
            wanted |= _concerned(term, start)
        elif (repairs and (broken or _unplaced_matter(term, waits))) or (
            not repairs and _placing_helps(term, waits)
        ):
            found[rule.policy].append(cost)
        if rule.holds == "during":
            during.append(During(term, rule.label))
    found["soft"] += soft
    few: list[Level] = []
    if request is not None and request.few_others and "balance" not in request.also:
        others = Weighted(MoveCost(np.where(wanted, 0.0, 1.0)), origin="other VMs")
        few = [Level("others", (others,), unit="VMs", role="others")]

    def rung(role: Role, unit: str) -> list[Level]:
        return [Level(role, tuple(found[role]), unit=unit, role=role)] if found[role] else []

    return Lowered(
        len(start),
        n_bins,
        start,
        (*of_rules, *walls),
        (
            *rung("asked", "VMs"),
            *rung("hard", "broken"),
            *placed,
            *rung("not_worse", "broken"),
            *((*urgent, *few) if repairs else (*few, *urgent)),
            *rung("soft", "penalty"),
            *goals,
        ),
        tuple(during),
        tuple(item_names),
        tuple(bin_names),
    )


def _concerned(term: Term, start: Ints) -> Bools:
    """The items that what is asked speaks of: those that are not where it allows, bool[n_items]."""
    about = term.about()
    concerned = np.zeros(len(start), dtype=np.bool_)
    if about is not None:
        concerned[about] = True
    elif isinstance(term, Allowed):
        placed = start >= 0
        concerned = placed & ~term.mask[term.class_idx, np.maximum(start, 0)]
    return concerned


def _unplaced_matter(term: Term, waits: Bools) -> bool:
    """Whether a limit that holds today may be broken by placing what is nowhere."""
    return bool(waits.any()) and not isinstance(term, Capacity)


def _placing_helps(term: Term, waits: Bools) -> bool:
    """Whether a limit has to do with what is nowhere, and can be mended by where that is placed.

    Of all other limits placing can only break more, which the walls forbid: what is broken of them today is
    the matter of items that are placed, and nobody asked for these to move.
    """
    about = term.about()
    return isinstance(term, AtLeast | Near) and about is not None and bool(waits[about].any())
