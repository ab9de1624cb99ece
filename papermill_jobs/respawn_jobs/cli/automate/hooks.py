"""The group `hook`: a signed call of an address runs a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from respawn_jobs.cli.automate.shared import check_of_job, note_store
from respawn_jobs.cli.common.job_parameters import parsed_for_job
from respawn_jobs.cli.common.options import json_option, parameter_option

if TYPE_CHECKING:
    from respawn_jobs.api.service import Service
    from respawn_jobs.api.triggers import Hook, NewHook
    from respawn_jobs.cli.common.service_connection import ServiceConnection

_hook_argument = click.argument("hook_id", metavar="HOOK")


@click.group()
def hook() -> None:
    """Run a job by a webhook."""


@hook.command()
@click.argument("job")
@click.option(
    "--accept", "accepts", multiple=True, metavar="NAME", help="A parameter that calls may give; repeatable."
)
@parameter_option
@json_option
def add(job: str, accepts: tuple[str, ...], parameters: tuple[tuple[str, str], ...], as_json: bool) -> int:
    """Make a webhook that runs a job; its secret is printed this once."""
    from respawn_jobs.api.triggers import HookRequest
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        values = parsed_for_job(connected.service, job, parameters)
        request = HookRequest(job=job, parameters=values, accepts=list(accepts))
        _show_secret(connected.service.hook(request), connected, as_json)
        note_store(connected)
    return 0


@hook.command("list")
@click.argument("job")
@json_option
def list_hooks(job: str, as_json: bool) -> int:
    """List the webhooks of a job, without their secrets."""
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        _show(job, connected.service.triggers(job).hooks, as_json)
    return 0


@hook.command()
@click.argument("job")
@_hook_argument
@json_option
def rotate(job: str, hook_id: str, as_json: bool) -> int:
    """Give a webhook another secret; the old one is refused from now on."""
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        _check(connected.service, job, hook_id)
        _show_secret(connected.service.rotate(hook_id), connected, as_json)
    return 0


@hook.command()
@click.argument("job")
@_hook_argument
@json_option
def remove(job: str, hook_id: str, as_json: bool) -> int:
    """Remove a webhook; its runs stay."""
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        _check(connected.service, job, hook_id)
        connected.service.unhook(hook_id)
        _show(job, connected.service.triggers(job).hooks, as_json)
    return 0


def _check(service: Service, job: str, hook_id: str) -> None:
    check_of_job("webhook", hook_id, [one.id for one in service.triggers(job).hooks], job)


def _show(job: str, hooks: list[Hook], as_json: bool) -> None:
    from respawn_jobs.cli.common import printing

    if as_json:
        printing.document({"hooks": [one.model_dump(mode="json") for one in hooks]})
    elif not hooks:
        click.echo(f"{job} has no webhook")
    else:
        rows = [
            [one.id, printing.plain(one.url or ""), printing.plain(", ".join(one.accepts)), one.created_by]
            for one in hooks
        ]
        printing.table(["webhook", "address", "accepts", "by"], rows)


def _show_secret(new: NewHook, connected: ServiceConnection, as_json: bool) -> None:
    from respawn_jobs.cli.common import printing

    if as_json:
        printing.document(new.model_dump(mode="json"))
        return
    # A hub that does not know its own public address tells a path only.
    url = new.hook.url if "://" in (new.hook.url or "") else f"{connected.url or ''}/hooks/{new.hook.id}"
    click.echo(f"{new.hook.id} runs {new.hook.job}")
    click.echo(f"address: {url}")
    click.echo(f"secret:  {new.secret}")
    click.echo("note: the secret is not shown again", err=True)
