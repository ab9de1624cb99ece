"""The commands that look at versions: `versions` and `diff`."""

from __future__ import annotations

from pathlib import Path

import click

from respawn_jobs.cli.common.options import json_option, writable
from respawn_kernels.counting import how_many


@click.command()
@click.argument("job")
@click.option("--show", type=click.IntRange(1), metavar="N", help="Print the notebook of version N.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), callback=writable,
    help="With --show: the file to write it to.",
)  # fmt: skip
@click.option(
    "--file", "path", metavar="PATH", help="With --show: this file that it carries, not its notebook."
)
@json_option
def versions(job: str, show: int | None, output: Path | None, path: str | None, as_json: bool) -> int:
    """List the versions of a job, or bring back the notebook of one."""
    from respawn_jobs.blobs.backends import whole
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    if show is None and (output is not None or path is not None):
        raise click.UsageError("-o and --file belong to --show")
    with connection() as connected:
        if show is not None:
            service = connected.service
            data = (
                service.version_notebook(job, show).encode()
                if path is None
                else service.version_file(job, show, path)
            )
            if output is None:
                click.echo(data, nl=False)
            else:
                with whole(output) as file:
                    file.write(data)
            return 0
        found = connected.service.versions(job)
        current = connected.service.job(job).version
    if as_json:
        printing.document([version.model_dump(mode="json") for version in found])
        return 0
    rows = [
        [
            f"{version.number}{' (current)' if version.number == current else ''}",
            printing.moment(version.created_at),
            printing.plain(version.created_by),
            printing.kernel_build(version.kernel, version.lock, version.newer_lock),
            f"fix of version {version.parent}" if version.parent else printing.plain(version.source or ""),
            "" if version.files is None else how_many(len(version.files), "file"),
        ]
        for version in found
    ]
    printing.table(["version", "made", "by", "kernel", "from", "carries"], rows)
    return 0


@click.command()
@click.argument("job")
@click.argument("old", type=click.IntRange(1))
@click.argument("new", type=click.IntRange(1))
@json_option
def diff(job: str, old: int, new: int, as_json: bool) -> int:
    """Show how two versions of a job differ, cell by cell."""
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.prompts import show_comparison
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        comparison = connected.service.compare_versions(job, old, new)
    if as_json:
        printing.document(comparison.model_dump(mode="json"))
    else:
        show_comparison(comparison)
    return 0
