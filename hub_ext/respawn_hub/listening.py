"""The sockets of the service, bound before anything else is begun."""

from __future__ import annotations

import errno
import socket
import time

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


def _bound(host: str, port: int) -> list[socket.socket]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    made: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((family, address) for family, *_, address in found):
            made.append(socket.create_server(address[:2], family=family, backlog=_BACKLOG))
    except BaseException:
        for one in made:
            one.close()
        raise
    return made


def _words(host: str, port: int, error: OSError) -> str:
    text = f"{host}:{port} cannot be listened on ({error.strerror or error})"
    if error.errno == errno.EADDRINUSE:
        text += (
            ": another program has this port. Stop it, or choose another port: "
            "`respawn_hub.configure(c, port=…)`, or JUPYTERHUB_SERVICE_URL for a replica"
        )
    return text
