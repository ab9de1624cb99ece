"""What an interpreter finds, compared with a lock: each difference is named once."""

from __future__ import annotations

import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from respawn_environments.drift import Drift, drift
from respawn_kernels.host.installed import (
    InstalledPackage,
    InstalledPackages,
    installed_packages,
    marker_environment,
)

LOCK = """\
numpy==2.1.0 --hash=sha256:aa
torch==2.5.0 --hash=sha256:aa
old==1.0 ; python_version < '3.0' --hash=sha256:aa
direct @ https://x.org/direct-1.0.whl --hash=sha256:aa
"""
AS_LOCKED = [
    InstalledPackage("direct", "1.0", origin="https://x.org/direct-1.0.whl", record="r"),
    InstalledPackage("jupyterhub-respawn", "0.1.0+abc", record="r"),
    InstalledPackage("numpy", "2.1.0", record="r"),
    InstalledPackage("pip", "1.0"),
    InstalledPackage("torch", "2.5.0+cpu", record="r"),
]


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.lock"
    path.write_text(LOCK)
    return path


def found(**changed: InstalledPackage | None) -> InstalledPackages:
    packages = {one.name: one for one in AS_LOCKED} | changed
    present = [one for one in packages.values() if one is not None]
    return InstalledPackages(present, [], [], marker_environment())


def kinds(differences: list[Drift]) -> list[tuple[str, str]]:
    return [(one.kind.value, one.subject) for one in differences]


def test_what_is_as_the_lock_says_differs_in_nothing(lock: Path) -> None:
    assert drift(lock, found()) == []
    assert drift(lock, found(), own_version="0.1.0+abc", records=dict.fromkeys(["numpy", "torch"], "r")) == []


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"numpy": None}, "missing"),
        ({"numpy": InstalledPackage("numpy", "2.2.0", record="r")}, "version"),
        ({"numpy": InstalledPackage("numpy", "2.1.0", record="other")}, "changed"),
        ({"numpy": InstalledPackage("numpy", "2.1.0")}, "unchecked"),
        ({"numpy": InstalledPackage("numpy", "2.1.0", record="r", changed=["/absent/numpy.py"])}, "changed"),
        ({"numpy": InstalledPackage("numpy", "2.1.0", origin="/srv/numpy", record="r")}, "origin"),
        ({"numpy": InstalledPackage("numpy", "2.1.0", origin="/srv/numpy", editable=True)}, "origin"),
    ],
)
def test_a_package_that_differs_is_named(
    changed: dict[str, InstalledPackage | None], kind: str, lock: Path
) -> None:
    differences = drift(lock, found(**changed), records={"numpy": "r"})
    assert kinds(differences) == [(kind, "numpy")]
    assert "numpy" in differences[0].message


def test_other_code_of_respawn_is_another_version(lock: Path) -> None:
    assert kinds(drift(lock, found(), own_version="0.1.0+def")) == [("version", "jupyterhub-respawn")]


def test_what_a_cell_installed_or_put_on_the_import_path_is_named(lock: Path) -> None:
    here = replace(
        found(extra=InstalledPackage("extra", "1.0", record="r")), paths=["/srv/modules"], unowned=["/x.py"]
    )
    assert kinds(drift(lock, here)) == [("beside", "extra"), ("beside", "/x.py"), ("path", "/srv/modules")]


def test_a_place_on_the_import_path_is_seen_and_the_present_directory_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "modules").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), str(tmp_path / "modules"), str(tmp_path / "absent")])
    assert installed_packages(files=False).paths == [str(tmp_path / "modules")]


def test_a_place_below_the_prefix_of_python_is_seen_unless_it_is_the_standard_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    below = Path(sys.base_prefix) / "include"
    assert below.is_dir()
    standard = [place for place in sys.path if place.startswith(sys.base_prefix)]
    monkeypatch.setattr(sys, "path", [*standard, sysconfig.get_path("purelib"), str(below)])
    assert standard
    assert installed_packages(files=False).paths == [str(below)]
