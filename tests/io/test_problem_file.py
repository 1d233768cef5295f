"""A saved problem comes from somewhere: it is read whole, or refused with one clear sentence."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from drs import api, io
from drs.errors import InputError
from drs.io import problem_file
from drs.precopy.profiles import profile
from drs.problem.policy import Policy

HOSTS = "host,cpu_mhz,memory_mib\nh,1000,1000\n"
VMS = "vm,host,memory_mib,cpu_demand_mhz\nv,h,10,10\n"


def archive(path: Path, **more: bytes | str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in {"hosts_csv": HOSTS, "vms_csv": VMS, **more}.items():
            new.writestr(name.replace("_", "."), data)
    return path


def test_it_is_read_with_a_fitted_profile(tmp_path: Path) -> None:
    snapshot = api.read(archive(tmp_path / "a.zip"))
    policy = Policy(profile=profile("qemu").with_(switch_ms=12.5))
    io.save_problem(tmp_path / "b.zip", snapshot, (), policy)
    assert api.read(tmp_path / "b.zip").digest == snapshot.digest
    assert api.read_policy(tmp_path / "b.zip") == policy


def test_a_small_file_that_would_fill_the_disk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problem_file, "MOST_UNPACKED", 1 << 20)
    bomb = archive(tmp_path / "a.zip", loads_csv=b"0" * (3 << 20))
    assert bomb.stat().st_size < 20_000
    with pytest.raises(InputError, match="GiB when unpacked"):
        api.read(bomb)


def test_an_archive_that_lies_about_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = archive(tmp_path / "a.zip", loads_csv=b"0" * (3 << 20))
    data = bomb.read_bytes().replace((3 << 20).to_bytes(4, "little"), (9).to_bytes(4, "little"))
    bomb.write_bytes(data)
    monkeypatch.setattr(problem_file, "MOST_UNPACKED", 1 << 20)
    with pytest.raises(InputError, match="problem that drs has saved"):
        api.read(bomb)


@pytest.mark.parametrize("name", ["notes.txt", "../hosts.csv", "sub/hosts.csv", ".bashrc"])
def test_what_is_no_file_of_a_snapshot(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "a.zip")
    with zipfile.ZipFile(path, "a") as more:
        more.writestr(name, "x")
    with pytest.raises(InputError, match="no file of a snapshot"):
        api.read(path)


def test_a_password(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip")
    data = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(mark) + flags] |= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="it is encrypted"):
        api.read(path)


def test_any_damage_is_one_clear_error(tmp_path: Path) -> None:
    whole = archive(tmp_path / "a.zip").read_bytes()
    digest = api.read(tmp_path / "a.zip").digest
    for at in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        for data in (bytes(damaged), whole[:at]):
            (tmp_path / "b.zip").write_bytes(data)
            try:
                assert api.read(tmp_path / "b.zip").digest == digest  # a date, a comment
            except InputError as error:
                assert "b.zip" in str(error) or "source" in str(error)
