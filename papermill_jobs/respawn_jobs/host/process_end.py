"""The end of a process that somebody else reaps, waited for in an event loop."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress


async def ended_within(pid: int, seconds: float) -> None:
    """Wait until a process of this machine has ended, for so long at most: pidfd_open(2).

    Args:
        pid: its id.
        seconds: how long to wait; that it is too short is no error.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), seconds)
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
