"""The end of every command that queues a run and waits for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from respawn_jobs.cli.common.service_connection import ServiceConnection
    from respawn_jobs.model.runs import Run
    from respawn_jobs.runner.kernel.early_kernel import EarlyKernel

FAILED = 1


def run_to_end(
    connected: ServiceConnection,
    queued: Run,
    output: Path | None,
    as_json: bool,
    early: EarlyKernel | None = None,
) -> int:
    """See a run through and tell how it ended.

    Args:
        connected: The service that queued it.
        queued: The run.
        output: Where the executed notebook goes; None for the default place.
        as_json: Whether one document is all that is printed.
        early: A kernel started ahead for it.

    Returns:
        The exit status.
    """
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.execution import see_through
    from respawn_jobs.cli.common.report import run_report
    from respawn_jobs.model.runs import RunState

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
