"""What goes out of the process: other processes and connections, as the audit events tell."""

from __future__ import annotations

from typing import Any

from respawn_kernels.evidence.audit import Handler

_PROCESS = (
    *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty"),
    "pty.spawn",
)
_SOCKET = (
    *("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"),
    *("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"),
)


class OutsideEvents:
    """What went out of the process in one cell."""

    def __init__(self) -> None:
        self.kinds: set[str] = set()

    def clear(self) -> None:
        """Forget it."""
        self.kinds = set()

    def handlers(self) -> dict[str, Handler]:
        """Return what to call for which event."""
        kinds = dict.fromkeys(_PROCESS, "process") | dict.fromkeys(_SOCKET, "socket")
        return {event: self._adder(kind) for event, kind in kinds.items()}

    def _adder(self, kind: str) -> Handler:
        def add(_arguments: tuple[Any, ...]) -> None:
            self.kinds.add(kind)

        return add
