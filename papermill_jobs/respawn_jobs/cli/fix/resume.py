"""The commands that run a run again: `resume`, `restart`, `retry`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from respawn_jobs.cli.common.job_parameters import parsed_for_run
from respawn_jobs.cli.common.options import (
    agree_option,
    json_option,
    memory_option,
    notebook_option,
    output_option,
    parameter_option,
    with_option,
)
from respawn_jobs.cli.common.run_to_end import run_to_end

if TYPE_CHECKING:
    from respawn_jobs.api.carried_files import NewFile
    from respawn_jobs.api.service import Service


@click.command()
@click.argument("run_id", metavar="RUN")
@notebook_option
@with_option
@parameter_option
@click.option("--plan", "only_plan", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--rerun-once", is_flag=True, help="Agree that finished cells tagged respawn:once run again.")
@click.option(
    "--rerun-producers", is_flag=True, help="Agree that cells run again to make what was not stored."
)
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
@memory_option
@agree_option
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
    more: tuple[str, ...],
    parameters: tuple[tuple[str, str], ...],
    only_plan: bool,
    rerun_once: bool,
    rerun_producers: bool,
    strict: bool | None,
    scratch: tuple[str, ...],
    memory_bytes: int | None,
    agree: tuple[Literal["break_triggers"], ...],
    yes: bool,
    output: Path | None,
    as_json: bool,
) -> int:
    """Go on from where a run stopped.

    A changed parameter runs again what depends on it.
    """
    from respawn_jobs.api.service import ResumeRequest
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.prompts import confirmed
    from respawn_jobs.cli.common.service_connection import connection
    from respawn_jobs.notebook.promotion import read_checked

    text = read_checked(notebook) if notebook else None
    with connection() as connected:
        request = ResumeRequest(
            notebook=text,
            files=_files_beside(connected.service, run_id, notebook, text, more),
            parameters=parsed_for_run(connected.service, run_id, parameters),
            rerun_once=rerun_once,
            rerun_producers=rerun_producers,
            strict=strict,
            scratch=list(scratch),
            load_imported=yes,
            memory_bytes=memory_bytes,
            agreed=list(agree),
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
        return run_to_end(connected, connected.service.resume(run_id, request), output, as_json)


@click.command()
@click.argument("run_id", metavar="RUN")
@notebook_option
@with_option
@memory_option
@agree_option
@output_option
@json_option
def restart(
    run_id: str,
    notebook: Path | None,
    more: tuple[str, ...],
    memory_bytes: int | None,
    agree: tuple[Literal["break_triggers"], ...],
    output: Path | None,
    as_json: bool,
) -> int:
    """Run again from the top, with the same parameters."""
    from respawn_jobs.api.service import ResumeRequest
    from respawn_jobs.cli.common.prompts import asked_about_triggers
    from respawn_jobs.cli.common.service_connection import connection
    from respawn_jobs.notebook.promotion import read_checked

    text = read_checked(notebook) if notebook else None
    with connection() as connected:
        request = ResumeRequest(
            notebook=text,
            files=_files_beside(connected.service, run_id, notebook, text, more),
            memory_bytes=memory_bytes,
            agreed=list(agree),
        )
        queued = asked_about_triggers(
            lambda one: connected.service.restart(run_id, one), request, "Restart", ask=not as_json
        )
        return run_to_end(connected, queued, output, as_json)


def _files_beside(
    service: Service, run_id: str, notebook: Path | None, text: str | None, more: tuple[str, ...]
) -> list[NewFile] | None:
    """Return what a fixed notebook carries; None where that is what the run's version does.

    Raises:
        click.UsageError: there are patterns, and no notebook.
    """
    if notebook is None or text is None:
        if more:
            raise click.UsageError("--with names files beside the fixed notebook: give it by --notebook")
        return None
    from respawn_jobs.carried.fixed import files_of_fix

    return files_of_fix(service, run_id, text, notebook.resolve().parent, more)


@click.command()
@click.argument("run_id", metavar="RUN")
@output_option
@json_option
def retry(run_id: str, output: Path | None, as_json: bool) -> int:
    """Try a run again, from its last state.

    A run that waits for its next try is tried now.
    """
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        return run_to_end(connected, connected.service.retry(run_id), output, as_json)
