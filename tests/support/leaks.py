"""A test that leaves a process, a thread or an open temporary file behind fails, naming what it left.

Compared is what exists before a test's own fixtures are set up with what exists after they are torn down, so
servers of module or session scope that the test was the first to ask for are let live: see `tolerate`.
"""

from __future__ import annotations

import gc
import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from support.waiting import wait_for

GRACE_SECONDS = 5.0
"""How long things that are already on their way out may take to be gone."""


@dataclass(frozen=True)
class Footprint:
    """What this process holds."""

    processes: dict[int, str] = field(default_factory=dict)
    threads: dict[int, str] = field(default_factory=dict)
    files: frozenset[str] = frozenset()

    @classmethod
    def now(cls) -> Footprint:
        """Look at the child processes, non-daemon threads and open temporary files of this process."""
        threads = {t.ident or 0: t.name for t in threading.enumerate() if not t.daemon and t.is_alive()}
        return cls(_children(), threads, _open_temporary_files())

    def since(self, before: Footprint) -> list[str]:
        """Tell what is here and was not there `before`."""
        return [
            *(
                f"process {pid}: {name}"
                for pid, name in self.processes.items()
                if pid not in before.processes
            ),
            *(f"thread {name}" for ident, name in self.threads.items() if ident not in before.threads),
            *(f"open file {path}" for path in sorted(self.files - before.files)),
        ]


def _children() -> dict[int, str]:
    found: dict[int, str] = {}
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return found  # most tests start none, and to look through all processes takes longer than they do
    for child in psutil.Process().children(recursive=True):
        try:
            if child.status() != psutil.STATUS_ZOMBIE:
                found[child.pid] = " ".join(child.cmdline()[:4]) or child.name()
        except psutil.NoSuchProcess:
            continue
    return found


def _open_temporary_files() -> frozenset[str]:
    root = os.path.realpath(tempfile.gettempdir()) + os.sep
    paths = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:  # closed since it was listed: the listing's own descriptor, for one
            continue
        # pytest captures output in unnamed files, which show as deleted.
        if target.startswith(root) and not target.endswith("(deleted)"):
            paths.add(target)
    return frozenset(paths)


_tolerated: set[int] = set()


def tolerate(*pids: int) -> None:
    """Let these processes, and what they start, outlive the test: servers that a session shares."""
    _tolerated.update(pids)


def _is_tolerated(pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        return pid in _tolerated or any(parent.pid in _tolerated for parent in process.parents())
    except psutil.NoSuchProcess:
        return True


def _leaks(before: Footprint) -> list[str]:
    now = Footprint.now()
    mine = {pid: name for pid, name in now.processes.items() if not _is_tolerated(pid)}
    return Footprint(mine, now.threads, now.files).since(before)


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves processes, threads or open temporary files behind."""
    # Longer-lived fixtures that the test asks for come up first: what they hold is not the test's.
    _raise_shared_fixtures(request)
    before = Footprint.now()
    yield
    if not _leaks(before):
        return
    gc.collect()  # a session or connection in a reference cycle closes only here
    try:
        wait_for(lambda: not _leaks(before), GRACE_SECONDS, "all to be gone")
    except AssertionError:
        pytest.fail("left behind by this test: " + "; ".join(_leaks(before)), pytrace=False)


def _raise_shared_fixtures(request: pytest.FixtureRequest) -> None:
    definitions = request._fixturemanager
    for name in request.fixturenames:
        found = definitions.getfixturedefs(name, request.node)
        if found and found[-1].scope != "function":
            request.getfixturevalue(name)
