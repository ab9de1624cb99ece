"""One replica of several that sees to the job servers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from respawn_hub.app import create_app
from respawn_hub.job_servers.led import LedExecutor
from respawn_hub.startup.settings import HubSettings, Settings
from respawn_jobs.api.job_server_protocol import JobServerReport
from respawn_jobs.errors import Unavailable
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.capacity.leadership import LEASE, Leader
from respawn_jobs.model.kernels import JobPlace
from support.played_hub import Played, PlayedHub, PlayedSeconds
from support.waiting import wait_for

ADA = [JobPlace("user/ada")]


class Replica:
    """A replica with its executor, over a hub that all share."""

    def __init__(self, name: str, ledger: Ledger, clock: PlayedSeconds, hub: PlayedHub) -> None:
        self.clock, self.made = clock, list[Played]()
        own = Leader(name, f"http://{name}")
        self.executor = LedExecutor(ledger, own, lambda: self._made(ledger, hub), ahead=30.0, monotonic=clock)

    def _made(self, ledger: Ledger, hub: PlayedHub):
        self.made.append(Played(ledger, self.clock, hub))
        return self.made[-1].executor

    def looks(self) -> bool:
        """Do what its dispatcher does again and again; tell whether it leads."""
        self.clock.now += 4
        self.executor.probe()
        self.executor.places(lambda: ADA)
        return self.executor.here() is not None


@pytest.fixture
def replicas(ledger: Ledger):
    hub = PlayedHub()
    both = [Replica(name, ledger, PlayedSeconds(), hub) for name in ("rep-1", "rep-2")]
    yield hub, both
    for replica in both:
        replica.executor.close()


def test_one_replica_leads_and_starts_one_server_and_the_other_says_where_it_is(replicas) -> None:
    hub, (first, second) = replicas
    assert [first.looks(), second.looks(), first.looks(), second.looks()] == [True, False, True, False]
    wait_for(lambda: len(hub.started) == 1, 10, "the server")
    assert second.executor.elsewhere() == "http://rep-1"
    assert second.executor.places(lambda: ADA) == {}
    with pytest.raises(Unavailable, match="another replica"):
        second.executor.submit("att-1", "secret", ADA[0])


def test_another_leads_at_once_when_the_first_is_stopped_and_finds_the_server(replicas) -> None:
    hub, (first, second) = replicas
    assert first.looks()
    assert not second.looks()
    name = first.made[0].ready("user/ada")
    first.executor.close()
    assert second.looks()
    here = second.executor.here()
    assert here is not None
    here.hear(name, JobServerReport(living=["att-1"]))
    assert second.executor.living() == {"att-1"}
    assert second.executor.places(lambda: ADA) == {ADA[0]: 1}
    assert list(hub.started) == [name]
    with pytest.raises(Unavailable, match="one will soon"):
        first.executor.elsewhere()


def test_another_leads_when_the_first_is_silent_and_the_first_then_steps_back(
    replicas, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, (first, second) = replicas
    assert first.looks()
    assert not second.looks()
    later = ledger.context.clock() + LEASE + timedelta(seconds=1)
    monkeypatch.setattr(ledger.context, "clock", lambda: later)
    assert second.looks()
    assert not first.looks()
    assert first.executor.elsewhere() == "http://rep-2"
    assert first.executor.living() == set()


def test_a_replica_that_was_killed_is_followed_at_once(replicas, ledger: Ledger) -> None:
    _, (first, second) = replicas
    assert first.looks()
    ledger.lose_replica("rep-1")
    assert second.looks()


def test_a_service_with_the_hub_executor_starts_without_its_database(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, db_url="postgresql+psycopg://nobody@127.0.0.1:1/none", executor="hub")
    hub = HubSettings(
        api_token="a", api_url="http://127.0.0.1:1/hub/api", client_id="c", service_url="http://127.0.0.1:2"
    )
    executor = create_app(settings, hub).state.hub_executor
    with pytest.raises(Unavailable):
        executor.probe()
    assert executor.here() is None
