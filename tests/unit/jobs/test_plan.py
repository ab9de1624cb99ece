"""What a resume reuses, runs, and refuses."""

from __future__ import annotations

from nbformat import NotebookNode

from respawn_jobs.models import CellRecord, CellState, Checkpoint, Plan, PlanAction, Unstored
from respawn_jobs.notebooks import cell_tags, code_cells, source_hash
from respawn_jobs.plan import Ended, plan_resume
from support.notebooks import notebook

REUSE, RUN, CANNOT = PlanAction.REUSE, PlanAction.RUN, PlanAction.CANNOT_RESTORE
GEN = Unstored(name="gen", type="generator", reason="cannot pickle 'generator' object", cell=1)


def ended(
    nb: NotebookNode, done: int, *, kept: set[int] | None = None, unstored: tuple[Unstored, ...] = ()
) -> Ended:
    """A run of `nb` whose code cells before the `done`-th finished, and that one failed."""
    cells = code_cells(nb)
    states = [CellState.EXECUTED] * done + [CellState.FAILED] + [CellState.SKIPPED] * len(cells)
    return Ended(
        run="run-1",
        kernel="python3",
        lock="lock-1",
        cells=[
            CellRecord(index=i, cell_id=c.id, state=s, source_hash=source_hash(c.source), tags=cell_tags(c))
            for (i, c), s in zip(cells, states, strict=False)
        ],
        checkpoints=[
            Checkpoint(cell=i, manifest=f"m{i}", variables=1, size=1, unstored=list(unstored))
            for i, _ in cells[:done]
            if kept is None or i in kept
        ],
    )


def plan(past: Ended, nb: NotebookNode, **more) -> Plan:
    return plan_resume(past, nb, **{"kernel": "python3", "lock": "lock-1", "language": "python", **more})


def actions(planned: Plan) -> list[PlanAction]:
    return [cell.action for cell in planned.cells]


FOUR = ("a = 1", "b = a", "c = b", "d = c")


def edited(nb: NotebookNode, place: int, source: str) -> NotebookNode:
    nb.cells[place].source = source
    return nb


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
    assert "cell 1 was edited" in planned.notices[0]
    assert planned.cells[2].why == "follows a cell that runs"


def test_an_edit_to_the_first_cell_starts_with_an_empty_kernel():
    planned = plan(ended(notebook(*FOUR), 3), edited(notebook(*FOUR), 0, "a = 5"))
    assert actions(planned) == [RUN] * 4
    assert (planned.first, planned.checkpoint) == (0, None)


def test_a_boundary_without_a_checkpoint_moves_the_resume_point_back():
    planned = plan(ended(notebook(*FOUR), 3, kept={0}), notebook(*FOUR))
    assert actions(planned) == [REUSE, RUN, RUN, RUN]
    assert "the state after cell 2 was not kept" in planned.notices[0]


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


def test_a_code_cell_inserted_early_runs_and_all_after_it():
    planned = plan(ended(notebook(*FOUR), 3), notebook("a = 1", "new = 1", "b = a", "c = b", "d = c"))
    assert actions(planned) == [REUSE, RUN, RUN, RUN, RUN]


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


def test_tagging_the_making_cell_always_mends_it():
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
