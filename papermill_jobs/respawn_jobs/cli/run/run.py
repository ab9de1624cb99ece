"""The command `run`: a notebook file or a job, to its end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from respawn_jobs.cli.common.job_parameters import parsed, parsed_for_job
from respawn_jobs.cli.common.options import (
    given_settings,
    json_option,
    output_option,
    parameter_option,
    settings_options,
)
from respawn_jobs.cli.common.parameter_sources import Values, source_options
from respawn_jobs.cli.common.run_to_end import run_to_end

if TYPE_CHECKING:
    from respawn_jobs.cli.common.service_connection import ServiceConnection
    from respawn_jobs.model.runs import Run
    from respawn_jobs.model.settings import JobSettings


@click.command()
@click.argument("target", metavar="NOTEBOOK|JOB")
@parameter_option
@source_options
@click.option("-k", "--kernel", help="Kernel for a notebook, instead of the one that it names.")
@click.option("--version", type=click.IntRange(1), help="A version of a job, instead of the current one.")
@settings_options
@output_option
@json_option
def run(
    target: str,
    parameters: tuple[tuple[str, str], ...],
    kernel: str | None,
    version: int | None,
    output: Path | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Run a notebook file or a job to its end."""
    from respawn_jobs.cli.common.execution import early_kernel
    from respawn_jobs.cli.common.service_connection import connection

    values = Values.taken_from(options, parameters)
    path = Path(target)
    if not (path.is_file() or path.suffix == ".ipynb"):
        if kernel or given_settings(options):
            raise click.UsageError("--kernel and settings belong to notebooks; a job has its own")
        with connection() as connected:
            queued = _queue_job(connected, target, values, version)
            return run_to_end(connected, queued, output, as_json)
    if version is not None:
        raise click.UsageError("--version belongs to jobs; a notebook file runs as it is")
    if output is not None and output.resolve() == path.resolve():
        raise click.UsageError("--output is the notebook itself; it would be replaced by what was executed")
    # The kernel boots while the rest of the program is imported; on a hub it will run elsewhere.
    early = early_kernel(path, kernel) if not _on_hub() else None
    try:
        with connection() as connected:
            queued = _queue_notebook(connected, path, values, kernel, _settings(options))
            return run_to_end(connected, queued, output, as_json, early)
    finally:
        if early is not None:
            early.close()


def _on_hub() -> bool:
    import os

    return bool(os.environ.get("RESPAWN_URL"))


def _settings(options: dict[str, Any]) -> JobSettings:
    from respawn_jobs.model.settings import JobSettings

    return JobSettings.model_validate(given_settings(options))


def _queue_notebook(
    connected: ServiceConnection,
    path: Path,
    given: Values,
    kernel: str | None,
    settings: JobSettings,
) -> Run:
    """Make the notebook a version of its scratch job, and queue a run of it."""
    from respawn_jobs.api.service import RunRequest
    from respawn_jobs.api.versions import RUN_ANYHOW
    from respawn_jobs.embedded.local_store import scratch_name
    from respawn_jobs.notebook.promotion import prepare

    promotion = prepare(path, scratch_name(path), kernel=kernel, settings=settings)
    version = connected.service.promote(promotion.model_copy(update={"agreed": list(RUN_ANYHOW)}))
    values = given.together(parsed(version.parameters, given.typed))
    return connected.service.run(RunRequest(job=version.job, parameters=values, version=version.number))


def _queue_job(connected: ServiceConnection, ref: str, given: Values, version: int | None) -> Run:
    from respawn_jobs.api.service import RunRequest

    values = given.together(parsed_for_job(connected.service, ref, given.typed, version))
    return connected.service.run(RunRequest(job=ref, parameters=values, version=version))
