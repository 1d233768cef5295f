"""What each VM takes across: memory that is backed, how it is written to, and the frame buffers of its vGPUs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from drs.model import Snapshot
from drs.model.dirtying import dirtying
from drs.precopy import DirtyModel
from drs.terms.base import Ints

VGPU_RESOURCE = "vgpu_gib"
"""The resource (`vgpu_gib_demand`, `vgpu_gib_capacity`) that is the frame buffer of a VM's vGPUs."""


class Guests:
    """The VMs of a snapshot as arguments of `drs.precopy.estimate`."""

    def __init__(self, snapshot: Snapshot) -> None:
        vms = snapshot.vms
        self.memory_mib = vms.memory_mib
        # What the host does not back was never written: it crosses as zero pages.
        backed = np.where(vms.memory_consumed_mib > 0, vms.memory_consumed_mib, vms.memory_mib)
        self.zero_ratio = 1.0 - np.minimum(backed / np.maximum(vms.memory_mib, 1e-9), 1.0)
        self.vgpu_mib = 1024.0 * vms.demand.get(VGPU_RESOURCE, np.zeros(len(vms)))
        self.vcpus = vms.vcpus
        rate_mibps, working_set_mib = dirtying(vms)
        model = DirtyModel.two_numbers(rate_mibps, working_set_mib)
        one, ten = vms.dirtied_1s_mib, vms.dirtied_10s_mib
        known = ~np.isnan(one) & ~np.isnan(ten)
        if known.any():
            most = np.where(np.isnan(vms.working_set_mib), vms.memory_mib, vms.working_set_mib)
            one = np.where(known, np.minimum(one, most), 0.0)
            ten = np.clip(np.where(known, ten, 0.0), one, np.minimum(10.0 * one, most))
            sampled = DirtyModel.two_samples(one, ten, np.maximum(most, 1e-9))
            model = replace(
                model,
                size_mib=np.where(known[:, None], sampled.size_mib, model.size_mib),
                writes_per_page_s=np.where(
                    known[:, None], sampled.writes_per_page_s, model.writes_per_page_s
                ),
            )
        self.dirty = model

    def ask(self, vm_idx: Ints | int) -> dict[str, Any]:
        """The arguments for these VMs in their order, or for one of them (scalars)."""
        dirty = replace(
            self.dirty,
            size_mib=self.dirty.size_mib[vm_idx],
            writes_per_page_s=self.dirty.writes_per_page_s[vm_idx],
            cyclic=np.zeros(self.dirty.size_mib[vm_idx].shape, dtype=bool),
        )
        return {
            "memory_mib": self.memory_mib[vm_idx],
            "zero_ratio": self.zero_ratio[vm_idx],
            "dirty": dirty,
            "vgpu_mib": self.vgpu_mib[vm_idx],
            "vcpus": self.vcpus[vm_idx],
        }
