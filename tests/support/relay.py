"""A way to servers that can be cut and joined again, as when a server dies and comes back, or is balanced."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_PIECE = 65536


class Relay:
    """Passes connections on to ports of the loopback in turn, while it is joined."""

    def __init__(self, *ports: int) -> None:
        self.ports = list(ports)
        """Where it passes them on to, for whoever balances; one at which nobody listens is left out."""
        self._turn = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._joined = True
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections, and each new one at once."""
        self._joined = False
        self._end_all()

    def join(self) -> None:
        """Pass connections on again."""
        self._joined = True

    def close(self) -> None:
        """Take no connections any more."""
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:  # it was closed
                return
            if not self._joined:
                here.close()
                continue
            there = self._connected()
            if there is None:
                here.close()
                continue
            self._open += [here, there]
            for source, target in ((here, there), (there, here)):
                threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()

    def _connected(self) -> socket.socket | None:
        for _ in self.ports:
            self._turn += 1
            with suppress(ConnectionRefusedError):
                return socket.create_connection(("127.0.0.1", self.ports[self._turn % len(self.ports)]))
        return None

    def _end_all(self) -> None:
        while self._open:
            one = self._open.pop()
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(_PIECE):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def relay(*ports: int) -> Iterator[Relay]:
    """Pass connections on to ports until the end."""
    made = Relay(*ports)
    try:
        yield made
    finally:
        made.close()
