"""The service keeps its port over restarts of the hub, but for one that somebody else has taken."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest
from traitlets.config import Config

import respawn_hub
from respawn_hub.hub_config.data_lock import DataLock, Holder

pytestmark = pytest.mark.integration


def _service(config: Config) -> dict:
    return next(service for service in config.JupyterHub.services if service["name"] == "respawn")


def test_a_port_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        (tmp_path / "service-port").write_text(f"{taken}\n")
        config = Config()
        respawn_hub.configure(config, data=tmp_path)

    assert not _service(config)["url"].endswith(f":{taken}")


def test_a_new_port_is_none_that_an_outgoing_connection_may_hold(tmp_path: Path) -> None:
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    for number in range(5):
        (tmp_path / str(number)).mkdir()
        config = Config()
        respawn_hub.configure(config, data=tmp_path / str(number))
        port = int(_service(config)["url"].rpartition(":")[2])
        assert not first <= port <= last


@pytest.mark.parametrize("hub_lives", [False, True])
def test_only_the_port_of_a_service_without_its_hub_is_taken_over(tmp_path: Path, hub_lives: bool) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    hub = os.getpid() if hub_lives else ended.pid
    with socket.create_server(("127.0.0.1", 0)) as left:
        port = left.getsockname()[1]
        lock = DataLock(tmp_path)
        lock.take(Holder.this_process(port, "rep-left", hub))
        (tmp_path / "service-port").write_text(f"{port}\n")
        config = Config()
        respawn_hub.configure(config, data=tmp_path)
        lock.release()

    assert _service(config)["url"].endswith(f":{port}") is not hub_lives
    assert (tmp_path / "service-port").read_text() == f"{port}\n"
