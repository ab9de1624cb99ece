"""The command for what the cells of a run read and wrote: `files`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from respawn_jobs.cli.common.options import json_option
from respawn_kernels.sizes import how_large

if TYPE_CHECKING:
    from respawn_jobs.model.evidence import SeenFile


@click.command()
@click.argument("run_id", metavar="RUN")
@json_option
def files(run_id: str, as_json: bool) -> int:
    """List the files that a run's cells read or wrote."""
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        found = connected.service.files(run_id)
    if as_json:
        printing.document([one.model_dump(mode="json") for one in found])
        return 0
    rows = [
        [str(one.cell), did, printing.plain(file.path), *_as_it_was(file)]
        for one in found
        for did, seen in (("read", one.read), ("changed", one.written))
        for file in seen
    ]
    if rows:
        printing.table(["cell", "", "file", "size", "changed last"], rows)
    else:
        click.echo("no cell was seen to read or change a file")
    if partly := [str(one.cell) for one in found if one.more]:
        click.echo(f"not all files were seen of cell {', '.join(partly)}")
    return 0


def _as_it_was(file: SeenFile) -> tuple[str, str]:
    from respawn_jobs.cli.common import printing

    if file.gone:
        return "removed", ""
    if file.directory:
        return "directory", ""
    if file.size is None or file.modified is None:
        return "", ""
    return how_large(file.size), printing.moment(file.modified)
