"""Holding a state in a real kernel: the notebook sees nothing of it, and the child does what it promises."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from respawn_environments.warm.adoption import adopting
from respawn_jobs.runner.kernel.held_child import end_all
from respawn_kernels.checkpoint.manifest import Manifest
from respawn_kernels.exchange.messages import DROP, SAVE, HeldChildFiles, HoldReport, Options
from support.kernels import AGENT, Kernel, running_kernel
from support.lengths import quick
from support.processes import held_and_writers, look, runs
from support.waiting import wait_for

pytestmark = pytest.mark.integration


class Holding:
    """A kernel whose states are held."""

    def __init__(self, kernel: Kernel, spool: Path, options: Options) -> None:
        self.kernel = kernel
        self.spool = spool
        kernel.silent(f"{AGENT}.start({str(spool)!r}, {os.getpid()}, {options.to_json()!r})")

    def hold(self, cell: int) -> HeldChildFiles:
        self.kernel.silent(f"{AGENT}.hold({cell})")
        return HeldChildFiles(self.spool, cell)

    def ended(self, place: HeldChildFiles) -> HoldReport:
        return wait_for(place.read_report, 60, "the child's report")

    def values(self, place: HeldChildFiles) -> dict[str, str]:
        manifest = Manifest.from_json(place.manifest.read_bytes())
        return {variable.name: variable.description for variable in manifest.variables}


@pytest.fixture
def holding(tmp_path: Path) -> Iterator[Holding]:
    with adopting(), running_kernel(tmp_path) as kernel:
        yield Holding(kernel, tmp_path / "spool", Options())
        end_all(tmp_path / "spool")


def test_the_state_is_that_before_the_cell_whatever_the_cell_does(holding) -> None:
    holding.kernel.run("x, rows = 1, [1]")
    place = holding.hold(0)
    holding.kernel.run("x = 2; rows.append(2); del rows")
    assert place.tell(SAVE)
    assert holding.ended(place).state == "saved"
    assert holding.values(place) == {"x": "1", "rows": "1 item"}


@pytest.mark.parametrize(
    "end",
    quick({0}, ["os.kill(os.getpid(), 9)", "__import__('ctypes').string_at(0)", "os._exit(1)"]),
)
def test_a_kernel_that_dies_leaves_the_state_before_the_cell(holding, end: str) -> None:
    holding.kernel.run("import os\nx = 1")
    place = holding.hold(0)
    holding.kernel.client.execute(f"x = 2\n{end}")
    assert holding.ended(place).state == "saved"
    assert holding.values(place)["x"] == "1"


def test_a_child_goes_with_its_runner_and_when_it_is_dropped(holding) -> None:
    first = holding.hold(0)
    pid = first.read_held().pid
    assert (look(pid).parent, os.getsid(pid)) == (os.getpid(), pid)
    assert first.tell(DROP)
    assert holding.ended(first).state == "dropped"
    second = holding.hold(1)
    third = holding.hold(2)
    wait_for(lambda: not runs(second.read_held().pid), 10, "the end of the child that was replaced")
    assert runs(third.read_held().pid)
    assert not first.tell(SAVE)


def test_a_state_that_was_asked_for_is_saved_although_the_next_is_held_already(holding) -> None:
    holding.kernel.run("x = 1")
    place = holding.hold(0)
    pid = place.read_held().pid
    os.kill(pid, signal.SIGSTOP)
    assert place.tell(SAVE)
    holding.kernel.run("x = 2")
    holding.hold(1)  # the kernel tells the first child that it is not needed any more
    os.kill(pid, signal.SIGCONT)
    assert holding.ended(place).state == "saved"
    assert holding.values(place)["x"] == "1"


HANGING = """
import os, time
def hang():
    if not os.path.exists("hung") or {always}:
        open("hung", "w").close()
        time.sleep(600)
python = {{"__name__": "threading", "os": os, "hang": hang}}
exec("os.register_at_fork(after_in_child=hang)", python)
x = 1
"""
"""What one of Python's own handlers may do: those of others are passed over."""


@pytest.mark.long
def test_a_child_that_hangs_in_the_fork_is_replaced(holding) -> None:
    holding.kernel.run(HANGING.format(always=False))
    place = holding.hold(0)
    assert place.read_held().mode == "fork"
    held, _ = held_and_writers(holding.spool)
    assert held == [place.read_held().pid]
    assert place.tell(SAVE)
    assert holding.ended(place).state == "saved"


@pytest.mark.long
def test_a_state_that_no_child_can_hold_is_told_and_no_child_is_left(holding) -> None:
    holding.kernel.run(HANGING.format(always=True))
    held = holding.hold(0).read_held()
    assert (held.mode, held.pid) == ("none", None)
    assert "hang" in held.reason
    assert held_and_writers(holding.spool) == ([], [])
    again = holding.hold(1).read_held()
    assert (again.mode, again.reason) == ("none", held.reason)
    assert again.seconds < held.seconds / 10, "it is not tried for ever"
    assert holding.kernel.value("x") == 1


def test_interrupts_and_hangups_of_the_kernels_group_do_not_reach_the_child(holding) -> None:
    holding.kernel.run("x = 1")
    place = holding.hold(0)
    pid = place.read_held().pid
    os.killpg(os.getpgid(holding.kernel.pid), signal.SIGINT)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    place.tell(SAVE)
    assert holding.ended(place).state == "saved"


SEEN = """
import os, random, signal, sys, threading, warnings, numpy as np
def seen():
    try:
        os.wait()
        children = True
    except ChildProcessError:
        children = False
    warnings.warn("once")
    return (
        children, random.random(), float(np.random.rand()),
        hash(frozenset(os.environ.items())) == before, os.getcwd(),
        threading.active_count(),
        [str(signal.getsignal(n)) for n in sorted(signal.valid_signals())],
        sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])), gc.isenabled(), gc.get_threshold(),
        sys.gettrace(), len(warnings.filters), sorted(k for k in globals() if not k.startswith("_")),
        str(np.linalg.inv(np.eye(300) * 2).sum()),
    )
import gc
before = hash(frozenset(os.environ.items()))
random.seed(3); np.random.seed(3)
"""


def _streamed(kernel: Kernel, name: str) -> str:
    """Return what a cell wrote to a stream; a kernel may send it in several messages."""
    contents = [m["content"] for m in kernel.outputs if m["msg_type"] == "stream"]
    return "".join(content["text"] for content in contents if content["name"] == name)


@pytest.mark.long
def test_the_notebook_sees_nothing_of_being_held(tmp_path: Path) -> None:
    seen: list[Any] = []
    for hold in (False, True):
        with adopting(), running_kernel(tmp_path) as kernel:
            holding = Holding(kernel, tmp_path / str(hold), Options())
            kernel.run(SEEN)
            kernel.run("np.ones((400, 400)) @ np.ones((400, 400))")
            told = []
            for cell in range(4):
                if hold:
                    assert holding.hold(cell).read_held().mode == "fork"
                kernel.run("print(repr(seen()))")
                told.append([_streamed(kernel, name) for name in ("stdout", "stderr")])
            seen.append((told, kernel.execution_count))
            end_all(holding.spool)
    assert _without_address(seen[0]) == _without_address(seen[1])


LOOK = """
import os, numpy as np
def look():
    np.ones((400, 400)) @ np.ones((400, 400))  # a fork ends OpenBLAS's threads; the next call starts them
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append((int(name), os.readlink(f"/proc/self/fd/{name}")))
        except OSError:
            pass
    return sorted(one for one in found if "profile_default" not in one[1]), len(os.listdir("/proc/self/task"))
"""
"""IPython's history saves itself: SQLite opens its file, a journal and, to flush them, their directory."""


def test_descriptors_and_threads_of_the_kernel_stay_as_they_are(holding) -> None:
    holding.kernel.run(LOOK)
    before = holding.kernel.value("look()")
    for cell in range(3):
        holding.hold(cell)
        # A connection of the kernel's own may come or go while we look.
        wait_for(lambda: holding.kernel.value("look()") == before, 10, "the kernel to be as it was")


def _without_address(seen: Any) -> str:
    import re

    return re.sub(r"0x[0-9a-f]+|ipykernel_\d+/\d+", "…", json.dumps(seen))


def test_a_kernel_that_may_not_be_forked_says_why(tmp_path: Path) -> None:
    with running_kernel(tmp_path) as kernel:
        holding = Holding(kernel, tmp_path / "spool", Options(fork=False))
        held = holding.hold(0).read_held()
        assert (held.mode, held.pid, held.reason) == ("none", None, "the job's settings forbid forking")
        holding = Holding(kernel, tmp_path / "spool", Options(memory_mb=1))
        assert "kernel alone takes" in holding.hold(1).read_held().reason
        assert held_and_writers(tmp_path / "spool") == ([], [])
