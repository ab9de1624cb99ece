"""What a promotion would do to a job, and what a person must agree to before it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.errors import Conflict
from respawn_jobs.ledger.context import Context
from respawn_jobs.ledger.jobs import next_number
from respawn_jobs.ledger.promotion_names import former_questions, same_file_message
from respawn_jobs.ledger.switches import Switch, last_switch
from respawn_jobs.ledger.trigger_fit import broken_by, broken_question
from respawn_jobs.models import GitState, Job, Schedule
from respawn_jobs.notebook_content import same_content
from respawn_jobs.notebook_diff import FixedCell, compare, lacking
from respawn_jobs.notebooks import read_notebook
from respawn_jobs.service import Promotion
from respawn_jobs.service_versions import Comparison, PromotionPreview, PromotionQuestion
from respawn_jobs.store.tables import JobRow, VersionRow

if TYPE_CHECKING:
    from nbformat import NotebookNode

State = tuple[str, int, int | None, int] | None
"""Of a job what a promotion depends on: its id, its current version, the version that its file held, and the
number of the next one."""
Outcome = Literal["new_job", "new_version", "unchanged"]
_AROUND = ("kernel", "lock")
_MOST_NAMED = 6
"""Cells and schedules that a message names."""
_MOST_READ = 10
"""Versions that somebody went back from whose notebooks are compared with the file."""


@dataclass(frozen=True)
class _Past:
    """The versions of a job, as plain values: their rows may be gone by the time they are looked at."""

    state: State
    current: VersionRow | None
    base: VersionRow | None
    """What the fix that is current was made from; None where there is none."""
    last: VersionRow | None
    """The newest that knows its file."""
    same: VersionRow | None
    """The newest other one that holds the same bytes for the same kernel."""
    newer: list[VersionRow]
    """Those that somebody went back from, for the same kernel: newest first, the latest ones."""
    switch: Switch | None = None
    """Who made the current version current."""
    broken: Sequence[str] = ()
    """Triggers whose parameters fit the current version and not the next."""


@dataclass(frozen=True)
class Examined:
    """What a promotion would do to a job in a certain state."""

    ref: str
    state: State
    outcome: Outcome
    questions: list[PromotionQuestion]
    kernel: str
    past: _Past
    same: VersionRow | None
    """The newest other version that holds the same notebook for the same kernel."""

    @property
    def number(self) -> int:
        """The number that the job's next version has."""
        return self.state[3] if self.state else 1

    @property
    def loses_fix(self) -> bool:
        """Whether the current version holds a fix that the file lacks."""
        return any(question.code == "replace_fix" for question in self.questions)

    def check_agreed(self, agreed: Sequence[str]) -> None:
        """Raise `Conflict` naming the questions that were not agreed to."""
        still = [question for question in self.questions if question.code not in agreed]
        if not still:
            return
        codes = [question.code for question in still]
        options = " ".join(f"--agree {code}" for code in codes)
        raise Conflict(
            f"{' '.join(question.message for question in still)} Nothing was changed. To promote all the "
            f'same, agree: {options} (in the API: "agreed": [{", ".join(map(repr, codes))}])',
            job=self.ref,
            questions=[question.model_dump(mode="json") for question in still],
        )


def state_of(session: Session, job: JobRow | None) -> State:
    """Return what a promotion depends on; None where there is no job."""
    return None if job is None else (job.id, job.version, job.filed, next_number(session, job))


def examined(
    context: Context,
    ref: str,
    job: Job | None,
    request: Promotion,
    notebook: NotebookNode,
    content: dict[str, Any],
) -> Examined:
    """Work out what a promotion would do, and what must be agreed to.

    The current version's notebook is read where its bytes are others, more only for a fix and a roll-back.

    Args:
        context: the store and the blobs.
        ref: the job's full name.
        job: the job, as people see it; None when it is new.
        request: the promotion.
        notebook: its notebook.
        content: the columns of its version that follow from the notebook and the kernel.
    """
    past = _past(context, job, content)
    outcome: Outcome = "new_version"
    questions: list[PromotionQuestion] = []
    same = None
    if job is None or past.current is None:
        outcome = "new_job"
        questions = former_questions(context, ref)
    elif _holds(context, past.current, content, request, notebook):
        outcome = "unchanged"
    else:
        same = next((one for one in past.newer if _runs(context, one, content, notebook)), past.same)
        questions = _questions(context, job, request, past, same, notebook)
    return Examined(ref, past.state, outcome, questions, str(content["kernel"]), past, same)


def _holds(
    context: Context, version: VersionRow, content: dict[str, Any], request: Promotion, notebook: NotebookNode
) -> bool:
    """Tell whether a version is what a promotion would make."""
    around = all(getattr(version, name) == content[name] for name in _AROUND)
    return (
        around
        and request.directory in (None, version.directory)
        and _runs(context, version, content, notebook)
    )


def _runs(context: Context, version: VersionRow, content: dict[str, Any], notebook: NotebookNode) -> bool:
    """Tell whether a version holds a notebook, or one with the same content."""
    return version.notebook == content["notebook"] or same_content(_notebook(context, version), notebook)


def preview_of(
    context: Context, found: Examined, job: Job | None, request: Promotion, notebook: NotebookNode
) -> PromotionPreview:
    """Tell what was worked out, with the cells that differ; the arguments are those of `examined`."""
    current = found.past.current
    if job is None or current is None:
        same_file = same_file_message(context, found.ref, request)
        return PromotionPreview(
            job=found.ref, outcome="new_job", version=found.number, current=None,
            message=f"New job: {found.ref} begins with version 1.{same_file}",
            questions=found.questions,
        )  # fmt: skip
    comparison = Comparison(
        old=job.version, new=None, cells=compare(_notebook(context, current), notebook),
        kernels=(current.kernel, found.kernel) if current.kernel != found.kernel else None,
    )  # fmt: skip
    return PromotionPreview(
        job=found.ref,
        outcome=found.outcome,
        version=job.version if found.outcome == "unchanged" else found.number,
        current=job.version,
        same_as=found.same.number if found.same is not None else None,
        message=_message(job, request, found, comparison),
        questions=found.questions,
        comparison=comparison,
        schedules=job.schedules,
        settings=job.settings,
    )


def _notebook(context: Context, version: VersionRow) -> NotebookNode:
    return read_notebook(context.blobs.get(version.notebook).decode())


def _past(context: Context, job: Job | None, content: dict[str, Any]) -> _Past:
    with context.database.session() as session:
        row = session.get(JobRow, job.id) if job is not None else None
        if row is None:
            return _Past(None, None, None, None, None, [])
        state = state_of(session, row)
        its = select(VersionRow).where(VersionRow.job_id == row.id).order_by(VersionRow.number.desc())
        current = session.scalar(its.where(VersionRow.number == row.version))
        kernel = its.where(VersionRow.kernel == content["kernel"], VersionRow.number != row.version)
        found = _Past(
            state=state,
            current=current,
            base=_base(session, row, current),
            last=session.scalar(its.where(VersionRow.source.is_not(None)).limit(1)),
            same=session.scalar(kernel.where(VersionRow.notebook == content["notebook"]).limit(1)),
            newer=list(session.scalars(kernel.where(VersionRow.number > row.version).limit(_MOST_READ))),
            switch=last_switch(session, row),
            broken=_broken(session, row, current, content),
        )
        session.expunge_all()
        return found


def _broken(session: Session, job: JobRow, current: VersionRow | None, content: dict[str, Any]) -> list[str]:
    then = VersionRow(language=content["language"], parameters=content["parameters"])
    return broken_by(session, job, current, then) if current is not None else []


def _base(session: Session, job: JobRow, current: VersionRow | None) -> VersionRow | None:
    """Return the version that the file held last, or was made from, when all since then are fixes."""
    version, passed = current, False
    while version is not None and version.number != job.filed and version.parent is not None:
        passed = True
        version = session.scalar(
            select(VersionRow).where(VersionRow.job_id == job.id, VersionRow.number == version.parent)
        )
    return version if passed else None


def _questions(
    context: Context,
    job: Job,
    request: Promotion,
    past: _Past,
    same: VersionRow | None,
    notebook: NotebookNode,
) -> list[PromotionQuestion]:
    """Return what a person must agree to."""
    questions = []
    if past.base is not None and past.current is not None:
        lost = lacking(_notebook(context, past.base), _notebook(context, past.current), notebook)
        if lost:
            message = _fix_message(job, past.current, past.base, lost)
            questions.append(PromotionQuestion(code="replace_fix", message=message))
    if past.last is not None and not _same_file(past.last, request):
        message = _take_over_message(job, past.last, request)
        questions.append(PromotionQuestion(code="take_over", message=message))
    if same is not None and same.number > job.version:
        message = _roll_back_message(job, same, past.switch)
        questions.append(PromotionQuestion(code="undo_roll_back", message=message))
    if past.broken:
        questions.append(broken_question(job.ref, past.state[3] if past.state else 1, past.broken))
    return questions


def _same_file(last: VersionRow, request: Promotion) -> bool:
    """Tell whether a promotion comes from the file of a version; True where that is not known."""
    if last.source is None or request.source is None or last.source == request.source:
        return True
    git = GitState.model_validate(last.git) if last.git else None
    if git is None or request.git is None or git.path != request.git.path:
        return False
    return PurePosixPath(last.source).name == PurePosixPath(request.source).name


def _fix_message(job: Job, current: VersionRow, base: VersionRow, lost: list[FixedCell]) -> str:
    old = [cell.index for cell in lost if not cell.otherwise]
    other = [cell.index for cell in lost if cell.otherwise]
    lacks = [f"lacks it in {_cells(old)}"] if old else []
    lacks += (
        [f"has {'something else' if old else 'neither the fix nor the old text'} in {_cells(other)}"]
        if other
        else []
    )
    return (
        f"Version {current.number} of {job.ref} holds a fix of version {base.number}, made by "
        f"{current.created_by} at {current.created_at:%Y-%m-%d %H:%M} UTC; this file {' and '.join(lacks)}."
    )


def _take_over_message(job: Job, last: VersionRow, request: Promotion) -> str:
    running = [schedule for schedule in job.schedules if not schedule.paused]
    then = f" and {_schedules(running)} would run it" if running else ""
    return (
        f"{job.ref} was made from {last.source} by {last.created_by} (version {last.number}, "
        f"{last.created_at:%Y-%m-%d %H:%M} UTC). {request.source} would take the job over{then}."
    )


def _roll_back_message(job: Job, same: VersionRow, switch: Switch | None) -> str:
    who = "Somebody went back"
    if switch is not None and switch.back:
        who = f"{switch.actor} went back at {switch.at:%Y-%m-%d %H:%M} UTC"
    return (
        f"{who} from version {same.number} of {job.ref} to version {job.version}. The notebook is that of "
        f"version {same.number}, which {same.created_by} made."
    )


def _schedules(schedules: Sequence[Schedule]) -> str:
    named = [f"{one.cron!r} in {one.tz}" for one in schedules[:_MOST_NAMED]]
    more = [f"{len(schedules) - _MOST_NAMED} more"] if len(schedules) > _MOST_NAMED else []
    return f"{'its schedule' if len(schedules) == 1 else 'its schedules'} {_listed(named + more)}"


def _cells(places: Sequence[int]) -> str:
    named = [str(place) for place in places[:_MOST_NAMED]]
    more = [f"{len(places) - _MOST_NAMED} more"] if len(places) > _MOST_NAMED else []
    return f"{'cell' if len(places) == 1 else 'cells'} {_listed(named + more)}"


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _message(job: Job, request: Promotion, found: Examined, comparison: Comparison) -> str:
    """Tell in a sentence what will happen."""
    if found.outcome == "unchanged":
        settings = request.settings is not None and request.settings != job.settings
        also = "; its settings change" if settings else ""
        return f"Unchanged: version {job.version} of {job.ref} has the same notebook already{also}."
    changed, other = comparison.changed, found.same
    how = f"differs from version {job.version} in {changed} cell{'' if changed == 1 else 's'}"
    if not changed:
        how = f"has the code of version {job.version}"
    fix = ", which holds a fix that this file lacks" if found.loses_fix else ""
    same = f"; version {other.number} has the same notebook" if other is not None else ""
    return f"Existing job: {job.ref} becomes version {found.number}, {how}{fix}{same}."
