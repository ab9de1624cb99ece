"""What the Linux kernel tells of the connections of a process."""

from __future__ import annotations

import os
import socket

import pytest

from respawn_jobs.host.tcp_traffic import traffic

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_bytes_of_tcp_connections_are_seen(family: socket.AddressFamily, host: str) -> None:
    with socket.create_server((host, 0), family=family) as server:
        address = server.getsockname()
        with socket.create_connection(address[:2]) as here, server.accept()[0] as there:
            ports = {address[1], here.getsockname()[1]}
            ignored = traffic([os.getpid()], ports)
            before = traffic([os.getpid()])
            there.sendall(b"x" * 1000)
            assert len(here.recv(1000, socket.MSG_WAITALL)) == 1000
            after = traffic([os.getpid()])
            assert before is not None
            assert after is not None
            assert after - before >= 1000
            assert traffic([os.getpid()], ports) == ignored
    assert traffic([]) == 0
