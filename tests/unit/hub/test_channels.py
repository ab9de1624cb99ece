"""Channels are an administrator's: told by name, checked when set, and their addresses stay unknown."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from respawn_hub.notify.channels import Channels
from respawn_jobs.errors import InvalidInput
from respawn_jobs.redact import redact


@pytest.fixture
def channels(tmp_path: Path):
    def load(text: str) -> Channels:
        path = tmp_path / "channels.toml"
        path.write_text(text)
        path.chmod(0o600)
        return Channels.load(path)

    return load


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
        ('[ops]\nurls = "slack://hunter2hunter2"', "urls: it must be a list"),
        ('[ops]\nurl = "json://h"\nname_spaces = ["hunter2hunter2"]', "name_spaces: it is not known here"),
        ('[ops]\nurl = "json://h"\nnamespaces = ["risk"]', "'risk' is not a namespace"),
        ('["a b"]\nurl = "json://h"', "it must have the form"),
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
