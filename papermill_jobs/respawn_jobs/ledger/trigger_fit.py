"""Which triggers of a job give parameters that another version of it does not take."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.errors import InvalidInput
from respawn_jobs.ledger.runs import check_parameters
from respawn_jobs.ledger.triggered import check_rule
from respawn_jobs.service_versions import PromotionQuestion
from respawn_jobs.store.tables import JobRow, ScheduleRow, VersionRow
from respawn_jobs.store.trigger_tables import AfterRow, HookRow, WatchRow

_MOST_NAMED = 6


def broken_by(session: Session, job: JobRow, current: VersionRow, then: VersionRow) -> list[str]:
    """Return what triggers give that fits the current version and not the next, a sentence for each trigger.

    Args:
        session: the session that the job is of.
        job: the job.
        current: the version that new runs use now.
        then: the one that they would use; its parameters and language count.
    """
    found: list[str] = []
    for named, fits in _triggers(session, job):
        if _problem(fits, current) is None and (problem := _problem(fits, then)) is not None:
            found.append(f"{named}: {_without_secret(problem, current)}")
    return found


def broken_question(job: str, version: int, broken: Sequence[str]) -> PromotionQuestion:
    """Return what a person must agree to before triggers make runs that fail."""
    named = "; ".join(broken[:_MOST_NAMED])
    more = f"; and {len(broken) - _MOST_NAMED} more" if len(broken) > _MOST_NAMED else ""
    does = "a trigger gives" if len(broken) == 1 else f"{len(broken)} triggers give"
    return PromotionQuestion(
        code="break_triggers",
        message=(
            f"{does[0].upper()}{does[1:]} parameters that version {version} of {job} does not take, so "
            f"{'its' if len(broken) == 1 else 'their'} runs would fail: {named}{more}."
        ),
    )


Fits = Callable[[VersionRow], object]


def _triggers(session: Session, job: JobRow) -> list[tuple[str, Fits]]:
    """Return a job's triggers, named for people, with what raises `InvalidInput` for a misfit."""
    found: list[tuple[str, Fits]] = []
    for schedule in session.scalars(
        select(ScheduleRow).where(ScheduleRow.job_id == job.id).order_by(ScheduleRow.id)
    ):
        paused = ", paused" if schedule.paused else ""
        named = f"the schedule {schedule.cron!r} in {schedule.tz} ({schedule.id}{paused})"
        found.append((named, _of_schedule(schedule)))
    for rule in session.scalars(select(AfterRow).where(AfterRow.job_id == job.id)):
        found.append((f"the rule {rule.id}", _of_rule(rule, list(rule.sources))))
    for hook in session.scalars(select(HookRow).where(HookRow.job_id == job.id).order_by(HookRow.id)):
        found.append((f"the webhook {hook.id}", _of_rule(hook, hook.accepts)))
    for watch in session.scalars(select(WatchRow).where(WatchRow.job_id == job.id).order_by(WatchRow.id)):
        later = [] if watch.parameter is None else [watch.parameter]
        found.append((f"the watch on {watch.prefix!r} ({watch.id})", _of_rule(watch, later)))
    return found


def _of_schedule(row: ScheduleRow) -> Fits:
    return lambda version: check_parameters(version, row.parameters)


def _of_rule(row: AfterRow | HookRow | WatchRow, later: Collection[str]) -> Fits:
    return lambda version: check_rule(version, row.parameters, later)


def _problem(fits: Fits, version: VersionRow) -> InvalidInput | None:
    try:
        fits(version)
    except InvalidInput as error:
        return error
    return None


def _without_secret(problem: InvalidInput, current: VersionRow) -> str:
    """Return why a value does not fit, without a value that is secret in the current version."""
    name = problem.fields.get("parameter")
    secret = any(one.get("secret") and one.get("name") == name for one in current.parameters)
    if secret and "expected" in problem.fields:
        return f"parameter {name!r}: expected {problem.fields['expected']}"
    return problem.message
