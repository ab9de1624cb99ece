"""A version pins the build of its kernel: runs, tries, resumes and fixes use it until the next promotion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.history import ImportRequest
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, Service
from respawn_jobs.api.versions import JobChange
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import Run
from respawn_jobs.model.settings import RETRIED, JobSettings, RetryPolicy
from respawn_jobs.notebook.document import read_notebook, write_notebook
from support.clocks import MovedClock
from support.fixes import AGAIN, fixed
from support.ledgers import prepared_data
from support.notebooks import notebook, text
from support.runners import PlayedRunner


@dataclass(frozen=True)
class Installed:
    name: str
    language: str
    lock: str | None
    resources: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Machine:
    """A store on a machine whose kernel is built anew."""

    ledger: Ledger
    ada: Service
    clock: MovedClock
    lock: list[str | None] = field(default_factory=lambda: ["old"])

    def rebuild(self, lock: str) -> None:
        self.lock[0] = lock
        self.clock.forward(seconds=11)  # what is known of kernels is asked for anew

    def promote(self, *cells: str, **settings: object) -> None:
        nb = text(notebook(*(cells or ("a = 1", "b = c")), kernel="respawn-science"))
        self.ada.promote(Promotion(name="report", notebook=nb, settings=JobSettings(**settings)))

    def failed(self) -> Run:
        run = self.ada.run(RunRequest(job="report"))
        runner = PlayedRunner(self.ledger, run.id)
        runner.begin()
        runner.execute(0)
        runner.fail(1)
        return run


@pytest.fixture
def machine(tmp_path: Path, clock: MovedClock) -> Iterator[Machine]:
    lock: list[str | None] = ["old"]
    ledger = Ledger.embedded(prepared_data(tmp_path / "data"), clock=clock)
    ledger._context.kernel_check = lambda name: Installed(name, "python", lock[0])
    ledger._context.build_check = lambda _name, _lock: False
    yield Machine(ledger, ledger.as_actor(Actor.owner("ada")), clock, lock)
    ledger.close()


def test_a_run_uses_the_build_that_was_promoted_and_says_that_there_is_a_newer_one(machine: Machine) -> None:
    machine.promote()
    assert machine.ada.versions("report")[0].newer_lock is None
    machine.rebuild("new")
    run = machine.ada.run(RunRequest(job="report"))
    assert (run.lock, run.newer_lock) == ("old", "new")
    assert PlayedRunner(machine.ledger, run.id).assignment.lock == "old"
    version = machine.ada.versions("report")[0]
    assert (version.lock, version.newer_lock) == ("old", "new")


def test_promoting_the_same_notebook_again_takes_the_newer_build_and_says_so(machine: Machine) -> None:
    machine.promote()
    machine.rebuild("new")
    nb = text(notebook("a = 1", "b = c", kernel="respawn-science"))
    told = machine.ada.preview_promotion(Promotion(name="report", notebook=nb))
    assert told.outcome == "new_version"
    assert "with build new of respawn-science in place of build old" in told.message
    machine.promote()
    run = machine.ada.run(RunRequest(job="report"))
    assert (run.version, run.lock, run.newer_lock) == (2, "new", None)


def test_a_resume_and_its_fix_keep_build_and_state(machine: Machine) -> None:
    machine.promote()
    run = machine.failed()
    machine.rebuild("new")
    planned = machine.ada.plan(run.id, AGAIN)
    assert (planned.first, planned.notices) == (1, [])
    following = machine.ada.resume(run.id, fixed(machine.ada, run, 1, "b = a"))
    assert (following.version, following.lock, following.resume_from) == (2, "old", 1)
    assert machine.ada.versions("report")[0].lock == "old"


def test_a_debug_notebook_that_names_its_pinned_build_is_one_of_the_same_kernel(machine: Machine) -> None:
    machine.promote()
    run = machine.failed()
    machine.rebuild("new")
    edited = read_notebook(str(fixed(machine.ada, run, 1, "b = a").notebook))
    edited.metadata["kernelspec"]["name"] = "respawn-science.pinned-0123456789ab"
    following = machine.ada.resume(run.id, ResumeRequest(notebook=write_notebook(edited)))
    assert (following.kernel, following.lock, following.resume_from) == ("respawn-science", "old", 1)


def test_a_further_try_goes_on_with_the_build_and_the_state_of_the_one_before(machine: Machine) -> None:
    policy = RetryPolicy(attempts=3, delay_seconds=0)
    machine.promote("a = 1", "b = a", retries=dict.fromkeys(RETRIED, policy))
    run = machine.ada.run(RunRequest(job="report"))
    runner = PlayedRunner(machine.ledger, run.id)
    runner.begin()
    runner.execute(0)
    machine.rebuild("new")
    runner.fail(1)
    again = PlayedRunner(machine.ledger, run.id).assignment
    assert again.lock == "old"
    assert again.resume is not None
    assert again.resume.first == 1


def test_a_kernel_of_no_lock_is_used_as_it_is(machine: Machine) -> None:
    machine.lock[0] = None
    machine.promote()
    run = machine.failed()
    machine.rebuild("new")
    planned = machine.ada.plan(run.id, AGAIN)
    assert planned.first == 0
    assert "was rebuilt" in planned.notices[0]
    assert machine.ada.run(RunRequest(job="report")).lock == "new"


def test_a_kept_run_pins_its_build_when_its_job_has_moved_on(machine: Machine) -> None:
    machine.promote("a = 1", "b = a")
    run = machine.ada.run(RunRequest(job="report"))
    runner = PlayedRunner(machine.ledger, run.id)
    runner.begin()
    runner.succeed()
    machine.ada.change_job("report", JobChange(archived=True))
    assert machine.ledger.pinned_environments() == {}
    machine.ada.pin(run.id, pinned=True)
    assert machine.ledger.pinned_environments() == {"old": ["user/ada/report"]}


def test_an_imported_version_pins_no_build_that_is_not_here(machine: Machine, tmp_path: Path) -> None:
    machine.promote()
    run = machine.failed()
    machine.ada.export_run(run.id, tmp_path / "run.zip")
    machine.rebuild("new")
    imported = machine.ada.import_run(tmp_path / "run.zip", ImportRequest(job="copy"))
    assert imported.lock == "old", "a run's record says what it ran in"
    assert machine.ada.versions("copy")[0].lock is None
    assert machine.ada.run(RunRequest(job="copy")).lock == "new"
