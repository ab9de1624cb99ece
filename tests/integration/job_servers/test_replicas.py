"""Several replicas of the service share the job servers that a real hub starts, on a real PostgreSQL."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import RunDetail, RunState
from support.hub import RunningHub
from support.notebooks import notebook, text
from support.postgres import Postgres
from support.replicated_hub import Replicas, replicated_hub
from support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(400)]

_WAITS = """\
import os, time
open('begun-{0}', 'w').close()
while not os.path.exists('go-{0}'):
    time.sleep(0.05)"""


class Story:
    """Runs of two people that wait for a file."""

    def __init__(self, hub: RunningHub, replicas: Replicas, ledger: Ledger) -> None:
        self.hub, self.replicas, self.ledger = hub, replicas, ledger

    def begin(self, person: str, name: str) -> str:
        """Run a job that waits, and return the run once it does."""
        service, home = self.hub.service(person), self.hub.home(person)
        source = text(notebook("a = 1", _WAITS.format(name), "print(a)"))
        service.promote(Promotion(name=name, notebook=source, directory=str(home)))
        run = service.run(RunRequest(job=name)).id
        wait_for((home / f"begun-{name}").exists, 120, f"{run} to execute; see {self.hub.directory.parent}")
        return run

    def finish(self, person: str, name: str, run: str) -> RunDetail:
        """Let a run end, and check that nothing disturbed it."""
        service = self.hub.service(person)
        (self.hub.home(person) / f"go-{name}").touch()
        wait_for(lambda: service.show(run).run.state.final, 60, f"the end of {run}")
        detail = service.show(run)
        assert detail.run.state is RunState.SUCCEEDED, detail.run.error
        assert len(detail.attempts) == 1
        return detail

    def leader(self) -> int:
        """Return which replica sees to the job servers, once one does."""
        found = wait_for(lambda: [n for n in self.replicas.services if self.leads(n)], 60, "a leader")
        return found[0]

    def leads(self, number: int) -> bool:
        """Return whether a replica sees to the job servers."""
        return self.replicas.leader(self.ledger) == number

    def servers(self) -> dict[str, str]:
        """Return whose each job server is."""
        return {server.name: server.account for server in self.ledger.job_servers()}


def requests_in(hub: RunningHub) -> Counter[str]:
    """Count what replicas asked of the hub, by method and kind of path."""
    found = re.findall(r"\d{3} (GET|POST|DELETE) (/hub/api\S*) \(respawn@", hub.log.read_text())
    return Counter(f"{method} {kind_of(path)}" for method, path in found)


def kind_of(path: str) -> str:
    plain = path.removeprefix("/hub/api").partition("?")[0]
    return re.sub(r"/users/[^/]+", "/users/NAME", re.sub(r"/servers/[^/]+", "/servers/NAME", plain))


def test_replicas_share_the_job_servers_and_one_that_is_killed_disturbs_no_run(
    postgres: Postgres, tmp_path: Path
) -> None:
    url = postgres.prepared()
    ledger = Ledger.open(url, (tmp_path / "blobs").as_uri())
    try:
        with replicated_hub(tmp_path, url, users=("ada", "eve")) as (hub, replicas):
            _play(Story(hub, replicas, ledger))
            counts = requests_in(hub)
            print(dict(counts))
            assert counts["POST /users/NAME/servers/NAME"] == 2, counts
    finally:
        ledger.close()
        postgres.drop(url)


def _play(story: Story) -> None:
    replicas = story.replicas
    first = story.leader()
    second = 1 - first
    # A server registers, reports and gets its orders through the replica that does not dispatch.
    replicas.balance(second)
    through = story.begin("ada", "through")
    assert "starts as" in replicas.log(first).read_text()
    assert "starts as" not in replicas.log(second).read_text()
    replicas.balance(first, second)
    servers = story.servers()
    assert list(servers.values()) == ["ada"]
    both = story.begin("eve", "both")
    story.finish("ada", "through", through)

    killed = story.begin("ada", "killed")
    replicas.end(first, kill=True)
    wait_for(lambda: story.leads(second), 60, "the other replica to lead")
    after = story.begin("eve", "after")
    for person, name, run in (("eve", "both", both), ("ada", "killed", killed), ("eve", "after", after)):
        story.finish(person, name, run)

    replicas.start(first)
    stopped = story.begin("ada", "stopped")
    replicas.end(second)
    assert story.leader() == first
    story.finish("ada", "stopped", stopped)
    last = story.begin("eve", "last")
    story.finish("eve", "last", last)
    assert Counter(story.servers().values()) == {"ada": 1, "eve": 1}
    assert servers.items() <= story.servers().items(), "the servers of the beginning are there all the time"
