"""`respawn.freeze`: what was asked for, in the versions that are there, and what no lock can pin."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path

import pytest

import respawn
from respawn_environments.definition import EnvironmentSource
from respawn_kernels.host.freeze import asked_for, freeze


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return what installs a package by its metadata, in a place that is all that this interpreter has."""
    place = tmp_path / "packages"
    place.mkdir()

    def install(
        name: str, *needs: str, version: str = "1.0", direct: dict[str, object] | None = None
    ) -> None:
        about = place / f"{name}-{version}.dist-info"
        about.mkdir()
        lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in needs)]
        (about / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n")
        if direct is not None:
            (about / "direct_url.json").write_text(json.dumps(direct))

    found = metadata.distributions
    monkeypatch.setattr(metadata, "distributions", lambda: found(path=[str(place)]))
    return install


def names() -> list[str]:
    return asked_for({one.metadata["Name"]: one for one in metadata.distributions()})


def test_what_others_need_comes_by_itself(packages) -> None:
    packages("report", "pandas>=2", "tomli; python_version < '3.0'", "plots; extra == 'all'")
    packages("pandas", "numpy")
    for name in ("numpy", "tomli", "plots"):
        packages(name)
    assert names() == ["plots", "report", "tomli"]


def test_what_is_needed_by_an_extra_that_somebody_wants_comes_by_itself(packages) -> None:
    packages("report", "dask[dataframe]")
    packages("dask", "pyarrow; extra == 'dataframe'")
    packages("pyarrow")
    assert names() == ["report"]


def test_packages_that_need_each_other_are_not_lost(packages) -> None:
    packages("one", "two")
    packages("two", "one", "three")
    packages("three")
    assert names() == ["one"]


def test_what_respawn_and_every_environment_have_is_left_out(packages) -> None:
    packages("jupyterhub-respawn", "ipykernel; extra == 'kernels'")
    for name in ("ipykernel", "pip", "setuptools", "numpy"):
        packages(name, version="2.1")
    assert freeze().requirements == ("numpy==2.1",)


def test_what_no_lock_can_pin_is_named(packages) -> None:
    packages("ours", direct={"url": "file:///srv/ours", "dir_info": {"editable": True}})
    packages("built", direct={"url": "file:///srv/built.whl", "archive_info": {}})
    packages("cloned", direct={"url": "https://x.org/c", "vcs_info": {"vcs": "git", "commit_id": "abc"}})
    packages("fetched", direct={"url": "https://x.org/fetched.whl", "archive_info": {}})
    frozen = freeze()
    assert frozen.requirements == ("fetched @ https://x.org/fetched.whl",)
    assert frozen.left_out[:3] == (
        "built 1.0 is installed from /srv/built.whl",
        "cloned 1.0 is installed from git+https://x.org/c@abc",
        "ours 1.0 is used from /srv/ours",
    )
    assert "#     ours 1.0 is used from /srv/ours" in repr(frozen)


def test_the_proposal_is_an_environment_that_can_be_locked(packages, tmp_path: Path) -> None:
    packages("numpy", version="2.1")
    directory = tmp_path / "finance"
    assert respawn.freeze(directory).path == directory / "environment.toml"
    read = EnvironmentSource.read(directory)
    assert read.definition.requirements == ["numpy==2.1"]
    assert read.definition.python == f"{sys.version_info[0]}.{sys.version_info[1]}"
    with pytest.raises(FileExistsError):
        respawn.freeze(directory)
    assert respawn.freeze(directory, replace=True).requirements == ("numpy==2.1",)


def test_a_real_environment_is_frozen_in_the_versions_that_it_has() -> None:
    frozen = respawn.freeze()
    assert frozen.path is None
    assert f"uv=={metadata.version('uv')}" in frozen.requirements
