"""Kernels of a zygote in this process, as a runner has them that executes one attempt after another."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from respawn_environments.warm.forked_kernel import KernelOfZygote
from respawn_environments.warm.warm_kernels import WarmKernels, warm_kernels
from respawn_jobs.runner.kernel.kernel_process import KernelProcess
from support.waiting import wait_for


@pytest.fixture
def warm() -> Iterator[WarmKernels]:
    """The zygotes of this process, as a runner has them that executes one attempt after another."""
    warm_kernels.enable()
    yield warm_kernels
    warm_kernels.close()
    warm_kernels._enabled = False
    warm_kernels._wanted.clear()
    warm_kernels._refused.clear()


def ready(warm: WarmKernels) -> None:
    """Wait until all zygotes can fork."""
    warm.prepare()
    for zygote in warm._zygotes.values():
        wait_for(zygote._is_ready, 60, "the zygote's imports")


def with_path(directory: Path) -> dict[str, str]:
    """Return this process's variables, with a directory before all others from which Python imports."""
    places = [str(directory), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places)}


def of_zygote(kernel: KernelProcess) -> bool:
    return isinstance(kernel.manager.provisioner.process, KernelOfZygote)


async def printed(kernel: KernelProcess, code: str) -> str:
    """Run a cell and return what it printed."""
    heard: list[str] = []
    reply = await kernel.client._async_execute_interactive(
        code,
        store_history=False,
        timeout=60,
        output_hook=lambda message: heard.append(message["content"].get("text", "")),
    )
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(heard)


async def using(directory: Path, work: Callable[[KernelProcess], Awaitable[Any]], **options: Any) -> Any:
    """Bring a kernel up, do something with it, and end it."""
    kernel = await KernelProcess.start("python3", directory=directory, log=directory / "log", **options)
    try:
        await kernel.connect(60)
        return await work(kernel)
    finally:
        await kernel.close()
