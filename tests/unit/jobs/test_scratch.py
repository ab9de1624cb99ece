"""Cells added only to look are left out of plan, run and version, and none that is needed goes silently."""

from __future__ import annotations

import nbformat
import pytest

from respawn_jobs.api.service import Promotion, ResumeRequest
from respawn_jobs.errors import Conflict, InvalidInput
from respawn_jobs.notebook.document import read_notebook, write_notebook
from respawn_jobs.notebook.parameterization import parameterize
from respawn_jobs.resume.scratch_cells import needed
from support.notebooks import notebook, text

FIXED = "c = b"


def with_added(ada, run, *added: tuple[int, str, str], scratch: tuple[str, ...] = ()) -> ResumeRequest:
    """The debug notebook with its failing cell fixed and cells added: (place, source, tag)."""
    nb = read_notebook(ada.debug(run.id).notebook)
    nb.cells[2].source = FIXED
    for number, (place, source, tag) in reversed(list(enumerate(added))):
        cell = nbformat.v4.new_code_cell(
            source, id=f"added-{number}", metadata={"tags": [tag]} if tag else {}
        )
        nb.cells.insert(place, cell)
    nb.metadata["respawn"] = {"run": run.id}
    return ResumeRequest(notebook=write_notebook(nb), scratch=list(scratch))


def sources_of(ada, ledger) -> list[str]:
    version = ada.versions("report")[0]
    return [cell.source for cell in read_notebook(ledger.blobs.get(version.notebook).decode()).cells]


def test_a_plan_tells_which_cells_were_added(failed, ada):
    plan = ada.plan(failed.id, with_added(ada, failed, (0, "a", "respawn:scratch"), (2, "print(b)", "")))
    assert [(cell.id, cell.index, cell.title) for cell in plan.new] == [
        ("added-0", None, "a"),
        ("added-1", 2, "print(b)"),
    ]
    assert [cell.title for cell in plan.cells] == ["a = 1", "b = a", "print(b)", FIXED]


@pytest.mark.parametrize("tag", ["respawn:scratch", ""])
def test_what_is_scratch_is_in_no_plan_run_or_version(failed, ada, ledger, tag):
    request = with_added(ada, failed, (2, "print(b)", tag), scratch=() if tag else ("added-0",))
    plan = ada.plan(failed.id, request)
    assert [cell.title for cell in plan.cells] == ["a = 1", "b = a", FIXED]
    assert (plan.first, plan.problems) == (2, [])
    run = ada.resume(failed.id, request)
    assert [cell.index for cell in ada.show(run.id).cells] == [0, 1, 2]
    assert sources_of(ada, ledger) == ["a = 1", "b = a", FIXED]


def test_an_added_cell_stays_unless_somebody_says_otherwise(failed, ada, ledger):
    ada.resume(failed.id, with_added(ada, failed, (2, "print(b)", "")))
    assert sources_of(ada, ledger) == ["a = 1", "b = a", "print(b)", FIXED]


@pytest.mark.parametrize(
    ("scratch", "says"),
    [
        ("b = 5", "the scratch cell `b = 5` makes b, which cell 2 reads"),
        ("import math\nb, z = 1, 2", "makes b, which cell 2 reads"),
        ("def b(): pass", "makes b, which cell 2 reads"),
    ],
)
def test_a_scratch_cell_that_a_cell_below_needs_stops_the_resume(failed, ada, scratch, says):
    request = with_added(ada, failed, (2, scratch, "respawn:scratch"))
    assert says in ada.plan(failed.id, request).problems[0]
    with pytest.raises(Conflict, match="keep it in the job"):
        ada.resume(failed.id, request)
    with pytest.raises(Conflict, match="keep it in the job"):
        ada.restart(failed.id, request)
    assert len(ada.versions("report")) == 1


def test_what_a_scratch_cell_may_have_changed_is_told(failed, ada):
    plan = ada.plan(failed.id, with_added(ada, failed, (2, "exec('b = 2')", "respawn:scratch")))
    assert plan.problems == []
    assert any("may have changed anything (it uses exec)" in notice for notice in plan.notices)


@pytest.mark.parametrize(
    ("scratch", "below", "says"),
    [
        ("rows.append(1)", "print(rows)", "may have changed rows, which cell 1 reads"),
        ("mystery.change(rows)", "print(rows)", "may have changed rows, which cell 1 reads"),
        ("x = 1", "print(globals())", "cell 1 may read what the scratch cell `x = 1` makes"),
        ("rows.append(1)", "rows = []\nprint(rows)", None),
    ],
)
def test_what_may_differ_is_found_by_the_analysis(scratch, below, says):
    whole = notebook("import mystery\nrows = mystery.load()", scratch, below, tags={1: ["respawn:scratch"]})
    breaks, differs = needed(whole, parameterize(whole, {}, "python3", "python"), "python")
    assert breaks == []
    assert (says in differs[0]) if says else differs == []


@pytest.mark.parametrize("scratch", ["x = 1", "b", "print(a, b)", "for i in range(3): print(i)"])
def test_a_look_at_variables_goes_without_a_word(failed, ada, scratch):
    plan = ada.plan(failed.id, with_added(ada, failed, (2, scratch, "respawn:scratch")))
    assert not [said for said in (*plan.problems, *plan.notices) if "scratch" in said]


@pytest.mark.parametrize("cell", ["cell-0", "none-such"])
def test_only_added_cells_can_be_named_as_scratch(failed, ada, cell):
    with pytest.raises(InvalidInput, match="only cells that were added"):
        ada.plan(failed.id, with_added(ada, failed, scratch=(cell,)))


def test_a_promoted_notebook_runs_without_its_scratch_cells_or_is_refused(ada, queue):
    run = queue("a = 1", "print(a)", "b = a", tags={1: ["respawn:scratch"]})
    assert run.version == 1
    needed = notebook("a = 1", "b = a", tags={0: ["respawn:scratch"]})
    with pytest.raises(InvalidInput, match="the scratch cell `a = 1` makes a, which cell 0 reads"):
        ada.promote(Promotion(name="needs", notebook=text(needed)))
