"""The end of a held child is heard by all that wait for it, whoever sees it first."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from respawn_jobs.runner.kernel.held_child import HeldChild
from respawn_kernels.exchange.messages import Held, HeldChildFiles, HoldReport
from support.waiting import wait_for


@pytest.fixture
def child(tmp_path: Path) -> Iterator[HeldChild]:
    """A process that sleeps until a signal ends it, and whose place has nobody that listens."""
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    held = HeldChild(HeldChildFiles(tmp_path, 0), Held(pid, "fork", None, 0.0, 0))
    yield held
    held.kill()
    wait_for(lambda: held.ended, 5, "its end")


def die(child: HeldChild) -> None:
    """End it, and return when the system knows: the loop has had no turn to hear of it."""
    pid = child.held.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: ") Z " in Path(f"/proc/{pid}/stat").read_text(), 5, "the process to be a zombie")


async def waiting(child: HeldChild, seconds: float = 60) -> asyncio.Task[HoldReport]:
    """Somebody who waits for its end by now."""
    task = asyncio.ensure_future(child.wait(seconds))
    await asyncio.sleep(0)
    return task


@pytest.mark.parametrize("who", ["asks", "saves", "kills", "nobody"])
def test_who_waits_hears_of_an_end_that_somebody_else_saw_first(child: HeldChild, who: str) -> None:
    async def main() -> HoldReport:
        task = await waiting(child)
        die(child)
        {"asks": lambda: child.ended, "saves": child.save, "kills": child.kill, "nobody": lambda: None}[who]()
        return await asyncio.wait_for(task, 10)

    assert asyncio.run(main()).reason == "the process that held it was ended by SIGKILL"


def test_all_that_wait_hear_of_the_end(child: HeldChild) -> None:
    async def main() -> list[HoldReport]:
        tasks = [await waiting(child) for _ in range(3)]
        tasks[1].cancel()
        await asyncio.sleep(0)
        die(child)
        return await asyncio.wait_for(asyncio.gather(tasks[0], tasks[2]), 10)

    assert {report.state for report in asyncio.run(main())} == {"failed"}


def test_one_that_does_not_end_in_time_is_killed(child: HeldChild) -> None:
    async def main() -> list[HoldReport]:
        patient = await waiting(child)
        return await asyncio.wait_for(asyncio.gather(child.wait(0.05), patient), 10)

    assert [report.reason for report in asyncio.run(main())] == [
        "it was not saved within 0.05 s",
        "the process that held it was ended by SIGKILL",
    ]


def test_no_descriptor_is_left(child: HeldChild) -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208

    async def main() -> None:
        task = await waiting(child)
        die(child)
        assert child.ended
        await task

    asyncio.run(main())
    assert len(set(os.listdir("/proc/self/fd"))) < len(before)  # noqa: PTH208
