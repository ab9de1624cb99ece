"""The command `usage`: what namespaces store, let wait and execute."""

from __future__ import annotations

import click

from respawn_jobs.cli.common.options import json_option
from respawn_kernels.counting import how_many
from respawn_kernels.sizes import how_large


@click.command()
@json_option
def usage(as_json: bool) -> int:
    """List what your namespaces use, and how much they may.

    Each stores data, lets runs wait and executes runs.
    """
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

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
            of(
                how_large(one.stored_bytes), None if one.stored_limit is None else how_large(one.stored_limit)
            ),
            of(one.waiting, one.waiting_limit),
            of(one.executing, one.executing_limit),
        ]
        for one in found
    ]
    printing.table(["namespace", "stored", "waiting runs", "executing"], rows)
    unmeasured = sum(one.unmeasured for one in found)
    if unmeasured:
        noted = "of before sizes were counted"
        blobs = how_many(unmeasured, f"blob {noted} is", f"blobs {noted} are")
        click.echo(f"{blobs} not measured yet", err=True)
    return 0
