"""The S3 server of the tests, where something else holds one of its ports."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import s3
from support.ports import free_port

pytestmark = pytest.mark.s3


@pytest.fixture
def held() -> Iterator[int]:
    """A free port before one that a connection holds, and on which nobody listens."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        before = free_port()
        outgoing = socket.create_connection(listening.getsockname(), source_address=("127.0.0.1", before + 1))
        with outgoing:
            yield before


@pytest.mark.long
def test_a_server_whose_ports_were_taken_is_started_on_others(
    tmp_path: Path, held: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = iter([held, free_port()])
    monkeypatch.setattr(s3, "free_port", lambda: next(asked))
    directory = tmp_path / "s3"
    try:
        variables = s3._started(directory)
    finally:
        s3._call("wipe", directory)
    assert "AWS_ENDPOINT_URL=http://127.0.0.1:" in variables
    assert f"does not answer on port {held + 1}" in capsys.readouterr().err
