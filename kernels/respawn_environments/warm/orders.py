"""What a zygote is asked and what it answers: JSON in one packet, descriptors beside it.

All sockets are of a pair, of the kind SOCK_SEQPACKET: a packet arrives whole or not at all (unix(7)). Each
order brings one of its own, its *gate*: the answers come by it, and the kernel waits at it for `TAKE`.
Whoever asked closes it when the time is over. So no kernel comes up that nobody waits for, and no late answer
is taken for that of the next order.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import Any

PROTOCOL = 1
"""The version of all this. An environment keeps the zygote that it was built with: another version is not
asked, and its kernels start plainly. Fields that either side does not know are passed over."""

TAKE = b"take"
"""The word by which a kernel that was forked is taken; without it the kernel ends."""

MAX_BYTES = 200_000
"""The largest packet: an environment with long variables fits, and the system's socket buffer takes it."""


class TooLong(ValueError):
    """A message has more bytes than a packet may have."""


@dataclass(frozen=True)
class Order:
    """A kernel that is wanted."""

    arguments: list[str]
    """Of the kernel's program, after its name."""
    directory: str
    """Where it works: an absolute path."""
    environment: dict[str, str]
    """All variables that it gets."""
    parent: int
    """The process that adopts it, and with which it dies."""
    until: float = float("inf")
    """When whoever asked gives up, by CLOCK_MONOTONIC, which is the same in all processes of a machine."""

    @classmethod
    def of(cls, message: dict[str, Any]) -> Order:
        """Read a message, whose fields of later versions are passed over. Raises TypeError for any other."""
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in message.items() if name in known})


@dataclass(frozen=True)
class Check:
    """A question in the place of an order, with a gate: would a kernel be what one was that came before?"""

    check: bool = True


@dataclass(frozen=True)
class Answer:
    """What became of an order, or, without one, that the zygote is ready."""

    pid: int | None = None
    """Of the kernel."""
    problem: str | None = None
    """Why there is none."""
    module: str | None = None
    """Whose import is to blame for that, where it is that of one."""
    failed: bool = False
    """Whether that import failed; else it has started what a fork does not bear."""
    protocol: int = PROTOCOL
    can: tuple[str, ...] = ()
    """What of later versions the zygote can besides."""


@dataclass(frozen=True)
class Importing:
    """What a zygote says on its way, before its first answer: which module it is about to import."""

    importing: str


def tell(end: socket.socket, message: Order | Check | Answer, descriptors: Sequence[int] = ()) -> None:
    """Send one message.

    Args:
        end: One end of the pair.
        message: What to say.
        descriptors: Open files of which the other side gets copies.

    Raises:
        OSError: Nobody hears.
        TooLong: Nobody could hear all of it; nothing was sent.
    """
    packet = json.dumps(asdict(message)).encode()
    if len(packet) > MAX_BYTES:
        raise TooLong(f"the kernel's command and variables have more than {MAX_BYTES:,} bytes")
    socket.send_fds(end, [packet], descriptors)


def mention(end: socket.socket, message: Importing) -> None:
    """Say something that may be lost: nobody is waited for.

    Args:
        end: One end of the pair.
        message: What to say.
    """
    with suppress(OSError):
        end.send(json.dumps(asdict(message)).encode(), socket.MSG_DONTWAIT)


def hear(end: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """Wait for the next message.

    Returns:
        Its fields, an empty dict for what is no message, None at the end; and its descriptors, which are the
        caller's to close.
    """
    packet, descriptors, _, _ = socket.recv_fds(end, MAX_BYTES, 4)
    if not packet:
        return None, descriptors
    try:
        found = json.loads(packet)
    except ValueError:
        found = None
    return (found if isinstance(found, dict) else {}), descriptors
