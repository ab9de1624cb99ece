"""How soon a new kernel has executed its first cell: forked from a zygote, and started by jupyter_client.

Each pair starts one of each, in an order that alternates: until the reply to a cell, which does nothing or
imports NumPy and pandas. The plain start is jupyter_client's own manager, with its wait until the kernel is
ready. What an idle zygote costs is its proportional set size, and what each kernel of it adds.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any

from harness import Series, place, save, table
from jupyter_client.manager import AsyncKernelManager

from respawn_environments import provisioner
from respawn_environments.warm import warm_kernels as warm
from respawn_environments.warm.forked_kernel import KernelOfZygote
from respawn_jobs.runner.kernel.kernel_process import KernelProcess
from respawn_jobs.runner.kernel.ready_kernel import ReadyKernel
from support.waiting import wait_for

CELLS = {"nothing": "pass", "numpy and pandas": "import numpy, pandas"}
PRELOAD = ["numpy", "pandas"]


def proportional_set_size(pid: int) -> float:
    """Return what a process costs in memory, in MiB: shared pages are counted in parts (proc(5))."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


async def executed(client: Any, source: str) -> None:
    """Execute a cell, and wait for its reply."""
    request = client.execute(source)
    while (await client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != request:
        pass


async def plainly(directory: Path, source: str) -> float:
    """Return the seconds that jupyter_client needs."""
    began = time.perf_counter()
    manager = AsyncKernelManager(kernel_name="python3")
    await manager.start_kernel(cwd=str(directory))
    client = manager.client()
    client.start_channels()
    await client.wait_for_ready(timeout=60)
    await executed(client, source)
    seconds = time.perf_counter() - began
    client.stop_channels()
    await manager.shutdown_kernel(now=True)
    return seconds


async def forked(directory: Path, source: str) -> tuple[float, float]:
    """Return the seconds that a runner needs which has used such a kernel before, and the memory in MiB."""
    began = time.perf_counter()
    kernel = await KernelProcess.start("python3", directory=directory, log=directory / "log")
    await kernel.connect(60)
    await executed(kernel.client, source)
    seconds = time.perf_counter() - began
    if not isinstance(kernel.manager.provisioner.process, KernelOfZygote):
        raise SystemExit("the kernel did not come from the zygote")
    size = proportional_set_size(kernel.manager.provisioner.pid)
    await kernel.close(now=True)
    return seconds, size


def taken(directory: Path, source: str) -> tuple[float, float]:
    """Return the seconds with a kernel that has come up, and what it costs in MiB while it waits."""
    early = ReadyKernel("python3")
    try:
        waiting = early._unused
        if waiting is None or waiting.pid is None:
            raise SystemExit("no kernel is ready")
        size = proportional_set_size(waiting.pid)
        began = time.perf_counter()
        if not early.serves("python3", directory, None):
            raise SystemExit("the kernel that was ready cannot be used")
        kernel = early.take()
        early.runner.run(executed(kernel.client, source))
        seconds = time.perf_counter() - began
        early.runner.run(kernel.close(now=True))
    finally:
        early.close()
    return seconds, size


async def used_once(directory: Path) -> None:
    """Use a kernel, so that the next ones are forked."""
    kernel = await KernelProcess.start("python3", directory=directory, log=directory / "log")
    await kernel.connect(60)
    await kernel.close(now=True)


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=15)
    given = parser.parse_args()
    provisioner.preloaded = lambda _spec: PRELOAD  # the plain kernelspec has no list of an environment
    warm.warm_kernels.enable()
    measured: list[Series] = []
    kernels: list[float] = []
    waiting: list[float] = []
    with place() as home:
        asyncio.run(used_once(home))
        warm.warm_kernels.prepare()
        [zygote] = warm.warm_kernels._zygotes.values()
        wait_for(zygote._is_ready, 60, "the zygote's imports")
        idle = proportional_set_size(zygote.pid)
        for what, source in CELLS.items():
            plain, ours, came_up = list[float](), list[float](), list[float]()
            for pair in range(given.pairs):
                for which in ("plain", "warm") if pair % 2 else ("warm", "plain"):
                    if which == "plain":
                        plain.append(asyncio.run(plainly(home, source)))
                    else:
                        seconds, size = asyncio.run(forked(home, source))
                        ours.append(seconds)
                        kernels.append(size)
                seconds, size = taken(home, source)
                came_up.append(seconds)
                waiting.append(size)
            measured += [
                Series(f"{what}, plain", plain),
                Series(f"{what}, warm", ours),
                Series(f"{what}, ready", came_up),
            ]
        warm.warm_kernels.close()
    ratios = {
        f"{kind} / plain, {what}": measured[3 * place + at].median / measured[3 * place].median
        for place, what in enumerate(CELLS)
        for at, kind in ((1, "warm"), (2, "ready"))
    }
    table("From the wish for a kernel to the reply of its first cell", measured)
    for what, ratio in ratios.items():
        print(f"  {what}: {ratio:.3f} (1/{1 / ratio:.1f})")
    memory = {"idle_zygote_mb": idle, "kernel_mb": max(kernels), "ready_kernel_mb": max(waiting)}
    print(
        f"  an idle zygote with {', '.join(PRELOAD)}: {idle:.0f} MiB; a kernel: {max(kernels):.0f} MiB, "
        f"one that is ready: {max(waiting):.0f} MiB"
    )
    save("kernel_start", __doc__.strip(), measured, ratios=ratios, memory=memory)


if __name__ == "__main__":
    main()
