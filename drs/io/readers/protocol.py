"""What a reader is: it recognises its source by looking, reads it, and says what it did not use.

A new source is one file in this folder that ends in `READER = Reader(...)`, and one line in `catalogue.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from drs.io.raw import InputWarning
from drs.io.readers.look import Look
from drs.io.readers.vcenter_login import Login
from drs.model.snapshot import Snapshot

if TYPE_CHECKING:
    from drs.rules import Rule

Tried = Literal[
    "real exports", "files built from published formats", "a simulator and fakes", "its own output"
]


@dataclass(frozen=True)
class Options:
    """How to read.

    without_unknown_hosts : leave out running VMs whose host the source lacks; they are a fault otherwise.
    scale_to_hosts : scale the VMs' figures so that their sums are what their hosts measured.
    login : for a vCenter: who asks, and which certificate is trusted.
    """

    without_unknown_hosts: bool = False
    scale_to_hosts: bool = False
    login: Login = field(default_factory=Login)


@dataclass(frozen=True)
class Loads:
    """A load history that names its VMs, for a snapshot that has them.

    source : what to call it.
    rows : (VM, seconds since 1970 UTC, CPU in MHz or None, active memory in MiB or None).
    """

    source: str
    rows: tuple[tuple[str, int, float | None, float | None], ...] = field(repr=False)


@dataclass(frozen=True)
class Reading:
    """What a reader found.

    snapshot : None where the source holds load histories alone.
    rules : what the source says about where VMs may run, as rules of drs.
    unused : what the source holds and nobody read, a line each.
    loads : load histories to join to a snapshot by the names of its VMs.
    """

    snapshot: Snapshot | None = None
    rules: tuple[Rule, ...] = ()
    unused: tuple[str, ...] = ()
    loads: tuple[Loads, ...] = ()


@dataclass(frozen=True)
class Reader:
    """One kind of source.

    name : what people call it.
    give : what to export and give, for `drs convert --help`.
    tried : what it was tried on.
    recognises : whether it reads what was looked at.
    read : reads it; raises InputError with every fault.
    together : whether several files are the parts of one inventory; else each is an inventory of its own.
    """

    name: str
    give: str
    tried: Tried
    recognises: Callable[[Look], bool]
    read: Callable[[Sequence[Look], Options], Reading]
    together: bool = False


def warn(text: str) -> None:
    """Tell of something odd in a source that does not keep it from being read."""
    warnings.warn(text, InputWarning, stacklevel=3)
