"""Free TCP ports on loopback, for servers that cannot bind to port 0 themselves."""

from __future__ import annotations

import random
import socket
from pathlib import Path

LOWEST = 10_240
TRIES = 1_000


def free_port() -> int:
    """Return a port that was free a moment ago; take it at once.

    It lies below those that the kernel gives to outgoing connections: one of them would hold the port
    from then on, while a probe that connects to it finds nobody there (`ip_local_port_range` in ip(7)).
    """
    chosen = random.SystemRandom()  # tests seed the usual one, and would all ask for the same ports
    for _ in range(TRIES):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", chosen.randrange(LOWEST, _outgoing_from())))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise RuntimeError(f"none of {TRIES} ports tried on 127.0.0.1 is free")


def _outgoing_from() -> int:
    """Return the lowest port of outgoing connections."""
    return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
