"""Whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from drs.errors import InputError
from drs.io import atomic_file, atomic_folder, own_folder, write_text_atomic
from drs.io.atomic import MARKER, written_by_drs


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "out") as work:
        (work / "a").write_text("1")
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out" / "a").read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) & 0o500 == 0o500


def test_a_folder_is_replaced(tmp_path: Path) -> None:
    old = tmp_path / "out"
    (old / "sub").mkdir(parents=True)
    (old / "a").write_text("old")
    (old / "b").write_text("old")
    with atomic_folder(old) as work:
        (work / "a").write_text("new")
    assert {path.name for path in old.iterdir()} == {"a"}
    assert (old / "a").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_after_an_error_nothing_has_changed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "out") as work:
        (work / "a").write_text("new")
        raise KeyboardInterrupt
    with pytest.raises(ZeroDivisionError), atomic_file(tmp_path / "out" / "a") as file:
        file.write_text("new")
        _ = 1 / 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]
    assert (tmp_path / "out" / "a").read_text() == "old"


def test_the_old_folder_comes_back_when_the_last_step_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("old")
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.suffix == ".part":
            raise OSError("busy")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="busy"), atomic_folder(tmp_path / "out") as work:
        (work / "a").write_text("new")
    assert (tmp_path / "out" / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_text_is_written_as_it_is(tmp_path: Path) -> None:
    write_text_atomic(tmp_path / "a.json", "ä\r\n\n")
    assert (tmp_path / "a.json").read_bytes() == "ä\r\n\n".encode()
    write_text_atomic(tmp_path / "a.json", "b")
    assert (tmp_path / "a.json").read_text() == "b"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_places_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match="a file of that name is there already"),
        atomic_folder(tmp_path / "file"),
    ):
        pass
    with pytest.raises(InputError, match="does not exist"), atomic_folder(tmp_path / "a" / "b"):
        pass
    with pytest.raises(InputError, match="a folder of that name is there already"):
        write_text_atomic(tmp_path, "x")
    with pytest.raises(InputError, match="does not exist"):
        write_text_atomic(tmp_path / "a" / "b.json", "x")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with atomic_folder(tmp_path / "link") as work:
        (work / "a").touch()
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / "a").exists()


def files(folder: Path) -> dict[str, str]:
    """Every file of a folder but the marker, with its text."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != MARKER]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


def test_a_folder_of_our_own_keeps_what_others_put_there(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with own_folder(out, "out") as work:
        for name in ("plan.json", "step-01/plan.json", "step-02/plan.json"):
            (work / name).parent.mkdir(exist_ok=True)
            (work / name).write_text("old")
    (out / ".git" / "objects").mkdir(parents=True)
    (out / ".git" / "objects" / "ab").write_text("history")
    (out / "step-02" / "notes.txt").write_text("mine")
    (out / "empty").mkdir()
    with own_folder(out, "out") as work:
        (work / "plan.json").write_text("new")
    assert files(out) == {
        "plan.json": "new",
        ".git/objects/ab": "history",
        "step-02/notes.txt": "mine",
    }
    assert (out / "empty").is_dir() and not (out / "step-01").exists()
    assert [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["plan.json", "rolling.json", ".git/HEAD", MARKER])
def test_a_folder_of_others_is_never_touched(tmp_path: Path, name: str) -> None:
    (tmp_path / "out" / name).parent.mkdir(parents=True)
    (tmp_path / "out" / name).write_text("of another tool")
    with (
        pytest.raises(InputError, match="did not write"),
        own_folder(tmp_path / "out", "out") as work,
    ):
        (work / "plan.json").write_text("ours")
    assert (tmp_path / "out" / name).read_text() == "of another tool"


def test_a_file_in_the_way_of_a_new_one_stays_and_so_does_everything(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with own_folder(out, "out") as work:
        (work / "plan.json").write_text("old")
    (out / "a").write_text("mine")
    (out / "step-01").write_text("mine")
    before = files(out)
    with pytest.raises(InputError, match="did not write"), own_folder(out, "out") as work:
        (work / "step-01").mkdir()
        (work / "step-01" / "plan.json").write_text("new")
    assert files(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_marker_cannot_point_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "thesis").write_text("years of work")
    with own_folder(tmp_path / "out", "out") as work:
        (work / "plan.json").write_text("old")
    with (tmp_path / "out" / MARKER).open("a") as marker:
        marker.write(f"../thesis\n{tmp_path / 'thesis'}\n")
    with own_folder(tmp_path / "out", "out") as work:
        (work / "plan.json").write_text("new")
    assert (tmp_path / "thesis").read_text() == "years of work"
    assert written_by_drs(tmp_path / "out") == {MARKER, "plan.json"}
