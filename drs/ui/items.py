"""What a page can be about: hosts, VMs and datastores, and how a click on a table or a bar leads there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from drs.frame import DataFrame
from drs.model import Snapshot
from drs.ui.state import state, update

ITEM = Path(__file__).with_name("views") / "item.py"


@dataclass(frozen=True)
class Kind:
    """A kind of thing: its title, and the names of all of them."""

    title: str
    names: Callable[[Snapshot], list[str]]


KINDS: dict[str, Kind] = {
    "host": Kind("Host", lambda snapshot: list(snapshot.hosts.name.tolist())),
    "vm": Kind("VM", lambda snapshot: list(snapshot.vms.name.tolist())),
    "datastore": Kind("Datastore", lambda snapshot: list(snapshot.datastores.name.tolist())),
}


def look_at(kind: str, name: str) -> None:
    """Open the page of a thing."""
    update(thing=(kind, name))
    st.session_state["item.kind"] = kind
    st.session_state[f"item.name.{kind}"] = name
    st.switch_page(str(ITEM))


def listing(
    table: DataFrame, kind: str, names: Sequence[str], key: str, *, height: int | None = None, **columns: Any
) -> None:
    """A table whose rows lead to the page of the thing that they are about."""
    more: dict[str, Any] = {} if height is None else {"height": height}
    picked = st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        key=key,
        on_select="rerun",
        selection_mode="single-row",
        column_config=columns,
        **more,
    )
    rows = picked["selection"]["rows"]
    if rows and rows[0] < len(names):
        st.session_state.pop(key, None)
        look_at(kind, names[rows[0]])


def in_scope(snapshot: Snapshot) -> Any:
    """The hosts of the cluster that the pages are about, bool[n_hosts]."""
    scope = state().scope
    if scope not in snapshot.clusters.position:
        return np.ones(snapshot.n_hosts, dtype=np.bool_)
    return snapshot.hosts.cluster_idx == snapshot.clusters.position[scope]


def vms_in_scope(snapshot: Snapshot) -> Any:
    """The VMs on those hosts, and those without a host, bool[n_vms]."""
    home = snapshot.vms.host_idx
    hosts = in_scope(snapshot)
    return (home < 0) | hosts[np.maximum(home, 0)] if snapshot.n_hosts else home < 0


def short_names(names: Sequence[str]) -> list[str]:
    """Names without the domain that all of them share: a suffix that begins with a dot."""
    if len(names) < 2:
        return list(names)
    parts = [name.split(".")[::-1] for name in names]
    shared = 0
    while all(len(each) > shared + 1 and each[shared] == parts[0][shared] for each in parts):
        shared += 1
    return [".".join(each[shared:][::-1]) for each in parts]


__all__ = ["KINDS", "Kind", "in_scope", "listing", "look_at", "short_names", "vms_in_scope"]
