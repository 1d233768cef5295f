"""Where the figures of demand come from: what every answer rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Origin = Literal["measured", "estimated", "configured", "missing"]
ORIGINS: tuple[str, ...] = get_args(Origin)

MEANING = {
    "measured": "measured on the VMs",
    "estimated": "estimated from figures of the hosts",
    "configured": "what is configured, for want of a measurement",
    "missing": "there are no figures, the demand counts as 0",
}
"""What each word means, in a sentence."""


@dataclass(frozen=True)
class Provenance:
    """Where the demand for CPU and memory comes from.

    cpu_demand, memory_demand : the origin of most figures; None where nobody said.
    note : how they were estimated, or what was left out.
    """

    cpu_demand: Origin | None = None
    memory_demand: Origin | None = None
    note: str = ""

    @property
    def is_weak(self) -> bool:
        """Whether the CPU demand was guessed from figures of the hosts, or is not known at all."""
        return self.cpu_demand in ("estimated", "missing")

    def sentence(self) -> str:
        """What the answers rest on, for people.

        >>> Provenance("estimated", "measured", "spread by vCPU").sentence()
        'The answers rest on estimated CPU demand and measured memory demand: spread by vCPU.'
        """
        parts = [
            f"{origin} {what} demand"
            if origin != "missing"
            else f"no figures of {what} demand (it counts as 0)"
            for what, origin in (("CPU", self.cpu_demand), ("memory", self.memory_demand))
            if origin
        ]
        if not parts:
            return ""
        return f"The answers rest on {' and '.join(parts)}{f': {self.note}' if self.note else ''}."


UNSAID = Provenance()
"""Nobody said."""
