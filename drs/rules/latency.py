"""VMs that talk to each other run on hosts that are near in the network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from drs.errors import Fault
from drs.model import Placement, Snapshot
from drs.model.network import Network
from drs.model.selector import cached
from drs.rules.base import Rule, Violation, hosts_of, names_of
from drs.rules.catalogue import rule
from drs.rules.fields import Amount
from drs.rules.selecting import Vms, select_vms
from drs.terms import Term, Together
from drs.terms.base import Bools, Ints
from drs.words import some


@rule("latency")
@dataclass(frozen=True)
class Latency(Rule):
    """Between the hosts of any two of these VMs the round trip takes at most `max_rtt_ms`.

    "Near" must part the hosts into groups: where a host is near two others that are not near each other,
    the rule is refused and a `keep-together` with a scope says what is meant.

    max_rtt_ms : the longest round trip in ms
    """

    reason_code: ClassVar[str] = "jointAffin"
    asks: ClassVar[str] = "what belongs together runs apart"

    vms: Vms
    _: KW_ONLY
    max_rtt_ms: Amount = 1.0

    def _near(self, snapshot: Snapshot) -> Bools:
        """Whether two hosts are near, bool[n_hosts, n_hosts]."""

        def make() -> Bools:
            n, network = snapshot.n_hosts, Network.of(snapshot)
            a, b = np.divmod(np.arange(n * n), max(n, 1))
            with np.errstate(invalid="ignore"):
                near = network.paths(a, b).rtt_ms <= self.max_rtt_ms + 1e-9
            return np.asarray(near.reshape(n, n))

        found: Bools = cached(snapshot, ("near", self.max_rtt_ms), make)
        return found

    def _groups(self, snapshot: Snapshot) -> tuple[Ints, int]:
        names, idx = np.unique(self._near(snapshot), axis=0, return_inverse=True)
        return idx.reshape(-1).astype(np.int32), len(names)

    def check(self, snapshot: Snapshot, placement: Placement) -> Iterator[Violation]:
        near, vms = self._near(snapshot), select_vms(self.vms, snapshot).tolist()
        placed = [vm for vm in vms if placement.host_idx[vm] >= 0]
        best: list[int] = []
        for vm in placed:
            around = [w for w in placed if near[placement.host_idx[vm], placement.host_idx[w]]]
            best = max(best, around, key=len)
        far = [vm for vm in placed if vm not in best]
        if far:
            who = names_of(far, snapshot)
            yield Violation(
                self.label,
                who,
                hosts_of(far, snapshot, placement),
                float(len(far)),
                "VMs",
                f"{some(who)} more than {self.max_rtt_ms:g} ms away from {some(names_of(best, snapshot))}",
            )

    def lower(self, snapshot: Snapshot) -> list[Term]:
        vms = select_vms(self.vms, snapshot)
        domain, n_groups = self._groups(snapshot)
        return [Together(vms, domain, n_groups)] if len(vms) > 1 else []

    def misfits(self, snapshot: Snapshot) -> Iterator[Fault]:
        near, (group, _) = self._near(snapshot), self._groups(snapshot)
        if not np.array_equal(near, group[:, None] == group[None, :]):
            yield Fault(
                self.field("max_rtt_ms"),
                f"{self.max_rtt_ms:g} ms does not part the hosts into groups that are near each other",
                "a figure between the round trips inside a group and those between groups",
            )
