"""The commands that make jobs: `promote`, `schedule`, `jobs`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import click

from respawn_jobs.cli.job_settings import given_job_settings, job_options
from respawn_jobs.cli.options import json_option, parameter_option, settings_options

if TYPE_CHECKING:
    from respawn_jobs.cli.connection import Connection
    from respawn_jobs.models import Job, Parameter, Schedule, Version
    from respawn_jobs.service import ScheduleRequest, Service
    from respawn_jobs.service_versions import Agreement, PromotionPreview


def parsed(declared: list[Parameter], given: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Return what `-p NAME VALUE` options mean, by what the notebook declares."""
    from respawn_jobs.parameters import parse

    return {name: parse(declared, name, text) for name, text in given}


def parsed_for_job(
    service: Service, ref: str, given: tuple[tuple[str, str], ...], number: int | None = None
) -> dict[str, Any]:
    """Return what `-p` options mean for a version of a job, by default its current one.

    Raises `NotFound` when the job has no such version.
    """
    if not given:
        return {}
    from respawn_jobs.errors import NotFound

    wanted = service.job(ref).version if number is None else number
    for version in service.versions(ref):
        if version.number == wanted:
            return parsed(version.parameters, given)
    raise NotFound(f"{ref} has no version {wanted}", job=ref, version=wanted)


def parsed_for_run(service: Service, run: str, given: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Return what `-p` options mean for the version that a run executed."""
    if not given:
        return {}
    ran = service.show(run).run
    version = next(version for version in service.versions(ran.job) if version.number == ran.version)
    return parsed(version.parameters, given)


@click.command()
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="The job's name.")
@click.option("--namespace", help="user/NAME or team/GROUP; your own when left out.")
@click.option("-k", "--kernel", help="Kernel, instead of the one that the notebook names.")
@click.option("--dry-run", is_flag=True, help="Only tell what would happen; change nothing.")
@click.option(
    "--agree",
    multiple=True,
    type=click.Choice(["replace_fix", "take_over", "undo_roll_back", "break_triggers", "take_name"]),
    help="Agree to what the promotion asks; can be repeated.",
)
@settings_options
@job_options
@json_option
def promote(
    notebook: Path,
    name: str,
    namespace: str | None,
    kernel: str | None,
    dry_run: bool,
    agree: tuple[Agreement, ...],
    as_json: bool,
    **options: Any,
) -> int:
    """Make a notebook a version of a job."""
    from respawn_jobs.changing import with_changes
    from respawn_jobs.cli import printing
    from respawn_jobs.cli.asking import asked, show_preview
    from respawn_jobs.cli.connection import connection
    from respawn_jobs.models import JobSettings
    from respawn_jobs.promotion import prepare

    given = given_job_settings(options)
    settings = with_changes(JobSettings(), given) if given else None
    promotion = prepare(notebook, name, namespace=namespace, kernel=kernel, settings=settings)
    with connection() as connected:
        if dry_run:
            preview = connected.service.preview_promotion(promotion)
            if as_json:
                printing.document(preview.model_dump(mode="json"))
            else:
                show_preview(preview)
            return 0
        promotion, told = asked(connected.service, promotion, agree, ask=not as_json)
        version = connected.service.promote(promotion)
    if as_json:
        printing.document(version.model_dump(mode="json"))
        return 0
    _say(told, version)
    return 0


def _say(told: PromotionPreview, version: Version) -> None:
    """Print what has come of a promotion."""
    from respawn_jobs.cli import printing

    if told.outcome == "unchanged":
        click.echo(f"unchanged: version {version.number} of {version.job} has the same notebook already")
        return
    if told.outcome == "new_version":
        click.echo(told.message)
    click.echo(f"{version.job} is at version {version.number}, kernel {version.kernel}")
    if version.git is not None:
        changed = " with uncommitted changes" if version.git.dirty else ""
        click.echo(f"from commit {version.git.commit[:12]}{changed}")
    rows = [
        [printing.plain(p.name), printing.plain(_type(p)), _default(p), printing.plain(p.help)]
        for p in version.parameters
    ]
    if rows:
        printing.table(["parameter", "type", "default", "help"], rows)


@click.command()
@click.argument("job")
@click.option("--cron", help="When to run, such as '30 3 * * 1-5'.")
@click.option("--tz", help="IANA time zone that the times are in.  [default: UTC]")
@click.option(
    "--missed",
    type=click.Choice(["latest", "all", "skip"]),
    help="Of times missed while no service ran: run the latest, all, or none.  [default: latest]",
)
@click.option("--missed-most", type=click.IntRange(1, 1000), help="With --missed all: the newest so many.")
@click.option("--preview", is_flag=True, help="Only show when --cron would run it; save nothing.")
@click.option("--change", metavar="SCHEDULE", help="Give a schedule what --cron, --tz, --missed and -p say.")
@click.option("--pause", metavar="SCHEDULE", help="Let a schedule rest.")
@click.option("--unpause", metavar="SCHEDULE", help="Let a paused schedule go on.")
@click.option("--remove", metavar="SCHEDULE", help="Remove a schedule; its runs stay.")
@parameter_option
@json_option
def schedule(
    job: str,
    cron: str | None,
    tz: str | None,
    missed: Literal["latest", "all", "skip"] | None,
    missed_most: int | None,
    preview: bool,
    change: str | None,
    pause: str | None,
    unpause: str | None,
    remove: str | None,
    parameters: tuple[tuple[str, str], ...],
    as_json: bool,
) -> int:
    """Run a job by the clock.

    Without an option, list its schedules.
    """
    from respawn_jobs.cli import printing
    from respawn_jobs.cli.connection import connection
    from respawn_jobs.service import MISSED_MOST, ScheduleRequest
    from respawn_jobs.service_versions import ScheduleChange

    if change is not None and (preview or pause or unpause or remove):
        raise click.UsageError("--change goes with --cron, --tz, --missed and -p only")
    if change is None and cron is None and (preview or tz or parameters or missed):
        raise click.UsageError("--preview, --tz, --missed and -p belong to --cron or --change")
    if missed_most is not None and missed != "all":
        raise click.UsageError("--missed-most belongs to --missed all")
    if sum(option is not None for option in (cron, pause, unpause, remove)) > 1:
        raise click.UsageError("give one of --cron, --pause, --unpause and --remove")
    with connection() as connected:
        service = connected.service
        found = service.job(job)
        if change is not None:
            values = parsed_for_job(service, job, parameters) or None
            wanted = ScheduleChange(
                cron=cron, tz=tz, parameters=values, missed=missed, missed_most=missed_most
            )
            service.change_schedule(_own(found, change).id, wanted)
        elif cron is not None:
            values = parsed_for_job(service, job, parameters)
            request = ScheduleRequest(
                job=job, cron=cron, tz=tz or "UTC", parameters=values, missed=missed or "latest",
                missed_most=missed_most or MISSED_MOST,
            )  # fmt: skip
            _add(connected, found, request, preview=preview, as_json=as_json)
            return 0
        if remove is not None:
            _own(found, remove)
            service.unschedule(remove)
        elif pause or unpause:
            service.pause(_own(found, str(pause or unpause)).id, paused=pause is not None)
        schedules = service.job(job).schedules
    if as_json:
        printing.document({"schedules": [item.model_dump(mode="json") for item in schedules]})
    else:
        rows = [[s.id, s.cron, s.tz, _next(s), _missed(s)] for s in schedules]
        printing.table(["schedule", "cron", "zone", "next", "missed"], rows)
    return 0


def _add(connected: Connection, job: Job, request: ScheduleRequest, *, preview: bool, as_json: bool) -> None:
    """Tell when a schedule would run a job, and add it unless that is only to be shown."""
    from respawn_jobs.cli import printing

    fires = connected.service.preview(request.cron, request.tz)
    if not as_json:
        click.echo(f"{request.cron!r} in {request.tz} is next due")
        for fire in fires:
            click.echo(f"  {fire:%a %Y-%m-%d %H:%M %Z}")
    made = None if preview else connected.service.schedule(request)
    if as_json:
        printing.document({"schedule": made and made.model_dump(mode="json"), "next": fires})
    elif made is not None:
        click.echo(f"{made.id} runs {job.ref} at these times")
    if made is not None and connected.ledger is not None:
        click.echo("note: only a hub runs what is due; nothing does in this store", err=True)


def _next(schedule: Schedule) -> str:
    if schedule.paused or schedule.next_due is None:
        return "paused"
    return f"{schedule.next_due.astimezone(ZoneInfo(schedule.tz)):%a %Y-%m-%d %H:%M %Z}"


def _missed(schedule: Schedule) -> str:
    return f"all, {schedule.missed_most} at most" if schedule.missed == "all" else schedule.missed


@click.command()
@click.option("--namespace", help="Only this namespace.")
@click.option("--archived", is_flag=True, help="The archived ones.")
@json_option
def jobs(namespace: str | None, archived: bool, as_json: bool) -> int:
    """List jobs."""
    from respawn_jobs.cli import printing
    from respawn_jobs.cli.connection import connection

    with connection() as connected:
        found = connected.service.jobs(namespace, archived=archived)
    if as_json:
        printing.document([job.model_dump(mode="json") for job in found])
        return 0
    rows = [
        [printing.plain(job.ref), str(job.version), _last(job), ", ".join(s.cron for s in job.schedules)]
        for job in found
    ]
    printing.table(["job", "version", "last run", "schedules"], rows)
    return 0


def _own(job: Job, schedule: str) -> Schedule:
    from respawn_jobs.errors import NotFound

    for found in job.schedules:
        if found.id == schedule:
            return found
    raise NotFound(f"{job.ref} has no schedule {schedule}", schedule=schedule)


def _type(parameter: Parameter) -> str:
    if parameter.choices:
        return " | ".join(map(repr, parameter.choices))
    kind = f"{parameter.type}[{parameter.items}]" if parameter.items else parameter.type or "any"
    return f"{kind} | None" if parameter.nullable else kind


def _default(parameter: Parameter) -> str:
    from respawn_jobs.cli.printing import plain

    return "required" if parameter.required else plain(parameter.default_source)


def _last(job: Job) -> str:
    from respawn_jobs.cli.printing import coloured, moment

    if job.last_run is None:
        return ""
    return f"{coloured(job.last_run.state.value)} {moment(job.last_run.created_at)}"


COMMANDS = (promote, schedule, jobs)
