"""Who is let onto the kernel of a failed run that lives on, and what is kept of that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.job_server_protocol import KeptKernelReport
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.clock import utc_now
from respawn_jobs.errors import Forbidden, NotFound
from respawn_jobs.ledger import Ledger
from support.notebooks import notebook, text
from support.runners import PlayedRunner

TEAM = "team/risk"
EDIT = f"custom:respawn:edit!group={TEAM.partition('/')[2]}"
ENTER = "custom:respawn:enter!group=risk"


def person(name: str, *scopes: str) -> Actor:
    return Actor(name, frozenset(scopes), frozenset({"risk"}))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.embedded(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def run(ledger: Ledger) -> str:
    """A run of the team's that failed; its kernel lives on in the server of the team's account."""
    service = ledger.as_actor(person("kim", EDIT))
    service.promote(Promotion(namespace=TEAM, name="report", notebook=text(notebook("x = 1", "1 / 0"))))
    failed = PlayedRunner(ledger, service.run(RunRequest(job=f"{TEAM}/report")).id)
    failed.begin()
    failed.execute(0)
    failed.fail(1)
    planned = ledger.plan_job_server("risk-jobs")
    assert planned is not None
    later = utc_now() + timedelta(hours=1)
    ledger.note_kept_kernels(planned.name, [KeptKernelReport(run=failed.run, until=later)])
    return failed.run


def test_who_has_the_right_is_told_where_and_it_is_audited(ledger: Ledger, run: str) -> None:
    kim = person("kim", EDIT, ENTER)
    living = ledger.enter_kernel(kim, run)
    assert (living.run, living.account) == (run, "risk-jobs")
    (record,) = [one for one in ledger.as_actor(kim).audit() if one.action == "enter"]
    assert (record.actor, record.subject) == ("kim", run)


def test_no_other_right_contains_it(ledger: Ledger, run: str) -> None:
    for scope in (EDIT, "custom:respawn:admin", "custom:respawn:enter!group=others"):
        reader = person("eve", EDIT, scope)
        with pytest.raises(Forbidden, match="custom:respawn:enter for team/risk"):
            ledger.enter_kernel(reader, run)
    with pytest.raises(Forbidden):  # the right alone reads no runs
        ledger.enter_kernel(person("eve", ENTER), run)


def test_a_kernel_whose_server_is_gone_lives_no_more(ledger: Ledger, run: str) -> None:
    kim = person("kim", EDIT, ENTER)
    assert ledger.as_actor(kim).show(run).living is not None
    for server in ledger.job_servers():
        ledger.give_up_job_server(server.name)
    assert ledger.as_actor(kim).show(run).living is None
    with pytest.raises(NotFound, match="does not live on"):
        ledger.enter_kernel(kim, run)


def test_one_whose_time_is_over_lives_no_more(ledger: Ledger, run: str) -> None:
    (server,) = ledger.job_servers()
    ledger.note_kept_kernels(server.name, [KeptKernelReport(run=run, until=utc_now())])
    assert ledger.as_actor(person("kim", EDIT)).show(run).living is None
