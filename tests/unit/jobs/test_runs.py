import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.errors import Conflict, Forbidden, InvalidInput, NotFound
from respawn_jobs.model.runs import CellState, RunState
from respawn_jobs.notebook.document import read_notebook
from support.notebooks import notebook, text
from support.runners import PlayedRunner, printed


def test_a_run_keeps_version_parameters_and_who_asked(queue, ledger):
    run = queue("a = rows", parameters="rows = 1", given={"rows": 7})
    assert (run.state, run.version, run.parameters, run.created_by, run.trigger) == (
        "queued", 1, {"rows": 7}, "ada", "person",
    )  # fmt: skip
    assert [waiting.id for waiting in ledger.queued(10)] == [run.id]


def test_a_wrong_parameter_is_refused_before_anything_is_queued(queue, ledger, ada):
    for given, says in (({"rows": "7"}, "expected int"), ({"row": 7}, "unknown parameter 'row'")):
        with pytest.raises(InvalidInput, match=says):
            queue("a = rows", parameters="rows = 1", given=given)
    assert ledger.queued(10) == []


def test_a_missing_required_parameter_is_refused(queue):
    with pytest.raises(InvalidInput, match="'day' is required"):
        queue("a = day", parameters="day: str")


def test_an_older_version_can_be_run(queue, ada):
    queue("a = 1")
    queue("a = 2")
    assert ada.run(RunRequest(job="report", version=1)).version == 1
    with pytest.raises(NotFound, match="no version 9"):
        ada.run(RunRequest(job="report", version=9))


def test_someone_elses_run_is_refused_naming_whose_it_is(queue, bob):
    run = queue()
    for call in (bob.show, bob.cancel, bob.notebook, bob.debug):
        with pytest.raises(Forbidden, match=f"{run.id} belongs to user/ada; you are bob"):
            call(run.id)
    assert bob.runs() == []


def test_a_reader_sees_a_run_but_may_not_cancel_it(queue, ledger):
    run = queue()
    reader = ledger.as_actor(Actor("eve", frozenset({"custom:respawn:read"})))
    assert reader.show(run.id).run == run
    with pytest.raises(Forbidden, match="custom:respawn:run"):
        reader.cancel(run.id)


def test_an_unknown_run_is_not_found(ada):
    with pytest.raises(NotFound, match="run-none"):
        ada.show("run-none")


def test_runs_are_listed_newest_first_by_job_state_and_page(queue, ada, clock, ledger):
    made = []
    for _ in range(4):
        made.append(queue().id)
        clock.forward(seconds=1)
    ada.promote(Promotion(name="other", notebook=text(notebook("a"))))
    other = ada.run(RunRequest(job="other"))
    assert [run.id for run in ada.runs()] == [other.id, *reversed(made)]
    assert [run.id for run in ada.runs(job="report", limit=2)] == [made[3], made[2]]
    assert [run.id for run in ada.runs(job="report", before=ada.show(made[2]).run.created_at)] == [
        made[1],
        made[0],
    ]
    ada.cancel(made[0])
    assert [run.id for run in ada.runs(states=[RunState.CANCELLED])] == [made[0]]
    assert ada.job("report").last_run.id == made[3]


def test_a_succeeded_run_shows_cells_outputs_and_its_notebook(queue, ledger, ada, clock):
    run = queue("a = 1", "b = 2")
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    assert [cell.state for cell in ada.show(run.id).cells] == [CellState.PENDING] * 2
    runner.execute(0)
    clock.forward(seconds=3)
    runner.execute(1)
    runner.succeed()
    shown = ada.show(run.id)
    assert (shown.run.state, shown.run.cells_done, shown.run.cells_total) == ("succeeded", 2, 2)
    assert (shown.run.finished_at - shown.run.started_at).total_seconds() == 3
    assert ada.outputs(run.id, 1) == [printed(1)]
    assert [checkpoint.cell for checkpoint in shown.checkpoints] == [0, 1]
    assert shown.cells[0].checkpoint == shown.checkpoints[0].manifest
    assert ada.notebook(run.id) == ledger.blobs.get(shown.run.notebook).decode()
    with pytest.raises(NotFound, match="no code cell 7"):
        ada.outputs(run.id, 7)


def test_a_running_run_shows_the_notebook_as_far_as_it_came(queue, ledger, ada):
    run = queue("a = 1", "b = 2")
    assert read_notebook(ada.notebook(run.id)).cells[0].source == "a = 1"
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    cells = read_notebook(ada.notebook(run.id)).cells
    assert cells[0].outputs[0].text == "cell 0\n"
    assert cells[0].execution_count == 1
    assert cells[1].outputs == []


def test_cancelling_a_queued_run_ends_it_at_once(queue, ada, ledger):
    run = queue()
    assert ada.cancel(run.id).state == "cancelled"
    assert ledger.queued(10) == []
    with pytest.raises(Conflict, match="already ended: cancelled"):
        ada.cancel(run.id)


def test_cancelling_a_running_run_tells_its_runner(queue, ada, ledger):
    run = queue()
    runner = PlayedRunner(ledger, run.id)
    assert runner.port.heartbeat().command == "continue"
    assert ada.cancel(run.id).state == "running"
    assert runner.port.heartbeat().command == "cancel"


def test_a_blob_is_given_only_through_a_run_it_belongs_to(failed, queue, ada, bob, ledger):
    checkpoint = ada.debug(failed.id)
    assert ada.blob(failed.id, checkpoint.blobs[0]).startswith(b"data of")
    other = queue("unrelated = 1")
    with pytest.raises(NotFound, match="does not belong"):
        ada.blob(other.id, checkpoint.blobs[0])
    with pytest.raises(Forbidden):
        bob.blob(failed.id, checkpoint.blobs[0])


def test_the_debug_bundle_holds_the_state_before_the_failing_cell(failed, ada, ledger):
    bundle = ada.debug(failed.id)
    assert bundle.checkpoint.cell == 1
    assert bundle.run.error.cell == 2
    assert [cell.state for cell in bundle.cells] == ["executed", "executed", "failed"]
    assert read_notebook(bundle.notebook).cells[1].outputs[0].text == "cell 1\n"
    manifest = ada.blob(failed.id, bundle.checkpoint.manifest)
    assert manifest.startswith(b"manifest")


def test_there_is_nothing_to_debug_in_a_run_that_succeeded_or_runs(queue, ledger, ada):
    run = queue("a = 1")
    with pytest.raises(Conflict, match="is still queued"):
        ada.debug(run.id)
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.succeed()
    with pytest.raises(Conflict, match="succeeded: there is no failure"):
        ada.debug(run.id)


def test_the_revision_grows_with_every_change(queue, ledger, ada):
    run = queue("a = 1")
    seen = [ledger.revision(run.id)]
    runner = PlayedRunner(ledger, run.id)
    seen.append(ledger.revision(run.id))
    runner.begin()
    seen.append(ledger.revision(run.id))
    runner.start(0)
    seen.append(ledger.revision(run.id))
    runner.succeed()
    seen.append(ledger.revision(run.id))
    assert seen == sorted(set(seen))
    with pytest.raises(NotFound):
        ledger.revision("run-none")


def test_outputs_with_half_a_surrogate_pair_are_shown_while_the_run_goes_on(queue, ledger, ada):
    run = queue()
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    outputs = runner.put('[{"output_type": "stream", "name": "stdout", "text": "x\\ud800"}]')
    runner.port.record([runner.event(0, CellState.RUNNING, outputs=outputs)])
    assert read_notebook(ada.notebook(run.id)).cells[0].outputs[0].text == "x?"
