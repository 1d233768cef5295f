"""The whole way against a vCenter (the simulator of govmomi): read, plan, carry out, be killed, go on."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from simulator import VCenterSim
from typer.testing import CliRunner

import drs
from drs.cli import app
from drs.execute.executor import Executor, Settings
from drs.execute.journal import NAME, Journal, read_journal
from drs.execute.replan import facts
from drs.execute.vcenter import VCenter
from drs.io.plan_file import SavedPlan, read_plan
from drs.io.readers.protocol import Options
from drs.io.readers.vcenter import read_vcenter
from drs.io.readers.vcenter_login import Login, parse_address
from drs.model import Placement, Snapshot
from drs.planning import make_plan
from drs.result import Result

# pyvmomi leaves the socket of a login that failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PASSWORD = "s3cret-word"
Start = Callable[..., VCenterSim]


def cluster(n_vms: int = 12) -> Snapshot:
    """Three hosts, VMs of 2 GiB with a disk each."""
    vms = [f"vm-{i + 1:02d}" for i in range(n_vms)]
    return drs.read(
        {
            "hosts": pd.DataFrame(
                {"host": ["esx-1", "esx-2", "esx-3"], "cpu_mhz": 20000, "cpu_cores": 10, "memory_mib": 65536}
            ),
            "vms": pd.DataFrame(
                {
                    "vm": vms,
                    "host": [f"esx-{1 + i % 3}" for i in range(n_vms)],
                    "memory_mib": 2048,
                    "cpu_demand_mhz": 500,
                }
            ),
            "datastores": pd.DataFrame(
                {"datastore": ["ds-1", "ds-2"], "capacity_gib": 1000, "free_gib": [500, 900]}
            ),
            "disks": pd.DataFrame({"vm": vms, "disk": "Hard disk 1", "datastore": "ds-1", "size_gib": 10}),
            "nics": pd.DataFrame({"vm": vms, "network": "prod"}),
        }
    )


def login(sim: VCenterSim) -> Login:
    return Login("drs", PASSWORD, sim.ca_file)


def read(sim: VCenterSim) -> Snapshot:
    found = read_vcenter(sim.address, Options(login=login(sim))).snapshot
    assert found is not None
    return found


def planned(sim: VCenterSim, folder: Path, n: int = 9, stores: tuple[str, ...] = ()) -> SavedPlan:
    """A plan of the cluster in the simulator: the first n VMs one host further, some disks to the other datastore."""
    from drs.report.document import write

    today = read(sim)
    host_idx, store = today.vms.host_idx.copy(), today.disks.datastore_idx.copy()
    host_idx[:n] = (host_idx[:n] + 1) % 3
    for vm in stores:
        store[today.disks.vm_idx == today.vms.position[vm]] = today.datastores.position["ds-2"]
    problem = drs.Problem(today)
    plan = make_plan(today, Placement(host_idx, store), problem.lowered.during)
    result = Result(problem, "feasible", plan.placement, (), (), (), "test", 0, 0.0, plan=plan)
    write(result, folder, "<html></html>")
    return read_plan(folder)


def platform(sim: VCenterSim) -> VCenter:
    address = parse_address(sim.address)
    assert address is not None
    return VCenter(address, login(sim))


def carry_out(
    saved: SavedPlan,
    sim: VCenterSim,
    settings: Settings | None = None,
    on_event: Callable[[dict[str, Any]], None] = lambda event: None,
) -> Any:
    here = platform(sim)
    settings = settings or Settings(poll_s=0.05, backoff_s=0.1, settle_s=0.5, verify_s=3.0, patience_s=20.0)
    try:
        with Journal(saved.folder / NAME) as journal:
            journal.begin(facts(saved, here), saved.plan.moves)
            return Executor(saved, here, journal, settings, on_event=on_event).run()
    finally:
        here.close()


def agree(saved: SavedPlan, sim: VCenterSim) -> None:
    """Every VM is where the journal says, and none was moved more often."""
    _, steps, _ = read_journal(saved.folder)
    now = read(sim)
    moves = sim.moves()
    for step in steps.values():
        if step.status == "done":
            assert now.hosts.name[now.vms.host_idx[now.vms.position[step.vm]]] == step.to_host
            assert moves[step.vm] == 1
        else:
            assert moves.get(step.vm, 0) == 0


def test_who_asks_and_who_answers(start_vcsim: Start, tmp_path: Path) -> None:
    sim = start_vcsim(cluster(3))
    der = ssl.PEM_cert_to_DER_cert(sim.ca_file.read_text())
    fingerprint = hashlib.sha256(der).hexdigest().upper()
    colons = ":".join(fingerprint[i : i + 2] for i in range(0, 64, 2))
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)
    run = CliRunner()

    def convert(*words: str, password: str | None = None) -> Any:
        words = ("convert", sim.address, str(tmp_path / "out"), "--user", "drs", *words)
        done = run.invoke(app, list(words), input=password)
        assert PASSWORD not in done.output + done.stderr
        return done

    refused = convert("--password-file", str(secret))
    assert refused.exit_code == 2 and "its certificate is not trusted" in refused.stderr
    for trust in (
        ["--ca-file", str(sim.ca_file)],
        ["--thumbprint", colons],
        ["--thumbprint", fingerprint],
        ["--insecure"],
    ):
        assert convert("--password-file", str(secret), *trust).exit_code == 0
    assert convert("--password-stdin", "--insecure", password=PASSWORD + "\n").exit_code == 0
    other = convert("--password-file", str(secret), "--thumbprint", "0" * 64)
    assert other.exit_code == 2 and colons.lower() in other.stderr
    wrong = convert("--password-stdin", "--insecure", password="wrong\n")
    assert wrong.exit_code == 2 and "was refused" in wrong.stderr
    both = convert("--password-stdin", "--password-file", str(secret), "--insecure", "--thumbprint", "0" * 64)
    assert "--password-stdin: " in both.stderr and "--insecure: " in both.stderr
    found = drs.read(tmp_path / "out")
    assert found.vms.id.tolist() == ["vm-1", "vm-2", "vm-3"] and found.hosts.id[0] == "host-1"
    assert len(set(found.vms.instance_uuid.tolist())) == 3 and found.hosts.vcenter_id[0] and found.taken_at


def test_a_plan_with_disks_is_carried_out_and_undone(start_vcsim: Start, tmp_path: Path) -> None:
    from drs.execute.undo import undo
    from drs.report.document import write

    sim = start_vcsim(cluster(), per_gb="20ms")
    saved = planned(sim, tmp_path / "plan", stores=("vm-01", "vm-12"))
    assert carry_out(saved, sim).complete
    agree(saved, sim)
    now = read(sim)
    assert now.datastores.name[now.disks.datastore_idx[[0, 11, 1]]].tolist() == ["ds-2", "ds-2", "ds-1"]
    back = undo(saved, now)
    write(back, tmp_path / "back", "<html></html>")
    assert carry_out(read_plan(tmp_path / "back"), sim).complete
    assert read(sim).structure == saved.structure


def test_faults_of_a_vcenter(start_vcsim: Start, tmp_path: Path) -> None:
    sim = start_vcsim(cluster(), per_gb="20ms")
    saved = planned(sim, tmp_path / "plan", stores=("vm-02",))
    sim.order("refuse", vm="vm-1", n=1)  # tried again
    sim.order("fail", vm="vm-3", n=9)  # a person is asked
    sim.order("full", ds="datastore-2")  # vm-02 has no space
    cuts = iter((3, 2))  # connections are cut after the first starts

    def cut(event: dict[str, Any]) -> None:
        if event["event"] == "started" and (n := next(cuts, 0)):
            sim.order("drop", n=n)

    settings = Settings("skip", poll_s=0.05, backoff_s=0.1, settle_s=0.5, patience_s=20.0)
    outcome = carry_out(saved, sim, settings, cut)
    assert {step.vm for step in outcome.of("failed")} == {"vm-02", "vm-03"}
    assert len(outcome.of("done")) == 7
    agree(saved, sim)
    assert any("lacks" in step.reason for step in outcome.of("failed"))


def test_a_plan_that_is_out_of_date_says_what_differs(start_vcsim: Start, tmp_path: Path) -> None:
    sim = start_vcsim(cluster())
    saved = planned(sim, tmp_path / "plan", n=1)
    words = ["apply", str(saved.folder), "--to", sim.address, "--user", "drs", "--ca-file", str(sim.ca_file)]
    environment = {"DRS_VCENTER_PASSWORD": PASSWORD}
    run = CliRunner()
    dry = run.invoke(app, words, env=environment)
    assert dry.exit_code == 0 and "nothing was moved" in dry.output and not sim.moves()
    sim.order("maintenance", host="host-2")
    stale = run.invoke(app, [*words, "--yes"], env=environment)
    assert stale.exit_code == 3 and "host esx-2 is maintenance; it was connected" in stale.stderr
    old = run.invoke(app, [*words, "--yes", "--max-age-s", "0"], env=environment)
    assert "it was made" in old.stderr and not sim.moves() and not (saved.folder / NAME).exists()


def test_killed_at_several_instants_and_resumed(start_vcsim: Start, tmp_path: Path) -> None:
    """kill -9 after the nth event: nothing is done twice, every VM is where the journal says."""
    sim = start_vcsim(cluster(), per_gb="300ms")
    saved = planned(sim, tmp_path / "plan")
    words = [sys.executable, "-m", "drs", "apply", str(saved.folder), "--to", sim.address, "--user", "drs",
             "--ca-file", str(sim.ca_file), "--yes", "--json-lines"]  # fmt: skip
    environment = {**os.environ, "DRS_VCENTER_PASSWORD": PASSWORD}
    kills = 0
    for after in (1, 4, 6, 10**6):
        resume = ["--resume"] if (saved.folder / NAME).exists() else []
        process = subprocess.Popen([*words, *resume], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=environment)  # fmt: skip
        assert process.stdout is not None
        seen = 0
        for line in process.stdout:
            json.loads(line)
            seen += 1
            if seen == after:
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
        _, err = process.communicate(timeout=120)
        assert PASSWORD not in err
        if seen < after:
            break
    assert process.returncode == 0, err
    assert kills >= 3
    _, steps, events = read_journal(saved.folder)
    assert all(step.status == "done" for step in steps.values()), err
    assert PASSWORD not in json.dumps(events)
    assert set(sim.moves().values()) == {1} and len(sim.moves()) == 9
    agree(saved, sim)
