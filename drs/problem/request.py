"""What is asked of a cluster, beside what always holds there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drs.rules import Rule


@dataclass(frozen=True)
class Request:
    """One request: it comes first, as far as it goes, and other VMs stay where that is possible.

    rules : what is asked, as hard rules (these VMs not on these hosts). Each VM that can be helped is, whether or
        not all can. Without any, the VMs that have no host are what is asked.
    besides : rules that hold because of the request and say nothing of it (a host's state).
    also : what is asked for in the same plan: `repair` what is broken, `balance` the load.
    few_others : whether other VMs stay where that is possible; without it the goals decide who moves.
    """

    rules: Sequence[Rule] = ()
    besides: Sequence[Rule] = ()
    also: Sequence[str] = ()
    few_others: bool = True
