"""The page that a writer and the child which watches it share."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from respawn_kernels.fork.writer import Page, Phase


@contextmanager
def telling(page: Page, *, times: int) -> Iterator[int]:
    """Let another process say so often what it is about: a variable named after the count."""
    pid = os.fork()
    if pid == 0:
        for count in range(1, times + 1):
            page.put(Phase.WRITING, "v" * (count % 100) + str(count))
        os._exit(0)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_page_begins_with_a_writer_that_waits() -> None:
    told = Page().read()
    assert (told.phase, told.count, told.text, told.written) == (Phase.WAITING, 0, "", 0)


def test_a_page_tells_what_was_said_last() -> None:
    page = Page()
    for phase, text, written in (
        (Phase.WRITING, "frame", 0),
        (Phase.SAVED, "", 2**40),
        (Phase.FAILED, "ü", 1),
    ):
        before = time.monotonic()
        page.put(phase, text, written)
        told = page.read()
        assert (told.phase, told.text, told.written) == (phase, text, written)
        assert before <= told.when <= time.monotonic()
    assert told.count == 3


def test_a_long_text_is_cut() -> None:
    page = Page()
    page.put(Phase.FAILED, "ü" * 5000)
    told = page.read().text
    assert 500 < len(told) < 5000
    assert set(told) <= {"ü", "\ufffd"}


def test_what_is_read_while_it_is_written_is_never_half_of_it() -> None:
    page, began = Page(), time.monotonic()
    with telling(page, times=150_000):
        last = 0
        while last < 150_000:
            told = page.read()
            if told.count == 0:
                continue
            assert told.text == "v" * (told.count % 100) + str(told.count)
            assert began <= told.when <= time.monotonic(), "else a writer would seem to hang, and be killed"
            assert told.count >= last
            last = told.count


def test_a_writer_that_is_killed_leaves_the_last_whole_word() -> None:
    for _ in range(20):
        page = Page()
        with telling(page, times=10**9):
            while page.read().count < 100:
                pass
        told = page.read()
        assert told.text == "v" * (told.count % 100) + str(told.count)
