"""The verbs: read, check, solve, plan, estimate, advise."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drs import advice, in_time, modes, planning, solving
from drs.audit import audit, audit_moves
from drs.errors import Fault, InputError, UnknownNameError, did_you_mean
from drs.frame import DataFrame
from drs.io.readers.vcenter_login import is_address
from drs.model import Snapshot
from drs.model.selector import Selector
from drs.options import asked_for
from drs.planning import Plan
from drs.problem import Problem
from drs.problem.policy import Policy
from drs.problem.scope import Scope, hosts_of, vms_of, within
from drs.result import Estimate, Given, Result
from drs.rules import Rule, Violation
from drs.stop import OnProgress, Run, Stop

Source = Snapshot | str | Path | Mapping[str, DataFrame]


def read(source: Source) -> Snapshot:
    """A snapshot from a folder, a saved problem, a bundled dataset, a vCenter, or a mapping of table name to DataFrame.

    A vCenter is `vcenter://[user@]host[:port]`; the environment holds the credentials.

    Raises
    ------
    InputError : with every fault of the input: file, row, field, what was expected.
    """
    from drs import io

    if isinstance(source, Snapshot):
        return source
    if isinstance(source, Mapping):
        return io.from_frames(source)
    if is_address(str(source)):
        from drs.io.readers.vcenter import read_vcenter

        live = read_vcenter(str(source)).snapshot
        assert live is not None
        return live
    with _folder(source) as folder:
        return io.read_folder(folder)


def read_rules(source: Source) -> tuple[Rule, ...]:
    """The rules beside a snapshot, in its `rules.toml`; none where there is no such file; a vCenter's own."""
    from drs import io

    if isinstance(source, (Snapshot, Mapping)):
        return ()
    if is_address(str(source)):
        from drs.io.readers.vcenter import read_vcenter

        return read_vcenter(str(source)).rules
    with _folder(source) as folder:
        return io.read_rules(folder)


def read_policy(source: Source) -> Policy:
    """The policy that stands beside a snapshot, in its `policy.toml`; the default where there is none."""
    from drs import io

    if isinstance(source, (Snapshot, Mapping)) or is_address(str(source)):
        return Policy()
    with _folder(source) as folder:
        return io.read_policy(folder)


@contextmanager
def _folder(source: str | Path) -> Iterator[Path]:
    """The folder that a source names: itself, a bundled dataset's, or a saved problem's, unpacked."""
    from drs import datasets, io

    path = Path(source)
    if path.is_file() and path.suffix == ".zip":
        with tempfile.TemporaryDirectory() as scratch:
            io.unpack_problem(path, Path(scratch))
            yield Path(scratch)
    elif path.is_dir():
        yield path
    elif path.exists():
        held = io.is_snapshot(path.parent)
        hint = f"did you mean {path.parent}?" if held else "drs convert reads exports of other tools"
        raise InputError(
            Fault("source", f"{path} is a file", "a snapshot folder or a saved problem (.zip)", hint)
        )
    elif str(source) in datasets.names():
        yield datasets.path(str(source))
    else:
        near = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UnknownNameError(
            Fault(
                "source",
                f"no folder and no dataset {str(source)!r}",
                f"a snapshot folder, or one of {', '.join(datasets.names())}",
                did_you_mean(path.name, [*datasets.names(), *near]),
            )
        )


def check(
    source: Source, rules: Sequence[Rule] | None = None, *, cluster: Selector = ()
) -> tuple[Violation, ...]:
    """Every rule that is broken today, the built-in ones (capacity, EVC, ...) included.

    Parameters
    ----------
    cluster : only what is broken in these clusters, or reaches into them; names or patterns.
    """
    policy = read_policy(source)
    snapshot = read(source).counting(policy.memory)
    scope = hosts_of(snapshot, cluster)
    problem = Problem(snapshot, read_rules(source) if rules is None else rules, policy, scope=scope)
    return tuple(within(snapshot, scope, problem.check(problem.today))[0])


def solve(
    problem: Problem,
    *,
    solver: str = "auto",
    time_s: float | None = None,
    iterations: int | None = None,
    seed: int = 0,
    stop: Stop | None = None,
    on_progress: OnProgress | None = None,
) -> Result:
    """The best placement within a budget, with a bound, re-checked by the rules themselves.

    `findings` of the result tell what the placement makes worse than today (`drs.audit`).

    With `iterations` and no `time_s` the same seed gives the same answer on any machine.

    Parameters
    ----------
    time_s, iterations : limits of the search, whichever comes first; 30 s where neither is given, and
        `time_s=math.inf` for none: then only a proof or an interrupt ends it.
    stop : a budget that may be interrupted, in place of both.

    Raises
    ------
    InternalError : when a solver's answer and the rules' own checks disagree.
    """
    run = Run.begin(time_s, iterations, seed, stop, on_progress)
    result = solving.solve(problem, solver=solver, run=run)
    return dataclasses.replace(result, findings=audit(result.problem, result.placement, stop=run.stop))


def plan(
    result: Result,
    *,
    time_s: float | None = None,
    seed: int = 0,
    stop: Stop | None = None,
    on_progress: OnProgress | None = None,
) -> Plan:
    """The moves of a result in a safe order, priced with the pre-copy model and timed.

    Without `time_s` and `stop` it takes a fixed amount of work: the same seed gives the same plan.
    """
    run = Run.begin(math.inf if time_s is None else time_s, None, seed, stop, on_progress)
    return in_time.plan(result, run)[0]


def estimate(
    source: Source,
    moves: Iterable[Mapping[str, Any]] | str | Path,
    *,
    profile: str | None = None,
    cluster: Selector = (),
    rules: Sequence[Rule] | None = None,
    policy: Policy | None = None,
) -> Estimate:
    """Price moves chosen by hand, in any of the five kinds, and tell what each of them makes worse.

    The moves are priced each alone on its path, and audited one after the other.

    Parameters
    ----------
    moves : a CSV file, or mappings with `vm` and any of `to_host`, `to_datastore`, `kind`.
    profile : of the cost model, by name or the TOML file of a fitted one; the policy's where not given.
    cluster : only the moves that begin or end in these clusters, names or patterns; `left_out` counts the others.
    rules, policy : those beside the snapshot (`rules.toml`, `policy.toml`) where not given.

    Raises
    ------
    InputError : naming the row and field of every fault.
    """
    from drs import io

    snapshot = read(source)
    rows = (
        io.read_moves(Path(moves), snapshot)
        if isinstance(moves, (str, Path))
        else io.moves_from(moves, snapshot)
    )
    policy = read_policy(source) if policy is None else policy
    kept = _in_scope(snapshot, rows, hosts_of(snapshot, cluster))
    chosen = {
        name: [value for value, use in zip(column, kept, strict=True) if use] for name, column in rows.items()
    }
    priced = (
        planning.price_moves(snapshot, **chosen, profile=profile or policy.cost_profile) if any(kept) else []
    )
    problem = Problem(snapshot, read_rules(source) if rules is None else rules, policy)
    return Estimate(tuple(priced), audit_moves(problem, priced), kept.count(False))


def _in_scope(snapshot: Snapshot, rows: Mapping[str, Sequence[Any]], scope: Scope | None) -> list[bool]:
    """Which moves begin or end on a host that takes part."""
    taking = vms_of(snapshot, scope)
    ends = zip(rows["vm_idx"], rows["to_host_idx"], strict=True)
    return [bool(taking[vm]) or (scope is not None and host >= 0 and bool(scope[host])) for vm, host in ends]


def advise(
    source: Source,
    *,
    mode: str = "balance",
    options: modes.Options | None = None,
    rules: Sequence[Rule] | None = None,
    policy: Policy | None = None,
    max_moves: int | None = None,
    solver: str = "auto",
    time_s: float | None = None,
    iterations: int | None = None,
    seed: int = 0,
    stop: Stop | None = None,
    on_progress: OnProgress | None = None,
    **asked: Any,
) -> Result:
    """From a cluster to a verified, priced plan: read, pose the problem, solve, order and time the moves.

    Parameters
    ----------
    source : folder, dataset name, Snapshot, or mapping of table name to DataFrame.
    mode : one of `drs.modes.MODES`.
    options : what the mode is asked for. asked : the same, an option by its name in `drs.modes.Options`:
        `evacuate=["esx-01"]`, `cluster="c01"`, `within_s=3600`, `stage="200"`; `move` and `new` take a mapping too,
        `move={"db-01": "esx-02"}`, `new={"web-01": 3}`. One that belongs to one mode implies that mode.
    rules, policy : those beside the snapshot (`rules.toml`, `policy.toml`) where not given.
    max_moves : overrides the policy's limit.
    time_s, iterations, stop : as of `solve`; reading and posing do not count against the limit, but in the
        result's `elapsed_s`.
    """
    run = Run.begin(time_s, iterations, seed, stop, on_progress)
    with run.stop.paused():  # the time limit is the search's
        snapshot = read(source)
        rules = read_rules(source) if rules is None else rules
        policy = read_policy(source) if policy is None else policy
    given = Given(tuple(rules), policy)
    if max_moves is not None:
        policy = dataclasses.replace(policy, limits=dataclasses.replace(policy.limits, max_moves=max_moves))
    options = asked_for(options or modes.Options(), asked)
    result = advice.advise(snapshot, rules, policy, mode=mode, options=options, solver=solver, run=run)
    return dataclasses.replace(result, given=given)
