"""Messages of a channel reach an HTTP server and a mail server."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from respawn_hub.notify.channels import Channels
from respawn_jobs.redact import redact
from support.receivers import http_receiver, mail_receiver

pytestmark = pytest.mark.integration


@pytest.fixture
def channels(tmp_path: Path):
    def load(text: str) -> Channels:
        path = tmp_path / "channels.toml"
        path.write_text(text)
        path.chmod(0o600)
        return Channels.load(path)

    return load


def test_a_message_arrives_over_http_with_title_text_and_kind(channels) -> None:
    with http_receiver() as receiver:
        result = channels(f'[ops]\nurl = "{receiver.address}"').send("ops", "it failed", "line 1\nline 2")
    assert (result.delivered, result.problems) == ({0}, [])
    [message] = receiver.messages
    assert (message["title"], message["message"], message["type"]) == (
        "it failed",
        "line 1\nline 2",
        "failure",
    )


def test_a_message_arrives_as_a_mail(channels) -> None:
    with mail_receiver() as receiver:
        address = f"mailto://127.0.0.1:{receiver.port}?from=hub@example.org&to=ada@example.org&mode=insecure"
        result = channels(f'[ops]\nurl = "{address}"').send("ops", "it failed", "in cell 41")
    assert result.problems == []
    assert "Subject: it failed" in receiver.mails[0]
    assert "in cell 41" in receiver.mails[0]


def test_an_address_that_refuses_is_told_without_its_secrets_and_the_others_have_it(
    channels,
) -> None:
    with http_receiver() as good, http_receiver() as bad:
        bad.status, bad.answer = 500, "no such hook: s3cr3t-path-0042"
        both = channels(f'[ops]\nurls = ["{bad.address}", "{good.address}"]')
        result = both.send("ops", "title", "text")
        bad.status = 200
        again = both.send("ops", "title", "text", skip=result.delivered)
    assert result.delivered == {1}
    assert "500" in result.problems[0]
    assert "s3cr3t" not in redact(result.problems[0])
    assert (again.delivered, again.problems) == ({0, 1}, [])
    assert (len(good.messages), len(bad.messages)) == (1, 2)
    assert not logging.getLogger("apprise").propagate, "its lines may name addresses"
