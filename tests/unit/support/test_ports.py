"""Free ports, beside connections that hold the ports that one would take."""

from __future__ import annotations

from pathlib import Path

from support.ports import free_port


def test_a_free_port_is_none_that_an_outgoing_connection_can_take() -> None:
    outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = [free_port() for _ in range(50)]
    assert max(ports) < outgoing
    assert len(set(ports)) > 40
