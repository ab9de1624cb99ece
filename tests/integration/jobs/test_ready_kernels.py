"""The kernel that an idle runner has ready: which one it is, until when it is asked for, and when it ends."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from respawn_environments import catalog
from respawn_environments.warm.warm_kernels import WarmKernels
from respawn_jobs.model.runs import RunState
from respawn_jobs.runner.attempt import execute_attempt
from respawn_jobs.runner.kernel.early_kernel import EarlyKernel
from respawn_jobs.runner.kernel.kernel_process import KernelFailed, KernelProcess
from respawn_jobs.runner.kernel.ready_kernel import NotYet, ReadyKernel
from support.bench import Bench
from support.played_environments import kernelspec, played
from support.waiting import wait_for
from support.warm import printed, ready, warm

__all__ = ["warm"]

pytestmark = [pytest.mark.integration, pytest.mark.long]

KERNEL = "respawn-ready"


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two builds of one kernel, which start this interpreter; its name has moved on to the second one."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "prefix" / "share" / "jupyter"))
    for digit in "ab":
        made = played(tmp_path / "envs", "ready", digit)
        made.python.write_text(f'#!/bin/sh\nBUILD={digit} exec {sys.executable} "$@"\n')
        made.python.chmod(0o755)
        file = kernelspec(tmp_path / "prefix", "ready", made) / "kernel.json"
        spec = json.loads(file.read_text())
        spec["argv"] += ["-m", "ipykernel_launcher", "-f", "{connection_file}"]
        file.write_text(json.dumps(spec))
        catalog.keep_kernelspec(made.directory, KERNEL, file.read_bytes())


async def used(directory: Path, name: str, lock: str | None) -> None:
    kernel = await KernelProcess.start(name, directory=directory, log=directory / "log", lock=lock)
    await kernel.connect(60)
    await kernel.close()


def test_one_of_the_build_that_is_pinned_comes_up(builds: None, warm: WarmKernels, tmp_path: Path) -> None:
    old, new = "a" * 64, "b" * 64
    asyncio.run(used(tmp_path, KERNEL, old))
    ready(warm)
    early = ReadyKernel(KERNEL, old)
    try:
        assert not early.serves(KERNEL, tmp_path, new)
        assert early.serves(KERNEL, tmp_path, old)
        kernel = early.take()
        assert early.runner.run(printed(kernel, "import os; print(os.environ['BUILD'])")) == "a\n"
        early.runner.run(kernel.close())
    finally:
        early.close()


def test_one_is_asked_for_until_its_own_zygote_has_imported(
    builds: None, warm: WarmKernels, tmp_path: Path
) -> None:
    asyncio.run(used(tmp_path, "python3", None))
    ready(warm)
    # That of another kernel can fork; this one's is to be started first.
    with pytest.raises(NotYet, match="no kernel like it was used here before"):
        ReadyKernel(KERNEL)
    warm.prepare()

    def comes_up() -> ReadyKernel | None:
        try:
            return ReadyKernel(KERNEL)
        except NotYet:
            return None

    early = wait_for(comes_up, 60, "the zygote's imports")
    early.close()
    with pytest.raises(KernelFailed) as raised:
        ReadyKernel("respawn-absent")
    assert not isinstance(raised.value, NotYet)


def test_one_that_does_not_serve_ends_before_the_attempt_begins(bench: Bench, tmp_path: Path) -> None:
    early = EarlyKernel("python3", tmp_path)
    assert early._unused is not None
    run = bench.queue(f"import os\nprint(os.path.exists('/proc/{early._unused.pid}'))", kernel="python3")
    assert bench.directory != tmp_path
    execute_attempt(bench.ledger.runner(*bench.ledger.open_attempt(run, "test")), early=early)
    assert bench.service.show(run).run.state is RunState.SUCCEEDED
    assert bench.printed(run, 0) == "False\n"
