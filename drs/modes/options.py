"""What a mode may be asked for besides: every option once, with all that a face needs to offer it.

A field of `Options` carries its `Option`: the command line makes its flags of it, the app its controls, and a
what-if scenario its keys. `OPTIONS` has them by name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from drs.problem.request import Also

Kind = Literal["hosts", "clusters", "site", "datastores", "new vms", "baseline", "seconds", "also"]


@dataclass(frozen=True)
class Option:
    """What a face has to know of an option.

    kind : what it names. flag, metavar : on the command line. title : of the app's control. help : one sentence.
    empty : what the app says where nothing is chosen.
    implies : the mode that is meant when this option is given and no mode is named, "" for none.
    """

    kind: Kind
    flag: str
    title: str
    help: str
    metavar: str = ""
    empty: str = "None"
    implies: str = ""

    @property
    def many(self) -> bool:
        """Whether it may be given several times."""
        return self.kind in ("hosts", "clusters", "datastores", "new vms", "also")


def _option(default: Any, kind: Kind, flag: str, title: str, help: str, **more: str) -> Any:
    return dataclasses.field(default=default, metadata={"option": Option(kind, flag, title, help, **more)})


@dataclass(frozen=True)
class Options:
    """What is asked for besides the mode. Names of hosts, clusters and datastores may be patterns.

    evacuate : hosts to empty; in `recover`, hosts that are lost.
    lost : hosts that are lost. site : all hosts of a site, to be emptied or lost.
    deadline_s : by when the hosts must be empty.
    datastores : datastores to empty. new : VMs to place, `LIKE` or `LIKE=COUNT`, made after an existing one.
    baseline : EVC baseline to reach. cluster : the clusters that take part; where none is given those that the
        request speaks of. also : what a request is to do in the same plan, `repair` or `balance` the rest.
    """

    evacuate: Sequence[str] = _option(
        (), "hosts", "--evacuate", "Hosts to empty", "A host to empty; may be repeated, patterns work.",
        metavar="HOST", implies="evacuate", empty="Choose hosts",
    )  # fmt: skip
    lost: Sequence[str] = _option(
        (), "hosts", "--lost", "Hosts that are lost", "A host that is lost; may be repeated, patterns work.",
        metavar="HOST", implies="recover", empty="Those that are disconnected",
    )  # fmt: skip
    site: str = _option("", "site", "--site", "A whole site", "All hosts of a site.", metavar="SITE")
    deadline_s: float | None = _option(
        None, "seconds", "--deadline-s", "Deadline", "By when the hosts must be empty; says which VMs make it.",
        metavar="SECONDS", implies="evacuate",
    )  # fmt: skip
    datastores: Sequence[str] = _option(
        (), "datastores", "--evacuate-datastore", "Datastores to empty", "A datastore to empty; may be repeated.",
        metavar="DATASTORE", implies="storage", empty="None: even out space and latency",
    )  # fmt: skip
    new: Sequence[str] = _option(
        (), "new vms", "--new", "New VMs like this one", "So many VMs like an existing one; may be repeated.",
        metavar="LIKE[=COUNT]", implies="place", empty="None: place the VMs that have no host",
    )  # fmt: skip
    baseline: str = _option(
        "", "baseline", "--baseline", "Baseline to reach", "The EVC baseline to reach.",
        metavar="KEY", implies="upgrade-evc", empty="The highest that every host can take",
    )  # fmt: skip
    cluster: Sequence[str] = _option(
        (), "clusters", "--cluster", "Clusters", "A cluster that is meant; may be repeated, patterns work.",
        metavar="NAME", empty="Every one",
    )  # fmt: skip

    also: Sequence[Also] = _option(
        (), "also", "--also", "In the same plan", "repair what is broken, balance the load: with the request.",
        metavar="REPAIR|BALANCE", empty="Nothing else",
    )  # fmt: skip

    def given(self) -> list[str]:
        """Names of the options that are set."""
        return [name for name in OPTIONS if getattr(self, name) not in ((), [], "", None)]


OPTIONS: Mapping[str, Option] = {
    field.name: field.metadata["option"] for field in dataclasses.fields(Options)
}
"""Every option by the name of its argument."""


def taken_by(modes: Mapping[str, Collection[str]]) -> Mapping[str, str]:
    """For each option the modes that take it, in words."""
    return {name: ", ".join(mode for mode, takes in modes.items() if name in takes) for name in OPTIONS}
