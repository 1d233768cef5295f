"""Errors name the place, what was given, what was expected, and the near miss."""

from __future__ import annotations

import pickle

import pytest

from drs import errors
from drs.errors import Fault, InputError, UnknownNameError


def test_all_faults_stand_in_one_error() -> None:
    error = InputError([Fault("vms.csv, row 3, field host", "'esx-1l'", "a host", "did you mean esx-11?"),
                        Fault("vms.csv, row 4, field memory_mib", "-1", "0 or more")])  # fmt: skip
    assert str(error).splitlines() == [
        "vms.csv, row 3, field host: 'esx-1l'; expected a host (did you mean esx-11?)",
        "vms.csv, row 4, field memory_mib: -1; expected 0 or more",
    ]
    assert (error.where, error.given, error.hint) == (
        "vms.csv, row 3, field host", "'esx-1l'", "did you mean esx-11?",
    )  # fmt: skip


def test_the_first_of_each_kind_and_how_many_more() -> None:
    many = [Fault(f"vms.csv, row {i} (web-{i}), field host", f"'esx-{i}'", "a host") for i in range(200_000)]
    few = [Fault(f"rules.toml, [[rule]] {i}, field vms", "nothing", "VMs") for i in range(22)]
    error = InputError([*many, *few, Fault("policy.toml", "no TOML", "TOML")])
    lines = str(error).splitlines()
    assert len(error.faults) == 200_023 and len(lines) == 20 + 1 + 20 + 1 + 1
    assert lines[20] == "and 199,980 more of vms.csv, field host"
    assert lines[41] == "and 2 more of rules.toml, [[rule]], field vms"
    assert lines[42].startswith("policy.toml: no TOML")


def test_many_faults_are_collected_in_linear_time() -> None:
    from drs.cli.inputs import Faults

    error = InputError([Fault(f"vms.csv, row {i}, field host", "x", "a host") for i in range(100_000)])
    faults = Faults()
    for _ in range(2):
        with faults.collected():
            raise error
    assert len(faults.found) == 100_000


def test_errors_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(InputError(Fault("a", "b", "c"))))
    assert error.faults == (Fault("a", "b", "c"),)


def test_no_fault_is_no_error() -> None:
    with pytest.raises(ValueError, match="at least one fault"):
        InputError([])


def test_near_miss_and_choices() -> None:
    error = UnknownNameError.of("--solver", "cpsta", ["auto", "cpsat"], "solver")
    assert "one of auto, cpsat" in str(error) and "did you mean cpsat?" in str(error)
    assert errors.did_you_mean("zzz", ["esx-01"]) == ""


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__ is not None
    public = {name for name, value in vars(errors).items()
              if isinstance(value, type) and issubclass(value, errors.DrsError)}  # fmt: skip
    assert all(name in errors.__doc__ for name in public)
