"""Names for counts: which items of a kind move, and where to, so that limits on groups hold.

A model of counts knows no names, so it cannot tell which two items may not share a bin. Few of the many items
are in one group, and of the items of a kind nearly any may go: names are chosen so that no group has one too many
in a domain, cheapest items first. What finds no place stays where it is today.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drs.terms import AtMost, Capacity
from drs.terms.base import Floats, Ints, Lowered
from drs.terms.limits import counts

Longs = NDArray[np.int64]


class Groups:
    """How many of each group are in each domain while items are given bins."""

    def __init__(self, terms: Sequence[AtMost], start: Ints) -> None:
        self.terms = terms
        self.at = np.array(start, dtype=np.int32)
        self.count = [counts(start, term.items, term.domain, len(term.limit)) for term in terms]
        self.of: dict[int, list[int]] = {}
        for number, term in enumerate(terms):
            for item in term.items.tolist():
                self.of.setdefault(item, []).append(number)

    def takes(self, item: int, bin_: int) -> bool:
        """Whether no group has one too many when the item is in the bin."""
        here = int(self.at[item])
        for number in self.of.get(item, ()):
            term = self.terms[number]
            d = int(term.domain[bin_])
            if d < 0 or (here >= 0 and term.domain[here] == d):
                continue
            if self.count[number][d] + 1 > term.limit[d] + 1e-9:
                return False
        return True

    def put(self, item: int, bin_: int) -> None:
        """The item goes to the bin."""
        here = int(self.at[item])
        for number in self.of.get(item, ()):
            domain = self.terms[number].domain
            if here >= 0 and domain[here] >= 0:
                self.count[number][domain[here]] -= 1
            if domain[bin_] >= 0:
                self.count[number][domain[bin_]] += 1
        self.at[item] = bin_


def move(groups: Groups, of_bin: dict[int, Longs], net: NDArray[np.int64], price: Floats) -> None:
    """Move items of one kind.

    Parameters
    ----------
    of_bin : the items of the kind in each bin that some leave.
    net : i8[n_bins]: how many more (or, below 0, fewer) of the kind each bin is to hold.
    """
    going = {b: -int(net[b]) for b in of_bin}
    ready = {b: items[np.argsort(price[items], kind="stable")].tolist() for b, items in of_bin.items()}
    for to in np.repeat(np.flatnonzero(net > 0), net[net > 0]).tolist():
        best: tuple[float, int, int] | None = None
        for b, left in going.items():
            if left <= 0:
                continue
            item = next((item for item in ready[b] if groups.takes(item, to)), None)
            if item is not None and (best is None or price[item] < best[0]):
                best = float(price[item]), item, b
        if best is not None:
            _, item, b = best
            groups.put(item, to)
            ready[b].remove(item)
            going[b] -= 1


def place(groups: Groups, waiting: Sequence[int], bins: Sequence[int]) -> None:
    """Give waiting items of one kind the bins that were found for them."""
    free = list(bins)
    for item in waiting:
        at = next((k for k, b in enumerate(free) if groups.takes(item, b)), None)
        if at is not None:
            groups.put(item, free.pop(at))


def mended(lowered: Lowered, assign: Ints) -> Ints:
    """The assignment with items back where they are today (those that wait first) until no wall is crossed."""
    assign = assign.copy()
    while broken := lowered.broken_walls(assign):
        changed = assign != lowered.start
        term = broken[0].term
        if isinstance(term, Capacity):
            over = term.use(assign, lowered.start) > term.limit + 1e-6
            suspects = changed & (assign >= 0) & over[np.maximum(assign, 0)] & (term.demand > 0)
            back = np.flatnonzero(suspects & (lowered.start < 0))[:1]
            back = back if len(back) else np.flatnonzero(suspects)[:1]
        else:
            about = term.about()
            back = np.flatnonzero(changed) if about is None else about[changed[about]]
        if not len(back):
            back = np.flatnonzero(changed)
        if not len(back):
            break
        assign[back] = lowered.start[back]
    return assign
