"""A kernel that boots before its notebook is there is taken once, or ended."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import pytest

from respawn_jobs.errors import Unavailable
from respawn_server import early_kernels
from respawn_server.early_kernels import MAX_WAITING, BootingKernels
from respawn_server.kernel import Wanted

ONE = Wanted("respawn-debug/a.ipynb", "python3", "7")
OTHERS = [
    Wanted("respawn-debug/b.ipynb", "python3", "7"),
    Wanted("respawn-debug/a.ipynb", "another", "7"),
    Wanted("respawn-debug/a.ipynb", "python3", "8"),
    Wanted("respawn-debug/a.ipynb", "python3"),
]


class Started:
    """Kernels of a server that are started and ended, and execute nothing."""

    def __init__(self) -> None:
        self.running: dict[str, Wanted] = {}
        self.notebooks: set[str] = set()
        self.broken = False

    async def of_notebook(self, path: str) -> str | None:
        return "lives" if path in self.notebooks else None

    async def start(self, wanted: Wanted) -> str:
        if self.broken:
            raise Unavailable("the kernel did not start")
        await asyncio.sleep(0)
        kernel = f"kernel-{len(self.running)}"
        self.running[kernel] = wanted
        return kernel

    def has(self, kernel: str) -> bool:
        return kernel in self.running

    async def end(self, kernel: str) -> None:
        self.running.pop(kernel, None)


async def one() -> Wanted | None:
    return ONE


def played() -> tuple[Started, BootingKernels]:
    started = Started()
    return started, BootingKernels(cast("Any", started), logging.getLogger("test"))


def test_kernel_is_taken_by_the_one_opening_that_wants_it() -> None:
    async def opens() -> None:
        started, early = played()
        early.ask("run-1", one)
        kernel = early.claim("run-1")
        assert kernel is not None
        assert early.claim("run-1") is None
        taken = await kernel.take(ONE)
        assert taken is not None
        assert await kernel.take(ONE) is None
        await kernel.close()
        assert list(started.running) == [taken]

    asyncio.run(opens())


@pytest.mark.parametrize("other", OTHERS)
def test_kernel_that_is_not_the_one_that_is_wanted_is_ended(other: Wanted) -> None:
    async def opens() -> None:
        started, early = played()
        kernel = early.start(one)
        assert await kernel.take(other) is None
        assert not started.running

    asyncio.run(opens())


def test_kernel_that_died_is_not_taken() -> None:
    async def opens() -> None:
        started, early = played()
        kernel = early.start(one)
        while not started.running:
            await asyncio.sleep(0)
        started.running.clear()
        assert await kernel.take(ONE) is None

    asyncio.run(opens())


def test_kernel_that_nobody_takes_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_kernels, "KEEP_SECONDS", 0.01)

    async def waits() -> None:
        started, early = played()
        early.ask("run-1", one)
        while not started.running:
            await asyncio.sleep(0)
        while started.running:
            await asyncio.sleep(0.001)
        assert early.claim("run-1") is None

    asyncio.run(asyncio.wait_for(waits(), 10))


def test_opening_that_fails_ends_the_kernel_that_still_starts() -> None:
    async def fails() -> None:
        started, early = played()
        kernel = early.start(one)
        await kernel.close()
        await kernel.close()
        assert not started.running

    asyncio.run(fails())


def test_many_links_at_once_start_few_kernels() -> None:
    async def opens() -> None:
        started, early = played()
        for number in range(10):
            early.ask(f"run-{number}", one)
            early.ask(f"run-{number}", one)
        kernels = [kernel for number in range(10) if (kernel := early.claim(f"run-{number}")) is not None]
        assert len(kernels) == MAX_WAITING
        for kernel in kernels:
            await kernel.close()
        assert not started.running

    asyncio.run(opens())


def test_nothing_is_started_for_a_notebook_that_has_a_kernel_or_a_run_that_is_not_to_have_one() -> None:
    async def opens() -> None:
        started, early = played()
        started.notebooks.add(ONE.path)

        async def none() -> Wanted | None:
            return None

        for look in (one, none):
            assert await early.start(look).take(ONE) is None
        started.notebooks.clear()
        started.broken = True
        assert await early.start(one).take(ONE) is None
        assert not started.running

    asyncio.run(opens())
