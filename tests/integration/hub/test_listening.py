"""The sockets on which the service answers."""

from __future__ import annotations

import asyncio
import socket

import pytest

from respawn_hub.startup.listening import CannotListen, listeners

pytestmark = pytest.mark.integration


def test_answers_on_a_kept_connection_do_not_wait_for_acknowledgements() -> None:
    (listener,) = listeners("127.0.0.1", 0)
    with listener, socket.create_connection(listener.getsockname()[:2]):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def _answered_from(sockets: list[socket.socket]) -> bytes:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    server = await asyncio.start_server(answer, sock=sockets[0])
    async with server:
        reader, writer = await asyncio.open_connection(*sockets[0].getsockname()[:2])
        writer.write(b"here\n")
        answered = await reader.read()
        writer.close()
        await writer.wait_closed()
    return answered


def test_an_event_loop_serves_from_them() -> None:
    assert asyncio.run(_answered_from(listeners("127.0.0.1", 0))) == b"here\n"


def test_an_address_of_another_program_is_named_with_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("respawn_hub.startup.listening._WAIT_SECONDS", 0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CannotListen, match=f"127.0.0.1:{port} .*another program has this port"):
            listeners("127.0.0.1", port)
