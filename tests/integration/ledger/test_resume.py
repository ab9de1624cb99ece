"""Resume and restart, from the failed run to the run that goes on."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import nbformat
import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.runner_protocol import Outcome
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest
from respawn_jobs.errors import Conflict, Forbidden, InvalidInput
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.checkpoints import Unstored
from respawn_jobs.model.plans import PlanAction
from respawn_jobs.model.runs import CellError
from respawn_jobs.notebook.document import read_notebook, strip_debug, write_notebook
from support.fixes import AGAIN, fixed
from support.notebooks import notebook, printed_by, text
from support.runners import PlayedRunner, printed

pytestmark = pytest.mark.integration
BOTH_DATABASES = {
    "test_a_resumed_run_takes_over_what_is_before_the_failing_cell",
    "test_the_second_resume_of_a_run_is_refused_naming_the_first",
    "test_of_resumes_at_the_same_moment_one_is_taken_and_nothing_is_left_of_the_others",
    "test_of_resumes_of_both_at_the_same_moment_one_is_taken",
    "test_a_runner_that_dies_between_begin_and_its_first_event_keeps_the_reused_cells",
}


def test_a_resumed_run_takes_over_what_is_before_the_failing_cell(failed, ada, ledger):
    run = ada.resume(failed.id, fixed(ada, failed, 2, "c = b"))
    assert (run.trigger, run.origin, run.resume_from, run.state) == ("resume", failed.id, 2, "queued")
    shown = ada.show(run.id)
    assert [cell.state for cell in shown.cells] == ["reused", "reused", "pending"]
    assert ada.outputs(run.id, 1) == [printed(1)]

    runner = PlayedRunner(ledger, run.id)
    resume = runner.assignment.resume
    assert resume.first == 2
    assert runner.port.get_blob(resume.manifest) == f"manifest of {failed.id} at 1".encode()
    assert runner.port.get_blob(resume.blobs[0]) == f"data of {failed.id} at 1".encode()
    assert [cell.index for cell in resume.reused] == [0, 1]
    assert b"cell 0" in runner.port.get_blob(resume.reused[0].outputs)
    runner.begin()
    runner.execute(2)
    runner.succeed()
    shown = ada.show(run.id)
    assert [cell.state for cell in shown.cells] == ["reused", "reused", "executed"]
    assert shown.run.cells_done == 3
    assert ada.show(failed.id).run.resumed_by == run.id


def test_the_fixed_notebook_becomes_the_next_version_with_its_parent(failed, ada, ledger):
    run = ada.resume(failed.id, fixed(ada, failed, 2, "c = b"))
    version = ada.versions("report")[0]
    assert (version.number, version.parent, run.version) == (2, 1, 2)
    assert ada.job("report").version == 2
    stored = read_notebook(ledger.blobs.get(version.notebook).decode())
    assert [cell.source for cell in stored.cells] == ["a = 1", "b = a", "c = b"]
    assert write_notebook(stored) == write_notebook(strip_debug(stored))


def test_the_same_cells_make_no_new_version(failed, ada):
    assert ada.resume(failed.id, fixed(ada, failed, 2, "c = d")).version == 1
    assert len(ada.versions("report")) == 1


OTHERS = {
    "none": notebook(),
    "no code": notebook("md:# no code", " "),
    "another notebook's": nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("z = 1", id="z")]),
}


@pytest.mark.parametrize("whose", OTHERS)
@pytest.mark.parametrize("way", ["plan", "resume", "restart"])
def test_cells_of_another_notebook_are_not_taken_for_a_fix(failed, ada, way: str, whose: str):
    with pytest.raises(InvalidInput, match="Promote it as a job of its own"):
        getattr(ada, way)(failed.id, ResumeRequest(notebook=text(OTHERS[whose])))
    assert len(ada.versions("report")) == 1
    assert ada.show(failed.id).run.resumed_by is None


def test_a_notebook_whose_cells_all_have_other_ids_is_known_by_what_they_hold(failed, ada):
    edited = notebook("a = 1", "b = 5", "c = b")
    for place, cell in enumerate(edited.cells):
        cell["id"] = f"other-{place}"
    assert ada.resume(failed.id, ResumeRequest(notebook=text(edited))).version == 2


def test_a_job_that_has_moved_on_keeps_its_newer_version(failed, ada, queue):
    request = fixed(ada, failed, 2, "c = b")
    queue("something = 'newer'")
    assert "moved on to version 2" in ada.plan(failed.id, request).notices[0]
    assert ada.resume(failed.id, request).version == 3
    assert ada.job("report").version == 2


def test_a_plan_changes_nothing(failed, ada):
    request = fixed(ada, failed, 2, "c = b")
    before = (ada.show(failed.id), ada.job("report"), ada.audit())
    planned = ada.plan(failed.id, request)
    assert [cell.action for cell in planned.cells] == [PlanAction.REUSE, PlanAction.REUSE, PlanAction.RUN]
    assert (ada.show(failed.id), ada.job("report"), ada.audit()) == before


def test_the_second_resume_of_a_run_is_refused_naming_the_first(failed, ada):
    run = ada.resume(failed.id, AGAIN)
    with pytest.raises(Conflict, match=run.id):
        ada.resume(failed.id, AGAIN)
    assert run.id in ada.plan(failed.id, AGAIN).problems[0]


def test_of_resumes_at_the_same_moment_one_is_taken_and_nothing_is_left_of_the_others(failed, ada):
    request = fixed(ada, failed, 2, "c = b")
    together = threading.Barrier(4)

    def attempt(_: int) -> str:
        together.wait()
        try:
            return ada.resume(failed.id, request).id
        except Conflict as refused:
            return refused.fields["resumed_by"]

    with ThreadPoolExecutor(4) as pool:
        answers = set(pool.map(attempt, range(4)))
    assert len(answers) == 1
    assert len(ada.runs()) == 2
    assert len(ada.versions("report")) == 2


def test_a_resumed_run_that_dies_before_its_first_cell_can_be_resumed(failed, ada, ledger, clock):
    second = ada.resume(failed.id, fixed(ada, failed, 2, "c = b"))
    PlayedRunner(ledger, second.id)  # claims, and is never heard of again
    clock.forward(seconds=20)
    ledger.expire()
    shown = ada.show(second.id)
    assert shown.run.state == "lost"
    assert shown.run.notebook is not None
    third = ada.resume(second.id, AGAIN)
    assert third.resume_from == 2
    runner = PlayedRunner(ledger, third.id)
    assert runner.port.get_blob(runner.assignment.resume.manifest).startswith(
        f"manifest of {failed.id}".encode()
    )


def test_a_resumed_run_that_was_cancelled_while_queued_can_be_resumed(failed, ada):
    second = ada.resume(failed.id, AGAIN)
    cancelled = ada.cancel(second.id)
    assert cancelled.notebook is not None
    assert [cell.state for cell in ada.show(second.id).cells] == ["reused", "reused", "skipped"]
    assert ada.debug(second.id).checkpoint.cell == 1
    assert ada.resume(second.id, AGAIN).resume_from == 2


def before_its_first_cell(ledger, run: str) -> None:
    runner = PlayedRunner(ledger, run)
    runner.begin()
    error = CellError(cell=None, name="RestoreFailed", value="gen would not load")
    runner.port.finish(Outcome(state="failed", error=error))


def test_a_run_whose_resume_failed_before_its_first_cell_can_be_resumed_again(failed, ada, ledger):
    second = ada.resume(failed.id, AGAIN)
    before_its_first_cell(ledger, second.id)
    assert ada.show(failed.id).run.resumed_by is None
    assert ada.plan(failed.id, AGAIN).problems == []
    third = ada.resume(failed.id, AGAIN)
    assert (third.origin, third.resume_from) == (failed.id, 2)
    with pytest.raises(Conflict, match=f"{third.id} continues from"):
        ada.resume(second.id, AGAIN)
    with pytest.raises(Conflict, match=f"{third.id} continues from"):
        ada.retry(second.id)
    assert ada.restart(second.id, AGAIN).trigger == "restart"


def test_a_resume_that_failed_before_its_first_cell_can_be_resumed_itself(failed, ada, ledger):
    second = ada.resume(failed.id, AGAIN)
    before_its_first_cell(ledger, second.id)
    third = ada.resume(second.id, AGAIN)
    assert third.resume_from == 2
    with pytest.raises(Conflict, match=f"{second.id} continues from"):
        ada.resume(failed.id, AGAIN)
    before_its_first_cell(ledger, third.id)
    assert ada.resume(second.id, AGAIN).origin == second.id


def test_a_resume_that_failed_in_a_cell_keeps_others_from_going_on(failed, ada, ledger):
    second = ada.resume(failed.id, AGAIN)
    runner = PlayedRunner(ledger, second.id)
    runner.begin()
    runner.fail(2)
    with pytest.raises(Conflict, match=f"{second.id} continues from"):
        ada.resume(failed.id, AGAIN)


def test_of_resumes_of_both_at_the_same_moment_one_is_taken(failed, ada, ledger):
    second = ada.resume(failed.id, AGAIN)
    before_its_first_cell(ledger, second.id)
    together = threading.Barrier(4)

    def attempt(run: str) -> bool:
        together.wait()
        try:
            ada.resume(run, AGAIN)
        except Conflict as refused:
            assert refused.fields.get("resumed_by"), refused  # noqa: PT017  of the four some are refused
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(attempt, [failed.id, second.id] * 2))
    assert taken.count(True) == 1


def test_a_runner_that_dies_between_begin_and_its_first_event_keeps_the_reused_cells(failed, ada, ledger):
    second = ada.resume(failed.id, AGAIN)
    runner = PlayedRunner(ledger, second.id)
    runner.begin()
    ledger.lose(runner.attempt, "killed")
    assert [cell.state for cell in ada.show(second.id).cells] == ["reused", "reused", "skipped"]
    executed = read_notebook(ada.notebook(second.id))
    assert printed_by(executed.cells[1]) == "cell 1\n"
    assert ada.resume(second.id, AGAIN).resume_from == 2


def test_checkpoints_move_with_their_cells_when_text_is_added_above(failed, ada, ledger):
    nb = read_notebook(ada.debug(failed.id).notebook)
    nb.cells.insert(0, nbformat.v4.new_markdown_cell("# a title"))
    run = ada.resume(failed.id, ResumeRequest(notebook=write_notebook(nb)))
    assert run.resume_from == 3
    assert [checkpoint.cell for checkpoint in ada.show(run.id).checkpoints] == [1, 2]
    ledger.lose(PlayedRunner(ledger, run.id).attempt, "killed")
    assert ada.plan(run.id, AGAIN).first == 3


def test_parameters_are_kept_and_the_injected_cell_is_reused(queue, ada, ledger):
    run = queue("a = rows", "b = c", parameters="rows = 1", given={"rows": 7})
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    for index in (0, 1, 2):
        runner.execute(index)
    runner.fail(3)
    following = ada.resume(run.id, fixed(ada, run, 3, "b = a"))
    assert (following.parameters, following.resume_from) == ({"rows": 7}, 3)
    stored = read_notebook(ledger.blobs.get(ada.versions("report")[0].notebook).decode())
    assert [cell.source for cell in stored.cells] == ["rows = 1", "a = rows", "b = a"]


def test_a_plan_with_problems_is_refused_until_agreed(queue, ada, ledger):
    run = queue("a = 1", "send(a)", "c = d", tags={1: ["respawn:once"]})
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    runner.execute(1)
    runner.fail(2)
    request = fixed(ada, run, 0, "a = 2")
    with pytest.raises(Conflict, match="respawn:once"):
        ada.resume(run.id, request)
    assert len(ada.versions("report")) == 1
    assert ada.resume(run.id, request.model_copy(update={"rerun_once": True})).resume_from == 0


def test_a_resume_is_strict_where_the_job_or_the_request_says_so(queue, ada, ledger):
    run = queue("a = 1", "b = 2", "c = d", strict_resume=True)
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    runner.execute(1)
    runner.fail(2)
    request = ResumeRequest(notebook=text(notebook("a = 5", "b = 2", "c = d")))
    assert ada.plan(run.id, request).first == 0
    lax = request.model_copy(update={"strict": False})
    assert (ada.plan(run.id, lax).rerun, ada.plan(run.id, lax).first) == ([0], 2)
    assert ada.resume(run.id, request).resume_from == 0


def test_what_could_not_be_stored_is_refused_and_fixed_by_a_tag(queue, ada, ledger):
    run = queue("gen = iter([1])", "b = 1", "next(gen) + c")
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    lost = (Unstored(name="gen", type="list_iterator", reason="cannot be pickled", cell=0),)
    runner.execute(0, unstored=lost)
    runner.execute(1, unstored=lost)
    runner.fail(2)
    with pytest.raises(Conflict, match="cell 2 reads gen"):
        ada.resume(run.id, AGAIN)
    nb = read_notebook(ada.debug(run.id).notebook)
    nb.cells[0].metadata["tags"] = ["respawn:always"]
    following = ada.resume(run.id, ResumeRequest(notebook=write_notebook(nb)))
    assert following.resume_from == 2
    assert following.version == 2


@pytest.mark.parametrize("bad", ["", "{}", "not json"])
def test_a_fixed_notebook_that_is_none_is_refused(failed, ada, bad):
    with pytest.raises(InvalidInput):
        ada.resume(failed.id, ResumeRequest(notebook=bad))


def test_a_run_that_succeeded_or_still_runs_cannot_be_resumed(queue, ada, ledger):
    run = queue("a = 1")
    for call in (ada.plan, ada.resume, ada.restart):
        with pytest.raises(Conflict, match="is still queued"):
            call(run.id, AGAIN)
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.succeed()
    with pytest.raises(Conflict, match="succeeded"):
        ada.resume(run.id, AGAIN)


def test_a_restart_starts_from_the_top_and_both_know_of_each_other(failed, ada, ledger):
    run = ada.restart(failed.id, fixed(ada, failed, 2, "c = b"))
    assert (run.trigger, run.origin, run.resume_from, run.version) == ("restart", failed.id, None, 2)
    assert ada.show(failed.id).restarted_by == [run.id]
    assert PlayedRunner(ledger, run.id).assignment.resume is None
    assert ada.resume(failed.id, AGAIN).origin == failed.id


def test_resuming_takes_run_and_a_fixed_notebook_takes_edit(failed, ada, bob, ledger):
    runs_only = ledger.as_actor(Actor("eve", frozenset({"custom:respawn:run!user=ada"})))
    request = fixed(ada, failed, 2, "c = b")
    with pytest.raises(Forbidden, match="belongs to user/ada"):
        bob.resume(failed.id, AGAIN)
    with pytest.raises(Forbidden, match="custom:respawn:edit"):
        runs_only.resume(failed.id, request)
    assert runs_only.resume(failed.id, AGAIN).created_by == "eve"


@dataclass(frozen=True)
class Installed:
    """A kernel whose environment tests rebuild."""

    name: str
    language: str
    lock: str | None
    resources: Mapping[str, Any] = field(default_factory=dict)


def test_a_rebuilt_environment_that_no_version_pins_reuses_nothing(ledger, clock):
    lock = [None]
    other = Ledger(
        ledger.database,
        ledger.blobs,
        clock=clock,
        new_kernel_check=lambda name: Installed(name, "python", lock[0]),
    )
    ada = other.as_actor(Actor.owner("ada"))
    assert ada.promote(Promotion(name="report", notebook=text(notebook("a = 1", "b = c")))).lock is None
    run = ada.run(RunRequest(job="report"))
    runner = PlayedRunner(other, run.id)
    runner.begin()
    runner.execute(0)
    runner.fail(1)
    assert ada.plan(run.id, AGAIN).first == 1
    lock[0] = "lock-1"
    clock.forward(seconds=11)
    planned = ada.plan(run.id, AGAIN)
    assert planned.first == 0
    assert "was rebuilt" in planned.notices[0]
