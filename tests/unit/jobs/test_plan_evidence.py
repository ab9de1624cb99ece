"""What a plan makes of what was seen of cells while they ran."""

from __future__ import annotations

from pathlib import Path

from respawn_jobs.model.evidence import left
from respawn_jobs.model.plans import Plan, PlanAction
from respawn_kernels.evidence import CellEvidence
from support.plans import planned_after

REUSE, RUN = PlanAction.REUSE, PlanAction.RUN
NOTHING = CellEvidence()


def actions(plan: Plan) -> list[PlanAction]:
    return [cell.action for cell in plan.cells]


PLAIN = [("scale = 2", NOTHING), ("x = 1", NOTHING), ("y = x + 1", NOTHING)]


def test_what_was_seen_to_read_a_name_runs_again_and_the_plan_says_how() -> None:
    seen = CellEvidence(reads=("scale",), libraries=("pandas.core.groupby", "pandas.core.frame", "numpy.ma"))
    plan = planned_after([PLAIN[0], PLAIN[1], ("y = x + 1", seen)], {0: "scale = 10"})
    assert actions(plan) == [RUN, REUSE, RUN]
    assert plan.cells[2].why == "reads scale, which cell 0 makes, through a function that pandas called"


def test_a_cell_that_mentions_the_name_itself_needs_no_such_words() -> None:
    seen = CellEvidence(reads=("scale",), libraries=("pandas.core.frame",))
    plan = planned_after([PLAIN[0], PLAIN[1], ("y = x + scale", seen)], {0: "scale = 10"})
    assert plan.cells[2].why == "reads scale, which cell 0 makes"


def test_a_reader_of_a_file_that_an_edited_cell_wrote_runs_again() -> None:
    wrote = CellEvidence(written=("/place/out.csv",))
    read = CellEvidence(opened=("/place/out.csv",))
    plan = planned_after([("scale = 2", wrote), PLAIN[1], ("y = x + 1", read)], {0: "scale = 10"})
    assert actions(plan) == [RUN, REUSE, RUN]
    assert plan.cells[2].why == "reads the file out.csv, which cell 0 makes, as was seen"


def test_a_state_in_which_modules_are_loaded_is_not_used_where_loading_them_changed_the_state() -> None:
    loads = CellEvidence(changed=("#random",), by_import=("#random",))
    seeds = ("import random\nrandom.seed(rate)", CellEvidence(changed=("#random",)))
    cells = [
        ("rate = 2", NOTHING),
        seeds,
        ("import draws_when_loaded", loads),
        ("x = random.random()", NOTHING),
    ]
    plan = planned_after(cells, {1: "import random\nrandom.seed(rate + 1)"})
    assert actions(plan) == [REUSE, RUN, RUN, RUN]
    assert plan.checkpoint is not None
    assert plan.checkpoint.cell == 0


def test_hidden_state_that_was_seen_to_change_is_written() -> None:
    changes = CellEvidence(changed=("#decimal",))
    uses = CellEvidence(libraries=("decimal",))
    plan = planned_after([("scale = 2", changes), PLAIN[1], ("y = x + 1", uses)], {0: "scale = 10"})
    assert plan.cells[2].action is RUN
    assert "the context of decimal, which cell 0 makes" in plan.cells[2].why


def test_what_libraries_looked_up_in_frames_may_be_anything() -> None:
    looked = CellEvidence(frames=("pandas",))
    plan = planned_after([PLAIN[0], PLAIN[1], ("y = x + 1", looked)], {0: "scale = 10"})
    assert plan.cells[2].why == "reads scale, which cell 0 makes, for pandas looked up names in it"


def test_what_is_reused_by_the_analysis_alone_is_marked_and_told_once() -> None:
    old = CellEvidence(unwatched="Python 3.11 cannot watch code run")
    plan = planned_after([("a = 1", old), ("b = 2", old), ("c = 3", NOTHING), ("d = 4", None)], {0: "a = 5"})
    assert actions(plan) == [RUN, REUSE, REUSE, REUSE]
    assert [cell.unwatched is None for cell in plan.cells] == [True, False, True, False]
    assert plan.cells[1].why == "unchanged and finished; by the analysis alone independent of what changes"
    assert plan.cells[2].why == "unchanged and finished; was seen to touch nothing that changes"
    told = [notice for notice in plan.notices if "rests on the analysis alone" in notice]
    assert told[0] == (
        "that cell 1 can be reused rests on the analysis alone: Python 3.11 cannot watch code run"
    )
    assert len(told) == 2


def test_where_nothing_above_changed_nothing_rests_on_the_analysis() -> None:
    plan = planned_after([("a = 1", None), ("b = 2", None)], {1: "b = 3"})
    assert [cell.unwatched for cell in plan.cells] == [None, None]
    assert plan.cells[0].why == "unchanged and finished"
    assert not any("analysis" in notice for notice in plan.notices)


def test_what_was_seen_when_the_edited_source_ran_counts() -> None:
    cells = [("a = 1", NOTHING), ("b = 2", NOTHING), ("c = 3", CellEvidence(libraries=("decimal",)))]
    since = CellEvidence(changed=("#decimal",))
    assert actions(planned_after(cells, {0: "a = 5"})) == [RUN, REUSE, REUSE]
    plan = planned_after(cells, {0: "a = 5"}, seen={0: since})
    assert plan.cells[2].action is RUN


def test_inputs_that_changed_outside_are_told(tmp_path: Path) -> None:
    data, made, gone = (tmp_path / name for name in ("in.csv", "made.csv", "gone.csv"))
    data.write_text("a,b\n")
    size, at = left(str(data))
    inputs = ((str(data), size, at), (str(made), 1, 1), (str(gone), 5, 1))
    cells = [
        ("a = 1", CellEvidence(written=(str(made),))),
        ("b = 2", CellEvidence(inputs=inputs)),
        ("c = 3", CellEvidence(inputs=inputs[:1])),
    ]
    same = planned_after(cells, {2: "c = 4"}, look=left)
    assert same.cells[1].changed_inputs == ["gone.csv is gone"]
    data.write_text("a,b,c\n")
    plan = planned_after(cells, {2: "c = 4"}, look=left)
    assert plan.cells[1].changed_inputs == [
        "in.csv has changed since (had 4 bytes, has 6)",
        "gone.csv is gone",
    ]
    assert plan.cells[2].changed_inputs == [], "it runs and reads it anew"
    assert any("cell 1, which is reused, has read what is no longer the same" in one for one in plan.notices)


def test_a_service_without_the_files_says_so() -> None:
    cells = [("a = 1", CellEvidence(inputs=(("/in.csv", 1, 1),))), ("b = 2", NOTHING)]
    plan = planned_after(cells, {1: "b = 3"})
    assert plan.cells[0].changed_inputs == []
    assert any("1 file" in notice and "cannot be seen from here" in notice for notice in plan.notices)


def test_a_directory_that_is_listed_ties_no_files_in_it_together() -> None:
    writes = CellEvidence(opened=("/place", "/place/made.csv"), written=("/place/made.csv",))
    cells = [
        ("scale = 2", NOTHING),
        ("save(scale)", writes),
        ("given = 1", CellEvidence(opened=("/place/given.csv",))),
        ("made = 1", CellEvidence(opened=("/place/made.csv",))),
        ("names = 1", CellEvidence(opened=("/place",))),
    ]
    plan = planned_after([(source.replace("save", "str"), seen) for source, seen in cells], {0: "scale = 10"})
    assert actions(plan) == [RUN, RUN, REUSE, RUN, RUN]
    assert plan.cells[3].why == "reads the file made.csv, which cell 1 makes, as was seen"


def test_files_that_cells_need_and_others_made_cannot_be_seen_from_a_service() -> None:
    made = CellEvidence(written=("/out.csv",), outputs=(("/out.csv", 1, 1),))
    plan = planned_after([("a = 1", made), ("b = 2", NOTHING)], {1: "b = open('/out.csv').read()"})
    assert any("need 1 file that cells of the run before have made" in notice for notice in plan.notices)
    assert not any("have made" in notice for notice in planned_after([("a = 1", made)], {}).notices)
