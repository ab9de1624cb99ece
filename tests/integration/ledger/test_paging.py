"""Pages of runs: newest first, each run on one page, over namespaces, states and jobs; on both databases."""

from __future__ import annotations

from datetime import datetime

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.errors import Forbidden, InvalidInput, NotFound
from respawn_jobs.ledger.context import top_n
from respawn_jobs.ledger.runs import paging
from respawn_jobs.model.runs import RunState
from respawn_jobs.store import pieces
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration
BOTH_DATABASES = {
    "test_each_run_is_on_one_page_whatever_the_pages_end_at",
    "test_states_are_pages_of_their_own",
    "test_a_page_begins_at_a_time_too",
    "test_more_than_one_query_can_name_is_read_in_pieces",
}


@pytest.fixture
def several(ledger, clock):
    """Three teams with two jobs each; of each job's runs two began in the same instant."""
    owner = ledger.as_actor(Actor.owner("owner"))
    for team in ("team/a", "team/b", "team/c"):
        for name in ("one", "two"):
            owner.promote(Promotion(name=name, namespace=team, notebook=text(notebook("a = 1"))))
    made = []
    for _ in range(2):
        for team in ("team/a", "team/b", "team/c"):
            made += [owner.run(RunRequest(job=f"{team}/{name}")).id for name in ("one", "two")]
        clock.forward(minutes=1)
    for run in made[::2]:
        owner.cancel(run)
    return made


def reader(ledger, *teams):
    return ledger.as_actor(Actor("eve", frozenset(f"custom:respawn:read!group={team}" for team in teams)))


def pages(service, limit, **asked):
    seen = []
    while page := service.runs(limit=limit, before=seen[-1].id if seen else None, **asked):
        assert len(page) <= limit
        seen += page
    return seen


@pytest.mark.parametrize("teams", [("a",), ("a", "c"), ("a", "b", "c")])
def test_each_run_is_on_one_page_whatever_the_pages_end_at(several, ledger, teams):
    service = reader(ledger, *teams)
    whole = service.runs(limit=1000)
    assert len(whole) == 4 * len(teams)
    assert {run.job.split("/")[1] for run in whole} == set(teams)
    assert whole == sorted(whole, key=lambda run: (run.created_at, run.id), reverse=True)
    for limit in (1, 3, 5):
        assert pages(service, limit) == whole


@pytest.mark.parametrize("states", [[RunState.QUEUED], [RunState.QUEUED, RunState.CANCELLED], list(RunState)])
def test_states_are_pages_of_their_own(several, ledger, states):
    for service in (reader(ledger, "a", "b"), ledger.as_actor(Actor.owner("owner"))):
        wanted = [run for run in service.runs(limit=1000) if run.state in states]
        assert wanted
        assert pages(service, 3, states=states) == wanted


def test_a_job_has_pages_of_its_own(several, ledger):
    service = reader(ledger, "b")
    assert {run.job for run in pages(service, 1, job="team/b/two")} == {"team/b/two"}
    assert [run.state for run in pages(service, 1, job="team/b/one", states=[RunState.CANCELLED])] == [
        "cancelled"
    ] * 2


def test_nobody_sees_runs_without_a_right(several, ledger):
    assert reader(ledger).runs() == []


def test_a_page_begins_at_a_time_too(several, ledger):
    service = reader(ledger, "a", "b", "c")
    whole = service.runs(limit=1000)
    assert service.runs(limit=1000, before=whole[0].created_at) == whole[6:]
    assert service.runs(limit=1000, before=whole[0].created_at.isoformat()) == whole[6:]


def test_a_beginning_that_is_none_is_refused(several, ledger):
    service = reader(ledger, "a")
    with pytest.raises(InvalidInput, match=r"a time .* or a run's id"):
        service.runs(before="yesterday")
    with pytest.raises(InvalidInput, match="time zone"):
        service.runs(before=datetime(2026, 1, 1))
    with pytest.raises(NotFound):
        service.runs(before=several[0][:-4] + "zzzz")
    with pytest.raises(Forbidden):
        service.runs(before=several[2])


def test_more_than_one_query_can_name_is_read_in_pieces(several, ledger, monkeypatch):
    owner = ledger.as_actor(Actor.owner("owner"))
    runs, jobs = owner.runs(limit=1000), owner.jobs()
    monkeypatch.setattr(pieces, "AT_ONCE", 5)
    assert owner.runs(limit=1000) == runs
    assert owner.jobs() == jobs
    with ledger.database.session() as session:
        monkeypatch.setattr(top_n, "_PARTS_AT_ONCE", 2)
        found = paging.newest(session, [{"job_id": job.id} for job in jobs], (), None, 1000)
        assert [row.id for row in found] == [run.id for run in runs]
