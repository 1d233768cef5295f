"""DRS rules, as far as the columns Cluster rule(s) and Cluster rule name(s) of vInfo say them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drs.io.readers.protocol import warn
from drs.io.readers.vsphere.vms import Vms
from drs.words import some

if TYPE_CHECKING:
    from drs.rules import Rule


def rules(vms: Vms) -> tuple[Rule, ...]:
    """VM-VM affinity and anti-affinity rules; the others, which lack their hosts, are named and not read.

    A cell lists the kinds of the VM's rules, the other their names, in the same order.

    Parameters
    ----------
    vms : Vms
        The VMs.
    """
    from drs.rules import KeepApart, KeepTogether

    info = vms.info
    kinds_of, names_of = info.column("Cluster rule(s)"), info.column("Cluster rule name(s)")
    clusters = info.column("Cluster")
    members: dict[tuple[str, str, str, str], list[str]] = {}
    unread: dict[str, None] = {}
    for row in vms.rows:
        names = _split(names_of[row])
        kinds = [_kind(kind) for kind in _split(kinds_of[row])]
        if len(kinds) == 1:
            kinds = kinds * max(1, len(names))
        if len(kinds) != len(names):
            unread.update(dict.fromkeys(names or _split(kinds_of[row])))
            continue
        vm = vms.names[row]
        for kind, name in zip(kinds, names, strict=True):
            if kind == "" or vm is None:
                unread[name] = None
            else:
                key = (vms.vcenters[row], str(clusters[row]), name, kind)
                members.setdefault(key, []).append(vm)
    found: list[Rule] = []
    taken: dict[str, int] = {}
    for (_, _, name, kind), group in members.items():
        if len(group) < 2:
            unread[name] = None
            continue
        taken[name] = taken.get(name, 0) + 1
        unique = name if taken[name] == 1 else f"{name} #{taken[name]}"
        make = KeepApart if kind == "apart" else KeepTogether
        found.append(make(vms=tuple(group), name=unique))
    if unread:
        warn(
            f"sheet {info.name}: {len(unread)} DRS rules are not read, for the export does not have their hosts, "
            f"their kind or all their VMs; write them into rules.toml: {some(list(unread), 5)}"
        )
    return tuple(found)


def _split(cell: object) -> list[str]:
    return [] if cell is None else [part.strip() for part in str(cell).split(",") if part.strip()]


def _kind(text: str) -> str:
    """`apart`, `together`, or "" for a rule about hosts and anything else."""
    plain = "".join(sign for sign in text.casefold() if sign.isalpha())
    if "host" in plain or "depend" in plain:
        return ""
    return "apart" if "anti" in plain else "together" if "affin" in plain else ""
