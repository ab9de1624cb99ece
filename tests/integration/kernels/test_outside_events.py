"""What audit events tell of processes and connections."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator

import pytest

from respawn_kernels.evidence import audit_hook
from respawn_kernels.evidence.child_processes import Processes
from respawn_kernels.evidence.outside_events import OutsideEvents

pytestmark = pytest.mark.integration


@pytest.fixture
def outside() -> Iterator[OutsideEvents]:
    events = OutsideEvents(Processes(lambda _: None))
    audit_hook.listen(events.handlers())
    yield events
    audit_hook.stop()


def test_processes_and_connections_go_outside(outside: OutsideEvents) -> None:
    subprocess.run(["true"], check=True)
    assert outside.seen() == {"process"}
    outside.clear()
    with socket.create_server(("127.0.0.1", 0)) as server:
        outside.clear()
        socket.create_connection(server.getsockname()).close()
    assert outside.seen() == {"socket"}
