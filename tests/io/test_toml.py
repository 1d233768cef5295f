"""`rules.toml` and `policy.toml`: what they mean, and one clear message for each thing that can be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drs.errors import InputError
from drs.goals import Balance, Moves
from drs.io import read_policy, read_rules, read_toml
from drs.io.problem_file import write_rules
from drs.planning import Concurrency
from drs.problem.policy import Limits, Policy
from drs.rules import RULES, KeepApart, Quorum, VcpuRatio

RULE = '[[rule]]\ntype = "keep-apart"\nname = "web-ha"\nvms = "web-*"\n'
TYPES = f"one of {', '.join(sorted(RULES))}"


def test_rules(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(
        RULE + 'policy = "hard"\nwhen = "during"\n\n[[rule]]\ntype = "keep-apart"\nvms = ["db-01", "db-*"]\n'
        'scope = "rack"\nat_most = 2\nweight = 3\n'
    )
    assert read_rules(path) == (
        KeepApart("web-*", name="web-ha", policy="hard", when="during"),
        KeepApart(("db-01", "db-*"), scope="rack", at_most=2, weight=3),
    )
    assert read_rules(tmp_path) == read_rules(path)
    assert len({hash(rule) for rule in read_rules(path)}) == 2
    assert read_rules(tmp_path.parent) == ()
    path.write_bytes(b"\xef\xbb\xbf" + RULE.replace("\n", "\r\n").encode())
    assert len(read_rules(path)) == 1


def test_what_a_saved_problem_writes_is_read_again(tmp_path: Path) -> None:
    """Also a rule with a field that nobody may give: the resource of vcpu-ratio."""
    rules = (
        VcpuRatio(at_most=2.0, hosts=("a", "b"), name="four-to-one"),
        Quorum("db-*", "north-*", at_least=2, policy="soft", weight=3.0),
        KeepApart("web-*", scope="rack", when="during"),
    )
    (tmp_path / "rules.toml").write_text(write_rules(rules))
    assert read_rules(tmp_path) == rules


BAD_RULES: dict[str, tuple[str | bytes, str, str, str, str]] = {
    "syntax": (
        RULE + "at_most = two\n",
        "rules.toml, line 5, column 11",
        "no valid TOML: Invalid value in 'at_most = two'",
        "TOML",
        "text stands in quotation marks",
    ),
    "cut off": (RULE + 'scope = "host', "rules.toml", "no valid TOML", "TOML", ""),
    "key twice": (
        RULE + 'vms = "db-*"\n',
        "rules.toml, line 5, column 13",
        "no valid TOML: Cannot overwrite a value",
        "TOML",
        "each key once; another rule needs another [[rule]] line",
    ),
    "latin-1": (
        RULE.replace("web-ha", "für").encode("latin-1"),
        "rules.toml, line 3",
        "the byte 0xfc is not UTF-8",
        "TOML in UTF-8",
        "",
    ),
    "single brackets": (
        RULE.replace("[[rule]]", "[rule]"),
        "rules.toml, [rule]",
        "a single table",
        "[[rule]] tables",
        "write [[rule]] in double brackets",
    ),
    "plural": (
        RULE.replace("[[rule]]", "[[rules]]"),
        "rules.toml, key rules",
        "an unknown key",
        "[[rule]] tables and nothing else",
        "did you mean rule?",
    ),
    "no header": (
        'type = "keep-apart"\n',
        "rules.toml, key type",
        "an unknown key",
        "[[rule]] tables and nothing else",
        "each rule begins with a line [[rule]]",
    ),
    "rule that is no table": ("rule = [1]\n", "rules.toml, key rule", "no table", "[[rule]] tables", ""),
    "no type": (
        RULE.replace('type = "keep-apart"\n', ""),
        'rules.toml, [[rule]] 1 ("web-ha")',
        "the required field type is missing",
        f"type = {TYPES}",
        "",
    ),
    "type misspelt": (
        RULE.replace("keep-apart", "keep-appart"),
        'rules.toml, [[rule]] 1 ("web-ha"), field type',
        "unknown rule type 'keep-appart'",
        TYPES,
        "did you mean keep-apart?",
    ),
    "type with underscore": (
        RULE.replace("keep-apart", "keep_apart"),
        'rules.toml, [[rule]] 1 ("web-ha"), field type',
        "unknown rule type 'keep_apart'",
        TYPES,
        "did you mean keep-apart?",
    ),
    "type that is a number": (
        RULE.replace('"keep-apart"', "1"),
        'rules.toml, [[rule]] 1 ("web-ha"), field type',
        "unknown rule type 1",
        TYPES,
        "",
    ),
    "field misspelt": (
        RULE + "at_mots = 2\n",
        'rules.toml, [[rule]] 1 ("web-ha"), field at_mots',
        "an unknown field",
        "one of type, name, policy, when, weight, vms, scope, at_most",
        "did you mean at_most?",
    ),
    "field of another rule": (
        RULE + 'hosts = "h*"\n',
        'rules.toml, [[rule]] 1 ("web-ha"), field hosts',
        "an unknown field",
        "one of type",
        "",
    ),
    "field missing": (
        '[[rule]]\ntype = "keep-apart"\n',
        "rules.toml, [[rule]] 1",
        "the required field vms is missing",
        'vms = a name, a pattern such as "web-*", or a list of them',
        "",
    ),
    "number for a selector": (
        RULE.replace('"web-*"', "7"),
        'rules.toml, [[rule]] 1 ("web-ha"), field vms',
        "7",
        'a name, a pattern such as "web-*", or a list of them',
        "",
    ),
    "numbers in a selector": (
        RULE.replace('"web-*"', '["web-01", 2]'),
        'rules.toml, [[rule]] 1 ("web-ha"), field vms',
        "['web-01', 2]",
        'a name, a pattern such as "web-*", or a list of them',
        "",
    ),
    "text for a number": (
        RULE + 'at_most = "2"\n',
        'rules.toml, [[rule]] 1 ("web-ha"), field at_most',
        "'2'",
        "a whole number",
        "",
    ),
    "fraction for a whole number": (
        RULE + "at_most = 1.5\n",
        'rules.toml, [[rule]] 1 ("web-ha"), field at_most',
        "1.5",
        "a whole number",
        "",
    ),
    "truth for a number": (
        RULE + "at_most = true\n",
        'rules.toml, [[rule]] 1 ("web-ha"), field at_most',
        "true",
        "a whole number",
        "",
    ),
    "negative": (
        RULE + "weight = -1\n",
        'rules.toml, [[rule]] 1 ("web-ha"), field weight',
        "-1",
        "a number, 0 or more",
        "",
    ),
    "infinite": (
        RULE + "weight = inf\n",
        'rules.toml, [[rule]] 1 ("web-ha"), field weight',
        "inf",
        "a number",
        "",
    ),
    "policy misspelt": (
        RULE + 'policy = "hart"\n',
        'rules.toml, [[rule]] 1 ("web-ha"), field policy',
        "'hart'",
        "one of hard, not_worse, soft",
        "did you mean hard?",
    ),
    "policy of VMware": (
        RULE + 'policy = "must"\n',
        'rules.toml, [[rule]] 1 ("web-ha"), field policy',
        "'must'",
        "one of hard, not_worse, soft",
        "",
    ),
    "scope misspelt": (
        RULE + 'scope = "Rack"\n',
        'rules.toml, [[rule]] 1 ("web-ha"), field scope',
        "'Rack'",
        "one of host, rack",
        "did you mean rack?",
    ),
    "when misspelt": (
        RULE + 'when = "druing"\n',
        'rules.toml, [[rule]] 1 ("web-ha"), field when',
        "'druing'",
        "one of after, during, at_once",
        "did you mean during?",
    ),
    "name twice": (
        RULE + RULE,
        'rules.toml, [[rule]] 2 ("web-ha"), field name',
        "a duplicate name 'web-ha'",
        "each name once",
        "[[rule]] 1 has it too",
    ),
}

BAD_POLICIES: dict[str, tuple[str, str, str, str, str]] = {
    "unknown key": (
        'profil = "vmware"\n',
        "policy.toml, field profil",
        "an unknown field",
        "one of goal, goals, limits, concurrency, trigger",
        "did you mean profile?",
    ),
    "limit outside of its table": (
        "max_moves = 3\n",
        "policy.toml, key max_moves",
        "a key outside of its table",
        "max_moves in the table [limits]",
        "write a line [limits] before it",
    ),
    "limits that are no table": ("limits = 3\n", "policy.toml, key limits", "3", "a table [limits]", ""),
    "limit misspelt": (
        "[limits]\nmax_move = 3\n",
        "policy.toml, [limits], field max_move",
        "an unknown field",
        "one of max_moves, max_migration_s, max_downtime_ms",
        "did you mean max_moves?",
    ),
    "negative limit": (
        "[limits]\nmax_moves = -1\n",
        "policy.toml, [limits], field max_moves",
        "-1",
        "a whole number, 0 or more",
        "",
    ),
    "fraction of a move": (
        "[limits]\nmax_moves = 2.5\n",
        "policy.toml, [limits], field max_moves",
        "2.5",
        "a whole number",
        "",
    ),
    "time as text": (
        '[limits]\nmax_migration_s = "60"\n',
        "policy.toml, [limits], field max_migration_s",
        "'60'",
        "a number",
        "",
    ),
    "no units": (
        "[concurrency]\nhost_units = 0\n",
        "policy.toml, [concurrency], field host_units",
        "0",
        "a whole number, above 0",
        "",
    ),
    "no migration at a time": (
        "[concurrency]\nper_host = 0\n",
        "policy.toml, [concurrency], field per_host",
        "0",
        "a whole number, above 0",
        "",
    ),
    "a pause of eons": (
        "[concurrency]\npause_s = 1e12\n",
        "policy.toml, [concurrency], field pause_s",
        "1e+12",
        "a number up to 86400",
        "",
    ),
    "unknown kind": (
        "[concurrency.host_cost]\nvmotoin = 1\n",
        "policy.toml, [concurrency], field host_cost.vmotoin",
        "an unknown field",
        "one of vmotion",
        "did you mean vmotion?",
    ),
    "negative cost": (
        "[concurrency.host_cost]\nvmotion = -1\n",
        "policy.toml, [concurrency], field host_cost",
        "{'vmotion': -1}",
        "a table, each value a whole number, 0 or more",
        "",
    ),
    "trigger misspelt": (
        "[trigger]\nhold = 2\n",
        "policy.toml, [trigger], field hold",
        "an unknown field",
        "one of imbalance_ratio",
        "did you mean hold_n?",
    ),
    "goal without type": (
        "[[goal]]\nslack_ratio = 0.1\n",
        "policy.toml, [[goal]] 1",
        "the required field type is missing",
        "type = one of balance",
        "",
    ),
    "goal misspelt": (
        'goals = ["balance", "move"]\n',
        "policy.toml, [[goal]] 2, field type",
        "unknown goal type 'move'",
        "one of balance",
        "did you mean moves?",
    ),
    "goal field misspelt": (
        '[[goal]]\ntype = "balance"\nmeasure = "std"\n',
        'policy.toml, [[goal]] 1 ("balance"), field measure',
        "an unknown field",
        "one of type",
        "did you mean measure_by?",
    ),
    "goal value misspelt": (
        '[[goal]]\ntype = "balance"\nmeasure_by = "sdt"\n',
        'policy.toml, [[goal]] 1 ("balance"), field measure_by',
        "'sdt'",
        "one of std, mad, max, range",
        "did you mean std?",
    ),
    "goal in single brackets": (
        '[goal]\ntype = "balance"\n',
        "policy.toml, key goal",
        "no list",
        "[[goal]] tables, or a list of types of goals",
        "write [[goal]] in double brackets",
    ),
    "goals that are text": (
        'goals = "balance"\n',
        "policy.toml, key goals",
        "no list",
        "[[goal]] tables, or a list of types of goals",
        "",
    ),
    "goals twice": (
        'goals = ["moves"]\n[[goal]]\ntype = "moves"\n',
        "policy.toml, key goals",
        "both goals and [[goal]]",
        "one of them",
        "",
    ),
    "goal that is a number": (
        "goals = [1]\n",
        "policy.toml, [[goal]] 1",
        "1",
        "a type of goal, or a table",
        "",
    ),
    "goal within a sum misspelt": (
        '[[goal]]\ntype = "sum"\nparts = ["balance", {type = "movs"}]\n',
        'policy.toml, [[goal]] 1 ("sum"), parts 2, field type',
        "unknown goal type 'movs'",
        "one of balance",
        "did you mean moves?",
    ),
    "profile misspelt": (
        'profile = "vmwar"\n',
        "policy.toml, field profile",
        "unknown hypervisor profile 'vmwar'",
        "one of",
        "did you mean vmware?",
    ),
    "profile that is no file": ('profile = "mine.toml"\n', "policy.toml, field profile", "", "", ""),
    "scope misspelt": (
        'migration_scope = "clusters"\n',
        "policy.toml, field migration_scope",
        "'clusters'",
        "one of cluster, vcenter, any",
        "did you mean cluster?",
    ),
    "truth as text": (
        'storage_moves = "yes"\n',
        "policy.toml, field storage_moves",
        "'yes'",
        "true or false",
        "",
    ),
}


def one_fault(read: Any, path: Path, case: tuple[str | bytes, str, str, str, str]) -> None:
    content, where, given, expected, hint = case
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        read(path)
    faults = caught.value.faults
    assert len(faults) == 1, caught.value
    fault = faults[0]
    assert fault.where.startswith(where)
    assert fault.given.startswith(given)
    assert fault.expected.startswith(expected)
    if expected:
        assert fault.hint == hint


@pytest.mark.parametrize("case", BAD_RULES)
def test_bad_rules(case: str, tmp_path: Path) -> None:
    one_fault(read_rules, tmp_path / "rules.toml", BAD_RULES[case])


@pytest.mark.parametrize("case", BAD_POLICIES)
def test_bad_policies(case: str, tmp_path: Path) -> None:
    one_fault(read_policy, tmp_path / "policy.toml", BAD_POLICIES[case])


def test_all_faults_of_a_file_together(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(RULE + "at_most = 1.5\nscpoe = 1\n[[rule]]\ntype = 'x'\n[[rule]]\ntype = 'keep-apart'\n")
    with pytest.raises(InputError) as caught:
        read_rules(path)
    assert [fault.where for fault in caught.value.faults] == [
        'rules.toml, [[rule]] 1 ("web-ha"), field at_most',
        'rules.toml, [[rule]] 1 ("web-ha"), field scpoe',
        "rules.toml, [[rule]] 2, field type",
        "rules.toml, [[rule]] 3",
    ]


def test_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").touch()
    with pytest.raises(InputError) as caught:
        read_rules(tmp_path / "rule.toml")
    assert str(caught.value) == (
        f"{tmp_path / 'rule.toml'}: no such file; expected a TOML file (did you mean rules.toml?)"
    )
    with pytest.raises(InputError, match="no such file"):
        read_toml(tmp_path / "no" / "such.toml")
    with pytest.raises(InputError, match="it cannot be read"):
        read_toml(tmp_path)


def test_policy(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    assert read_policy(tmp_path) == Policy()
    path.write_text("")
    assert read_policy(path) == Policy()
    path.write_text(
        'profile = "qemu"\nmigration_scope = "any"\nstorage_moves = true\n'
        '[[goal]]\ntype = "moves"\n[[goal]]\ntype = "balance"\nresources = ["cpu"]\ntarget = 0.1\n'
        "slack_ratio = 0.2\n"
        "[limits]\nmax_moves = 0\nmax_downtime_ms = 250\n"
        "[concurrency]\nper_host = 2\n[concurrency.host_cost]\nvmotion = 2\n"
        "[trigger]\nhold_n = 3\n"
    )
    policy = read_policy(tmp_path)
    assert policy.goals == (Moves(), Balance(resources=("cpu",), target=0.1, slack_ratio=0.2))
    assert policy.limits == Limits(max_moves=0, max_downtime_ms=250)
    assert policy.concurrency.per_host == 2
    assert policy.concurrency.host_cost == {**Concurrency().host_cost, "vmotion": 2}
    assert (policy.profile, policy.migration_scope, policy.storage_moves) == ("qemu", "any", True)
    assert policy.trigger.hold_n == 3


def test_goals_by_name(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('goals = ["moves", {type = "balance", measure_by = "max"}]\n')
    assert read_policy(path).goals == (Moves(), Balance(measure_by="max"))


def test_goals_within_a_sum(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(
        '[[goal]]\ntype = "sum"\nparts = ["balance", {type = "moves", by = "gib"}]\nweights = [1, 0.5]\n'
    )
    (goal,) = read_policy(path).goals
    assert goal.parts == (Balance(), Moves(by="gib")) and goal.weights == (1, 0.5)  # type: ignore[attr-defined]


def test_a_profile_beside_the_policy(tmp_path: Path) -> None:
    from drs.precopy.profiles import profile

    mine = tmp_path / "mine.toml"
    profile("vmware").save(mine)
    (tmp_path / "policy.toml").write_text('profile = "mine.toml"\n')
    assert read_policy(tmp_path).profile == profile(mine)


def test_rules_of_real_snapshots(bench_data: Path) -> None:
    files = sorted((bench_data / "data" / "snapshots").glob("*/rules.toml"))
    if not files:
        pytest.skip("no rules in the benchmark data")
    assert all(read_rules(path) for path in files)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("hold_n = 0", "field hold_n: 0; expected 1 to"),
        ("release_ratio = 5.0", "field release_ratio: 5; expected 0 to 1"),
        ("host_load_ratio = 90.0", r"field host_load_ratio: 90; expected 0.01 to 2 \(0.9 for 90 %\)"),
        ("host_load_ratio = 0.0", "field host_load_ratio: 0; expected 0.01"),
    ],
)
def test_a_trigger_that_would_never_or_always_act(tmp_path: Path, line: str, told: str) -> None:
    (tmp_path / "policy.toml").write_text(f"[trigger]\n{line}\n")
    with pytest.raises(InputError, match=told):
        read_policy(tmp_path)


@pytest.mark.parametrize("which", ["/etc/mine.toml", "../mine.toml", "sub/mine.toml"])
def test_a_policy_names_no_profile_elsewhere(tmp_path: Path, which: str) -> None:
    from drs.precopy.profiles import profile

    (tmp_path / "a" / "sub").mkdir(parents=True)
    for file in ("mine.toml", "a/sub/mine.toml"):
        profile("vmware").save(tmp_path / file)
    (tmp_path / "a" / "policy.toml").write_text(f'profile = "{which}"\n')
    with pytest.raises(InputError, match=r"field profile.*beside the policy"):
        read_policy(tmp_path / "a")


def test_a_profile_is_based_on_none_but_those_of_drs(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('[mine]\nbase = "mine.toml"\n')
    (tmp_path / "policy.toml").write_text('profile = "mine.toml"\n')
    with pytest.raises(InputError, match=r"unknown hypervisor profile 'mine.toml'"):
        read_policy(tmp_path)


def test_a_fitted_profile_is_written_with_the_policy_and_read_back(tmp_path: Path) -> None:
    from drs.io import write_policy
    from drs.precopy.profiles import profile

    profile("qemu").with_(switch_ms=33.5).save(tmp_path / "ours.toml")
    (tmp_path / "policy.toml").write_text('profile = "ours.toml"\n')
    policy = read_policy(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "policy.toml").write_text(write_policy(policy))
    again = read_policy(tmp_path / "elsewhere")
    assert again == policy and profile(again.profile).switch_ms == 33.5


@pytest.mark.parametrize(
    "text", ["x = " + "[" * 5000, "x = " + "{a=" * 5000, ".".join("a" * 20_000) + " = 1"]
)
def test_a_file_that_would_break_the_parser(tmp_path: Path, text: str) -> None:
    (tmp_path / "policy.toml").write_text(f'profile = "vmware"  # [[[\n{text}\n')
    with pytest.raises(InputError, match=r"policy.toml, line 2: .* levels within each other"):
        read_policy(tmp_path)


@pytest.mark.parametrize("file", ["rules.toml", "policy.toml", "snapshot.toml", "disks.csv", "vms.csv"])
@pytest.mark.parametrize("what", ["folder", "link", "pipe"])
def test_what_is_no_file_is_never_passed_over(tmp_path: Path, file: str, what: str) -> None:
    import os

    from drs import api

    (tmp_path / "hosts.csv").write_text("host,cpu_mhz,memory_mib\nh,1000,1000\n")
    (tmp_path / "vms.csv").write_text("vm,host,memory_mib,cpu_demand_mhz\nv,h,10,10\n")
    path = tmp_path / file
    path.unlink(missing_ok=True)
    if what == "folder":
        path.mkdir()
    elif what == "link":
        path.symlink_to("nowhere")
    else:
        os.mkfifo(path)
    with pytest.raises(InputError, match="an ordinary file, or nothing of that name"):
        api.read(tmp_path)
        api.read_rules(tmp_path)
        api.read_policy(tmp_path)
