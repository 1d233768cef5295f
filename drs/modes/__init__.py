"""What is wanted of the cluster: each mode poses its own problem over the same snapshot and rules.

`MODES` names them, `OPTIONS` what they can be asked for. `pose` checks what was asked for and makes the problem,
`report` says afterwards what a mode has to say besides the plan. `rolling` is a campaign of several rounds,
`admission` the proof of N+k.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from drs.errors import Fault, InputError, UnknownNameError
from drs.model import Placement, Snapshot
from drs.modes import balance, consolidate, defragment, evacuate, move, place, recover, storage, upgrade_evc
from drs.modes.admission import Admission, AdmissionReport, admission
from drs.modes.base import Mode
from drs.modes.rolling import Rolling, rolling
from drs.modes.rolling import check as check_rolling
from drs.modes.room import RoomReport, read_flavours, room
from drs.modes.when import When, when, when_faults
from drs.options import OPTIONS, ROLLING, Options, RollingOptions, value_faults
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.problem.scope import cluster_faults
from drs.result import Report, Result
from drs.rules import Rule
from drs.terms import Lowered
from drs.terms.base import Floats

__all__ = [
    "MODES",
    "OPTIONS",
    "ROLLING",
    "Admission",
    "AdmissionReport",
    "Mode",
    "Options",
    "Rolling",
    "RoomReport",
    "RollingOptions",
    "When",
    "admission",
    "check",
    "check_options",
    "check_rolling",
    "name",
    "pose",
    "read_flavours",
    "report",
    "rolling",
    "room",
    "when",
    "scores",
]

MODES: Mapping[str, Mode] = {
    "balance": balance.MODE,
    "evacuate": evacuate.MODE,
    "consolidate": consolidate.MODE,
    "recover": recover.MODE,
    "place": place.MODE,
    "upgrade-evc": upgrade_evc.MODE,
    "storage": storage.MODE,
    "move": move.MODE,
    "defragment": defragment.MODE,
}


def name(mode: str, options: Options | Sequence[str]) -> str:
    """The mode that is meant: `balance`, the default, gives way to what the options can only mean."""
    if not isinstance(options, Options):
        options = Options(evacuate=tuple(options))
    if mode != "balance":
        return mode
    implied = [OPTIONS[given].implies for given in options.given() if OPTIONS[given].implies]
    if not implied and options.site:
        return "evacuate"
    if "recover" in implied and "evacuate" in implied and options.deadline_s is None:
        return "recover"
    return implied[0] if implied else mode


def check_options(mode: str, options: Options) -> None:
    """Raises InputError for what is wrong whatever the cluster: a mode that does not exist, an option that means
    nothing in it, a value that none can have."""
    faults = [
        Fault(given, f"an option that mode {mode} does not know",
              f"it only with {' or '.join(OPTIONS[given].modes)}")
        for given in options.given() if mode in MODES and mode not in OPTIONS[given].modes
    ]  # fmt: skip
    faults += value_faults(options)
    if mode not in MODES:
        raise UnknownNameError([*UnknownNameError.of("mode", mode, MODES, "mode").faults, *faults])
    if faults:
        raise InputError(faults)


def check(mode: str, snapshot: Snapshot, policy: Policy, options: Options) -> None:
    """Raises InputError for what `check_options` finds, else for what the mode finds wrong for this cluster."""
    check_options(mode, options)
    own = MODES[mode].check
    faults = [*cluster_faults(snapshot, options.cluster), *when_faults(snapshot, policy)]
    faults += [] if own is None else list(own(snapshot, policy, options))
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
    return MODES[mode].pose(snapshot.counting(policy.memory), rules, policy, options)


def report(mode: str, result: Result, options: Options) -> Report | None:
    """What a mode has to say besides the plan."""
    make = MODES[mode].report
    return None if make is None else make(result, options)


def scores(mode: str, problem: Problem, placement: Placement) -> tuple[Lowered, Floats]:
    """The levels of a problem as a mode sees it, and what they are of a placement."""
    own = MODES[mode].scores
    if own is not None:
        return own(problem, placement)
    return problem.lowered, problem.lowered.scores(np.asarray(placement.host_idx, dtype=np.int32))
