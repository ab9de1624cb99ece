"""The commands under `admin` about namespaces: who has which, and what becomes of those whose owner is gone.

They go through the service, so they work from anywhere; on a hub they need `custom:respawn:admin` for all.
"""

from __future__ import annotations

import click

from respawn_jobs.cli.common.options import agree, json_option
from respawn_kernels.counting import how_many


@click.command()
@json_option
def namespaces(as_json: bool) -> int:
    """List the namespaces that hold jobs, and those that are suspended or retired."""
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        found = connected.service.namespaces()
    if as_json:
        printing.document([one.model_dump(mode="json") for one in found])
        return 0
    if not found:
        click.echo("no namespace holds a job")
        return 0
    rows = [
        [
            printing.plain(one.name),
            one.state,
            str(one.jobs),
            str(one.runs_waiting),
            printing.moment(one.since) if one.since else "",
            printing.plain(one.reason or ""),
        ]
        for one in found
    ]
    printing.table(["namespace", "state", "jobs", "queued", "since", "why"], rows)
    return 0


@click.command()
@click.argument("namespace")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option
def retire(namespace: str, yes: bool, as_json: bool) -> int:
    """Close a namespace for good: cancel its open runs, and set aside what it holds.

    Its name is free afterwards; what is set aside is kept, for administrators, under former/….
    """
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        agree(f"Retire {namespace}, and cancel its open runs?", yes)
        retired = connected.service.retire(namespace)
    if as_json:
        printing.document(retired.model_dump(mode="json"))
    else:
        old = printing.plain(namespace)
        click.echo(f"{old} is retired; what it held ({_jobs(retired.jobs)}) is kept under {retired.name}")
    return 0


@click.command()
@click.argument("namespace")
@click.argument("new", metavar="NEW")
@json_option
def move(namespace: str, new: str, as_json: bool) -> int:
    """Give all that a namespace holds to NEW, user/NAME or team/GROUP; its triggers stay active.

    A namespace that is moved to itself belongs to whoever has its name now.
    """
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        moved = connected.service.move(namespace, new)
    if as_json:
        printing.document(moved.model_dump(mode="json"))
    else:
        click.echo(f"{printing.plain(namespace)} is {moved.name} now, which holds {_jobs(moved.jobs)}")
    return 0


def _jobs(count: int) -> str:
    return how_many(count, "job")


COMMANDS = (namespaces, retire, move)
