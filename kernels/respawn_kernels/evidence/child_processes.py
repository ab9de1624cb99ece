"""Which files the commands that a cell started name, and what the commands do with them.

A process opens files without an audit event. What it changed is seen by comparing the files before and after.
Whether it needed what was there before is found from its command alone.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from respawn_kernels.cell_code.shell_commands import Commands, commands_of
from respawn_kernels.evidence.audit_hook import Handler, current_frame
from respawn_kernels.normal_path import normal_path

_ARGUMENTS = {
    "subprocess.Popen": (1, 2),
    "os.system": (0, None),
    "os.posix_spawn": (1, None),
    "os.spawn": (2, None),
}
"""Which arguments of an event are the command and the directory that it runs in."""
_IPYTHON = ("IPython.utils._process_posix", "system")
"""The function that runs a cell's `!ls` by `forkpty`, whose event does not have the command."""
_MAX_DEPTH = 30


class Processes:
    """The commands of one cell.

    Args:
        look: called with absolute paths before a command that names them runs.
    """

    def __init__(self, look: Callable[[Iterable[str]], None]) -> None:
        self._look = look
        self._makes: set[str] = set()
        self._others: set[str] = set()
        self._goes_on: set[str] = set()

    def begin(self, source: str) -> None:
        """Forget what was started; read a cell that is a script as a whole, for which there is no event."""
        self._makes, self._others, self._goes_on = set(), set(), set()
        if source.lstrip().startswith("%%"):
            self._add(commands_of(source), None)

    def handler(self, event: str) -> Handler:
        """Return what to call for the event that a process starts."""
        command, directory = _ARGUMENTS.get(event, (None, None))

        def starts(arguments: tuple[Any, ...]) -> None:
            given = _argument(arguments, command) if command is not None else _command_of_ipython()
            if given is not None:
                self._start(given, _argument(arguments, directory))

        return starts

    def needed(self, changed: set[str], found: set[str]) -> set[str]:
        """Return the files whose earlier content the commands needed, since they only changed a part of it.

        Args:
            changed: absolute paths of files that were made, changed or removed, and not by Python.
            found: those of them that were there before the cell.
        """
        made = {path for path in found if path in self._makes or posixpath.dirname(path) in self._makes}
        return (found - (made - self._others - self._goes_on)) | (changed & self._goes_on)

    def _start(self, given: Any, directory: Any) -> None:
        commands = Commands()
        # An exception here would keep the process from starting (PEP 578).
        with suppress(ValueError, TypeError, OSError, RecursionError):
            words = given if isinstance(given, (str, bytes)) else list(map(os.fsdecode, given))
            commands.add(os.fsdecode(words) if isinstance(words, bytes) else words)
            self._add(commands, os.fsdecode(directory) if directory is not None else None)

    def _add(self, commands: Commands, directory: str | None) -> None:
        with suppress(OSError):
            here = posixpath.abspath(directory or ".")
            self._makes |= _absolute(commands.makes, here)
            self._goes_on |= _absolute(commands.goes_on, here)
            self._others |= _absolute(commands.names, here)
            self._look(sorted(_absolute(commands.makes | commands.goes_on | commands.names, here)))


def _absolute(words: set[str], here: str) -> set[str]:
    return {normal_path(posixpath.join(here, posixpath.expanduser(word))) for word in words}


def _argument(arguments: tuple[Any, ...], place: int | None) -> Any:
    return arguments[place] if place is not None and place < len(arguments) else None


def _command_of_ipython() -> Any:
    frame = current_frame()
    for _ in range(_MAX_DEPTH):
        frame = frame.f_back
        if frame is None:
            return None
        if (frame.f_globals.get("__name__"), frame.f_code.co_name) == _IPYTHON:
            return frame.f_locals.get("cmd")
    return None
