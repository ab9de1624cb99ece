"""The service's settings: what a hub must give, and a secret that is made once and kept private."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from respawn_hub.startup.settings import HubSettings, NotUnderHub, Settings


def test_started_without_a_hub_it_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_TOKEN", "API_URL", "CLIENT_ID"):
        monkeypatch.delenv(f"JUPYTERHUB_{name}", raising=False)

    with pytest.raises(NotUnderHub, match=r"JUPYTERHUB_API_TOKEN, JUPYTERHUB_API_URL, JUPYTERHUB_CLIENT_ID"):
        HubSettings.from_environment()


def test_keys_are_made_once_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "new")

    assert len(settings.keyring().current("cookies").secret) == 64
    assert settings.keyring().current("cookies") == settings.keyring().current("cookies")
    assert stat.S_IMODE((tmp_path / "new" / "keys.json").stat().st_mode) == 0o600


def _hub(**given: str) -> HubSettings:
    return HubSettings(
        api_token="t", api_url="http://127.0.0.1:8081/hub/api", client_id="service-respawn", **given
    )


def test_addresses_follow_the_hubs_base_url() -> None:
    hub = _hub(
        base_url="/hubs/one/",
        service_prefix="/hubs/one/services/respawn/",
        service_url="http://127.0.0.1:4321",
    )

    assert hub.hub_prefix == "/hubs/one/hub/"
    assert hub.callback == "/hubs/one/services/respawn/oauth_callback"
    assert hub.address == ("127.0.0.1", 4321)


def test_people_stay_on_the_name_by_which_they_came() -> None:
    address = "https://hub.example.org"

    assert _hub(host=address, public_url=f"{address}/services/respawn/").hub_pages == "/hub/"
    assert _hub().hub_pages == "/hub/"


def test_a_hub_with_a_domain_of_its_own_is_addressed_by_it() -> None:
    service = "https://services.hub.example.org/services/respawn/"

    assert (
        _hub(host="https://hub.example.org", public_url=service).hub_pages == "https://hub.example.org/hub/"
    )


@pytest.mark.parametrize("secret", ["", "k9-qq", "x" * 31])
def test_a_secret_that_can_be_guessed_is_refused(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPAWN_COOKIE_SECRET", secret)
    with pytest.raises(ValidationError, match="at least 32") as refused:
        Settings()
    assert not secret or secret not in str(refused.value)
