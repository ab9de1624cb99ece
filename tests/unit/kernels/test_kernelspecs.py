"""Finding kernels, and environments that cannot be made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from respawn_environments.build import create
from respawn_environments.definition import EnvironmentSource
from respawn_environments.errors import EnvironmentMissing
from respawn_environments.kernelspecs import (
    UnknownKernel,
    contents_of,
    find_kernel,
    is_installed,
    list_kernels,
)
from respawn_environments.lockfile import lock_hash
from support.tiny_environments import source


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "kernels" / "respawn-lab"
    directory.mkdir(parents=True)
    spec = {"argv": ["x"], "display_name": "Lab", "language": "R", "metadata": {"respawn": {"lock": "abc"}}}
    (directory / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    return directory


def test_kernel_is_found_with_language_and_lock(installed: Path) -> None:
    kernel = find_kernel("respawn-lab")
    assert (kernel.display_name, kernel.language, kernel.lock) == ("Lab", "r", "abc")
    assert kernel in list_kernels()


@pytest.mark.parametrize("name", ["respawn-lap", "no/such", ""])
def test_unknown_kernel_names_those_that_are_known(installed: Path, name: str) -> None:
    with pytest.raises(UnknownKernel, match=r"known: .*respawn-lab") as caught:
        find_kernel(name)
    assert isinstance(caught.value, LookupError)
    assert repr(name) in str(caught.value)


def test_likely_kernel_is_suggested(installed: Path) -> None:
    with pytest.raises(UnknownKernel, match="did you mean 'respawn-lab'"):
        find_kernel("respawn-lap")


def test_what_others_write_into_the_metadata_of_a_kernel_hides_no_kernel(installed: Path) -> None:
    other = installed.parent / "other"
    other.mkdir()
    spec = {"argv": ["x"], "display_name": "Other", "language": "R", "metadata": {"respawn": "yes"}}
    (other / "kernel.json").write_text(json.dumps(spec))
    assert {"other", "respawn-lab"} <= {kernel.name for kernel in list_kernels()}
    assert find_kernel("other").lock is None


@pytest.mark.parametrize("text", ["{", "[]", '{"argv": 7}'])
def test_a_broken_kernelspec_is_told_from_one_that_is_not_there(installed: Path, text: str) -> None:
    (installed / "kernel.json").write_text(text)
    with pytest.raises(UnknownKernel, match="the kernelspec of 'respawn-lab' cannot be read: ") as caught:
        find_kernel("respawn-lab")
    assert "did you mean" not in str(caught.value)
    assert contents_of("respawn-lab") is None
    assert not is_installed("respawn-lab", "abc")
    assert "respawn-lab" not in {kernel.name for kernel in list_kernels()}


def test_lock_hash_counts_requirements_only(tmp_path: Path) -> None:
    one, two, three = (tmp_path / name for name in "abc")
    one.write_text("# made by hand\nnumpy==2.0\n    # via x\n\npandas==3.0  # why\n")
    two.write_text("numpy==2.0\npandas==3.0\n")
    three.write_text("numpy==2.1\npandas==3.0\n")
    assert lock_hash(one) == lock_hash(two) != lock_hash(three)


@pytest.mark.parametrize("name", ["Up", "-x", "my kernel", "x" * 64])
def test_name_that_cannot_name_a_kernel_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"'{name}' cannot name an environment"):
        EnvironmentSource.read(tmp_path / name)


def test_missing_lock_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentMissing, match=r"none.requirements\.lock is missing: .*kernels lock none"):
        create(source(tmp_path / "none"), root=tmp_path / "envs", prefix=tmp_path)
    assert not (tmp_path / "envs").exists()
