"""The port of the service on this machine, which stays the same over restarts of the hub."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from pathlib import Path

from respawn_hub.hub_config.data_lock import holder_of, without_hub

_LOWEST = 10_240
_TRIES = 100
_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")


def kept_port(data: Path) -> int:
    """Return the port of the last start when it is still free, else a new free one; remember it.

    Single-user servers that outlive a restart of the hub go on finding the service. A port that a service
    still holds which a killed hub left behind counts as free: that one ends before the new one begins.

    Args:
        data: the directory of the service.

    Raises:
        OSError: no port is free.
    """
    path = data / "service-port"
    wanted = int(path.read_text()) if path.exists() and path.read_text().strip().isdigit() else 0
    holder = holder_of(data)
    if wanted and holder is not None and holder.port == wanted and without_hub(holder):
        return wanted
    for candidate in (*([wanted] if wanted else []), *_candidates(), 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            port = int(probe.getsockname()[1])
        if holder is None:  # else it is the port of a service that lives, for its own next start
            path.write_text(f"{port}\n")
        return port
    raise OSError("no free port on the loopback interface")


def _candidates() -> Iterator[int]:
    """Return ports below those that the system gives to outgoing connections (ip(7)).

    One of these could hold the port before the service takes it, or while the hub restarts.
    """
    try:
        end = int(_OUTGOING.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return
    if end > _LOWEST:
        chosen = random.SystemRandom()  # not what `random.seed` in a configuration file would repeat
        yield from (chosen.randrange(_LOWEST, end) for _ in range(_TRIES))
