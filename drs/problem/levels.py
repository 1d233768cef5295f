"""The lexicographic order of a problem, built in one place for items of any kind: VMs on hosts, disks on datastores.

A limit of policy `hard` or `not_worse` becomes a wall that is as wide as today's assignment needs. Where it is
broken today it is also a cost: in the first level for `hard` rules (it has to vanish), in a later one for
`not_worse`. A `soft` limit is a cost only. The goals follow. A level says what it is for by its `role`; code
asks for the role, and its name is for readers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from drs.model import Snapshot
from drs.rules import Rule
from drs.terms import Capacity, During, Level, Lowered, Role, Term, Wall, Weighted
from drs.terms.base import Ints


def lower(
    snapshot: Snapshot,
    asked: Iterable[tuple[Rule, Term]],
    start: Ints,
    n_bins: int,
    *,
    goals: Sequence[Level],
    walls: Sequence[Wall] = (),
    placed: Sequence[Level] = (),
    urgent: Sequence[Level] = (),
    soft: Sequence[Weighted] = (),
    item_names: Sequence[str] = (),
    bin_names: Sequence[str] = (),
) -> Lowered:
    """The problem as a solver sees it: levels `hard`, placed, `not_worse`, urgent, `soft`, goals in this order.

    Parameters
    ----------
    asked : each rule with one of its terms, over the items
    start : i4[n_items], the bin of each item today, -1 for nowhere
    walls : more limits that no step crosses, beside those of the rules
    placed : levels that count the items that are nowhere. With them, a rule that holds only because items
        are nowhere today is also a cost, so that placing them does not break it where that can be avoided.
    urgent : goals that come before soft rules
    soft : more preferences, beside those of the rules
    """
    of_rules: list[Wall] = []
    during: list[During] = []
    found: dict[Role, list[Weighted]] = {"hard": [], "not_worse": [], "soft": []}
    for rule, term in asked:
        scale = max(rule.scale(snapshot), 1e-12)
        if rule.policy == "soft":
            found["soft"].append(Weighted(term, rule.weight / scale, rule.label))
            continue
        broken = term.cost(start, start) > 0
        of_rules.append(Wall(term.relaxed(start) if broken else term, rule.label))
        if broken or (placed and not isinstance(term, Capacity)):
            found[rule.policy].append(Weighted(term, 1.0 / scale, rule.label))
        if rule.holds == "during":
            during.append(During(term, rule.label))
    found["soft"] += soft

    def rung(role: Role, unit: str) -> list[Level]:
        return [Level(role, tuple(found[role]), unit=unit, role=role)] if found[role] else []

    return Lowered(
        len(start),
        n_bins,
        start,
        (*of_rules, *walls),
        (
            *rung("hard", "broken"),
            *placed,
            *rung("not_worse", "broken"),
            *urgent,
            *rung("soft", "penalty"),
            *goals,
        ),
        tuple(during),
        tuple(item_names),
        tuple(bin_names),
    )
