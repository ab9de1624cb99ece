"""What a resume reuses, runs, and refuses."""

from __future__ import annotations

import json

import pytest
from nbformat import NotebookNode

from respawn_jobs.model.cell_cost import CellCost
from respawn_jobs.model.checkpoints import Unstored
from respawn_jobs.model.plans import Plan, PlanAction
from respawn_jobs.notebook.document import read_notebook
from respawn_jobs.resume.draft import Agreed, EndedRun
from respawn_jobs.resume.plan import plan_resume
from support.notebooks import notebook, text
from support.plans import edited, ended

REUSE, RUN, CANNOT = PlanAction.REUSE, PlanAction.RUN, PlanAction.CANNOT_RESTORE
GEN = Unstored(name="gen", type="generator", reason="cannot pickle 'generator' object", cell=1)


def plan(
    past: EndedRun, nb: NotebookNode, *, rerun_once=False, rerun_producers=False, strict=False, **more
) -> Plan:
    agreed = Agreed(rerun_once=rerun_once, rerun_producers=rerun_producers, strict=strict)
    usual = {"kernel": "python3", "lock": "lock-1", "language": "python", "agreed": agreed}
    return plan_resume(past, nb, **{**usual, **more})


def actions(planned: Plan) -> list[PlanAction]:
    return [cell.action for cell in planned.cells]


FOUR = ("a = 1", "b = a", "c = b", "d = c")


def test_the_failing_cell_is_the_first_to_run():
    nb = notebook(*FOUR)
    planned = plan(ended(nb, 2), edited(notebook(*FOUR), 2, "c = 2"))
    assert actions(planned) == [REUSE, REUSE, RUN, RUN]
    assert planned.first == 2
    assert planned.checkpoint.manifest == "m1"
    assert [cell.why for cell in planned.cells[2:]] == ["edited", "had not run"]
    assert planned.problems == planned.notices == []


def test_an_edit_to_an_earlier_cell_moves_the_resume_point_there():
    planned = plan(ended(notebook(*FOUR), 3), edited(notebook(*FOUR), 1, "b = 5"))
    assert actions(planned) == [REUSE, RUN, RUN, RUN]
    assert planned.checkpoint.cell == 0
    assert "cell 1: edited, although it had finished" in planned.notices[0]
    assert planned.cells[2].why == "reads b, which cell 1 makes"


def test_an_edit_to_the_first_cell_starts_with_an_empty_kernel():
    planned = plan(ended(notebook(*FOUR), 3), edited(notebook(*FOUR), 0, "a = 5"))
    assert actions(planned) == [RUN] * 4
    assert (planned.first, planned.checkpoint) == (0, None)


def test_a_plan_says_what_it_saves_and_what_the_rest_took_before():
    past = ended(notebook(*FOUR), 3)
    for number, cell in enumerate(past.cells):
        cost = CellCost(cpu_seconds=1, memory_bytes=number << 20, read_bytes=0, written_bytes=0)
        past.cells[number] = cell.model_copy(update={"seconds": 10.0**number, "cost": cost})
    known = plan(past, edited(notebook(*FOUR), 2, "c = 2")).estimate
    assert (known.reused_seconds, known.restored_bytes) == (11.0, 1)
    assert (known.run_seconds, known.memory_bytes, known.unknown_cells) == (100.0, 2 << 20, 1)
    from_top = plan(past, notebook(*FOUR), kernel="another").estimate
    assert (from_top.reused_seconds, from_top.restored_bytes, from_top.run_seconds) == (0.0, 0, 111.0)


def test_a_boundary_without_a_checkpoint_moves_the_resume_point_back():
    planned = plan(ended(notebook(*FOUR), 3, kept={0}), notebook(*FOUR))
    assert actions(planned) == [REUSE, RUN, RUN, RUN]
    assert "the state after cell 2 was not kept" in planned.notices[0]


def test_a_state_that_was_kept_and_cannot_be_used_says_why():
    cells = ("x = 1", "a = 1", "import os\nos.chdir(str(a))", "f = [1]", "1/0")
    nb = notebook(*cells)
    planned = plan(ended(nb, 4), edited(edited(notebook(*cells), 1, "a = 2"), 4, "pass"))
    assert actions(planned) == [REUSE, RUN, RUN, RUN, RUN]
    why = "cannot be used: the working directory cannot be taken back"
    assert planned.cells[3].why == f"the state after it {why}"
    assert f"the state after cell 3 {why.replace(': ', ' (')})" in planned.notices[1]


def test_without_any_checkpoint_everything_runs_again():
    planned = plan(ended(notebook(*FOUR), 3, kept=set()), notebook(*FOUR))
    assert actions(planned) == [RUN] * 4
    assert planned.checkpoint is None


def test_another_kernel_or_environment_reuses_nothing():
    past = ended(notebook(*FOUR), 3)
    for change, says in (({"kernel": "other"}, "kernel changed"), ({"lock": "lock-2"}, "rebuilt")):
        planned = plan(past, notebook(*FOUR), **change)
        assert actions(planned) == [RUN] * 4
        assert says in planned.notices[0]


def test_a_run_that_was_lost_after_its_last_cell_has_nothing_left_to_execute():
    planned = plan(ended(notebook(*FOUR), 4), notebook(*FOUR))
    assert actions(planned) == [REUSE] * 4
    assert planned.first is None


def test_markdown_added_above_moves_indices_but_not_the_resume_point():
    nb = notebook("md:# new", *FOUR)
    planned = plan(ended(notebook(*FOUR), 2, unstored=(GEN.model_copy(update={"cell": 0}),)), nb)
    assert [cell.index for cell in planned.cells] == [1, 2, 3, 4]
    assert actions(planned) == [REUSE, REUSE, RUN, RUN]
    assert planned.checkpoint.cell == 2
    assert planned.checkpoint.unstored[0].cell == 1


def test_a_code_cell_inserted_early_runs_and_what_does_not_need_it_is_reused():
    planned = plan(ended(notebook(*FOUR), 3), notebook("a = 1", "new = 1", "b = a", "c = b", "d = c"))
    assert actions(planned) == [REUSE, RUN, REUSE, REUSE, RUN]
    assert (planned.rerun, planned.first, planned.stale) == ([1], 4, ["new"])


def test_what_depends_on_an_inserted_cell_runs_as_well():
    planned = plan(ended(notebook(*FOUR), 3), notebook("a = 1", "a = 2", "b = a", "c = b", "d = c"))
    assert actions(planned) == [REUSE, RUN, RUN, RUN, RUN]
    assert planned.cells[2].why == "reads a, which cell 1 makes"


def test_a_strict_resume_runs_everything_from_the_first_change_on():
    past, fixed = ended(notebook(*FOUR), 4), edited(notebook(*FOUR), 1, "b = 5; e = 1")
    independent = edited(fixed, 2, "c = 3")
    past = ended(edited(notebook(*FOUR), 2, "c = 3"), 4)
    assert actions(plan(past, independent)) == [REUSE, RUN, REUSE, REUSE]
    planned = plan(past, independent, strict=True)
    assert (actions(planned), planned.first, planned.rerun) == ([REUSE, RUN, RUN, RUN], 1, [])
    assert planned.strict
    assert planned.cells[3].why == "below cell 1, which changed (strict)"
    assert len(planned.notices) == 1, "no state is missed"


def test_a_strict_resume_without_a_change_reuses_what_finished():
    planned = plan(ended(notebook(*FOUR), 3), notebook(*FOUR), strict=True)
    assert actions(planned) == [REUSE, REUSE, REUSE, RUN]


def test_a_strict_resume_asks_before_a_once_cell_runs_again():
    tags = {3: ["respawn:once"]}
    past, fixed = ended(notebook(*FOUR, tags=tags), 4), notebook("a = 1; z = 2", *FOUR[1:], tags=tags)
    assert "cell 3 is tagged respawn:once" in plan(past, fixed, strict=True).problems[0]


def test_a_once_cell_that_had_finished_is_not_repeated_without_consent():
    past = ended(notebook(*FOUR, tags={1: ["respawn:once"]}), 3)
    fixed = edited(notebook(*FOUR, tags={1: ["respawn:once"]}), 0, "a = 5")
    planned = plan(past, fixed)
    assert "cell 1 is tagged respawn:once" in planned.problems[0]
    assert planned.cells[1].once
    assert plan(past, fixed, rerun_once=True).problems == []


def test_taking_the_once_tag_away_does_not_make_the_cell_repeatable():
    past = ended(notebook(*FOUR, tags={1: ["respawn:once"]}), 3)
    assert plan(past, edited(notebook(*FOUR), 0, "a = 5")).problems


def test_a_reused_once_cell_is_no_problem():
    nb = notebook(*FOUR, tags={1: ["respawn:once"]})
    planned = plan(ended(nb, 3), nb)
    assert planned.problems == []
    assert planned.cells[1].once


def test_a_once_cell_that_failed_half_way_is_pointed_out():
    nb = notebook(*FOUR, tags={2: ["respawn:once"]})
    planned = plan(ended(nb, 2), nb)
    assert planned.problems == []
    assert "cell 2 is tagged respawn:once and had begun" in planned.notices[0]


def test_a_cell_tagged_always_and_once_is_not_repeated_without_consent():
    nb = notebook(*FOUR, tags={1: ["respawn:always", "respawn:once"]})
    assert "respawn:once and respawn:always" in plan(ended(nb, 2), nb).problems[0]


WITH_GEN = ("a = 1", "gen = (x for x in [a])", "b = 2", "next(gen)", "gen.close()")


def test_a_cell_that_reads_what_was_not_stored_cannot_be_restored():
    nb = notebook(*WITH_GEN)
    planned = plan(ended(nb, 3, unstored=(GEN,)), nb)
    assert actions(planned) == [REUSE, REUSE, REUSE, CANNOT, CANNOT]
    for part in (
        "cell 3 reads gen",
        "made by cell 1",
        "generator",
        "cannot pickle",
        "tag cell 1 respawn:always",
    ):
        assert part in planned.problems[0]


def test_tagging_the_making_cell_always_fixes_it():
    nb = notebook(*WITH_GEN, tags={1: ["respawn:always"]})
    planned = plan(ended(notebook(*WITH_GEN), 3, unstored=(GEN,)), nb)
    assert actions(planned) == [REUSE, REUSE, REUSE, RUN, RUN]
    assert planned.problems == []
    assert planned.cells[1].why == "rerun to make gen again (tagged respawn:always)"


def test_what_nobody_reads_any_more_is_no_problem():
    past = ended(notebook(*WITH_GEN), 3, unstored=(GEN,))
    assert plan(past, notebook(*WITH_GEN[:3], "gen = [1]", "gen[0]")).problems == []


def test_a_stored_function_that_reads_it_counts():
    cells = ("gen = (x for x in [1])", "def step():\n    return next(gen)", "b = 2", "step()")
    nb = notebook(*cells)
    planned = plan(ended(nb, 3, unstored=(GEN.model_copy(update={"cell": 0}),)), nb)
    assert actions(planned) == [REUSE, REUSE, REUSE, CANNOT]


def test_what_cannot_be_made_again_onto_the_state_is_made_from_an_earlier_one():
    """Its cell also changes the import path, which cannot be taken back: as Spark does when it starts."""
    cells = (
        "a = 1",
        "import sys\nsys.path.append('here')\ngen = iter([1])",
        "b = next(gen)",
        "1 / 0",
        "next(gen)",
    )
    past, nb = ended(notebook(*cells), 3, unstored=(GEN,)), notebook(*cells[:3], "", cells[4])
    past.checkpoints[0].unstored.clear()
    planned = plan(past, nb)
    assert actions(planned) == [REUSE, REUSE, REUSE, RUN, CANNOT]
    assert "agree that cells 1, 2 run again to make it (--rerun-producers)" in planned.problems[0]
    assert planned.checkpoint.cell == 2
    agreed = plan(past, nb, rerun_producers=True)
    assert (actions(agreed), agreed.problems) == ([REUSE, RUN, RUN, RUN, RUN], [])
    assert (agreed.checkpoint.cell, agreed.first, agreed.producers) == (0, 1, [1, 2])
    assert agreed.cells[1].why == "from an earlier state, for gen could not be stored"


def test_an_always_cell_that_reads_what_was_not_stored_is_refused_as_well():
    cells = ("gen = (x for x in [1])", "wrapped = iter(gen)", "b = 2", "next(wrapped)")
    nb = notebook(*cells, tags={1: ["respawn:always"]})
    lost = (
        GEN.model_copy(update={"cell": 0}),
        Unstored(name="wrapped", type="generator", reason="no", cell=1),
    )
    planned = plan(ended(nb, 3, unstored=lost), nb)
    assert actions(planned) == [REUSE, CANNOT, REUSE, RUN]


def test_names_of_other_languages_are_not_followed():
    nb = notebook(*WITH_GEN)
    assert plan(ended(nb, 3, unstored=(GEN,)), nb, language="R").problems == []


def without_stable_ids(nb: NotebookNode) -> NotebookNode:
    """The notebook as one of nbformat 4.4 comes in: ids are made of each cell's place and source."""
    raw = json.loads(text(nb))
    for cell in raw["cells"]:
        del cell["id"]
    return read_notebook(json.dumps(raw | {"nbformat_minor": 4}))


SENDS = ("a = 1", "send(a)", "c = a", "d = c")
ONCE = {1: ["respawn:once"]}


@pytest.mark.parametrize("tags", [ONCE, {}])
def test_an_edited_once_cell_is_not_repeated_in_a_notebook_without_stable_ids(tags):
    past = ended(without_stable_ids(notebook(*SENDS, tags=ONCE)), 3)
    fixed = without_stable_ids(notebook("a = 1", "send(a, 2)", "c = a", "d = c", tags=tags))
    planned = plan(past, fixed)
    assert actions(planned) == [REUSE, RUN, RUN, RUN]
    assert "cell 1 of run-1 was tagged respawn:once and had finished" in planned.problems[0]
    assert "cell 1, which is new or edited, would run" in planned.problems[0]
    assert plan(past, fixed, rerun_once=True).problems == []


@pytest.mark.parametrize("stable", [True, False])
@pytest.mark.parametrize("tags", [{3: ["respawn:once"]}, {}])
def test_a_once_cell_that_was_moved_is_not_repeated(stable, tags):
    form = (lambda nb: nb) if stable else without_stable_ids
    moved = notebook("a = 1", "c = a", "d = c", "send(a)", tags=tags)
    for cell, name in zip(moved.cells, ("cell-0", "cell-2", "cell-3", "cell-1"), strict=True):
        cell.id = name
    planned = plan(ended(form(notebook(*SENDS, tags=ONCE)), 3), form(moved))
    assert actions(planned) == [REUSE, RUN, RUN, REUSE]
    assert planned.problems == []


@pytest.mark.parametrize("stable", [True, False])
def test_a_deleted_once_cell_is_only_told(stable):
    form = (lambda nb: nb) if stable else without_stable_ids
    fixed = notebook(*SENDS)
    del fixed.cells[1]
    planned = plan(ended(form(notebook(*SENDS, tags=ONCE)), 3), form(fixed))
    assert planned.problems == []
    assert "cell 1 of run-1" in planned.notices[-1]
    assert "does not run again" in planned.notices[-1]


def test_a_once_cell_whose_code_moved_into_another_cell_is_not_repeated():
    fixed = edited(notebook(*SENDS), 3, "send(a)")
    del fixed.cells[1]
    planned = plan(ended(notebook(*SENDS, tags=ONCE), 3), fixed)
    assert actions(planned)[2] is REUSE
    fixed.cells[2].source = "send(a); print(1)"
    assert "cell 2, which is new or edited" in plan(ended(notebook(*SENDS, tags=ONCE), 3), fixed).problems[0]


def test_a_cell_with_the_same_source_as_a_reused_once_cell_may_run():
    cells = ("a = 1", "send(a)", "send(a)", "d = 2")
    for form in (lambda nb: nb, without_stable_ids):
        nb = form(notebook(*cells, tags=ONCE))
        assert (
            plan(ended(nb, 2), form(notebook("md:# new", *cells, tags={2: ["respawn:once"]}))).problems == []
        )


def test_a_cell_that_is_no_longer_skipped_runs():
    skipped = notebook(*FOUR, tags={1: ["skip-execution"]})
    planned = plan(ended(skipped, 3), notebook(*FOUR))
    assert actions(planned) == [REUSE, RUN, RUN, RUN]
    assert "cell 1: its tag skip-execution changed" in planned.notices[0]
    assert planned.cells[1].why == "its tag skip-execution changed"
    assert actions(plan(ended(skipped, 3), skipped)) == [REUSE, REUSE, REUSE, RUN]
    assert actions(plan(ended(notebook(*FOUR), 3), skipped)) == [REUSE, RUN, RUN, RUN]


def test_a_cell_that_may_no_longer_raise_runs_and_one_that_may_now_does_not():
    raising = notebook(*FOUR, tags={1: ["raises-exception"]})
    planned = plan(ended(raising, 3), notebook(*FOUR))
    assert planned.cells[1].why == "its tag raises-exception changed"
    assert planned.cells[1].action is RUN
    assert actions(plan(ended(raising, 3), raising)) == [REUSE, REUSE, REUSE, RUN]
    assert actions(plan(ended(notebook(*FOUR), 3), raising)) == [REUSE, REUSE, REUSE, RUN]


def test_a_once_cell_that_was_skipped_never_ran():
    skipped = notebook(*FOUR, tags={1: ["respawn:once", "skip-execution"]})
    fixed = notebook(*FOUR, tags={1: ["respawn:once"]})
    assert plan(ended(skipped, 3), fixed).problems == []


def test_each_always_cell_that_runs_again_is_told_with_what_it_makes():
    nb = notebook(*WITH_GEN, tags={1: ["respawn:always"], 2: ["respawn:always"]})
    notices = plan(ended(nb, 3, unstored=(GEN,)), nb).notices
    assert "cell 1 is tagged respawn:always: it runs again and makes gen again" in notices[0]
    assert "cell 2 is tagged respawn:always: it runs again and makes nothing" in notices[1]
