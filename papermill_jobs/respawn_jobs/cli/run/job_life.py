"""The commands about a job's life, `job …`, and `remove` for runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from respawn_jobs.cli.common.options import agree, json_option

if TYPE_CHECKING:
    from respawn_jobs.api.versions import JobChange


@click.group()
def job() -> None:
    """Rename, archive or remove a job, or choose its version."""


@job.command()
@click.argument("ref", metavar="JOB")
@click.argument("name", metavar="NEW")
@json_option
def rename(ref: str, name: str, as_json: bool) -> int:
    """Give a job another name; the former one finds it until another job takes that."""
    from respawn_jobs.api.versions import JobChange

    return _change(ref, JobChange(name=name), "is its name now", as_json)


@job.command()
@click.argument("ref", metavar="JOB")
@json_option
def archive(ref: str, as_json: bool) -> int:
    """Let nothing of a job run, and leave it out of lists."""
    from respawn_jobs.api.versions import JobChange

    return _change(ref, JobChange(archived=True), "is archived", as_json)


@job.command()
@click.argument("ref", metavar="JOB")
@json_option
def restore(ref: str, as_json: bool) -> int:
    """Take a job out of the archive; times that passed meanwhile make no runs."""
    from respawn_jobs.api.versions import JobChange

    return _change(ref, JobChange(archived=False), "is out of the archive", as_json)


@job.command()
@click.argument("ref", metavar="JOB")
@click.argument("version", type=click.IntRange(1))
@click.option("--agree", multiple=True, type=click.Choice(["break_triggers"]), help="Agree to what it asks.")
@json_option
def use(ref: str, version: int, agree: tuple[Literal["break_triggers"], ...], as_json: bool) -> int:
    """Let new runs of a job use a version, older or newer.

    When triggers of the job give parameters that the version does not take, it asks first.
    """
    from respawn_jobs.api.versions import CurrentRequest
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.prompts import asked_about_triggers
    from respawn_jobs.cli.common.service_connection import connection

    request = CurrentRequest(version=version, agreed=list(agree))
    with connection() as connected:
        changed = asked_about_triggers(
            lambda one: connected.service.make_current(ref, one), request, "Use it", ask=not as_json
        )
    if as_json:
        printing.document(changed.model_dump(mode="json"))
    else:
        click.echo(f"new runs of {changed.ref} use version {changed.version}")
    return 0


@job.command("remove")
@click.argument("ref", metavar="JOB")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def remove_job(ref: str, yes: bool) -> int:
    """Remove an archived job for good, with its versions, runs and triggers."""
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        found = connected.service.job(ref)
        agree(f"Remove {found.ref} with its versions, runs and triggers, for good?", yes)
        connected.service.remove_job(found.ref)
    click.echo(f"{found.ref} is removed")
    return 0


@job.command()
@click.argument("ref", metavar="JOB")
@click.argument("version", type=click.IntRange(1))
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def remove_version(ref: str, version: int, yes: bool) -> int:
    """Remove a version that is not current, and that no run and no other version names."""
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        agree(f"Remove version {version} of {ref} for good?", yes)
        connected.service.remove_version(ref, version)
    click.echo(f"version {version} of {ref} is removed")
    return 0


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def remove(run_id: str, yes: bool) -> int:
    """Remove an ended run for good.

    Its outputs, states and artifacts go with it.
    """
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        agree(f"Remove {run_id} with its outputs, states and artifacts, for good?", yes)
        connected.service.remove_run(run_id)
    click.echo(f"{run_id} is removed")
    return 0


def _change(ref: str, change: JobChange, done: str, as_json: bool) -> int:
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        changed = connected.service.change_job(ref, change)
    if as_json:
        printing.document(changed.model_dump(mode="json"))
    else:
        click.echo(f"{changed.ref} {done}")
    return 0
