"""What the service remembers of the hub's answers, and for how long."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from respawn_hub.hub import client
from respawn_hub.hub.client import Hub
from respawn_hub.startup.settings import HubSettings
from respawn_jobs.errors import Unavailable
from support.lonely import TOKEN, answering_hub

pytestmark = pytest.mark.integration


class Hubs:
    """A hub's client whose hub and whose clock a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        settings = HubSettings(api_token="not-used", api_url="http://127.0.0.1:1/hub/api", client_id="x")
        self.client = Hub(settings, now=lambda: self.now)

    def move_to(self, port: int) -> None:
        url = f"http://127.0.0.1:{port}/hub/api"
        self.client.settings = self.client.settings.model_copy(update={"api_url": url})

    def go_away(self) -> None:
        self.move_to(1)


@pytest.fixture
def hubs() -> Iterator[Hubs]:
    hubs = Hubs()
    with answering_hub() as port:
        hubs.move_to(port)
        yield hubs
    hubs.client.close()


def _name(hubs: Hubs, token: str) -> str | None:
    user = hubs.client.user(token)
    return user.name if user else None


@pytest.mark.parametrize(("changes", "seconds"), [(False, 5), (True, 1)], ids=["looks", "changes something"])
def test_a_right_outlives_its_end_by_seconds(hubs: Hubs, changes: bool, seconds: float) -> None:
    assert _name(hubs, TOKEN) == "ada"
    with answering_hub(people={}) as port:  # the hub has revoked what ada had
        hubs.move_to(port)
        hubs.now += seconds - 0.1
        assert hubs.client.recall(TOKEN, changes=changes)[0]
        hubs.now += 0.2

        assert hubs.client.user(TOKEN, changes=changes) is None
        assert hubs.client.user(TOKEN) is None, "what was heard for a change holds for looking too"


def test_people_can_look_while_the_hub_is_away_for_a_minute_and_change_nothing(hubs: Hubs) -> None:
    assert _name(hubs, TOKEN) == "ada"
    hubs.go_away()
    hubs.now += 59

    assert _name(hubs, TOKEN) == "ada"
    with pytest.raises(Unavailable):
        hubs.client.user(TOKEN, changes=True)
    hubs.now += 2
    with pytest.raises(Unavailable):
        hubs.client.user(TOKEN)


def test_a_refusal_holds_for_some_seconds_only(hubs: Hubs) -> None:
    assert _name(hubs, "made-up") is None
    hubs.go_away()

    assert _name(hubs, "made-up") is None
    hubs.now += 6
    with pytest.raises(Unavailable):
        hubs.client.user("made-up")


def test_a_hub_that_did_not_answer_is_left_alone_for_a_second(hubs: Hubs) -> None:
    with answering_hub() as port:
        hubs.go_away()
        with pytest.raises(Unavailable):
            hubs.client.user(TOKEN)
        hubs.move_to(port)
        with pytest.raises(Unavailable):
            hubs.client.user(TOKEN)
        hubs.now += 1.1

        assert _name(hubs, TOKEN) == "ada"


def test_made_up_tokens_displace_nobody_who_is_known(hubs: Hubs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_KEPT_ANSWERS", 3)
    assert _name(hubs, TOKEN) == "ada"
    for number in range(10):
        assert _name(hubs, f"made-up-{number}") is None
    hubs.go_away()

    assert _name(hubs, TOKEN) == "ada"
