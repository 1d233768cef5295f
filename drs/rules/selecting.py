"""Which VMs and hosts a rule means: the types `Vms` and `Hosts` of its fields, and how they are resolved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from drs.errors import Fault, did_you_mean
from drs.model import Snapshot
from drs.model.selector import Named, Selector, entries, is_pattern, labelled, resolve, select
from drs.terms.base import Ints


@dataclass(frozen=True)
class Chosen:
    """A selector of rows of a table of the snapshot."""

    table: str
    what: str
    words: str
    meaning: str

    def faults(self, where: str, value: object, snapshot: Snapshot) -> Iterator[Fault]:
        if not isinstance(value, str) and not (
            isinstance(value, list | tuple) and all(isinstance(entry, str) for entry in value)
        ):
            yield Fault(where, repr(value), f"the name of a {self.what}, a pattern or a list of them")
            return
        yield from selector_faults(where, value, getattr(snapshot, self.table), self.what)


Vms = Annotated[
    Selector,
    Chosen("vms", "VM", "VMs", "the VMs, by name, pattern (`web-*`) or list of either; `*` is every VM"),
]
"""The type of a field that names VMs."""

Hosts = Annotated[
    Selector,
    Chosen(
        "hosts",
        "host",
        "hosts",
        "the hosts, by name, pattern, `site:NAME`, `rack:NAME`, `vcenter:NAME` or list; `*` is every host",
    ),
]
"""The type of a field that names hosts."""


Datastores = Annotated[
    Selector,
    Chosen(
        "datastores",
        "datastore",
        "datastores",
        "the datastores, by name, pattern (`ssd-*`) or list of either",
    ),
]
"""The type of a field that names datastores."""


def select_vms(selector: Selector, snapshot: Snapshot) -> Ints:
    """Positions of the VMs that a selector means."""
    return select(selector, snapshot.vms)


def select_datastores(selector: Selector, snapshot: Snapshot) -> Ints:
    """Positions of the datastores that a selector means."""
    return select(selector, snapshot.datastores)


def select_hosts(selector: Selector, snapshot: Snapshot) -> Ints:
    """Positions of the hosts that a selector means."""
    return select(selector, snapshot.hosts)


def selector_faults(where: str, selector: Selector, table: Named, what: str) -> Iterator[Fault]:
    """A fault for every name that is not there, and for every pattern that means nothing."""
    if not entries(selector):
        yield Fault(where, "an empty list", f"at least one {what}")
    for pattern in resolve(selector, table)[1]:
        label, value = labelled(pattern, table)
        if label:
            known = set(getattr(table, label).tolist()) - {""}
            yield Fault(
                where,
                f"no {what} has the {label} {value!r}",
                f"the {label} of a {what}",
                did_you_mean(value, known),
            )
        elif is_pattern(pattern):
            yield Fault(where, f"the pattern {pattern!r} names no {what}", f"at least one {what}")
        else:
            near = did_you_mean(pattern, table.position)
            yield Fault(where, f"unknown {what} {pattern!r}", f"the name of a {what}", near)
