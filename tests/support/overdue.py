"""What a test waited for when its time was over: the tasks of event loops, and its child processes."""

from __future__ import annotations

import asyncio
import gc
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report: pytest.TestReport = yield
    if call.excinfo is not None and "pytest-timeout" in str(call.excinfo.value):
        report.sections.append(
            ("Tasks and processes that it waited for", "\n".join([*_tasks(), *_children()]))
        )
    return report


def _tasks() -> Iterator[str]:
    """Tell where each task that has not ended stands."""
    for task in gc.get_objects():
        # By its type: an object may answer for its class by failing, as some of the tests' do.
        if issubclass(type(task), asyncio.Task) and not task.done():
            stack = io.StringIO()
            task.print_stack(file=stack)
            yield stack.getvalue()


def _children() -> Iterator[str]:
    """Tell of each child process what it is and where in the kernel it sleeps."""
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            process = Path("/proc", pid)
            try:
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                yield f"{pid} of {os.getpid()}: {words[:200]} ({(process / 'wchan').read_text() or 'runs'})"
            except OSError:  # it ended
                continue
