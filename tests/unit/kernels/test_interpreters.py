"""Finding Pythons to make environments from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from respawn_environments.interpreters import NoInterpreter, find_interpreters, interpreter


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def saying(version: str, *, usable: bool = True) -> str:
    return f"""echo '["/opt/{version}/python", [{version.replace(".", ", ")}], {str(usable).lower()}]'"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no Python but the one that runs the tests."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    return tmp_path


def others() -> list[str]:
    own = sys.version_info[:3]
    return [".".join(map(str, one.version)) for one in find_interpreters() if one.version != own]


def test_the_present_one_is_found_where_there_is_no_other(machine: Path) -> None:
    assert [one.version for one in find_interpreters()] == [sys.version_info[:3]]


def test_those_on_path_and_pyenvs_are_found_the_newest_first(machine: Path) -> None:
    program(machine / "bin" / "python3.12", saying("3.12.90"))
    program(machine / "home" / "versions" / "3.13.99" / "bin" / "python3", saying("3.13.99"))
    program(machine / "home" / "versions" / "3.13.98" / "bin" / "python3", saying("3.13.98"))
    assert others() == ["3.12.90"]
    program(machine / "home" / "shims" / "python3.13", "exit 127")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{machine / 'home' / 'shims'}:{machine / 'bin'}")
        assert others() == ["3.13.99", "3.12.90"]


def test_what_cannot_make_environments_is_passed_over(machine: Path) -> None:
    program(machine / "bin" / "python3.12", "echo no module named ensurepip >&2; exit 1")
    program(machine / "bin" / "python3.13", saying("3.13.99", usable=False))
    program(machine / "bin" / "python3", "echo garbage")
    (machine / "bin" / "python3.11").symlink_to(machine / "gone")
    assert others() == []


def test_pythons_that_respawn_is_not_tested_with_are_used_when_named_only(machine: Path) -> None:
    program(machine / "bin" / "python3.99", saying("3.99.0"))
    program(machine / "bin" / "python3", saying("3.98.0"))
    assert others() == []
    assert interpreter("3.99").minor == "3.99"
    assert interpreter("python3").minor == "3.98"
    assert interpreter(str(machine / "bin" / "python3.99")).path == Path("/opt/3.99.0/python")


@pytest.mark.parametrize("wanted", ["3.97", "python4", "/no/such"])
def test_one_that_is_not_there_is_refused_naming_those_that_are(machine: Path, wanted: str) -> None:
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    with pytest.raises(NoInterpreter, match=rf"'{wanted}'.*found: {own}"):
        interpreter(wanted)
