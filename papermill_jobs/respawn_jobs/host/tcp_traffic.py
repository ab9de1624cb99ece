"""How much the TCP connections of some processes have passed on, asked of the Linux kernel by sock_diag(7).

The bytes of a process in /proc leave sockets out, so this alone sees a slow download. It takes no rights; a
sandbox may refuse it. Connections of other protocols, and Unix sockets, are not seen.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY = 4, 20
_REQUEST_DUMP = 0x1 | 0x300
_ERROR, _DONE = 2, 3
_INET_DIAG_INFO = 2
_WITH_INFO = 1 << (_INET_DIAG_INFO - 1)
_ALL_STATES = 0xFFFFFFFF
_HEADER = struct.Struct("=LHHLL")
_REQUEST = struct.Struct("=BBBBL48x")
_SOCKET = struct.Struct("=4x2s2s44x16xL")
"""Of an answer: the port here, the port there, the inode."""
_ATTRIBUTE = struct.Struct("=HH")
_BYTES = struct.Struct("=120xQQ")
"""Of `tcp_info`: what the other end has acknowledged, and what was received."""
_TIMEOUT_SECONDS = 1.0
_INODE = re.compile(r"socket:\[(\d+)\]")


def traffic(pids: Iterable[int], ignored_ports: Collection[int] = ()) -> int | None:
    """Return how many bytes the connections of processes have passed on; None where nobody tells.

    The number goes down when a connection ends: that it changes tells that something was passed on.

    Args:
        pids: the processes.
        ignored_ports: ports of this machine whose connections do not count.
    """
    inodes = {inode for pid in pids for inode in _sockets(pid)}
    if not inodes:
        return 0
    try:
        return sum(
            count
            for family in (socket.AF_INET, socket.AF_INET6)
            for port, inode, count in _connections(family)
            if inode in inodes and port not in ignored_ports
        )
    except (OSError, struct.error):
        return None


def _sockets(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):  # closed meanwhile
                if found := _INODE.fullmatch(str(Path(entry.path).readlink())):
                    yield int(found[1])


def _connections(family: int) -> Iterator[tuple[int, int, int]]:
    """Yield port, inode and bytes of every TCP connection of this machine."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as asking:
        asking.settimeout(_TIMEOUT_SECONDS)
        request = _REQUEST.pack(family, socket.IPPROTO_TCP, _WITH_INFO, 0, _ALL_STATES)
        length = _HEADER.size + len(request)
        asking.sendall(_HEADER.pack(length, _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0) + request)
        while True:
            answer = memoryview(asking.recv(1 << 18))
            while answer:
                length, kind, *_ = _HEADER.unpack_from(answer)
                if kind == _DONE:
                    return
                if kind == _ERROR or length < _HEADER.size:
                    raise OSError("the kernel does not tell of connections")
                yield _connection(answer[_HEADER.size : length])
                answer = answer[_aligned(length) :]


def _connection(message: memoryview) -> tuple[int, int, int]:
    port, _, inode = _SOCKET.unpack_from(message)
    count, rest = 0, message[_SOCKET.size :]
    while len(rest) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(rest)
        value = rest[_ATTRIBUTE.size : length]
        if kind == _INET_DIAG_INFO and len(value) >= _BYTES.size:
            count = sum(_BYTES.unpack_from(value))
        rest = rest[max(_aligned(length), _ATTRIBUTE.size) :]
    return int.from_bytes(port, "big"), inode, count


def _aligned(length: int) -> int:
    return (length + 3) & ~3
