"""What is wanted of the cluster: each mode poses its own problem over the same snapshot and rules.

`MODES` names them. `pose` checks what was asked for and makes the problem, `report` says afterwards what a
mode has to say besides the plan. `rolling` is a campaign of several rounds, `admission` the proof of N+k.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drs.errors import Fault, InputError, UnknownNameError
from drs.model import Snapshot
from drs.modes import balance, consolidate, evacuate, place, recover, storage, upgrade_evc
from drs.modes.admission import Admission, AdmissionReport, admission
from drs.modes.base import Mode, Options
from drs.modes.rolling import Rolling, rolling
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.result import Report, Result
from drs.rules import Rule
from drs.rules.base import selector_faults

__all__ = [
    "MODES",
    "Admission",
    "AdmissionReport",
    "Mode",
    "Options",
    "Rolling",
    "admission",
    "name",
    "pose",
    "priorities",
    "report",
    "rolling",
]

MODES: Mapping[str, Mode] = {
    "balance": balance.MODE,
    "evacuate": evacuate.MODE,
    "consolidate": consolidate.MODE,
    "recover": recover.MODE,
    "place": place.MODE,
    "upgrade-evc": upgrade_evc.MODE,
    "storage": storage.MODE,
}

IMPLIES: Mapping[str, str] = {
    "evacuate": "evacuate",
    "deadline_s": "evacuate",
    "lost": "recover",
    "new": "place",
    "datastores": "storage",
    "baseline": "upgrade-evc",
}
"""The mode that an option means when none is named."""

FLAGS: Mapping[str, str] = {
    "evacuate": "--evacuate",
    "lost": "--lost",
    "site": "--site",
    "deadline_s": "--deadline-s",
    "datastores": "--evacuate-datastore",
    "new": "--new",
    "baseline": "--baseline",
    "cluster": "--cluster",
}
"""The options as the command line spells them."""


def name(mode: str, options: Options | Sequence[str]) -> str:
    """The mode that is meant: `balance`, the default, gives way to what the options can only mean."""
    if not isinstance(options, Options):
        options = Options(evacuate=tuple(options))
    if mode != "balance":
        return mode
    implied = list(dict.fromkeys(IMPLIES[given] for given in options.given() if given in IMPLIES))
    if not implied and options.site:
        implied = ["evacuate"]
    if "recover" in implied and "evacuate" in implied and not options.deadline_s:
        return "recover"
    return implied[0] if implied else mode


def check(mode: str, snapshot: Snapshot, policy: Policy, options: Options) -> None:
    """Raises InputError for a mode that does not exist, or options that contradict it or each other."""
    if mode not in MODES:
        raise UnknownNameError.of("mode", mode, MODES, "mode")
    faults = []
    for given in options.given():
        if given not in MODES[mode].takes:
            homes = [other for other, each in MODES.items() if given in each.takes]
            faults.append(
                Fault(
                    FLAGS[given],
                    f"an option that mode {mode} does not know",
                    f"it only with {' or '.join(homes)}",
                )
            )
    if mode == "evacuate" and options.evacuate and options.site:
        sites = {str(snapshot.hosts.site[snapshot.hosts.position[h]]) for h in options.evacuate
                 if h in snapshot.hosts.position}  # fmt: skip
        if sites - {options.site}:
            faults.append(Fault("--evacuate", f"hosts of {', '.join(sorted(sites))} beside --site {options.site}",
                                "hosts, or a site"))  # fmt: skip
    limit = policy.limits.max_moves
    if mode == "storage" and limit is not None:
        faults.append(Fault("--max-moves", "a limit that mode storage does not know", "no limit"))
    if mode == "recover":
        for which in (*policy.restart.NAMES, "disabled"):
            selector = getattr(policy.restart, which)
            if selector:
                faults.extend(
                    selector_faults(f"policy [restart], field {which}", selector, snapshot.vms, "VM")
                )
    if mode == "consolidate" and not 0 < policy.power.max_load_ratio <= 1:
        faults.append(Fault("policy [power], field max_load_ratio", str(policy.power.max_load_ratio),
                            "a share above 0, at most 1"))  # fmt: skip
    if mode == "storage":
        ours = policy.storage
        if not 0 < ours.space_ratio <= 1:
            faults.append(
                Fault("policy [storage], field space_ratio", str(ours.space_ratio), "above 0, at most 1")
            )
        if not 0 <= ours.min_difference_ratio < 1:
            faults.append(Fault("policy [storage], field min_difference_ratio", str(ours.min_difference_ratio),
                                "0 or more, below 1"))  # fmt: skip
        if not ours.latency_ms > 0:
            faults.append(
                Fault("policy [storage], field latency_ms", str(ours.latency_ms), "milliseconds, above 0")
            )
    if faults:
        raise InputError(faults)


def pose(
    mode: str,
    snapshot: Snapshot,
    rules: Sequence[Rule],
    policy: Policy,
    options: Options | Sequence[str] = (),
) -> Problem:
    """The problem of a mode.

    Parameters
    ----------
    options : what is asked for besides; a plain list means hosts to evacuate (in `recover`: that are lost).

    Raises
    ------
    InputError : for a mode or a name that is not there (with the near miss), and for options that contradict
        the mode or each other; before anything is solved.
    """
    if not isinstance(options, Options):
        options = Options(evacuate=tuple(options))
    mode = name(mode, options)
    check(mode, snapshot, policy, options)
    return MODES[mode].pose(snapshot, rules, policy, options)


def report(mode: str, result: Result, options: Options) -> Report | None:
    """What a mode has to say besides the plan."""
    make = MODES[mode].report
    return None if make is None else make(result, options)


def priorities(mode: str, problem: Problem, options: Options) -> Mapping[int, float] | None:
    """Which VMs move first, by position, higher first; None where nothing speaks for an order."""
    make = MODES[mode].priorities
    return (make(problem, options) or None) if make is not None else None
