"""Channels are an administrator's: told by name, checked when set, and their addresses stay unknown."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from respawn_hub.channels import Channels
from respawn_jobs.errors import InvalidInput
from respawn_jobs.redact import redact
from support.receivers import http_receiver, mail_receiver


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


def test_nobody_at_the_address_is_a_problem_in_words(channels) -> None:
    result = channels('[ops]\nurl = "json://127.0.0.1:9/"').send("ops", "title", "text")
    assert result.delivered == set()
    assert result.problems[0].startswith("json (address 1): ")


@pytest.mark.parametrize(
    "address",
    [
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#alerts",
        "workflows://host.environment.api.powerplatform.com:443/3e4f0a1b2c3d4e5f/Tg7k3v9x0m2qabcdef/",
        "mailtos://user:hunter2x@smtp.example.org?to=ada@example.org",
    ],
)
def test_addresses_of_known_services_are_understood_and_hidden(channels, address: str) -> None:
    import apprise

    assert apprise.Apprise.instantiate(address) is not None
    channels(f'[ops]\nurl = "{address}"')
    assert address not in redact(f"could not reach {address}")


def test_a_channel_is_for_the_namespaces_that_it_names(channels) -> None:
    found = channels('[risk]\nurl = "json://h"\nnamespaces = ["team/risk"]\n[all]\nurl = "json://h"')
    found.check(["risk", "all"], "team/risk")
    with pytest.raises(InvalidInput, match="'risk' is not for user/ada; user/ada may use: all"):
        found.check(["risk"], "user/ada")
    with pytest.raises(InvalidInput, match="'none' is not defined"):
        found.check(["none"], "user/ada")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[ops", "is not TOML"),
        ("[ops]\n", "give `url` or `urls`"),
        ('[ops]\nurl = "hunter2hunter2"', "address 1 is no Apprise URL"),
        ('[ops]\nurls = "slack://hunter2hunter2"', "urls: Input should be a valid list"),
        ('[ops]\nurl = "json://h"\nname_spaces = ["hunter2hunter2"]', "name_spaces: Extra inputs"),
        ('[ops]\nurl = "json://h"\nnamespaces = ["risk"]', "'risk' is not a namespace"),
        ('["a b"]\nurl = "json://h"', "String should match pattern"),
        ('ops = "slack://hunter2hunter2"', "channel 'ops'"),
    ],
)
def test_a_wrong_file_is_told_by_place_and_rule_without_its_addresses(channels, text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as error:
        channels(text)
    assert said in error.value.message
    assert "hunter2" not in error.value.message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"none\.toml cannot be read"):
        Channels.load(tmp_path / "none.toml")


def test_a_file_that_others_can_read_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "channels.toml"
    path.write_text('[ops]\nurl = "json://h"')
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        Channels.load(path)
    assert "chmod 600" in caplog.text
