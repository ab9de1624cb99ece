"""Which triggers of a job give parameters that another version of it does not take."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.api.versions import PromotionQuestion
from respawn_jobs.errors import Conflict, InvalidInput
from respawn_jobs.ledger.context.context import find_version
from respawn_jobs.ledger.runs.run_parameters import check_fixed_parameters, check_parameters
from respawn_jobs.store.tables import JobRow, ScheduleRow, VersionRow
from respawn_jobs.store.trigger_tables import DependencyRow, HookRow, SensorRow
from respawn_kernels.counting import how_many, noun

_MAX_NAMED = 6


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
    """Return what a person must agree to before triggers make runs that fail.

    Args:
        job: the job's full name.
        version: the version that new runs would use.
        broken: what `broken_by` returned; at least one.
    """
    named = "; ".join(broken[:_MAX_NAMED])
    more = f"; and {len(broken) - _MAX_NAMED} more" if len(broken) > _MAX_NAMED else ""
    does = "a trigger gives" if len(broken) == 1 else how_many(len(broken), "trigger gives", "triggers give")
    return PromotionQuestion(
        code="break_triggers",
        message=(
            f"{does[0].upper()}{does[1:]} parameters that version {version} of {job} does not take, so "
            f"{noun(len(broken), 'its', 'their')} runs would fail: {named}{more}."
        ),
    )


def broken_by_fix(session: Session, job: JobRow, fixed: int, content: dict[str, Any] | None) -> list[str]:
    """Return what `broken_by` returns for the version that a fix of a run's notebook makes.

    Args:
        session: the session that the job is of.
        job: the job.
        fixed: the version that the run executed: only where it is the current one, the fix becomes current.
        content: the columns of the new version; None where there is none.
    """
    if content is None or job.version != fixed:
        return []
    then = VersionRow(language=content["language"], parameters=content["parameters"])
    return broken_by(session, job, find_version(session, job), then)


def check_agreed(ref: str, version: int, broken: Sequence[str], agreed: Collection[str], **more: Any) -> None:
    """Raise `Conflict` when triggers would make runs that fail, and nobody agreed to that.

    Args:
        ref: the job's full name.
        version: the version that new runs would use.
        broken: what `broken_by` returned.
        agreed: what the person agreed to.
        more: fields of the refusal.
    """
    asked = broken_question(ref, version, broken)
    if not broken or asked.code in agreed:
        return
    raise Conflict(
        f"{asked.message} Nothing was changed. Change these triggers first, or agree: --agree {asked.code} "
        f'(in the API: "agreed": ["{asked.code}"])',
        job=ref,
        questions=[asked.model_dump(mode="json")],
        **more,
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
    for dependency in session.scalars(select(DependencyRow).where(DependencyRow.job_id == job.id)):
        found.append((f"the dependency {dependency.id}", _of_rule(dependency, list(dependency.sources))))
    for hook in session.scalars(select(HookRow).where(HookRow.job_id == job.id).order_by(HookRow.id)):
        found.append((f"the webhook {hook.id}", _of_rule(hook, hook.accepts)))
    for sensor in session.scalars(select(SensorRow).where(SensorRow.job_id == job.id).order_by(SensorRow.id)):
        later = [] if sensor.parameter is None else [sensor.parameter]
        found.append((f"the sensor on {sensor.prefix!r} ({sensor.id})", _of_rule(sensor, later)))
    return found


def _of_schedule(row: ScheduleRow) -> Fits:
    return lambda version: check_parameters(version, row.parameters)


def _of_rule(row: DependencyRow | HookRow | SensorRow, later: Collection[str]) -> Fits:
    return lambda version: check_fixed_parameters(version, row.parameters, later)


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
