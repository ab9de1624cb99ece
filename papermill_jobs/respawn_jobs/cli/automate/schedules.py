"""The group `schedule`: when the clock runs a job."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import click

from respawn_jobs.cli.automate.shared import check_of_job, note_store
from respawn_jobs.cli.common.job_parameters import parsed_for_job
from respawn_jobs.cli.common.options import json_option, parameter_option

if TYPE_CHECKING:
    from respawn_jobs.api.service import Service
    from respawn_jobs.model.jobs import Job, Schedule

_MAX_LISTED = 4
"""Parameters of a schedule that its line names."""
_Missed = Literal["latest", "all", "skip"]
_schedule_argument = click.argument("schedule_id", metavar="SCHEDULE")


def _time_options(*, new: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what adds the options of a schedule; a new one has defaults, a changed one keeps what it has."""
    of_new: dict[str, Any] = {"show_default": True} if new else {}

    def add_options(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            parameter_option,
            click.option(
                "--max-missed", type=click.IntRange(1, 1000), help="With --missed all: the newest so many."
            ),
            click.option(
                "--missed",
                type=click.Choice(["latest", "all", "skip"]),
                default="latest" if new else None,
                help="Of times missed while no service ran: run the latest, all, or none.",
                **of_new,
            ),
            click.option(
                "--tz",
                default="UTC" if new else None,
                help="IANA time zone that the times are in.",
                **of_new,
            ),
            click.option("--cron", required=new, help="When to run, such as '30 3 * * 1-5'."),
        ):
            command = option(command)
        return command

    return add_options


@click.group()
def schedule() -> None:
    """Run a job by the clock."""


@schedule.command()
@click.argument("job")
@_time_options(new=True)
@json_option
def add(job: str, as_json: bool, **times: Any) -> int:
    """Add a schedule to a job, and show when it is next due."""
    return _new(job, preview=False, as_json=as_json, **times)


@schedule.command()
@click.argument("job")
@_time_options(new=True)
@json_option
def preview(job: str, as_json: bool, **times: Any) -> int:
    """Show when a schedule would be due, and save nothing.

    Takes the options of `respawn schedule add`.
    """
    return _new(job, preview=True, as_json=as_json, **times)


@schedule.command("list")
@click.argument("job")
@json_option
def list_schedules(job: str, as_json: bool) -> int:
    """List the schedules of a job."""
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        _show(connected.service.job(job), as_json)
    return 0


@schedule.command()
@click.argument("job")
@_schedule_argument
@_time_options(new=False)
@json_option
def change(
    job: str,
    schedule_id: str,
    cron: str | None,
    tz: str | None,
    missed: _Missed | None,
    max_missed: int | None,
    parameters: tuple[tuple[str, str], ...],
    as_json: bool,
) -> int:
    """Change a schedule; what is left out stays.

    With -p all parameters are given anew.
    """
    from respawn_jobs.api.versions import ScheduleChange

    _check_missed(missed, max_missed)
    if cron is None and tz is None and missed is None and not parameters:
        raise click.UsageError("say what to change: --cron, --tz, --missed or -p")

    def act(service: Service) -> None:
        values = parsed_for_job(service, job, parameters) or None
        wanted = ScheduleChange(cron=cron, tz=tz, parameters=values, missed=missed, max_missed=max_missed)
        service.change_schedule(schedule_id, wanted)

    return _act_on(job, schedule_id, act, as_json)


@schedule.command()
@click.argument("job")
@_schedule_argument
@json_option
def pause(job: str, schedule_id: str, as_json: bool) -> int:
    """Let a schedule rest; what is due meanwhile is not made up for."""
    return _act_on(job, schedule_id, lambda service: service.pause(schedule_id, paused=True), as_json)


@schedule.command()
@click.argument("job")
@_schedule_argument
@json_option
def resume(job: str, schedule_id: str, as_json: bool) -> int:
    """Resume a paused schedule."""
    return _act_on(job, schedule_id, lambda service: service.pause(schedule_id, paused=False), as_json)


@schedule.command()
@click.argument("job")
@_schedule_argument
@json_option
def remove(job: str, schedule_id: str, as_json: bool) -> int:
    """Remove a schedule; its runs stay."""
    return _act_on(job, schedule_id, lambda service: service.unschedule(schedule_id), as_json)


def _new(
    job: str,
    cron: str,
    tz: str,
    missed: _Missed,
    max_missed: int | None,
    parameters: tuple[tuple[str, str], ...],
    *,
    preview: bool,
    as_json: bool,
) -> int:
    """Tell when a schedule would run a job, and add it unless that is only to be shown."""
    from respawn_jobs.api.service import MAX_MISSED_RUNS, ScheduleRequest
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    _check_missed(missed, max_missed)
    with connection() as connected:
        service = connected.service
        found = service.job(job)
        values = parsed_for_job(service, job, parameters)
        request = ScheduleRequest(
            job=job, cron=cron, tz=tz, parameters=values, missed=missed,
            max_missed=max_missed or MAX_MISSED_RUNS,
        )  # fmt: skip
        fires = service.preview(cron, tz)
        if not as_json:
            click.echo(f"{cron!r} in {tz} is next due")
            for fire in fires:
                click.echo(f"  {fire:%a %Y-%m-%d %H:%M %Z}")
        made = None if preview else service.schedule(request)
        if as_json:
            printing.document({"schedule": made and made.model_dump(mode="json"), "next": fires})
        elif made is not None:
            click.echo(f"{made.id} runs {found.ref} at these times")
        if made is not None:
            note_store(connected, "only a hub runs what is due")
    return 0


def _check_missed(missed: str | None, most: int | None) -> None:
    if most is not None and missed != "all":
        raise click.UsageError("--max-missed belongs to --missed all")


def _act_on(job: str, schedule_id: str, act: Callable[[Service], object], as_json: bool) -> int:
    """Change a schedule that a job has, and show what the job has then."""
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        service = connected.service
        found = service.job(job)
        check_of_job("schedule", schedule_id, [one.id for one in found.schedules], found.ref)
        act(service)
        _show(service.job(job), as_json)
    return 0


def _show(job: Job, as_json: bool) -> None:
    from respawn_jobs.cli.common import printing

    if as_json:
        printing.document({"schedules": [item.model_dump(mode="json") for item in job.schedules]})
    elif not job.schedules:
        click.echo(f"{job.ref} has no schedule")
    else:
        rows = [[s.id, s.cron, s.tz, _next(s), _missed(s), printing.plain(_gives(s))] for s in job.schedules]
        printing.table(["schedule", "cron", "zone", "next", "missed", "parameters"], rows)


def _next(schedule: Schedule) -> str:
    if schedule.paused or schedule.next_due is None:
        return "paused"
    return f"{schedule.next_due.astimezone(ZoneInfo(schedule.tz)):%a %Y-%m-%d %H:%M %Z}"


def _missed(schedule: Schedule) -> str:
    return f"all, {schedule.max_missed} at most" if schedule.missed == "all" else schedule.missed


def _gives(schedule: Schedule) -> str:
    """Return the parameters of a schedule on one line, each cut where it is long."""
    from respawn_jobs.notebook.parameter_values import shortened

    times = [
        f"{name}={shortened(json.dumps(value, ensure_ascii=False), 30)}"
        for name, value in schedule.parameters.items()
    ]
    rest = [f"and {len(times) - _MAX_LISTED} more"] if len(times) > _MAX_LISTED else []
    return ", ".join([*times[:_MAX_LISTED], *rest])
