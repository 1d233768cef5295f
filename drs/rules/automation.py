"""VMs whose automation level is too low stay where they are."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

import numpy as np

from drs.model import Snapshot
from drs.model.snapshot import AUTOMATION
from drs.rules.base import HostFilter, Judge, When, stay
from drs.rules.catalogue import rule
from drs.rules.selecting import Vms, select_vms
from drs.terms import Allowed


@rule("automation")
@dataclass(frozen=True)
class Automation(HostFilter):
    """Of these VMs only those move whose automation level is `at_least` this; `manual` holds only disabled ones.

    The level is the VM's own, else its cluster's. VMs whose own level is `disabled` are held without the rule, unless
    a request is about them.

    at_least : the lowest level that moves; `manual` holds only disabled ones
    """

    binds_restarts: ClassVar[bool] = False
    default_when: ClassVar[When] = "during"

    _: KW_ONLY
    at_least: Literal["manual", "partial", "full"] = "full"
    vms: Vms = "*"

    def judge(self, snapshot: Snapshot) -> Judge:
        held, today = set(select_vms(self.vms, snapshot).tolist()), snapshot.vms.host_idx.tolist()

        def why_not(vm: int, host: int) -> str:
            if vm not in held or today[vm] in (-1, host):
                return ""
            level = snapshot.automation_of(vm)
            if AUTOMATION.index(level) >= AUTOMATION.index(self.at_least):
                return ""
            return f"its automation level is {level}: it stays on {snapshot.hosts.name[today[vm]]}"

        return why_not

    def allowed(self, snapshot: Snapshot) -> Allowed | None:
        rank = {level: number for number, level in enumerate(AUTOMATION)}
        own = np.array([rank.get(level, -1) for level in snapshot.vms.automation.tolist()], dtype=np.int64)
        of_cluster = np.array(
            [rank[level] for level in snapshot.clusters.automation.tolist()] + [rank["full"]]
        )
        host = snapshot.vms.host_idx
        cluster = np.where(host >= 0, snapshot.hosts.cluster_idx[host], -1) if snapshot.n_hosts else host
        level = np.where(own >= 0, own, of_cluster[cluster])
        fixed = np.zeros(snapshot.n_vms, dtype=bool)
        fixed[select_vms(self.vms, snapshot)] = True
        return stay(fixed & (level < rank[self.at_least]), snapshot)
