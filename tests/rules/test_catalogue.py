"""Rules of other packages are found by their entry point, late, and a broken one is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from drs.errors import InputError
from drs.rules import RULES, Quorum, Rule
from drs.rules.catalogue import Catalogue

HALF = """
from dataclasses import dataclass
from drs.rules import Quorum

print("loaded")

@dataclass(frozen=True)
class Half(Quorum):
    pass

number = 5
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Installs a package with these entry points, as far as Python can tell."""

    def install(name: str, **points: str) -> Path:
        (tmp_path / f"{name}_rules.py").write_text(HALF)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{point} = {value}" for point, value in points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[drs.rules]", *lines]) + "\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        return tmp_path

    return install


def catalogue() -> Catalogue:
    fresh = Catalogue()
    fresh.add("quorum", Quorum)
    return fresh


def test_a_rule_of_another_package_is_found_late(package, capsys: pytest.CaptureFixture[str]) -> None:
    package("acme", half="acme_rules:Half")
    rules = catalogue()
    assert rules["quorum"] is Quorum and "loaded" not in capsys.readouterr().out
    assert rules["half"].__name__ == "Half" and rules["half"].type == "half"
    assert "loaded" in capsys.readouterr().out
    assert set(catalogue()) == {"quorum", "half"} and len(rules) == 2
    assert "no-such" not in rules
    with pytest.raises(KeyError):
        rules["no-such"]


def test_it_is_read_from_rules_toml(package, tmp_path: Path) -> None:
    where = package("acme", half="acme_rules:Half")
    file = tmp_path / "rules.toml"
    file.write_text('[[rule]]\ntype = "half"\nvms = "a"\nhosts = "b"\nat_least = 1\n')
    code = f"import sys; sys.path.insert(0, {str(where)!r}); from drs.io.rules_toml import read_rules; " \
        f"print(*(type(rule).__name__ for rule in read_rules({str(file)!r})))"  # fmt: skip
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["loaded", "Half"]


def test_broken_ones_are_one_error_that_names_the_packages(package) -> None:
    package("acme", gone="acme_nowhere:Gone", number="acme_rules:number", quorum="acme_rules:Half")
    rules = catalogue()
    assert rules["quorum"] is Quorum, "what drs has needs no other package"
    for ask in (lambda: rules["half"], lambda: list(rules), lambda: "half" in rules):
        with pytest.raises(InputError) as caught:
            ask()
        told = str(caught.value)
        assert len(caught.value.faults) == 3 and told.count("package 'acme'") == 3
        assert "No module named 'acme_nowhere'" in told
        assert "acme_rules:number is no rule" in told
        assert "the type 'quorum', which exists" in told


def test_the_catalogue_holds_rules() -> None:
    assert all(issubclass(cls, Rule) and cls.type == kind for kind, cls in RULES.items())
