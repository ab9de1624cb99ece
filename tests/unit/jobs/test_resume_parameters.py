"""Resumes with other parameters: what depends on them runs again, and nothing else."""

from __future__ import annotations

import pytest

from respawn_jobs.api.service import ResumeRequest
from respawn_jobs.errors import InvalidInput
from respawn_jobs.model.runs import CellState
from respawn_jobs.notebook.document import read_notebook, write_notebook
from support.fixes import AGAIN, fixed
from support.runners import PlayedRunner


@pytest.fixture
def rated(queue, ledger):
    """A run with parameters: `loaded` does not need `rate`, `scaled` does; the last cell failed."""
    cells = ("loaded = [1, 2]", "scaled = [x * rate for x in loaded]", "n = len(loaded)", "scaled[n]")
    run = queue(*cells, parameters="rate = 1\nsize = 2", given={"rate": 7})
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    for index in range(5):
        runner.execute(index)
    runner.fail(5)
    return run


def test_a_changed_parameter_reruns_what_depends_on_it_and_nothing_else(rated, ada, ledger):
    request = ResumeRequest(parameters={"rate": 8})
    planned = ada.plan(rated.id, request)
    assert (planned.rerun, planned.first, planned.stale) == ([1, 3], 5, ["rate", "scaled"])
    assert [cell.why for cell in planned.cells if cell.index in (1, 3)] == [
        "parameter rate changed",
        "reads rate, which cell 1 makes",
    ]
    assert (planned.parameters, planned.changed_parameters) == ({"rate": 8}, ["rate"])
    run = ada.resume(rated.id, request)
    assert (run.parameters, run.resume_from) == ({"rate": 8}, 5)
    states = [cell.state.value for cell in ada.show(run.id).cells]
    assert states == ["reused", "pending", "reused", "pending", "reused", "pending"]
    resume = PlayedRunner(ledger, run.id).assignment.resume
    assert (resume.rerun, resume.stale) == ([1, 3], ["rate", "scaled"])


def test_cells_keep_the_parameters_and_the_lock_that_they_ran_under(rated, ada, ledger):
    run = ada.resume(rated.id, ResumeRequest(parameters={"rate": 8}))
    before = {cell.index: cell.parameters_hash for cell in ada.show(rated.id).cells}
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.port.record([runner.event(0, CellState.REUSED)])
    for index in (1, 3, 5):
        runner.execute(index)
    hashes = {cell.index: cell.parameters_hash for cell in ada.show(run.id).cells}
    assert before[0] is not None
    assert [hashes[index] == before[index] for index in range(6)] == [True, False, True, False, True, False]
    assert len({hashes[1], hashes[3], hashes[5]}) == 1


def test_checkpoints_below_a_cell_that_runs_again_are_not_taken_over(rated, ada):
    run = ada.resume(rated.id, ResumeRequest(parameters={"rate": 8}))
    assert [checkpoint.cell for checkpoint in ada.show(run.id).checkpoints] == [0]


def test_a_resume_that_ended_while_cells_ran_again_goes_on_from_where_it_started(rated, ada, ledger):
    second = ada.resume(rated.id, ResumeRequest(parameters={"rate": 8}))
    runner = PlayedRunner(ledger, second.id)
    runner.begin()
    runner.execute(1, checkpoint=False)
    runner.fail(3)
    planned = ada.plan(second.id, AGAIN)
    assert (planned.run, planned.rerun, planned.first) == (second.id, [1, 3], 5)
    assert f"continues from the states of {rated.id}" in planned.notices[-1]
    third = ada.resume(second.id, AGAIN)
    assert third.parameters == {"rate": 8}
    resume = PlayedRunner(ledger, third.id).assignment.resume
    assert b"at 4" in ledger.blobs.get(resume.manifest)


def test_a_resume_that_kept_no_state_goes_on_from_where_it_started(queue, ada, ledger):
    run = queue("a = 1", "b = 2", "c = 3", "d = e")
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    for index in (0, 1):
        runner.execute(index, checkpoint=False)
    runner.execute(2)
    runner.fail(3)
    nb = read_notebook(ada.debug(run.id).notebook)
    nb.cells[2].source, nb.cells[3].source = "c = f", ""
    second = ada.resume(run.id, ResumeRequest(notebook=write_notebook(nb)))
    assert second.resume_from == 2
    runner = PlayedRunner(ledger, second.id)
    runner.begin()
    runner.port.record([runner.event(index, CellState.REUSED) for index in (0, 1)])
    runner.fail(2)
    planned = ada.plan(second.id, AGAIN)
    assert (planned.first, planned.stale) == (2, ["c"])
    assert f"continues from the states of {run.id}" in planned.notices[-1]


def test_a_value_that_is_the_default_is_no_change(rated, ada):
    planned = ada.plan(rated.id, ResumeRequest(parameters={"rate": 7, "size": 2}))
    assert (planned.rerun, planned.changed_parameters) == ([], [])


def test_a_parameter_that_had_not_been_given_runs_what_depends_on_it(rated, ada):
    planned = ada.plan(rated.id, ResumeRequest(parameters={"size": 3}))
    assert (planned.rerun, planned.stale) == ([1], ["size"])


def test_parameters_that_do_not_fit_are_refused(rated, ada):
    for given in ({"rate": "much"}, {"rat": 1}):
        with pytest.raises(InvalidInput, match="rat"):
            ada.resume(rated.id, ResumeRequest(parameters=given))


def test_an_edited_injected_cell_changes_the_parameters(rated, ada):
    planned = ada.plan(rated.id, fixed(ada, rated, 1, "# mine\nrate = 9"))
    assert (planned.parameters, planned.rerun) == ({"rate": 9}, [1, 3])


@pytest.mark.parametrize("source", ["rate = load()", "print(1)", "", "size = 3", "rate, size = 1, 2"])
def test_an_injected_cell_that_gives_no_plain_parameters_is_refused(rated, ada, source):
    for call in (ada.plan, ada.resume, ada.restart):
        with pytest.raises(InvalidInput, match="injected parameters was edited"):
            call(rated.id, fixed(ada, rated, 1, source))


def test_a_fixed_notebook_that_no_longer_takes_the_parameters_is_refused(queue, ada, ledger):
    run = queue("a = rows", parameters="rows = 1", given={"rows": 7})
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.fail(0)
    with pytest.raises(InvalidInput, match="'rows': expected str, got int"):
        ada.resume(run.id, fixed(ada, run, 0, "rows = '1'"))
