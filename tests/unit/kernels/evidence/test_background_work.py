"""What lives on after a cell, and what only looks like it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from respawn_kernels.evidence.background_work import BackgroundWork
from support.waiting import wait_for


@pytest.fixture
def shell() -> Any:
    return SimpleNamespace(events=SimpleNamespace(callbacks={"post_run_cell": []}))


@pytest.fixture
def going(shell: Any) -> BackgroundWork:
    return BackgroundWork(shell)


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_nothing_goes_on_at_first(going: BackgroundWork) -> None:
    assert not going.names(processes=True)


def test_thread_goes_on_until_it_ends(going: BackgroundWork, stop: threading.Event) -> None:
    thread = threading.Thread(target=stop.wait, name="worker")
    thread.start()
    assert going.names(processes=False) == ["thread worker"]
    stop.set()
    thread.join()
    assert not going.names(processes=False)


def test_thread_that_is_there_from_the_start_is_the_kernels(shell: Any, stop: threading.Event) -> None:
    thread = threading.Thread(target=stop.wait)
    thread.start()
    assert not BackgroundWork(shell).names(processes=False)
    stop.set()
    thread.join()


def test_pool_goes_on_while_it_works_and_not_while_it_waits(
    going: BackgroundWork, stop: threading.Event
) -> None:
    with ThreadPoolExecutor(2, thread_name_prefix="pool") as pool:
        work = pool.submit(stop.wait)
        assert going.names(processes=False) == ["thread pool_0"]
        stop.set()
        work.result()
        wait_for(lambda: not going.names(processes=False), 10, "the pool to wait")


def test_process_goes_on_until_it_ends(going: BackgroundWork) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert going.names(processes=True) == [f"process {process.pid}"]
    process.communicate(b"\n")
    assert not going.names(processes=True)


def test_process_that_ended_and_that_nobody_waited_for_does_not(going: BackgroundWork) -> None:
    process = subprocess.Popen(["true"])
    wait_for(lambda: not going.names(processes=True), 10, "the process to end")
    process.wait()


def test_timer_goes_on(going: BackgroundWork) -> None:
    signal.setitimer(signal.ITIMER_VIRTUAL, 1000)
    try:
        assert going.names(processes=False) == ["timer"]
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def test_callback_of_the_notebook_goes_on_and_that_of_a_library_does_not(
    going: BackgroundWork, shell: Any
) -> None:
    def tell() -> None:
        """Stand for a function of a cell."""

    shell.events.callbacks["post_run_cell"].append(tell)
    assert not going.names(processes=False)
    tell.__module__ = "__main__"
    assert [name.split()[0] for name in going.names(processes=False)] == ["callback"]
