"""What a promotion asks before it does harm: over a fix, over another notebook's job, over a roll-back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from nbformat import v4

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, ScheduleRequest
from respawn_jobs.api.versions import CurrentRequest, JobChange
from respawn_jobs.errors import Conflict, Forbidden
from respawn_jobs.model.jobs import GitState
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.store.tables import JobRow
from respawn_kernels.digest import digest_of
from support.notebooks import notebook, text
from support.runners import PlayedRunner

pytestmark = pytest.mark.integration
BOTH_DATABASES = {
    "test_the_unfixed_file_does_not_replace_a_fix_unless_that_is_agreed",
    "test_two_that_promote_at_once_after_the_same_look_make_one_version",
    "test_notebooks_of_versions_are_read_byte_for_byte_and_compared",
}
BROKEN = ("x = 1", "1/0", "y = x")
FIXED = ("x = 1", "1/1", "y = x")


def promotion(*cells, **more):
    return Promotion(
        **{"name": "report", "notebook": text(notebook(*cells)), "source": "/srv/ada/report.ipynb", **more}
    )


@pytest.fixture
def fixed(ada, ledger):
    """A job whose notebook failed and was resumed with a fix, which is version 2."""
    ada.promote(promotion(*BROKEN))
    run = ada.run(RunRequest(job="report")).id
    played = PlayedRunner(ledger, run)
    played.begin()
    played.execute(0)
    played.fail(1)
    ada.resume(run, ResumeRequest(notebook=text(notebook(*FIXED))))
    assert ada.job("report").version == 2


def test_a_new_job_is_told(ada):
    told = ada.preview_promotion(promotion(*BROKEN))
    assert (told.outcome, told.version, told.current, told.questions) == ("new_job", 1, None, [])
    assert ada.jobs() == []


def test_the_unfixed_file_does_not_replace_a_fix_unless_that_is_agreed(ada, fixed):
    told = ada.preview_promotion(promotion(*BROKEN))
    assert [question.code for question in told.questions] == ["replace_fix"]
    assert told.message == (
        "Existing job: user/ada/report becomes version 3, differs from version 2 in 1 cell, which holds a "
        "fix that this file lacks; version 1 has the same notebook."
    )
    asks = r"fix of version 1.*ada.*lacks it in cell 1\..*--agree replace_fix"
    with pytest.raises(Conflict, match=asks) as no:
        ada.promote(promotion(*BROKEN))
    assert [question["code"] for question in no.value.fields["questions"]] == ["replace_fix"]
    assert (ada.job("report").version, len(ada.versions("report"))) == (2, 2)
    assert ada.promote(promotion(*BROKEN, agreed=["replace_fix"])).number == 3
    assert ada.audit()[0].details["agreed"] == ["replace_fix"]
    assert ada.preview_promotion(promotion("x = 2", "1/0")).questions == []


def test_a_file_that_holds_the_fix_and_more_is_not_asked_about(ada, fixed):
    assert ada.preview_promotion(promotion("x = 2", *FIXED[1:])).questions == []
    assert ada.promote(promotion("x = 2", *FIXED[1:])).number == 3


def test_a_file_that_changed_the_fixed_cell_otherwise_is_asked_about(ada, fixed):
    with pytest.raises(Conflict, match="neither the fix nor the old text in cell 1"):
        ada.promote(promotion("x = 1", "1/3", "y = x"))


def test_a_file_that_holds_the_fix_counts_as_the_jobs_file_from_then_on(ada, fixed):
    told = ada.preview_promotion(promotion(*FIXED))
    assert (told.outcome, told.version) == ("unchanged", 2)
    assert told.message == "Unchanged: version 2 of user/ada/report has the same notebook already."
    assert ada.promote(promotion(*FIXED)).number == 2
    assert ada.preview_promotion(promotion(*BROKEN)).questions == []


def test_a_promotion_that_saw_the_version_before_a_resume_is_refused_naming_it(ada, fixed):
    with pytest.raises(Conflict, match=r"you saw version 1 .*version 2, a fix of version 1, by ada") as no:
        ada.promote(promotion(*BROKEN, seen=1, agreed=["replace_fix"]))
    assert no.value.fields["current"] == 2
    with pytest.raises(Conflict, match=r"you saw no job user/ada/report"):
        ada.promote(promotion(*BROKEN, seen=0))
    assert len(ada.versions("report")) == 2


def test_another_notebook_takes_a_job_over_only_when_that_is_agreed(ada):
    ada.promote(promotion(*BROKEN))
    ada.schedule(ScheduleRequest(job="report", cron="* * * * *", tz="UTC"))
    other = promotion("z = 1", source="/srv/ada/other.ipynb")
    with pytest.raises(
        Conflict, match=r"report\.ipynb by ada.*other\.ipynb would take.*'\* \* \* \* \*' in UTC"
    ):
        ada.promote(other)
    assert ada.job("report").version == 1
    assert ada.promote(other.model_copy(update={"agreed": ["take_over"]})).source == "/srv/ada/other.ipynb"


def test_the_same_file_of_a_repository_in_another_checkout_is_no_other_notebook(ada):
    git = GitState(commit="0" * 40, dirty=False, path="jobs/report.ipynb")
    ada.promote(promotion(*BROKEN, git=git, source="/srv/ada/a/jobs/report.ipynb"))
    again = promotion("x = 2", git=git, source="/srv/bob/b/jobs/report.ipynb")
    assert ada.preview_promotion(again).questions == []
    assert [
        question.code for question in ada.preview_promotion(again.model_copy(update={"git": None})).questions
    ]


def test_nobody_is_asked_where_a_file_is_not_known(ada):
    ada.promote(promotion(*BROKEN, source=None))
    assert ada.preview_promotion(promotion("x = 2")).questions == []
    ada.promote(promotion(*BROKEN))
    assert ada.versions("report")[0].source == "/srv/ada/report.ipynb"
    assert ada.preview_promotion(promotion("x = 2", source=None)).questions == []


def test_a_version_that_somebody_went_back_from_is_asked_about(ada, ledger, clock):
    team = {"namespace": "team/risk"}
    ada, eve = ledger.as_actor(Actor.owner("ada")), ledger.as_actor(Actor.owner("eve"))
    ada.promote(promotion("a = 1", **team))
    ada.promote(promotion("a = 2", **team))
    clock.forward(hours=1)
    eve.make_current("team/risk/report", CurrentRequest(version=1))
    clock.forward(hours=1)
    eve.promote(promotion("a = 1", settings=JobSettings(max_attempts=3), **team))
    (question,) = ada.preview_promotion(promotion("a = 2", **team)).questions
    assert question.code == "undo_roll_back"
    assert question.message == (
        "eve went back at 2026-03-02 09:00 UTC from version 2 of team/risk/report to version 1. The notebook "
        "is that of version 2, which ada made."
    )
    with pytest.raises(Conflict, match="eve went back at"):
        ada.promote(promotion("a = 2", **team))
    ada.change_job("team/risk/report", JobChange(name="summary"))
    with pytest.raises(Conflict, match=r"eve went back at .* from version 2 of team/risk/summary"):
        ada.promote(promotion("a = 2", name="summary", **team))
    with pytest.raises(Conflict, match="is 1, not 2: eve made it so at 2026-03-02 09:00:00 UTC"):
        ada.make_current("team/risk/summary", CurrentRequest(version=2, seen=2))
    agreed = promotion("a = 2", name="summary", agreed=["undo_roll_back"], **team)
    assert ada.promote(agreed).number == 3


def test_an_archived_job_takes_no_promotion(ada, ledger, clock):
    ada.promote(promotion("a = 1"))
    with ledger.database.session(write=True) as session:
        row = session.query(JobRow).one()
        row.archived_at, row.archived_by = clock(), "ada"
    for ask in (ada.promote, ada.preview_promotion):
        with pytest.raises(Conflict, match=r"is archived, since .* by ada"):
            ask(promotion("a = 2"))


def test_a_promotion_of_the_same_notebook_changes_settings_and_makes_no_version(ada):
    ada.promote(promotion("a = 1"))
    told = ada.preview_promotion(promotion("a = 1", settings=JobSettings(max_attempts=3)))
    assert told.message.endswith("already; its settings change.")
    ada.promote(promotion("a = 1", settings=JobSettings(max_attempts=3)))
    assert (ada.job("report").version, ada.job("report").settings.max_attempts) == (1, 3)


def saved_by_jupyterlab(*cells):
    """Return what JupyterLab may write of these cells after they were executed and looked at."""
    saved = notebook(*cells)
    for number, cell in enumerate(saved.cells):
        cell.id = f"other-{number}"
        cell.outputs = [v4.new_output("stream", text="1\n")]
        cell.execution_count = number + 1
        cell.metadata = {"trusted": True, "collapsed": True, "jupyter": {"outputs_hidden": True}}
        cell.metadata |= {"execution": {"iopub.status.busy": "2026-01-01T00:00:00Z"}, "tags": []}
        cell.metadata["papermill"] = {"duration": 1.0, "status": "completed", "exception": False}
    saved.metadata["kernelspec"]["display_name"] = "Python 3 (ipykernel)"
    saved.metadata["language_info"] = {"name": "python", "version": "3.13.1"}
    saved.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    saved.metadata["papermill"] = {"start_time": "2026-01-01T00:00:00", "version": "2.6.0"}
    return saved


def test_a_notebook_that_was_only_saved_anew_makes_no_version(ada):
    ada.promote(promotion("a = 1", "a + 1"))
    again = promotion(notebook=text(saved_by_jupyterlab("a = 1", "a + 1")))
    told = ada.preview_promotion(again)
    assert (told.outcome, told.version, told.questions) == ("unchanged", 1, [])
    assert ada.promote(again).number == 1
    assert len(ada.versions("report")) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda nb: nb.cells[0].update(source="a = 2"),
        lambda nb: nb.cells.reverse(),
        lambda nb: nb.cells.pop(),
        lambda nb: nb.cells[0].metadata.update(tags=["parameters"]),
        lambda nb: nb.cells[0].metadata.update(respawn={"timeout": 5}),
        lambda nb: nb.cells[0].metadata.update(slideshow={"slide_type": "slide"}),
        lambda nb: nb.metadata.update(title="Report"),
        lambda nb: nb.metadata.update(papermill={"parameters": {"a": 2}}),
        lambda nb: nb.metadata["kernelspec"].update(name="py39"),
        lambda nb: nb.cells.append(v4.new_markdown_cell("What it is for")),
        lambda nb: nb.cells.__setitem__(1, v4.new_raw_cell("a + 1")),
    ],
    ids=[
        "source",
        "order",
        "cell",
        "tags",
        "respawn",
        "slides",
        "title",
        "papermill",
        "kernel",
        "text",
        "type",
    ],
)
def test_what_a_person_changed_makes_a_version(ada, change):
    ada.promote(promotion("a = 1", "a + 1", kernel="python3"))
    changed = saved_by_jupyterlab("a = 1", "a + 1")
    change(changed)
    again = promotion(notebook=text(changed), kernel="python3")
    assert ada.preview_promotion(again).outcome == "new_version"
    assert ada.promote(again).number == 2


def test_a_version_that_somebody_went_back_from_is_known_after_it_was_saved_anew(ada):
    ada.promote(promotion("a = 1"))
    ada.promote(promotion("a = 2"))
    ada.make_current("report", CurrentRequest(version=1))
    again = promotion(notebook=text(saved_by_jupyterlab("a = 2")))
    with pytest.raises(Conflict, match=r"ada went back at .*that of version 2"):
        ada.promote(again)
    assert ada.preview_promotion(again).same_as == 2


def test_the_bytes_of_a_notebook_that_makes_no_version_are_not_stored(ada, ledger):
    ada.promote(promotion("a = 1"))
    again = text(saved_by_jupyterlab("a = 1"))
    ada.promote(promotion(notebook=again))
    assert ledger.blobs.missing([digest_of(again.encode())]) == [digest_of(again.encode())]


def test_two_that_promote_at_once_after_the_same_look_make_one_version(ada):
    ada.promote(promotion("a = 1"))

    def promote(number):
        try:
            return ada.promote(promotion(f"a = {number}", seen=1)).number
        except Conflict as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(promote, range(2, 6)))
    assert [one for one in told if one == 2] == [2]
    assert all("you saw version 1" in str(one) for one in told if one != 2)
    assert len(ada.versions("report")) == 2


def test_notebooks_of_versions_are_read_byte_for_byte_and_compared(ada, bob):
    first, second = promotion("a = 1\nb = 2", "c = 3"), promotion("a = 1\nb = 4", "c = 3")
    ada.promote(first)
    ada.promote(second)
    assert ada.version_notebook("report", 1) == first.notebook
    told = ada.compare_versions("report", 1, 2)
    assert (told.old, told.new, told.changed) == (1, 2, 1)
    assert [(line.kind, line.text) for line in told.cells[0].lines] == [
        ("same", "a = 1"), ("removed", "b = 2"), ("added", "b = 4"),
    ]  # fmt: skip
    with pytest.raises(Forbidden):
        bob.version_notebook("user/ada/report", 1)
    with pytest.raises(Forbidden):
        bob.compare_versions("user/ada/report", 1, 2)
