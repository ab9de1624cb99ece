"""The commands for what runs keep: `artifacts` and `fetch`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from respawn_jobs.cli.common.options import json_option, writable
from respawn_jobs.errors import NotFound
from respawn_kernels.sizes import how_large

if TYPE_CHECKING:
    from collections.abc import Sequence

    from respawn_jobs.model.artifacts import Artifact


@click.command()
@click.argument("run_id", metavar="RUN")
@json_option
def artifacts(run_id: str, as_json: bool) -> int:
    """List what a run's cells kept or read from other jobs."""
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        found = connected.service.artifacts(run_id)
        readers = [] if as_json else connected.service.readers(run_id)
    if as_json:
        printing.document([artifact.model_dump(mode="json") for artifact in found])
    elif found:
        table(found)
    else:
        click.echo("this run kept nothing")
    for reader in readers:
        click.echo(f"{reader.name} was read by {reader.run} of {printing.plain(reader.job)}")
    return 0


@click.command()
@click.argument("run_id", metavar="RUN")
@click.argument("name")
@click.option("--number", type=click.IntRange(1), help="Which save of that name; by default the latest.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=writable,
    help="The file to write.",
)
@click.option("--debug", "for_debug", is_flag=True, help="Put it where the run's debug notebook loads it.")
@json_option
def fetch(
    run_id: str, name: str, number: int | None, output: Path | None, for_debug: bool, as_json: bool
) -> int:
    """Fetch an artifact of a run as a file."""
    from respawn_jobs.blobs.artifact_parts import fetch_parts
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection
    from respawn_jobs.debug.artifacts import place_artifact
    from respawn_kernels.exchange.restore_point import run_directory

    if for_debug and (output is not None or number is not None):
        raise click.UsageError("--debug brings the latest to the debug notebook: leave out -o and --number")
    with connection() as connected:
        service = connected.service
        artifact = _chosen(run_id, service.artifacts(run_id), name, number)
        if for_debug:
            place_artifact(service, run_id, artifact, run_directory(run_id))
        else:
            output = output or Path(Path(artifact.file).name)
            fetch_parts(artifact.parts, lambda digest: service.blob(run_id, digest), output)
    if as_json:
        document = artifact.model_dump(mode="json")
        printing.document(document | {"output": None if output is None else str(output)})
    elif output is None:
        click.echo(f"in the debug notebook: respawn.{'latest' if artifact.is_read else 'load'}({name!r})")
    else:
        click.echo(f"wrote {output} ({how_large(artifact.size)}, {artifact.kind}, {artifact.type})")
    return 0


def table(found: Sequence[Artifact]) -> None:
    """Print artifacts."""
    from respawn_jobs.cli.common import printing

    rows = [
        [
            printing.plain(one.name),
            str(one.number),
            printing.plain(one.type),
            printing.plain(one.description),
            one.kind,
            how_large(one.size),
            "" if one.cell is None else str(one.cell),
            printing.moment(one.saved_at),
            printing.plain(one.made_in) if one.attempt == 0 or one.is_read else "",
        ]
        for one in found
    ]
    printing.table(["artifact", "number", "type", "", "kind", "size", "cell", "saved", "from"], rows)


def _chosen(run: str, found: Sequence[Artifact], name: str, number: int | None) -> Artifact:
    for artifact in found:
        if artifact.name == name and number in (None, artifact.number):
            return artifact
    known = ", ".join(f"{one.name} ({one.number})" for one in found) or "none"
    what = name if number is None else f"{name} number {number}"
    raise NotFound(f"{run} has no artifact {what}; it has: {known}", run=run, name=name)
