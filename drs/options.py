"""What a mode can be asked for: each option is declared once, here.

The flags and the help of the command line, the form of the app, the keys of scenarios and the checks of values are
made from `OPTIONS` (`drs.advise`) and `ROLLING` (`drs.modes.rolling`). Faults name an option as Python does; the
command line puts its flag there. This module imports nothing that takes time, so that `drs --help` does not wait.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from drs.errors import Fault, InputError, did_you_mean
from drs.words import hours_of_day, stage_of

Kind = Literal[
    "host", "site", "datastore", "cluster", "vm", "baseline", "new", "move", "file", "duration_s", "count", "also",
    "hours", "moment", "stage", "flavour",
]  # fmt: skip

ALSO = ("repair", "balance")
"""What a request can be asked to do in the same plan."""

MODES: Mapping[str, str] = {
    "balance": "repair what is broken, then even out the load",
    "evacuate": "empty hosts for maintenance",
    "consolidate": "as few hosts powered on as possible, those that need least power",
    "recover": "hosts are lost, restart their VMs",
    "place": "find hosts for new VMs",
    "upgrade-evc": "the highest EVC baseline that a cluster can take",
    "storage": "even out datastores, or empty them",
    "move": "bring VMs to hosts, clusters or datastores, or back home",
    "defragment": "gather scattered free room for VMs of a size",
}
"""The modes, and what each is for."""

IN_TIME = ("balance", "evacuate", "consolidate", "upgrade-evc", "storage", "move", "defragment")
"""The modes whose plan can be given a time."""

IN_STAGES = ("balance", "evacuate", "consolidate", "move")
"""The modes whose plan can be carried out in stages."""

MOST_NEW = 10_000
"""So many new VMs at most like one existing VM."""


PARSED: Mapping[str, tuple[Callable[[str], object], str]] = {
    "hours": (hours_of_day, "hours of the day, such as 22:00-06:00"),
    "stage": (stage_of, "a number of moves, GiB or a time: 200, 50GiB or 30min"),
    "moment": (datetime.fromisoformat, "a date and time, such as 2026-12-01T22:00"),
}
"""Kinds that are read from a text: by what, and what is expected."""


@dataclass(frozen=True)
class Option:
    """One option.

    name : its argument in Python. title : its heading in a form. help : a sentence about it.
    kind : what it holds. Hosts, sites, datastores, clusters and VMs are names or patterns (`esx-*`); `baseline` is
        the key of an EVC baseline, `flavour` is a size of VM such as `16c/32g`,
        `new` is `LIKE` or `LIKE=COUNT`, `move` is `VM=TARGET`, `file` is a path, `duration_s` are seconds, `count` is a
        whole number.
    modes : those that take it; none for a rolling campaign's.
    implies : the mode that it means when none is named.
    flag : what the command line calls it, without dashes; metavar : what stands for its value there.
    repeatable : whether it holds several values. unset : what it means when it is not given.
    above, least : a number is above the one, and not below the other.
    """

    name: str
    kind: Kind
    title: str
    help: str
    modes: tuple[str, ...] = ()
    implies: str = ""
    flag: str = ""
    metavar: str = ""
    repeatable: bool = False
    unset: str = "None"
    above: float = -math.inf
    least: float = -math.inf
    default: Any = None

    def faults(self, value: Any) -> Iterator[Fault]:
        """What is wrong with a value, whatever the cluster."""
        if value == self.default:
            return
        if self.kind in ("duration_s", "count"):
            if not (math.isfinite(value) and value > self.above and value >= self.least):
                limit = f"above {self.above:g}" if self.above > -math.inf else f"{self.least:g} or more"
                unit = "seconds" if self.kind == "duration_s" else "a whole number"
                yield Fault(self.name, f"{value:g}", f"{unit}, {limit}")
        elif self.kind == "baseline":
            from drs.model.cpu import BASELINES

            if value not in BASELINES:
                yield Fault(self.name, f"unknown EVC baseline {value!r}",
                            "a key such as intel-broadwell or amd-zen2", did_you_mean(value, BASELINES))  # fmt: skip
        elif self.kind == "flavour":
            yield from _no_flavour(self.name, value)
        elif self.kind in PARSED:
            parse, expected = PARSED[self.kind]
            try:
                parse(value)
            except ValueError:
                yield Fault(self.name, repr(value), expected)
        elif self.kind == "also":
            for text in value:
                if text not in ALSO:
                    near = did_you_mean(text, ALSO)
                    yield Fault(self.name, repr(text), f"one of {', '.join(ALSO)}", near)
        elif self.kind == "move":
            for text in value:
                vm, equals, target = text.rpartition("=")
                if not (vm and equals and target):
                    yield Fault(
                        self.name, repr(text), "VM=TARGET, the target a host, a cluster or a datastore"
                    )
        elif self.kind == "new":
            for text in value:
                like, _, count = text.partition("=")
                if not like or ("=" in text and not _is_count(count)):
                    yield Fault(self.name, repr(text), f"LIKE=COUNT with a count from 1 to {MOST_NEW}")


def _no_flavour(name: str, value: Any) -> Iterator[Fault]:
    """A fault for what is no size of VM."""
    from drs.model.flavour import EXPECTED, flavours

    try:
        flavours(value)
    except ValueError as error:
        yield Fault(name, str(error), EXPECTED)


def _is_count(text: str) -> bool:
    return text.isdecimal() and 0 < int(text) <= MOST_NEW


def _option(default: Any, kind: Kind, title: str, help: str, **more: Any) -> Any:
    said = {"kind": kind, "title": title, "help": help, "repeatable": default == (), **more}
    return dataclasses.field(default=default, metadata=said)


def _declared(cls: type) -> dict[str, Option]:
    """The options of a dataclass by name."""
    return {
        each.name: Option(
            **{
                "name": each.name,
                "flag": each.name.replace("_", "-"),
                "default": each.default,
                **each.metadata,
            }
        )
        for each in dataclasses.fields(cls)
    }


class _Given:
    """What options have in common."""

    def given(self) -> list[str]:
        """Names of the options that are set."""
        return [
            each.name
            for each in dataclasses.fields(self)  # type: ignore[arg-type]
            if getattr(self, each.name) not in ((), [], "", each.default)
        ]


@dataclass(frozen=True)
class Options(_Given):
    """What is asked for besides the mode.

    evacuate : hosts to empty, names or patterns; in `recover`, hosts that are lost.
    lost : hosts that are lost. site : all hosts of a site, to be emptied or lost.
    deadline_s : by when the hosts must be empty.
    to_hosts, to_clusters : where the VMs of these hosts are to go. shut_down : VMs that are shut down with their host
        instead.
    datastores : datastores to empty. to_datastores : where their disks are to go. move : `VM=TARGET`, the target a
        host, a cluster or a datastore. moves : a CSV file of the same. to : a placement to reach, a vms.csv or a
        snapshot folder, or `home` for the column of that name. new : VMs to place, `LIKE` or `LIKE=COUNT`, made
        after an existing one. flavours : sizes of VM that room is gathered for, `16c/32g` or `16c/32g=WEIGHT`.
    baseline : EVC baseline to reach. cluster : the clusters that take part, names or patterns; where none is given
        those that a request is about, else every one. also : what is asked for in the same plan as a request:
        `repair` what is broken, `balance` the load. stage : only the best next part of the plan: so many moves
        (`200`), so many GiB (`50GiB`) or so long (`30min`).
    """

    evacuate: tuple[str, ...] = _option(
        (), "host", "Hosts to empty", "A host to empty; a pattern such as 'esx-0[1-4]' names several.",
        modes=("evacuate", "recover"), implies="evacuate", metavar="HOST",
        unset="None: the hosts in maintenance",
    )  # fmt: skip
    lost: tuple[str, ...] = _option(
        (), "host", "Hosts that are lost", "A host that is lost; a pattern names several.",
        modes=("recover",), implies="recover", metavar="HOST",
        unset="None: the hosts that are disconnected",
    )  # fmt: skip
    site: str = _option(
        "", "site", "A whole site", "All hosts of a site.", modes=("evacuate", "recover"), metavar="SITE"
    )
    deadline_s: float | None = _option(
        None, "duration_s", "Deadline", "By when the hosts must be empty; the report says which VMs make it.",
        modes=("evacuate",), implies="evacuate", above=0.0, metavar="SECONDS",
    )  # fmt: skip
    to_hosts: tuple[str, ...] = _option(
        (), "host", "Only to these hosts", "Their VMs go to this host only; a pattern names several.",
        modes=("evacuate",), implies="evacuate", metavar="HOST", unset="Any host that suits",
    )  # fmt: skip
    to_clusters: tuple[str, ...] = _option(
        (), "cluster", "Only to these clusters",
        "Their VMs go to this cluster only, and may leave theirs; a pattern names several.",
        modes=("evacuate",), implies="evacuate", flag="to-cluster", metavar="CLUSTER",
        unset="Their own cluster",
    )  # fmt: skip
    shut_down: tuple[str, ...] = _option(
        (), "vm", "Shut down instead",
        "A VM that is shut down with its host instead of moving; a pattern names several.",
        modes=("evacuate",), implies="evacuate", metavar="VM", unset="Those whose on_maintenance says so",
    )  # fmt: skip
    datastores: tuple[str, ...] = _option(
        (), "datastore", "Datastores to empty", "A datastore to empty; a pattern names several.",
        modes=("storage",), implies="storage", flag="evacuate-datastore", metavar="DATASTORE",
        unset="None: even out space and latency",
    )  # fmt: skip
    to_datastores: tuple[str, ...] = _option(
        (), "datastore", "Only to these datastores", "Their disks go to this datastore only; a pattern names several.",
        modes=("storage",), implies="storage", flag="to-datastore", metavar="DATASTORE", unset="Any that suits",
    )  # fmt: skip
    move: tuple[str, ...] = _option(
        (), "move", "Moves", "A VM and the host, cluster or datastore that it is to go to; patterns name several.",
        modes=("move",), implies="move", metavar="VM=TARGET",
    )  # fmt: skip
    moves: str = _option(
        "", "file", "Moves from a file", "A CSV file with the columns vm and to_host, to_cluster or to_datastore.",
        modes=("move",), implies="move", metavar="FILE",
    )  # fmt: skip
    to: str = _option(
        "", "file", "A placement to reach",
        "A vms.csv or a snapshot folder: every VM goes where it stands there. `home`: to the host in its column home.",
        modes=("move",), implies="move", metavar="FILE",
    )  # fmt: skip
    new: tuple[str, ...] = _option(
        (), "new", "New VMs like this one", "So many new VMs like an existing one; a pattern names several.",
        modes=("place",), implies="place", metavar="LIKE[=COUNT]",
        unset="None: place the VMs that have no host",
    )  # fmt: skip
    flavours: tuple[str, ...] = _option(
        (), "flavour", "Sizes of VMs",
        "A size of VM that room is gathered for, such as 16c/32g, with =3 for its weight.",
        modes=("defragment",), implies="defragment", flag="for", metavar="FLAVOUR[=WEIGHT]",
    )  # fmt: skip
    baseline: str = _option(
        "", "baseline", "Baseline to reach", "The EVC baseline to reach.",
        modes=("upgrade-evc",), implies="upgrade-evc", metavar="KEY",
        unset="The highest that every host can take",
    )  # fmt: skip
    cluster: tuple[str, ...] = _option(
        (), "cluster", "Clusters", "A cluster that takes part; a pattern names several. All others stay as they are.",
        modes=tuple(MODES), metavar="CLUSTER",
        unset="Those that it is about",
    )  # fmt: skip
    stage: str = _option(
        "", "stage", "Stage",
        "Only the best next part of the plan: so many moves, GiB or so long. Repairs first, then what gains most.",
        modes=IN_STAGES, metavar="N|GIB|TIME", unset="The whole plan",
    )  # fmt: skip
    also: tuple[str, ...] = _option(
        (), "also", "In the same plan", "'repair' what is broken or 'balance' the load in the same plan.",
        modes=("evacuate", "recover", "place", "move", "storage", "defragment"), metavar="REPAIR|BALANCE",
        unset="Nothing else",
    )  # fmt: skip
    within_s: float | None = _option(
        None, "duration_s", "Time for the plan", "The plan ends by then; what there is no time for stays.",
        modes=IN_TIME, above=0.0, flag="within", metavar="TIME", unset="As long as it takes",
    )  # fmt: skip
    between: str = _option(
        "", "hours", "Hours of the day", "The plan starts and ends within these hours, the next time they come.",
        modes=IN_TIME, metavar="HH:MM-HH:MM", unset="At any hour",
    )  # fmt: skip
    start: str = _option(
        "", "moment", "Start", "When the plan starts at the earliest.",
        modes=IN_TIME, metavar="YYYY-MM-DDTHH:MM", unset="Now",
    )  # fmt: skip


@dataclass(frozen=True)
class RollingOptions(_Given):
    """What a rolling campaign is asked for.

    cluster : which, a name or a pattern; that of `hosts`, or the only one, where not given.
    hosts : only these of its hosts, names or patterns.
    at_once : so many hosts together at most. service_s : how long a host that is empty is away.
    shut_down : VMs that are shut down with their host instead of moving.
    baseline : hosts come back with this as their highest EVC baseline. also : `balance` evens out the load in the end.
    """

    cluster: str = _option(
        "", "cluster", "Cluster", "The cluster; that of the hosts, or the only one, where not given.",
        metavar="CLUSTER",
    )  # fmt: skip
    hosts: tuple[str, ...] = _option(
        (), "host", "Only these hosts", "Only this host of the cluster; a pattern names several.",
        flag="evacuate", metavar="HOST",
    )  # fmt: skip
    at_once: int | None = _option(
        None, "count", "Hosts at once",
        "So many hosts together at most; where not given, the host failures that the cluster tolerates.",
        least=1, metavar="NUMBER",
    )  # fmt: skip
    service_s: float = _option(
        0.0, "duration_s", "Maintenance of a host", "How long a host is away once it is empty.",
        least=0.0, metavar="SECONDS",
    )  # fmt: skip
    shut_down: tuple[str, ...] = _option(
        (), "vm", "Shut down instead",
        "A VM that is shut down with its host instead of moving; a pattern names several.",
        metavar="VM", unset="Those whose on_maintenance says so",
    )  # fmt: skip
    baseline: str = _option(
        "", "baseline", "Baseline to reach", "Hosts come back with this EVC baseline: a hardware refresh.",
        metavar="KEY",
    )  # fmt: skip
    also: tuple[str, ...] = _option(
        (), "also", "In the end", "'balance' evens out the load once all hosts had their turn.",
        metavar="BALANCE", unset="Nothing else",
    )  # fmt: skip


OPTIONS: Mapping[str, Option] = _declared(Options)
"""The options of `drs.advise`, by their names in Python."""


def asked_for(options: Options, more: Mapping[str, Any]) -> Options:
    """Options, and more of them by name: one of several values is added to those that are there.

    A mapping is a list of `KEY=VALUE`, one name by itself a list of one.

    Raises
    ------
    InputError : for each option that does not exist, with the one that was meant.
    """
    unknown = [
        Fault(name, "no such option", f"one of {', '.join(OPTIONS)}", did_you_mean(name, OPTIONS))
        for name in more
        if name not in OPTIONS
    ]
    if unknown:
        raise InputError(unknown)
    said: dict[str, Any] = {}
    for name, value in more.items():
        if not OPTIONS[name].repeatable:
            said[name] = OPTIONS[name].default if value is None else value
            continue
        if isinstance(value, Mapping):
            value = [f"{key}={each}" for key, each in value.items()]
        each = (value,) if isinstance(value, str) else tuple(value)
        said[name] = (*getattr(options, name), *(str(one) for one in each))
    return dataclasses.replace(options, **said)


def asked_by(mode: str) -> list[Option]:
    """The options that a form for the mode asks for: those that it takes and that mean no other mode."""
    return [each for each in OPTIONS.values() if mode in each.modes and each.implies in ("", mode)]


ROLLING: Mapping[str, Option] = _declared(RollingOptions)
"""The options of `drs.modes.rolling`, by their names in Python."""


def value_faults(options: Options | RollingOptions) -> Iterator[Fault]:
    """What is wrong with the values, whatever the cluster."""
    for option in (OPTIONS if isinstance(options, Options) else ROLLING).values():
        yield from option.faults(getattr(options, option.name))
