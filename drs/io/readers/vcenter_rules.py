"""DRS rules and groups of a vCenter's clusters (`configurationEx`) as rules of drs.

==============================  =========================================================================
`ClusterAffinityRuleSpec`       keep-together
`ClusterAntiAffinityRuleSpec`   keep-apart
`ClusterVmHostRuleInfo`         run-on or not-run-on; hard where it is mandatory (must), soft else (should)
`ClusterDependencyRuleInfo`     named and not read: it orders restarts, it does not place
==============================  =========================================================================

Rules that are switched off are named and not read. Overrides of single VMs become their `automation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drs.io.readers.identity import distinct_names
from drs.io.readers.protocol import warn
from drs.words import some

if TYPE_CHECKING:
    from drs.rules import Rule


def rules_of(
    clusters: Sequence[tuple[str, Any]], vms: Mapping[Any, str], hosts: Mapping[Any, str]
) -> tuple[Rule, ...]:
    """The rules of some clusters.

    Parameters
    ----------
    clusters : sequence of (name, configurationEx)
        Each cluster with its configuration.
    vms, hosts : mapping of managed object to str
        The names of those that are in the snapshot; others are left out of the rules, and named.
    """
    given = [(cluster, config, rule) for cluster, config in clusters for rule in _all(config, "rule")]
    named = distinct_names(
        {place: " ".join(str(rule.name).split()) for place, (_, _, rule) in enumerate(given)},
        {place: cluster for place, (cluster, _, _) in enumerate(given)},
    )
    found: list[Rule] = []
    off, unread, smaller = [], [], []
    for place, (_, config, rule) in enumerate(given):
        if not getattr(rule, "enabled", True):
            off.append(named[place])
            continue
        made, lost = _rule(rule, named[place], config, vms, hosts)
        if lost:
            smaller.append(named[place])
        if made is None:
            unread.append(named[place])
        else:
            found.append(made)
    if off:
        warn(f"{len(off)} DRS rules are switched off in vCenter and not read: {some(off, 5)}")
    if unread:
        warn(
            f"{len(unread)} DRS rules are not read, they do not place or have too few members: {some(unread, 5)}"
        )
    if smaller:
        warn(f"{len(smaller)} DRS rules name VMs or hosts that are left out: {some(smaller, 5)}")
    return tuple(found)


def _all(config: Any, what: str) -> Sequence[Any]:
    return getattr(config, what, None) or ()


def kind_of(thing: Any) -> str:
    """The type of a data object without its package: `AffinityRuleSpec` of `vim.cluster.AffinityRuleSpec`.

    Parameters
    ----------
    thing : Any
        A data object of pyVmomi.
    """
    return type(thing).__name__.rpartition(".")[2].removeprefix("Cluster")


def _rule(
    rule: Any, name: str, config: Any, vms: Mapping[Any, str], hosts: Mapping[Any, str]
) -> tuple[Rule | None, bool]:
    """The rule, or None where it is none of ours, and whether some of its members are left out."""
    from drs.rules import KeepApart, KeepTogether, NotRunOn, RunOn

    kind = kind_of(rule)
    if kind in ("AffinityRuleSpec", "AntiAffinityRuleSpec"):
        members = _all(rule, "vm")
        known = tuple(vms[ref] for ref in members if ref in vms)
        make = KeepTogether if kind == "AffinityRuleSpec" else KeepApart
        return (make(vms=known, name=name) if len(known) > 1 else None), len(known) < len(members)
    if kind != "VmHostRuleInfo":
        return None, False
    groups = {str(group.name): group for group in _all(config, "group")}
    affine = getattr(rule, "affineHostGroupName", None)
    members = _all(groups.get(str(getattr(rule, "vmGroupName", None))), "vm")
    of_hosts = _all(groups.get(str(affine or getattr(rule, "antiAffineHostGroupName", None))), "host")
    known = tuple(vms[ref] for ref in members if ref in vms)
    known_hosts = tuple(hosts[ref] for ref in of_hosts if ref in hosts)
    lost = len(known) < len(members) or len(known_hosts) < len(of_hosts)
    if not known or not known_hosts:
        return None, lost
    policy = "hard" if getattr(rule, "mandatory", False) else "soft"
    select = RunOn if affine else NotRunOn
    return select(vms=known, hosts=known_hosts, name=name, policy=policy), lost  # type: ignore[arg-type]
