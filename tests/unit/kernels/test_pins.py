"""A build that a job pins is found and started after its kernel's name has moved on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from respawn_environments import catalog
from respawn_environments.errors import EnvironmentMissing
from respawn_environments.pins import install_pinned, is_built, kernel_of, pinned_name, pinned_spec
from respawn_kernels import hash_seed
from support.played_environments import kernelspec, played

KERNEL = "respawn-science"


def moved_on(tmp_path: Path) -> dict[str, Any]:
    """Play two builds of one name; return the kernelspec, which starts the newer one."""
    played(tmp_path / "envs", "science", "a")
    newer = played(tmp_path / "envs", "science", "b")
    directory = kernelspec(tmp_path / "prefix", "science", newer)
    spec: dict[str, Any] = json.loads((directory / "kernel.json").read_text())
    spec["metadata"]["respawn"]["preload"] = ["a_module_of_the_newer_lock"]
    return spec


def test_the_pinned_build_is_started_by_the_kernelspec_that_was_installed_for_it(tmp_path: Path) -> None:
    spec = moved_on(tmp_path)
    older = catalog.with_hash(tmp_path / "envs", "a" * 64)
    assert older is not None
    kept = {
        "argv": [str(older.python), "-m", "ipykernel_launcher"],
        "metadata": {"respawn": {"lock": "a" * 64}},
    }
    catalog.keep_kernelspec(older.directory, KERNEL, json.dumps(kept).encode())
    assert pinned_spec(KERNEL, spec, "a" * 64) == kept
    assert older.last_used is not None


def test_without_one_it_is_made_from_the_kernels_own_without_what_that_one_preloads(tmp_path: Path) -> None:
    spec = moved_on(tmp_path)
    made = pinned_spec(KERNEL, spec, "a" * 64)
    assert made["argv"] == [str(tmp_path / "envs" / f"science-{'a' * 12}" / "bin" / "python")]
    assert made["metadata"]["respawn"] == {"environment": "science", "lock": "a" * 64, "python": "3.13"}
    assert made["env"][hash_seed.VARIABLE] == hash_seed.seed_for("a" * 64)
    assert spec["metadata"]["respawn"]["lock"] == "b" * 64, "the kernel's own stays as it was"


def test_a_build_in_another_root_is_found_by_the_variable_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(tmp_path / "elsewhere", "science", "c")
    spec = moved_on(tmp_path)
    assert not is_built(spec, "c" * 64)
    monkeypatch.setenv("RESPAWN_ENVIRONMENTS", str(tmp_path / "elsewhere"))
    assert is_built(spec, "c" * 64)


def test_a_build_that_is_gone_is_named_with_what_can_be_done(tmp_path: Path) -> None:
    spec = moved_on(tmp_path)
    with pytest.raises(
        EnvironmentMissing, match=r"pins build cccccccccccc of kernel respawn-science.*promote"
    ):
        pinned_spec(KERNEL, spec, "c" * 64)


def test_a_person_gets_a_kernel_of_the_pinned_build_and_it_goes_with_the_build(tmp_path: Path) -> None:
    spec, kernels = moved_on(tmp_path), tmp_path / "own" / "kernels"
    name = install_pinned(kernels, KERNEL, spec, "a" * 64)
    assert (name, kernel_of(name)) == (pinned_name(KERNEL, "a" * 64), KERNEL)
    installed = json.loads((kernels / name / "kernel.json").read_text())
    assert installed["display_name"] == "science, pinned aaaaaaaaaaaa"
    shutil.rmtree(tmp_path / "envs" / f"science-{'a' * 12}")
    played(tmp_path / "envs", "science", "c")
    install_pinned(kernels, KERNEL, spec, "c" * 64)
    assert [path.name for path in kernels.iterdir()] == [pinned_name(KERNEL, "c" * 64)]


@pytest.mark.parametrize(
    "name", ["python3", "respawn-science", "respawn-a.pinned-b", "x.pinned-0123456789AB"]
)
def test_other_names_are_taken_as_they_are(name: str) -> None:
    assert kernel_of(name) == name
