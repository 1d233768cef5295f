"""The VMs' figures against those of their hosts: compared, spread where there are none, scaled when asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from drs.io.readers.protocol import warn
from drs.io.readers.vsphere.hosts import Hosts
from drs.model.provenance import Origin, Provenance
from drs.words import some

TOLERANCE = 0.1
"""A difference above this share of the host's own figure is told."""
NO_SLACK: Mapping[str, float] = MappingProxyType({})


@dataclass
class Figures:
    """Figures of the VMs of an export, a cell for each VM.

    hosts, power : our name of its host, and `on` or `off`.
    vcpus, memory_mib : what is configured.
    cpu_mhz, active_mib, consumed_mib : what was measured; None where it was not.
    lacks : what to say where no VM has a figure of CPU.
    """

    hosts: list[Any]
    power: list[Any]
    vcpus: list[Any]
    memory_mib: list[Any]
    cpu_mhz: list[Any]
    active_mib: list[Any]
    consumed_mib: list[Any]
    lacks: str
    notes: list[str] = field(default_factory=list)

    def running(self) -> list[int]:
        """The VMs that are powered on."""
        return [vm for vm, state in enumerate(self.power) if state == "on"]

    def sums(self, cells: Sequence[Any]) -> dict[Any, float]:
        """The sum of some cells of the running VMs, by host."""
        total: dict[Any, float] = {}
        for vm in self.running():
            value = cells[vm]
            total[self.hosts[vm]] = total.get(self.hosts[vm], 0.0) + (
                value if isinstance(value, float) else 0.0
            )
        return total


def settle(figures: Figures, hosts: Hosts, *, scale: bool) -> Provenance:
    """Compare the VMs' figures with those of their hosts, and fill or scale them.

    Parameters
    ----------
    figures : Figures
        Its `cpu_mhz` and `consumed_mib` are changed.
    hosts : Hosts
        What the hosts measured.
    scale : bool
        Scale the VMs' figures so that their sums are those of the hosts.

    Returns
    -------
    Provenance
        Where the figures now come from.
    """
    cpu = _cpu(figures, hosts, scale)
    memory = _memory(figures, hosts, scale)
    _compare_counts(figures, hosts)
    return Provenance(cpu, memory, "; ".join(figures.notes))


def _cpu(figures: Figures, hosts: Hosts, scale: bool) -> Origin:
    used = hosts.used_mhz()
    running = figures.running()
    without = [vm for vm in running if figures.cpu_mhz[vm] is None]
    if running and len(without) == len(running):
        return _spread(figures, used)
    if without:
        warn(
            f"{len(without)} of {len(running)} running VMs have no figure of CPU demand; they count as 0 MHz"
        )
        figures.notes.append(f"{len(without)} running VMs without a figure count as 0 MHz")
    # The percentage of a host is a whole number: half of one is no difference.
    cpu_mhz = zip(hosts.names, hosts.cpu_mhz, strict=True)
    slack = {str(name): 0.005 * mhz for name, mhz in cpu_mhz if isinstance(mhz, float)}
    off = _differences(figures.sums(figures.cpu_mhz), used, slack)
    if off and scale:
        _scale(figures, figures.cpu_mhz, off, used, "CPU usage")
        return "estimated"
    if off:
        warn(
            "the CPU usage of the VMs (sheet vCPU) and that of their host (sheet vHost) differ by more than "
            f"10 % on {len(off)} of {len(used)} hosts: {_both(off, used, 'MHz')}; "
            "the option scale-to-hosts scales the VMs to their hosts"
        )
    return "measured"


def _memory(figures: Figures, hosts: Hosts, scale: bool) -> Origin:
    running = figures.running()
    known = [
        vm for vm in running if figures.active_mib[vm] is not None or figures.consumed_mib[vm] is not None
    ]
    if not known:
        return "configured"
    if len(known) < len(running):
        warn(
            f"{len(running) - len(known)} of {len(running)} running VMs have no figure of memory; "
            "their configured memory counts"
        )
    used = hosts.measured("VM Used memory")
    if any(cell is not None for cell in figures.consumed_mib):
        off = _differences(figures.sums(figures.consumed_mib), used)
        if off and scale:
            _scale(figures, figures.consumed_mib, off, used, "consumed memory")
            for vm, size in enumerate(figures.memory_mib):
                cell = figures.consumed_mib[vm]
                if isinstance(cell, float) and isinstance(size, float):
                    figures.consumed_mib[vm] = min(cell, size)
            return "estimated"
        if off:
            warn(
                "the consumed memory of the VMs (sheet vMemory) and that of their host (sheet vHost, VM Used "
                f"memory) differ by more than 10 % on {len(off)} of {len(used)} hosts: "
                f"{_both(off, used, 'MiB')}; the option scale-to-hosts scales the VMs to their hosts"
            )
    return "measured"


def _spread(figures: Figures, used: Mapping[str, float]) -> Origin:
    """The CPU usage of each host, shared out over its running VMs by their vCPUs, in MHz."""
    weights = [
        (count if isinstance(count, float) else 1.0) if state == "on" else 0.0
        for count, state in zip(figures.vcpus, figures.power, strict=True)
    ]
    total = figures.sums(weights)
    if not any(used.get(host) for host in total):
        warn(f"{figures.lacks}: the CPU demand of every VM is taken as 0")
        return "missing"
    dark = [str(host) for host in total if host is not None and not used.get(host)]
    warn(
        f"{figures.lacks}: the CPU demand of the VMs is estimated, the CPU usage % of each host in the sheet vHost "
        "is spread over its running VMs by their vCPUs"
        + (f"; {len(dark)} hosts have no CPU usage %: {some(dark, 3)}" if dark else "")
    )
    figures.notes.append("the CPU usage of each host is spread over its running VMs by their vCPUs")
    figures.cpu_mhz[:] = [
        used.get(host, 0.0) * weight / total[host] if total.get(host) else 0.0
        for host, weight in zip(figures.hosts, weights, strict=True)
    ]
    return "estimated"


def _differences(
    sums: Mapping[Any, float], measured: Mapping[str, float], slack: Mapping[str, float] = NO_SLACK
) -> dict[str, float]:
    """The sum of the VMs, of each host whose own figure is more than a tenth off, beyond its slack."""
    return {
        host: sums.get(host, 0.0)
        for host, value in measured.items()
        if abs(sums.get(host, 0.0) - value) > max(TOLERANCE * value, slack.get(host, 0.0))
    }


def _both(off: Mapping[str, float], measured: Mapping[str, float], unit: str) -> str:
    said = [f"{host} {value:,.0f} {unit} against {measured[host]:,.0f}" for host, value in off.items()]
    return some(said, 3)


def _scale(
    figures: Figures, cells: list[Any], off: Mapping[str, float], measured: Mapping[str, float], what: str
) -> None:
    factors = {host: measured[host] / value for host, value in off.items() if value > 0}
    for vm in figures.running():
        if figures.hosts[vm] in factors and isinstance(cells[vm], float):
            cells[vm] *= factors[figures.hosts[vm]]
    factor = [f"{host} × {each:.2f}" for host, each in factors.items()]
    idle = [host for host, value in off.items() if value <= 0]
    if factors:
        text = f"the {what} of the VMs is scaled to that of their host on {len(factors)} hosts: {some(factor, 3)}"
        warn(text)
        figures.notes.append(text)
    if idle:
        warn(f"{len(idle)} hosts measured a {what} and none of their VMs did: {some(idle, 3)}")


def _compare_counts(figures: Figures, hosts: Hosts) -> None:
    """VMs, their vCPUs and their memory, counted in the export and by the hosts themselves."""
    running = figures.running()
    counted: list[tuple[str, str, Mapping[Any, float]]] = [
        ("# VMs", "running VMs", dict(Counter(figures.hosts[vm] for vm in running))),
        ("# vCPUs", "vCPUs of running VMs", figures.sums(figures.vcpus)),
        ("vRAM", "MiB of memory of running VMs", figures.sums(figures.memory_mib)),
    ]
    for label, what, sums in counted:
        said = hosts.measured(label)
        off = _differences({host: float(value) for host, value in sums.items()}, said)
        if off:
            here, there = sum(float(sums.get(host, 0)) for host in said), sum(said.values())
            warn(
                f"the export has {here:,.0f} {what}, its hosts count {there:,.0f} (sheet vHost, column {label}): "
                f"more than 10 % off on {len(off)} of {len(said)} hosts: "
                f"{some([f'{host} {value:,.0f} against {said[host]:,.0f}' for host, value in off.items()], 3)}"
            )
