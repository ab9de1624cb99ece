"""The sockets of the service, bound before anything else is begun."""

from __future__ import annotations

import errno
import socket
import time
from contextlib import ExitStack

_BACKLOG = 2048
_WAIT_SECONDS = 5.0
"""Seconds in which whoever has the port may let it go: a service that was replaced is just ending."""
_LOOK_SECONDS = 0.1


class CannotListen(Exception):
    """The service's address cannot be listened on; the message says what to do."""


def listeners(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen on every address of `host`. Raises `CannotListen` naming address and fix."""
    ends = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            return _bound(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() >= ends:
                raise CannotListen(_words(host, port, error)) from error
        time.sleep(_LOOK_SECONDS)


def tcp_listener(address: tuple[str, int], family: int = socket.AF_INET) -> socket.socket:
    """Return a socket that listens, and whose connections send small answers at once.

    asyncio turns Nagle's algorithm off for sockets that it makes, and for others only where they name their
    protocol, which `socket.create_server` does not: each answer on a kept connection waited 40 ms for the
    acknowledgement of its head. Linux gives the option to accepted connections.

    Args:
        address: host and port.
        family: such as `socket.AF_INET6`.

    Raises:
        OSError: the address cannot be listened on.
    """
    listener = socket.create_server(address, family=family, backlog=_BACKLOG)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _bound(host: str, port: int) -> list[socket.socket]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    with ExitStack() as closing:
        made = [
            closing.enter_context(tcp_listener((str(address[0]), int(address[1])), family))
            for family, address in dict.fromkeys((family, address) for family, *_, address in found)
        ]
        closing.pop_all()
    return made


def _words(host: str, port: int, error: OSError) -> str:
    text = f"{host}:{port} cannot be listened on ({error.strerror or error})"
    if error.errno == errno.EADDRINUSE:
        text += (
            ": another program has this port. Stop it, or choose another port: "
            "`respawn_hub.configure(c, port=…)`, or JUPYTERHUB_SERVICE_URL for a replica"
        )
    return text
