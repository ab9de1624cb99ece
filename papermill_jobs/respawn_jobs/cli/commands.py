"""The commands that run something: `run`, `resume`, `restart`, `retry`; and the group that holds them all."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from respawn_jobs.cli import (
    administering,
    auditing,
    backfilling,
    history,
    job_life,
    keeping,
    looking,
    promoting,
    queueing,
    triggering,
    versioning,
)
from respawn_jobs.cli.options import (
    given_settings,
    json_option,
    notebook_option,
    output_option,
    parameter_option,
    settings_options,
)
from respawn_jobs.cli.parameter_sources import Values, source_options

if TYPE_CHECKING:
    from respawn_jobs.cli.connection import Connection
    from respawn_jobs.kernel import EarlyKernel
    from respawn_jobs.models import JobSettings, Run

FAILED = 1


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="jupyterhub-respawn", prog_name="respawn")
def respawn() -> None:
    """Notebooks that run without you, and come back to life where they died.

    Works on this machine's own store (RESPAWN_DATA), or on a hub when RESPAWN_URL and RESPAWN_TOKEN are set.
    """


@respawn.command()
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
    from respawn_jobs.cli.connection import connection
    from respawn_jobs.cli.executing import early_kernel

    values = Values.taken_from(options, parameters)
    path = Path(target)
    if not (path.is_file() or path.suffix == ".ipynb"):
        if kernel or given_settings(options):
            raise click.UsageError("--kernel and settings belong to notebooks; a job has its own")
        with connection() as connected:
            queued = _queue_job(connected, target, values, version)
            return _finish(connected, queued, output, as_json)
    if version is not None:
        raise click.UsageError("--version belongs to jobs; a notebook file runs as it is")
    if output is not None and output.resolve() == path.resolve():
        raise click.UsageError("--output is the notebook itself; it would be replaced by what was executed")
    # The kernel boots while the rest of the program is imported; on a hub it will run elsewhere.
    early = early_kernel(path, kernel) if not _on_hub() else None
    try:
        with connection() as connected:
            queued = _queue_notebook(connected, path, values, kernel, _settings(options))
            return _finish(connected, queued, output, as_json, early)
    finally:
        if early is not None:
            early.close()


@respawn.command()
@click.argument("run_id", metavar="RUN")
@notebook_option
@parameter_option
@click.option("--plan", "only_plan", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--rerun-once", is_flag=True, help="Agree that finished cells tagged respawn:once run again.")
@click.option("--rerun-makers", is_flag=True, help="Agree that cells run again to make what was not stored.")
@click.option(
    "--strict/--no-strict",
    default=None,
    help="Run again everything from the first change on; by default as the job's settings say.",
)
@click.option(
    "--scratch",
    metavar="ID",
    multiple=True,
    help="Leave out an added cell, by its id as in the plan; repeatable.",
)
@click.option(
    "-y",
    "--yes",
    is_flag=True,
    help="Do not ask, and load a state that came in an archive, which runs the code in it.",
)
@output_option
@json_option
def resume(
    run_id: str,
    notebook: Path | None,
    parameters: tuple[tuple[str, str], ...],
    only_plan: bool,
    rerun_once: bool,
    rerun_makers: bool,
    strict: bool | None,
    scratch: tuple[str, ...],
    yes: bool,
    output: Path | None,
    as_json: bool,
) -> int:
    """Go on from where a run stopped; a changed parameter runs again what depends on it."""
    from respawn_jobs.cli import printing
    from respawn_jobs.cli.asking import confirmed
    from respawn_jobs.cli.connection import connection
    from respawn_jobs.promotion import read_checked
    from respawn_jobs.service import ResumeRequest

    text = read_checked(notebook) if notebook else None
    with connection() as connected:
        request = ResumeRequest(
            notebook=text,
            parameters=promoting.parsed_for_run(connected.service, run_id, parameters),
            rerun_once=rerun_once,
            rerun_makers=rerun_makers,
            strict=strict,
            scratch=list(scratch),
            load_imported=yes,
        )
        asking = not as_json and not yes and sys.stdin.isatty()
        if only_plan or asking:
            planned = connected.service.plan(run_id, request)
            if only_plan and as_json:
                printing.document(planned.model_dump(mode="json"))
            else:
                printing.plan(planned)
            if only_plan:
                return 0
            request = confirmed(connected.service, run_id, request, planned)
        return _finish(connected, connected.service.resume(run_id, request), output, as_json)


@respawn.command()
@click.argument("run_id", metavar="RUN")
@notebook_option
@output_option
@json_option
def restart(run_id: str, notebook: Path | None, output: Path | None, as_json: bool) -> int:
    """Run again from the top, with the same parameters."""
    from respawn_jobs.cli.connection import connection
    from respawn_jobs.promotion import read_checked
    from respawn_jobs.service import ResumeRequest

    text = read_checked(notebook) if notebook else None
    with connection() as connected:
        queued = connected.service.restart(run_id, ResumeRequest(notebook=text))
        return _finish(connected, queued, output, as_json)


@respawn.command()
@click.argument("run_id", metavar="RUN")
@output_option
@json_option
def retry(run_id: str, output: Path | None, as_json: bool) -> int:
    """Try a run again: now, where it waits for its next try; else from its last state."""
    from respawn_jobs.cli.connection import connection

    with connection() as connected:
        return _finish(connected, connected.service.retry(run_id), output, as_json)


for command in (
    *promoting.COMMANDS,
    *versioning.COMMANDS,
    *job_life.COMMANDS,
    *backfilling.COMMANDS,
    *history.COMMANDS,
    *looking.COMMANDS,
    *keeping.COMMANDS,
    *queueing.COMMANDS,
    *triggering.COMMANDS,
    *auditing.COMMANDS,
    *administering.COMMANDS,
):
    respawn.add_command(command)


def _on_hub() -> bool:
    import os

    return bool(os.environ.get("RESPAWN_URL"))


def _settings(options: dict[str, Any]) -> JobSettings:
    from respawn_jobs.models import JobSettings

    return JobSettings.model_validate(given_settings(options))


def _queue_notebook(
    connected: Connection,
    path: Path,
    given: Values,
    kernel: str | None,
    settings: JobSettings,
) -> Run:
    """Make the notebook a version of its scratch job, and queue a run of it."""
    from respawn_jobs.promotion import prepare
    from respawn_jobs.service import RunRequest
    from respawn_jobs.service_versions import RUN_ANYHOW
    from respawn_jobs.workspace import scratch_name

    promotion = prepare(path, scratch_name(path), kernel=kernel, settings=settings)
    version = connected.service.promote(promotion.model_copy(update={"agreed": list(RUN_ANYHOW)}))
    values = given.together(promoting.parsed(version.parameters, given.typed))
    return connected.service.run(RunRequest(job=version.job, parameters=values, version=version.number))


def _queue_job(connected: Connection, ref: str, given: Values, version: int | None) -> Run:
    from respawn_jobs.service import RunRequest

    values = given.together(promoting.parsed_for_job(connected.service, ref, given.typed, version))
    return connected.service.run(RunRequest(job=ref, parameters=values, version=version))


def _finish(
    connected: Connection, queued: Run, output: Path | None, as_json: bool, early: EarlyKernel | None = None
) -> int:
    """See a run through and tell how it ended; return the exit status."""
    from respawn_jobs.cli import printing
    from respawn_jobs.cli.executing import see_through
    from respawn_jobs.models import RunState
    from respawn_jobs.report import run_report

    if not as_json:
        click.echo(f"{queued.id} of {queued.job}, version {queued.version}", err=True)
    with printing.progress(quiet=as_json) as progress:
        detail, notebook = see_through(connected, queued.id, output, progress, early)
    if as_json:
        report: dict[str, Any] = run_report(detail, notebook)
        printing.document(report)
    else:
        printing.ending(detail, notebook)
    return 0 if detail.run.state is RunState.SUCCEEDED else FAILED
