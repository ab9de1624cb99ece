"""A notebook's kernel against the lock of the build that its job would pin."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from respawn_environments import catalog
from respawn_environments.catalog import BuiltEnvironment
from respawn_environments.kernel_drift import ASK, RunningKernel, build_of, drift_of_kernel
from respawn_kernels.host.installed import (
    InstalledPackage,
    InstalledPackages,
    installed_packages,
    marker_environment,
)
from support.played_environments import played

TINY = InstalledPackage("tiny-thing", "1.0", record="r")


def built(tmp_path: Path, digit: str) -> BuiltEnvironment:
    made = played(tmp_path / "envs", "tiny", digit)
    catalog.complete(made.directory, made.record, b"tiny-thing==1.0 --hash=sha256:aa\n")
    return made


def spec_of(made: BuiltEnvironment, lock: str | None = None) -> dict[str, Any]:
    return {"argv": [str(made.python)], "metadata": {"respawn": {"lock": lock or made.record.hash}}}


def running(made: BuiltEnvironment, *packages: InstalledPackage, **more: list[str]) -> RunningKernel:
    found = InstalledPackages([TINY, *packages], [], [], marker_environment())
    return RunningKernel(made.directory, replace(found, **more))


def messages(spec: dict[str, Any], said: RunningKernel) -> list[str]:
    return [one.message for one in drift_of_kernel(spec, said)]


def test_a_kernel_as_its_lock_says_differs_in_nothing(tmp_path: Path) -> None:
    made = built(tmp_path, "a")
    assert drift_of_kernel(spec_of(made), running(made)) == []


def test_what_a_notebook_installed_or_put_on_its_path_is_named(tmp_path: Path) -> None:
    made = built(tmp_path, "a")
    beside = InstalledPackage("extra", "2.0", record="r")
    edited = InstalledPackage("mine", "0.1", origin="/srv/ada/mine", editable=True, record="r")
    assert messages(spec_of(made), running(made, beside, edited, paths=["/srv/ada/lib"])) == [
        "extra 2.0 is installed and not in the lock",
        "mine 0.1 is used from /srv/ada/mine, which the lock does not pin",
        "/srv/ada/lib is on the import path beside the environment",
    ]


def test_a_kernel_of_a_build_that_the_name_has_left_is_to_be_restarted(tmp_path: Path) -> None:
    older, newer = built(tmp_path, "a"), built(tmp_path, "b")
    (said,) = messages(spec_of(newer), running(older))
    assert said == (
        "the notebook's kernel runs in build aaaaaaaaaaaa, and the job would pin bbbbbbbbbbbb: "
        "restart the kernel"
    )


def test_a_notebook_that_names_a_pinned_build_is_to_choose_the_kernel_itself(tmp_path: Path) -> None:
    older, newer = built(tmp_path, "a"), built(tmp_path, "b")
    spec = {**spec_of(newer), "display_name": "Tiny (Respawn)"}
    chosen = "respawn-tiny.pinned-aaaaaaaaaaaa"
    (said,) = [one.message for one in drift_of_kernel(spec, running(older), chosen=chosen)]
    assert said == (
        "the notebook's kernel runs in build aaaaaaaaaaaa, and the job would pin bbbbbbbbbbbb: "
        "choose the kernel 'Tiny (Respawn)' in its place"
    )


def test_a_notebook_that_ran_outside_of_any_build_is_told_so(tmp_path: Path) -> None:
    made = built(tmp_path, "a")
    elsewhere = replace(running(made, InstalledPackage("extra", "2.0")), prefix=tmp_path)
    assert messages(spec_of(made), elsewhere) == [
        f"the notebook's kernel runs in {tmp_path}, which is no build, and the job would pin aaaaaaaaaaaa: "
        "choose the kernel 'Tiny (Respawn)' in its place"
    ]


def test_a_kernel_of_no_build_is_not_compared(tmp_path: Path) -> None:
    made = built(tmp_path, "a")
    assert build_of({"argv": ["python"]}) is None
    assert build_of(spec_of(made, "f" * 64)) is None
    assert drift_of_kernel(spec_of(made, "f" * 64)) == []


def test_what_a_kernel_says_is_read_and_anything_else_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = partial(installed_packages, files=False)  # all files would take long
    monkeypatch.setattr("respawn_kernels.host.installed.installed_packages", versions)
    said = RunningKernel.read(json.loads(eval(ASK)))
    assert any(one.name == "ipykernel" for one in said.found.packages)
    assert RunningKernel.read([str(said.prefix), asdict(said.found)]) == said
    with pytest.raises(ValueError, match="something else"):
        RunningKernel.read({"prefix": 3})
