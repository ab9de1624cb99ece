"""The command `settings`: how a job's runs are retried, queued, reported and kept."""

from __future__ import annotations

import json
from typing import Any

import click

from respawn_jobs.cli.common.options import json_option, settings_options
from respawn_jobs.cli.common.settings_options import given_job_settings, job_options


@click.command()
@click.argument("job")
@settings_options
@job_options
@click.option("--default", "defaults", multiple=True, metavar="SETTING", help="Give a setting its default.")
@json_option
def settings(job: str, defaults: tuple[str, ...], as_json: bool, **options: Any) -> int:
    """Show a job's settings, or change those that are given.

    Runs that wait already keep their queue and priority; --max-parallel and --profile hold for them too.
    """
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection
    from respawn_jobs.model.settings import JobSettings

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
        [name, "" if value == usual[name] else "changed", printing.plain(_shown(value))]
        for name, value in document.items()
    ]
    printing.table(["setting", "", "value"], rows)
    return 0


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)
