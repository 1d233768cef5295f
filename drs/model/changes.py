"""A snapshot in which hosts have another state."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from drs.model.snapshot import Snapshot


def in_state(snapshot: Snapshot, hosts: Iterable[str], state: str) -> Snapshot:
    """The snapshot with these hosts in another state."""
    return in_states(snapshot, dict.fromkeys(hosts, state))


def in_states(snapshot: Snapshot, changes: Mapping[str, str]) -> Snapshot:
    """The snapshot with each of these hosts, by name, in another state."""
    states = snapshot.hosts.state.tolist()
    for host, state in changes.items():
        states[snapshot.hosts.position[host]] = state
    hosts = dataclasses.replace(snapshot.hosts, state=np.array(states, dtype=np.str_))
    return dataclasses.replace(snapshot, hosts=hosts)
