"""Free TCP ports on loopback, for servers that cannot bind to port 0 themselves."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Return a port that was free a moment ago; take it at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
