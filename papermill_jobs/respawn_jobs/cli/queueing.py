"""The commands for queues: `settings`, `limits`, `usage`, `replicas`."""

from __future__ import annotations

import json
from typing import Any

import click

from respawn_jobs.cli.job_settings import given_job_settings, job_options
from respawn_jobs.cli.options import json_option, settings_options


@click.command()
@click.argument("job")
@settings_options
@job_options
@click.option("--default", "defaults", multiple=True, metavar="SETTING", help="Give a setting its default.")
@json_option
def settings(job: str, defaults: tuple[str, ...], as_json: bool, **options: Any) -> int:
    """Show a job's settings, or change those that are given.

    Runs that wait already keep their queue and priority; --max-parallel holds for them too.
    """
    from respawn_jobs.cli import printing
    from respawn_jobs.cli.connection import connection
    from respawn_jobs.models import JobSettings

    changes = given_job_settings(options)
    twice = sorted(set(changes) & set(defaults))
    if twice:
        raise click.UsageError(f"{twice[0]} is given a value and its default at once")
    changes |= dict.fromkeys(defaults)
    with connection() as connected:
        service = connected.service
        found = service.configure(job, changes) if changes else service.job(job)
    document = found.settings.model_dump(mode="json")
    if as_json:
        printing.document({"job": found.ref, "settings": document})
        return 0
    usual = JobSettings().model_dump(mode="json")
    rows = [
        [name, "" if value == usual[name] else "changed", printing.plain(_told(value))]
        for name, value in document.items()
    ]
    printing.table(["setting", "", "value"], rows)
    return 0


@click.command()
@click.argument("kind", required=False, type=click.Choice(["namespace", "user", "queue"]))
@click.argument("name", required=False)
@click.option("--most", type=click.IntRange(0), help="How many runs may execute at once; 0 lets none start.")
@click.option("--remove", is_flag=True, help="Remove the limit.")
@json_option
def limits(kind: Any, name: str | None, most: int | None, remove: bool, as_json: bool) -> int:
    """List the limits that bind you; an administrator sets them with --most.

    NAME is a namespace, a user or a queue; '*' stands for each that has no limit of its own.
    """
    from respawn_jobs.cli import printing
    from respawn_jobs.cli.connection import connection
    from respawn_jobs.service_queueing import LimitRequest

    changing = most is not None or remove
    if changing and (name is None or (most is not None and remove)):
        raise click.UsageError(
            "to set a limit give KIND, NAME and --most; to remove it KIND, NAME and --remove"
        )
    with connection() as connected:
        if changing:
            found = connected.service.limit(LimitRequest(kind=kind, name=str(name), most=most))
        else:
            found = connected.service.limits()
    found = [one for one in found if kind in (None, one.kind) and name in (None, one.name)]
    if as_json:
        printing.document([one.model_dump(mode="json") for one in found])
    elif not found:
        click.echo("no limits are set")
    else:
        rows = [
            [
                one.kind,
                printing.plain(one.name),
                str(one.most),
                "" if one.running is None else str(one.running),
            ]
            for one in found
        ]
        printing.table(["kind", "name", "most", "running"], rows)
    return 0


@click.command()
@json_option
def usage(as_json: bool) -> int:
    """List what your namespaces store, let wait and execute, and how much each may."""
    from respawn_jobs.cli import printing
    from respawn_jobs.cli.connection import connection
    from respawn_jobs.cli.keeping import size

    with connection() as connected:
        found = connected.service.usage()
    if as_json:
        printing.document([one.model_dump(mode="json") for one in found])
        return 0

    def of(used: object, most: object | None) -> str:
        return str(used) if most is None else f"{used} of {most}"

    rows = [
        [
            printing.plain(one.namespace),
            of(size(one.stored_bytes), None if one.stored_limit is None else size(one.stored_limit)),
            of(one.waiting, one.waiting_limit),
            of(one.executing, one.executing_limit),
        ]
        for one in found
    ]
    printing.table(["namespace", "stored", "waiting runs", "executing"], rows)
    unmeasured = sum(one.unmeasured for one in found)
    if unmeasured:
        click.echo(f"{unmeasured} blobs of before sizes were counted are not measured yet", err=True)
    return 0


@click.command()
@json_option
def replicas(as_json: bool) -> int:
    """List the replicas of the service, for administrators."""
    from respawn_jobs.cli import printing
    from respawn_jobs.cli.connection import connection

    with connection() as connected:
        found = connected.service.replicas()
    if as_json:
        printing.document([one.model_dump(mode="json") for one in found])
        return 0
    if not found:
        click.echo("no service is running")
        return 0
    rows = [
        [
            one.id,
            printing.plain(one.host),
            ("draining" if one.draining else "running") if one.alive else "silent",
            f"{one.busy} of {one.places}",
            printing.moment(one.seen_at),
            printing.plain(", ".join(sorted(name for name, said in one.health.items() if said != "ok"))),
        ]
        for one in found
    ]
    printing.table(["replica", "host", "state", "busy", "heard", "troubles"], rows)
    return 0


def _told(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)


COMMANDS = (settings, limits, usage, replicas)
