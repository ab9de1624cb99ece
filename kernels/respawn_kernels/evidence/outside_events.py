"""What goes out of the process: other processes and connections, from its audit events."""

from __future__ import annotations

import sys
from typing import Any

from respawn_kernels.evidence.audit_hook import Handler
from respawn_kernels.evidence.child_processes import Processes

_PROCESS = (
    *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty"),
    "pty.spawn",
)
_SOCKET = (
    *("socket.connect", "socket.sendto", "socket.sendmsg"),
    *("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"),
)


class OutsideEvents:
    """What went out of the process in one cell.

    Args:
        started: notes the commands of processes that are started.
    """

    def __init__(self, started: Processes) -> None:
        self._started = started
        self._kinds: set[str] = set()
        self._processes = _processes_made()

    def clear(self) -> None:
        """Forget it."""
        self._kinds = set()
        self._processes = _processes_made()

    def seen(self) -> set[str]:
        """Return `process` and `socket`, as far as they were."""
        return self._kinds | ({"process"} if self._processes != _processes_made() else set())

    def handlers(self) -> dict[str, Handler]:
        """Return what to call for which event."""
        found = {event: self._adder("socket") for event in _SOCKET}
        found |= {event: self._starter(event) for event in _PROCESS}
        return found | {"socket.bind": self._bind}

    def _adder(self, kind: str) -> Handler:
        def add(_arguments: tuple[Any, ...]) -> None:
            self._kinds.add(kind)

        return add

    def _starter(self, event: str) -> Handler:
        add, starts = self._adder("process"), self._started.handler(event)

        def start(arguments: tuple[Any, ...]) -> None:
            add(arguments)
            starts(arguments)

        return start

    def _bind(self, arguments: tuple[Any, ...]) -> None:
        address = arguments[1] if len(arguments) > 1 else None
        # Libraries bind port 0 at import to find out whether there is IPv6; nobody outside knows the port.
        if type(address) is tuple and len(address) > 1 and address[1] != 0:
            self._kinds.add("socket")


def _processes_made() -> str:
    """Return what differs when multiprocessing has made a process: it starts some without an audit event."""
    made = getattr(sys.modules.get("multiprocessing.process"), "_process_counter", None)
    return "count(1)" if made is None else repr(made)
