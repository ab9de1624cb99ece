"""Runs and debug notebooks in the build that was promoted, with real kernels, after the name has moved on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from respawn_environments import catalog
from respawn_environments.catalog import BuiltEnvironment
from respawn_environments.errors import EnvironmentInUse
from respawn_environments.kernelspecs import find_kernel, pinned_kernel
from respawn_environments.removal import remove
from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.errors import InvalidInput
from respawn_jobs.executors.local import LocalExecutor
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import RunState
from respawn_jobs.model.settings import Cause
from respawn_jobs.notebook.document import read_notebook, write_notebook
from support.bench import Bench
from support.notebooks import notebook, text
from support.played_environments import played
from support.service import served
from support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.long]

KERNEL = "respawn-finance"
CELLS = ("import os\nbuild = os.environ['BUILD']", "print(build)\n1 / 0")


def built(root: Path, digit: str) -> BuiltEnvironment:
    """Make a build whose interpreter is this one, and says which build it is."""
    made = played(root, "finance", digit)
    made.python.write_text(f'#!/bin/sh\nBUILD={digit} exec {sys.executable} "$@"\n')
    made.python.chmod(0o755)
    return made


def install(tmp_path: Path, made: BuiltEnvironment) -> None:
    """Let the kernel's name start a build."""
    directory = tmp_path / "jupyter" / "kernels" / KERNEL
    directory.mkdir(parents=True, exist_ok=True)
    spec = {
        "argv": [str(made.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Finance (Respawn)",
        "language": "python",
        "metadata": {"respawn": {"environment": "finance", "lock": made.record.hash}},
    }
    text = json.dumps(spec)
    catalog.keep_kernelspec(made.directory, KERNEL, text.encode())
    (directory / "kernel.json").write_text(text)


def forget_kernels(bench: Bench) -> None:
    """Let the ledger ask anew what is installed, as it does after ten seconds."""
    bench.ledger._context._kernels.clear()


def test_runs_use_the_build_that_was_promoted_until_the_notebook_is_promoted_again(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "own"))
    old = built(tmp_path / "envs", "a")
    install(tmp_path, old)
    queued = bench.queue(*CELLS, kernel=KERNEL)
    install(tmp_path, built(tmp_path / "envs", "b"))
    forget_kernels(bench)

    failed = bench.execute(queued)
    assert (failed.run.state, bench.printed(queued, 1)) == (RunState.FAILED, "a\n")
    assert (failed.run.lock, failed.run.newer_lock) == ("a" * 64, "b" * 64)

    # A person's Jupyter starts the very build for the debug notebook, and the fix goes on in it.
    name = pinned_kernel(KERNEL, "a" * 64)
    assert find_kernel(name).lock == "a" * 64
    edited = read_notebook(bench.service.debug(queued).notebook)
    edited.cells[1].source = "print(build, os.environ['BUILD'])"
    edited.metadata["kernelspec"]["name"] = name
    fixed = bench.resume(queued, read_notebook(write_notebook(edited)))
    assert (fixed.run.state, fixed.run.resume_from) == (RunState.SUCCEEDED, 1)
    assert bench.printed(fixed.run.id, 1) == "a a\n"

    # A build that is gone is named, and promoting again takes the one that is there.
    catalog.invalidate(old.directory)
    gone = bench.execute(bench.service.run(RunRequest(job=failed.run.job)).id)
    assert gone.run.error is not None
    assert f"pins build {'a' * 12} of kernel {KERNEL}" in gone.run.error.value
    assert (gone.run.state, gone.run.error.name) == (RunState.FAILED, "EnvironmentMissing")
    assert gone.attempts[-1].cause is Cause.ENVIRONMENT_MISSING
    assert bench.run(*CELLS, kernel=KERNEL).run.lock == "b" * 64


def test_a_job_runs_in_its_older_build_after_its_kernel_was_removed(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "envs"
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "own"))
    install(tmp_path / "share", built(root, "a"))
    first = bench.queue("import os\nprint(os.environ['BUILD'])", kernel=KERNEL)
    install(tmp_path / "share", built(root, "b"))
    wanted = {"root": root, "prefix": tmp_path}
    with pytest.raises(EnvironmentInUse, match=f"1 job pins its older build {'a' * 12}"):
        remove("finance", pinned=bench.ledger.pinned_environments(), **wanted)
    remove("finance", pinned={}, force=True, **wanted)
    forget_kernels(bench)

    failed = bench.execute(first)
    assert failed.run.error is not None
    assert f"pins build {'a' * 12} of kernel {KERNEL}" in failed.run.error.value
    with pytest.raises(InvalidInput, match=f"unknown kernel '{KERNEL}'"):
        bench.service.run(RunRequest(job=failed.run.job))
    monkeypatch.setenv("RESPAWN_ENVIRONMENTS", str(root))
    again = bench.execute(bench.service.run(RunRequest(job=failed.run.job)).id)
    assert (again.run.state, bench.printed(again.run.id, 0)) == (RunState.SUCCEEDED, "a\n")
    assert find_kernel(pinned_kernel(KERNEL, "a" * 64)).lock == "a" * 64


def test_runners_of_a_service_find_builds_where_the_service_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("RESPAWN_ENVIRONMENTS", str(tmp_path / "of_the_service"))
    ledger = Ledger.embedded(tmp_path / "data")
    ada = ledger.as_actor(Actor.owner("ada"))
    install(tmp_path, built(tmp_path / "of_the_service", "a"))
    nb = text(notebook("import os\nprint(os.environ['BUILD'])", kernel=KERNEL))
    ada.promote(Promotion(name="report", notebook=nb))
    install(tmp_path, built(tmp_path / "elsewhere", "b"))
    with served(ledger, tmp_path / "data") as url:
        executor = LocalExecutor(url, max_running=1)
        run = ada.run(RunRequest(job="report")).id
        executor.submit(*ledger.open_attempt(run, "local"))
        wait_for(lambda: ada.show(run).run.state.final and not executor.living(), 120, "the end of the run")
        executor.close()
    detail = ada.show(run)
    assert detail.run.state is RunState.SUCCEEDED, detail.run.error
    assert ada.outputs(run, 0)[0]["text"] == "a\n"
    ledger.close()
