"""What a promotion would do to a job, and what a person must agree to before it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.api.service import Promotion
from respawn_jobs.api.versions import Comparison, PromotionPreview, PromotionQuestion
from respawn_jobs.carried.changes import (
    Files,
    changed_places,
    file_changes,
    files_lacking,
    files_of,
    same_files,
)
from respawn_jobs.errors import Conflict
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.jobs.catalog import next_number
from respawn_jobs.ledger.jobs.current_version import Switch, last_switch
from respawn_jobs.ledger.jobs.kernel_places import kernel_notes, kernel_questions, place_after
from respawn_jobs.ledger.jobs.name_conflicts import former_questions, jobs_of_file, same_file_message
from respawn_jobs.ledger.jobs.promotion_message import message_of, place_message
from respawn_jobs.ledger.jobs.trigger_compatibility import broken_by_fix, broken_question
from respawn_jobs.model.jobs import GitState, Job, Schedule
from respawn_jobs.notebook.content_digest import same_content
from respawn_jobs.notebook.diff import FixedCell, compare, lacking
from respawn_jobs.notebook.document import read_notebook
from respawn_jobs.store.tables import JobRow, VersionRow
from respawn_kernels.counting import how_many, noun

if TYPE_CHECKING:
    from nbformat import NotebookNode

State = tuple[str, int, int | None, int] | None
"""Of a job what a promotion depends on: its id, its current version, the version that its file held, and the
number of the next one."""
Outcome = Literal["new_job", "new_version", "unchanged"]
_AROUND = ("kernel", "lock")
_MAX_NAMED = 6
"""Cells and schedules that a message names."""
_MAX_READ = 10
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
    lock: str | None
    """Hash of the build of the kernel that the version would pin."""
    past: _Past
    same: VersionRow | None
    """The newest other version that holds the same notebook for the same kernel."""
    files: Files = None
    """What the version would carry."""

    @property
    def number(self) -> int:
        """The number that the job's next version has."""
        return self.state[3] if self.state else 1

    def still_holds(self, session: Session, job: JobRow | None, content: dict[str, Any]) -> bool:
        """Return whether the job, which the session has locked, is as it was when this was worked out.

        Args:
            session: the caller's transaction.
            job: the job; None when there is still none.
            content: columns of the new version that follow from notebook and kernel.
        """
        if state_of(session, job) != self.state:
            return False
        if job is None or self.outcome != "new_version":
            return True
        # Race: a trigger was added, changed or removed since.
        return broken_now(session, job, content) == list(self.past.broken)

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
    drifted = [_drift_question(request)] if request.drift else []
    at, now = place_after(ref, job, request), place_after(ref, job, None)
    unknown = kernel_questions(context, at, str(content["kernel"]))
    drifted += unknown
    same = None
    if job is None or past.current is None:
        outcome = "new_job"
        questions = [*former_questions(context, ref), *drifted]
    elif _holds(context, past.current, content, request, notebook):
        outcome = "unchanged"
        questions = unknown if at != now else []
    else:
        same = next((one for one in past.newer if _runs(context, one, content, notebook)), past.same)
        questions = [
            *_questions(context, job, request, past, same, notebook, files_of(content["files"])),
            *drifted,
        ]
    return Examined(
        ref, past.state, outcome, questions, str(content["kernel"]), content["lock"], past, same,
        files_of(content["files"]),
    )  # fmt: skip


def _holds(
    context: Context, version: VersionRow, content: dict[str, Any], request: Promotion, notebook: NotebookNode
) -> bool:
    """Return whether a version is what a promotion would make."""
    around = all(getattr(version, name) == content[name] for name in _AROUND)
    return (
        around
        and same_files(files_of(version.files), files_of(content["files"]))
        and request.directory in (None, version.directory)
        and _runs(context, version, content, notebook)
    )


def _runs(context: Context, version: VersionRow, content: dict[str, Any], notebook: NotebookNode) -> bool:
    """Return whether a version holds a notebook, or one with the same content."""
    return version.notebook == content["notebook"] or same_content(_notebook(context, version), notebook)


def preview_of(
    context: Context, found: Examined, job: Job | None, request: Promotion, notebook: NotebookNode
) -> PromotionPreview:
    """Tell what was worked out, with the cells that differ.

    Args:
        context: the store and the blobs.
        found: what `examined` returned.
        job: the job, as people see it; None when it is new.
        request: the promotion.
        notebook: its notebook.
    """
    current = found.past.current
    notes = kernel_notes(context, place_after(found.ref, job, request), found.kernel)
    if job is None or current is None:
        jobs = jobs_of_file(context, found.ref, request)
        return PromotionPreview(
            job=found.ref, outcome="new_job", version=found.number, current=None,
            message=f"New job: {found.ref} begins with version 1.{same_file_message(jobs, request)}"
            f"{place_message(found.files)}",
            notes=notes,
            same_file=jobs, questions=found.questions,
        )  # fmt: skip
    comparison = Comparison(
        old=job.version, new=None, cells=compare(_notebook(context, current), notebook),
        kernels=(current.kernel, found.kernel) if current.kernel != found.kernel else None,
        files=file_changes(files_of(current.files), found.files),
        places=changed_places(files_of(current.files), found.files),
    )  # fmt: skip
    return PromotionPreview(
        job=found.ref,
        outcome=found.outcome,
        version=job.version if found.outcome == "unchanged" else found.number,
        current=job.version,
        same_as=found.same.number if found.same is not None else None,
        message=message_of(job, request, found, comparison),
        notes=notes,
        same_file=[] if current.source == request.source else jobs_of_file(context, found.ref, request),
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
            newer=list(session.scalars(kernel.where(VersionRow.number > row.version).limit(_MAX_READ))),
            switch=last_switch(session, row),
            broken=broken_now(session, row, content),
        )
        session.expunge_all()
        return found


def broken_now(session: Session, job: JobRow, content: dict[str, Any]) -> list[str]:
    """Return the job's triggers that a version with these columns would break; see `broken_by`.

    Args:
        session: the caller's transaction.
        job: the job.
        content: columns of the new version that follow from notebook and kernel.
    """
    return broken_by_fix(session, job, job.version, content)


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
    files: Files,
) -> list[PromotionQuestion]:
    """Return what a person must agree to."""
    questions = []
    if past.base is not None and past.current is not None:
        lost = lacking(_notebook(context, past.base), _notebook(context, past.current), notebook)
        fixed = files_lacking(files_of(past.base.files), files_of(past.current.files), files)
        if lost or fixed:
            message = _fix_message(job, past.current, past.base, lost, fixed)
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


def _drift_question(request: Promotion) -> PromotionQuestion:
    more = len(request.drift) - _MAX_NAMED
    named = [*request.drift[:_MAX_NAMED], *([f"{more} more"] if more > 0 else [])]
    message = (
        f"The notebook's kernel is unlike its lock in {how_many(len(request.drift), 'place')}: "
        f"{'; '.join(named)}. The job would run in what the lock says."
    )
    return PromotionQuestion(code="ignore_drift", message=message)


def _same_file(last: VersionRow, request: Promotion) -> bool:
    """Return whether a promotion comes from the file of a version; True where that is not known."""
    if last.source is None or request.source is None or last.source == request.source:
        return True
    git = GitState.model_validate(last.git) if last.git else None
    if git is None or request.git is None or git.path != request.git.path:
        return False
    return PurePosixPath(last.source).name == PurePosixPath(request.source).name


def _fix_message(
    job: Job, current: VersionRow, base: VersionRow, lost: list[FixedCell], fixed: Sequence[str]
) -> str:
    old = [cell.index for cell in lost if not cell.otherwise]
    other = [cell.index for cell in lost if cell.otherwise]
    lacks = [f"lacks it in {_cells(old)}"] if old else []
    lacks += (
        [f"has {'something else' if old else 'neither the fix nor the old text'} in {_cells(other)}"]
        if other
        else []
    )
    lacks += [f"comes without it in {_listed(fixed)}"] if fixed else []
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
    named = [f"{one.cron!r} in {one.tz}" for one in schedules[:_MAX_NAMED]]
    more = [f"{len(schedules) - _MAX_NAMED} more"] if len(schedules) > _MAX_NAMED else []
    return f"{noun(len(schedules), 'its schedule')} {_listed(named + more)}"


def _cells(places: Sequence[int]) -> str:
    named = [str(place) for place in places[:_MAX_NAMED]]
    more = [f"{len(places) - _MAX_NAMED} more"] if len(places) > _MAX_NAMED else []
    return f"{noun(len(places), 'cell')} {_listed(named + more)}"


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
