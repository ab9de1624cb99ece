"""What a process asks of the system for itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import psutil
import pytest

from respawn_kernels.host.own_process import DiesWithParent, die_with, set_name, tie_to
from support.waiting import wait_for

NOBODY = 2**22 + 1
"""No process has this id: it is above the largest that Linux gives (proc(5), pid_max)."""


def in_a_child(do: Callable[[], object]) -> int:
    """Return the exit status of a child that does something; negative for a signal."""
    pid = os.fork()
    if not pid:
        try:
            do()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_with_its_parent_by_the_signal_that_was_chosen(by: signal.Signals) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys, time\n"
            "from respawn_kernels.host.own_process import DiesWithParent\n"
            "child = subprocess.Popen(\n"
            f"    [sys.executable, '-c', 'import time; time.sleep(60)'], preexec_fn=DiesWithParent({by:d})\n"
            ")\n"
            "print(child.pid, flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    with parent.stdout:
        child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 10)


def test_a_child_whose_parent_was_gone_before_it_was_tied_ends_at_once() -> None:
    def never_comes_here() -> NoReturn:
        die_with(NOBODY)
        os._exit(7)

    tied = DiesWithParent()  # to this process: to a child's child it is as if its parent had ended
    assert in_a_child(never_comes_here) == 1
    assert in_a_child(lambda: os._exit(in_a_child(tied))) == 1


def test_a_child_is_told_whether_its_parent_is_there() -> None:
    here = os.getpid()
    assert in_a_child(lambda: os._exit(7 if tie_to(here) else 8)) == 7
    assert in_a_child(lambda: os._exit(7 if tie_to(NOBODY) else 8)) == 8


@pytest.mark.skipif(sys.platform != "linux", reason="the names of processes are set on Linux alone")
def test_a_name_is_cut_off_after_fifteen_bytes() -> None:
    def named() -> None:
        set_name("a-long-name-é-of-a-process")
        os._exit(7 if Path("/proc/self/comm").read_bytes() == "a-long-name-é-of".encode()[:15] + b"\n" else 8)

    assert in_a_child(named) == 7
