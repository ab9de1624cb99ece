"""A child that its parent never sees."""

from __future__ import annotations

import os
import random
import signal
from typing import NoReturn

import pytest

from respawn_environments.warm.adoption import adopting
from respawn_kernels.fork import orphan


@pytest.mark.parametrize("way", ["beside", "twice"])
def test_a_forked_orphan_has_this_processs_state_and_is_adopted(way: str, monkeypatch) -> None:
    if way == "twice":
        monkeypatch.setattr(orphan, "_clone", lambda: None)
    value = random.randrange(250)
    told: list[int] = []
    before = signal.signal(signal.SIGCHLD, lambda *_: told.append(1))
    parent = os.getpid()

    def child() -> NoReturn:
        os._exit(value if os.getpid() != parent else 255)

    try:
        with adopting():
            pid = orphan.fork_orphan(child, "held-here")
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == value
    finally:
        signal.signal(signal.SIGCHLD, before)
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)
