"""The command `profiles`: the servers that a job may ask for, and the kernels that these have."""

from __future__ import annotations

import click

from respawn_jobs.cli.common.options import json_option


@click.command()
@click.option("--namespace", help="user/NAME or team/GROUP; your own when left out.")
@json_option
def profiles(namespace: str | None, as_json: bool) -> int:
    """List the profiles of servers that jobs may run in.

    A job gets one by `respawn settings JOB --profile NAME`. An administrator defines them.
    """
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        found = connected.service.profiles(namespace)
    if as_json:
        printing.document([one.model_dump(mode="json") for one in found])
        return 0
    if not found:
        click.echo("there are no profiles: jobs run on the machine of the service")
        return 0
    rows = [
        [
            printing.plain(one.name or ""),
            "default" if one.default else "",
            printing.plain(one.title),
            "not known yet"
            if one.kernels is None
            else printing.plain(", ".join(kernel.name for kernel in one.kernels) or "none"),
        ]
        for one in found
    ]
    printing.table(["profile", "", "shown as", "kernels"], rows)
    return 0
