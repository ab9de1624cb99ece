"""The command `admin replicas`: the processes of the service, as they last said of themselves."""

from __future__ import annotations

import click

from respawn_jobs.cli.common.options import json_option


@click.command()
@json_option
def replicas(as_json: bool) -> int:
    """List the replicas of the service, for administrators."""
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

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
            printing.plain(one.release),
            ("draining" if one.draining else "running") if one.alive else "silent",
            f"{one.busy} of {one.slots}",
            printing.moment(one.seen_at),
            printing.plain(", ".join(sorted(name for name, status in one.health.items() if status != "ok"))),
        ]
        for one in found
    ]
    printing.table(["replica", "host", "release", "state", "busy", "heard", "troubles"], rows)
    return 0


COMMANDS = (replicas,)
