"""The commands for runs that have ended: `pin`, `export`, `import`."""

from __future__ import annotations

from pathlib import Path

import click

from respawn_jobs.cli.common.options import json_option, writable
from respawn_kernels.sizes import how_large


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--off", is_flag=True, help="Let it go: retention may remove it again.")
@json_option
def pin(run_id: str, off: bool, as_json: bool) -> int:
    """Keep a run, whatever its job's retention says."""
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        run = connected.service.pin(run_id, pinned=not off)
    if as_json:
        printing.document(run.model_dump(mode="json"))
    else:
        click.echo(f"{run.id} is {'pinned' if run.pinned else 'no longer pinned'}")
    return 0


@click.command("export")
@click.argument("run_id", metavar="RUN")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=writable,
    help="The file to write; by default the run's id with .zip.",
)
@click.option("--without-state", is_flag=True, help="Leave checkpoints out.")
@json_option
def export_run(run_id: str, output: Path | None, without_state: bool, as_json: bool) -> int:
    """Write an ended run to one archive."""
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    output = output or Path(f"{Path(run_id).name}.zip")
    with connection() as connected:
        connected.service.export_run(run_id, output, state=not without_state)
    written = output.stat().st_size
    if as_json:
        printing.document({"run": run_id, "output": str(output), "size": written})
    else:
        click.echo(f"wrote {output} ({how_large(written)})")
    return 0


@click.command("import")
@click.argument("archive", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--namespace", help="Where its job is, such as team/risk; by default your own.")
@click.option("--job", help="The job's name there, if not the one that it had.")
@json_option
def import_run(archive: Path, namespace: str | None, job: str | None, as_json: bool) -> int:
    """Take over an archived run. Debugging or resuming it executes what is in its state."""
    from respawn_jobs.api.history import ImportRequest
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        run = connected.service.import_run(archive, ImportRequest(namespace=namespace, job=job))
    if as_json:
        printing.document(run.model_dump(mode="json"))
    else:
        origin = run.imported.run if run.imported else "?"
        click.echo(f"{run.id} of {run.job} is {printing.plain(origin)}, {run.state.value}; it is pinned")
        click.echo("debug or resume it only if you trust its maker: the state in it is executed", err=True)
    return 0
