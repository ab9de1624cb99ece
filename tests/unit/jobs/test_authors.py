"""Whose code has made a run's state: nobody is taken for its author by importing or by going on from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.history import ImportRequest
from respawn_jobs.api.runner_protocol import PREEMPTED, Outcome
from respawn_jobs.api.service import ResumeRequest, RunRequest, SeenRun, Service
from respawn_jobs.errors import Conflict
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.code_authors import other_authors
from respawn_jobs.model.runs import CellError, Run
from support.notebooks import notebook, text
from support.runners import PlayedRunner

AGREED = ResumeRequest(load_imported=True)
FIXED = text(notebook("a = 1", "b = a", "c = 3"))


@pytest.fixture
def elsewhere(tmp_path: Path, clock) -> Iterator[Ledger]:
    other = Ledger.embedded(tmp_path / "elsewhere", clock=clock)
    yield other
    other.close()


@pytest.fixture
def cid(elsewhere: Ledger) -> Service:
    return elsewhere.as_actor(Actor("cid", frozenset({"custom:respawn:edit!user=cid"})))


@pytest.fixture
def imported(failed: Run, ada: Service, cid: Service, tmp_path: Path) -> Run:
    ada.export_run(failed.id, tmp_path / "run.zip")
    return cid.import_run(tmp_path / "run.zip", ImportRequest())


def broken(ledger: Ledger, run: Run) -> Run:
    """Let a run fail at the cell where it starts."""
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.fail(2)
    return run


def test_a_run_of_ones_own_has_no_other_author(failed: Run, ada: Service) -> None:
    assert other_authors(ada.debug(failed.id), "ada") == []


@pytest.mark.parametrize(
    "go_on",
    [
        lambda person, run: run,
        lambda person, run: person.resume(run.id, AGREED),
        lambda person, run: person.resume(run.id, ResumeRequest(notebook=FIXED, load_imported=True)),
        lambda person, run: person.retry(run.id, SeenRun()),
        lambda person, run: person.restart(run.id, ResumeRequest()),
        lambda person, run: person.restart(run.id, ResumeRequest(notebook=FIXED)),
    ],
    ids=["imported", "resumed", "resumed with a fix", "tried again", "restarted", "restarted with a fix"],
)
def test_an_imported_run_and_what_comes_of_it_never_becomes_ones_own(
    imported: Run, cid: Service, elsewhere: Ledger, failed: Run, go_on: Callable[[Service, Run], Run]
) -> None:
    archive = f"archive of {failed.id}, exported by ada"
    following = go_on(cid, imported)
    if following.id != imported.id:
        broken(elsewhere, following)
    assert other_authors(cid.debug(following.id), "cid") == [archive, "cid"]
    if following.trigger in ("resume", "retry"):
        again = broken(elsewhere, cid.resume(following.id, AGREED))
        assert archive in other_authors(cid.debug(again.id), "cid"), "through any number of resumes"


def test_a_run_of_an_imported_version_is_not_ones_own(
    imported: Run, cid: Service, elsewhere: Ledger, failed: Run
) -> None:
    run = broken(elsewhere, cid.run(RunRequest(job=imported.job)))
    assert other_authors(cid.debug(run.id), "cid") == [f"archive of {failed.id}, exported by ada", "cid"]


def test_a_state_keeps_its_authors_through_a_fix_by_another_person(failed: Run, ledger: Ledger) -> None:
    bob = ledger.as_actor(Actor("bob", frozenset({"custom:respawn:edit!user=ada"})))
    by_bob = broken(ledger, bob.resume(failed.id, ResumeRequest(notebook=FIXED)))
    ada = ledger.as_actor(Actor("ada", frozenset({"custom:respawn:edit!user=ada"})))
    by_ada = broken(
        ledger, ada.resume(by_bob.id, ResumeRequest(notebook=text(notebook("a = 1", "b = a", "c = 4"))))
    )
    assert by_ada.created_by == ada.version(by_ada.id).created_by == "ada"
    assert other_authors(ada.debug(by_ada.id), "ada") == ["ada", "bob"]


def test_an_archive_cannot_name_its_reader_as_its_author(failed: Run, ada: Service, tmp_path: Path) -> None:
    ada.export_run(failed.id, tmp_path / "run.zip")
    back = ada.import_run(tmp_path / "run.zip", ImportRequest())
    assert other_authors(ada.debug(back.id), "ada") == ["ada", f"archive of {failed.id}, exported by ada"]


def test_a_resume_loads_the_state_of_an_archive_only_with_consent(
    imported: Run, cid: Service, elsewhere: Ledger, failed: Run
) -> None:
    archive = f"archive of {failed.id}, exported by ada"
    for go_on in (lambda: imported, lambda: broken(elsewhere, cid.resume(imported.id, AGREED))):
        run = go_on()
        planned = cid.plan(run.id, ResumeRequest())
        assert planned.imported == [archive]
        assert any(archive in problem for problem in planned.problems)
        assert cid.plan(run.id, AGREED).problems == []
        for request in (ResumeRequest(), ResumeRequest(notebook=FIXED)):
            with pytest.raises(Conflict, match="archive of"):
                cid.resume(run.id, request)


def test_consent_to_load_an_archive_is_on_the_record(imported: Run, cid: Service, failed: Run) -> None:
    resumed = cid.resume(imported.id, AGREED)
    (record,) = [one for one in cid.audit() if one.action == "resume"]
    assert record.subject == resumed.id
    assert record.details["loads"] == [f"archive of {failed.id}, exported by ada"]


def test_trying_again_what_came_of_an_archive_starts_from_the_top(imported: Run, cid: Service) -> None:
    tried = cid.retry(imported.id, SeenRun())
    assert (tried.trigger, tried.resume_from) == ("retry", None)


def test_a_plan_that_loads_nothing_of_an_archive_asks_nothing(imported: Run, cid: Service) -> None:
    planned = cid.plan(imported.id, ResumeRequest(notebook=text(notebook("a = 0", "b = a", "c = 3"))))
    assert (planned.checkpoint, planned.imported, planned.problems) == (None, [], [])


def test_retries_of_a_resume_that_was_agreed_to_ask_nothing_again(
    imported: Run, cid: Service, elsewhere: Ledger
) -> None:
    resumed = cid.resume(imported.id, AGREED)
    runner = PlayedRunner(elsewhere, resumed.id)
    runner.begin()
    runner.port.finish(Outcome(state="lost", error=CellError(cell=None, name=PREEMPTED, value="")))
    assert PlayedRunner(elsewhere, resumed.id).assignment.resume is not None
