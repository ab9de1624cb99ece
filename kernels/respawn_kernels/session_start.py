"""What a session is at its beginning, noted by the modules that compare with it later.

A plain kernel imports these modules just before its first cell. One that is forked from a zygote has them
from a process without a shell, with another path and other streams: each note is made again when its agent
starts.
"""

from __future__ import annotations

import os
from collections.abc import Callable

_notes: list[Callable[[], None]] = []
_process = os.getpid()
"""The process whose beginning was noted."""


def at_session_start(note: Callable[[], None]) -> Callable[[], None]:
    """Note something of the session's beginning now, and again in a kernel that is forked.

    Args:
        note: Does it. Called twice in one process it changes nothing.
    """
    note()
    _notes.append(note)
    return note


def begin_session() -> None:
    """Make all notes again if this process has inherited them; before the first cell."""
    global _process
    if os.getpid() == _process:
        return
    _process = os.getpid()
    for note in _notes:
        note()
