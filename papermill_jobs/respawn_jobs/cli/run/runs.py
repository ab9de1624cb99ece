"""The commands that look at runs: `runs`, `show`, `logs`; and `cancel`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from respawn_jobs.cli.common.options import json_option

if TYPE_CHECKING:
    from respawn_jobs.api.service import Service
    from respawn_jobs.model.runs import RunDetail

_POLL_SECONDS = 0.5


@click.command()
@click.option("--job", help="Only runs of this job.")
@click.option("--state", "states", multiple=True, help="Only runs in this state; repeatable.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many at most."
)
@click.option("--version", type=click.IntRange(1), help="With --job: only runs of this version of it.")
@json_option
def runs(job: str | None, states: tuple[str, ...], limit: int, version: int | None, as_json: bool) -> int:
    """List runs, newest first."""
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection
    from respawn_jobs.model.runs import RunState

    known = [state.value for state in RunState]
    unknown = [state for state in states if state not in known]
    if unknown:
        raise click.UsageError(f"{unknown[0]!r} is not a state; the states are {', '.join(known)}")
    with connection() as connected:
        found = connected.service.runs(
            job=job, states=[RunState(state) for state in states], limit=limit, version=version
        )
    if as_json:
        printing.document([{"run": run.id, **run.model_dump(mode="json")} for run in found])
        return 0
    if not found:
        click.echo("no runs yet" if job is None and not states else "no such runs")
        return 0
    rows = [
        [
            run.id,
            printing.plain(run.job),
            printing.coloured(run.state.value),
            f"{run.cells_done}/{run.cells_total}",
            printing.moment(run.created_at),
            printing.lasted(run),
            printing.plain(run.waiting or ""),
        ]
        for run in found
    ]
    printing.table(["run", "job", "state", "cells", "created", "took", ""], rows)
    return 0


@click.command()
@click.argument("run_id", metavar="RUN")
@json_option
def show(run_id: str, as_json: bool) -> int:
    """Show a run and its cells."""
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.execution import default_output
    from respawn_jobs.cli.common.report import run_report
    from respawn_jobs.cli.common.service_connection import connection
    from respawn_jobs.cli.run import artifacts as keeping

    with connection() as connected:
        detail = connected.service.show(run_id)
        artifacts = connected.service.artifacts(run_id)
    if as_json:
        kept = default_output(run_id)
        report = run_report(detail, kept if kept.exists() else None)
        listed = [artifact.model_dump(mode="json") for artifact in artifacts]
        printing.document(report | {"detail": detail.model_dump(mode="json"), "artifacts": listed})
        return 0
    run = detail.run
    facts: list[tuple[str, Any]] = [
        ("run", run.id),
        ("state", run.state.value.replace("_", " ")),
        ("", run.waiting),
        ("job", f"{run.job}, version {run.version}"),
        ("kernel", printing.kernel_build(run.kernel, run.lock, run.newer_lock)),
        ("its start", _kernel_start(detail)),
        ("hash seed", _hash_seed(detail)),
        ("profile", detail.attempts[-1].profile if detail.attempts else None),
        ("worked in", detail.attempts[-1].directory if detail.attempts else None),
        ("limits", _limits(detail)),
        ("parameters", ", ".join(f"{name} = {value!r}" for name, value in run.parameters.items())),
        ("created", f"{printing.moment(run.created_at)} by {run.created_by} ({run.trigger})"),
        ("took", printing.lasted(run)),
        ("from", run.origin if run.origin_kept else f"{run.origin} (no longer kept)"),
        ("imported", f"{run.imported.run}, exported by {run.imported.exported_by}" if run.imported else None),
        ("kept", "pinned" if run.pinned else None),
        ("resumed by", run.resumed_by),
        ("next try", printing.moment(run.not_before) if run.not_before and not run.state.final else None),
    ]
    for name, value in facts:
        if value:
            click.echo(f"{name:<11} {value}")
    _cells(detail)
    _attempts(detail)
    if artifacts:
        click.echo()
        keeping.table(artifacts)
    printing.error(run.error, detail.cells)
    return 0


def _hash_seed(detail: RunDetail) -> str | None:
    """Tell by which seed the kernel of the last attempt hashed texts."""
    from respawn_kernels.hash_seed import RANDOM

    seeds = [attempt.hash_seed for attempt in detail.attempts if attempt.hash_seed is not None]
    if not seeds:
        return None
    return "none: texts hash differently in every kernel" if seeds[-1] == RANDOM else seeds[-1]


def _limits(detail: RunDetail) -> str | None:
    """Tell what the kernel of the last attempt might take, what it took, and who held it to that."""
    records = [attempt.limits for attempt in detail.attempts if attempt.limits is not None]
    return "; ".join(records[-1].words()) if records else None


def _kernel_start(detail: RunDetail) -> str | None:
    """Tell whether the kernel of the last attempt was warm, and why not."""
    start = detail.attempts[-1].kernel_start if detail.attempts else None
    return start.sentence if start is not None else None


def _attempts(detail: RunDetail) -> None:
    """Show how the attempts of a run ended, where its state does not say it all."""
    from respawn_jobs.cli.common import printing

    if len(detail.attempts) < 2 and not any(attempt.note for attempt in detail.attempts):
        return
    rows = [
        [
            str(attempt.number),
            printing.coloured(attempt.state.value),
            attempt.cause.value.replace("_", " ") if attempt.cause else "",
            attempt.error.name if attempt.error else "",
            printing.plain(attempt.note or ""),
        ]
        for attempt in detail.attempts
    ]
    click.echo()
    printing.table(["attempt", "state", "cause", "error", ""], rows)


def _cells(detail: RunDetail) -> None:
    """Show the cells; what they took, where that was measured."""
    from respawn_jobs.cli.common import printing

    measured = any(cell.cost is not None for cell in detail.cells)
    unstored = {checkpoint.cell: checkpoint.unstored for checkpoint in detail.checkpoints}
    rows = []
    for cell in detail.cells:
        remarks = [cell.note] if cell.note else []
        if unstored.get(cell.index):
            names = ", ".join(f"{item.name} ({item.type})" for item in unstored[cell.index])
            remarks.append(f"not stored: {names}")
        if cell.blocked_since:
            remarks.append(f"blocked: no sign of life since {printing.moment(cell.blocked_since)}")
        rows.append(
            [
                str(cell.index),
                printing.coloured(cell.state.value),
                printing.seconds(cell.seconds),
                *(printing.cost(cell.cost) if measured else ()),
                "yes" if cell.checkpoint else "",
                printing.plain("; ".join(remarks)),
            ]
        )
    costs = printing.COST_COLUMNS if measured else ()
    printing.table(["cell", "state", "took", *costs, "checkpoint", ""], rows)


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended.")
@json_option
def logs(run_id: str, follow: bool, as_json: bool) -> int:
    """Print what a run's cells put out."""
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    printed: dict[int, str] = {}
    with connection() as connected:
        while True:
            detail = connected.service.show(run_id)
            texts = _texts(connected.service, detail, printed)
            if not as_json:
                _print_new(texts, printed)
            printed |= texts
            if not follow or detail.run.over:
                break
            time.sleep(_POLL_SECONDS)
            if connected.ledger is not None:
                connected.ledger.expire()
    if as_json:
        states = {cell.index: cell.state.value for cell in detail.cells}
        cells = [{"index": i, "state": states[i], "text": text} for i, text in sorted(printed.items())]
        printing.document({"run": run_id, "state": detail.run.state.value, "cells": cells})
    return 0


def _texts(service: Service, detail: RunDetail, known: dict[int, str]) -> dict[int, str]:
    """Return the text of cells whose outputs may be new."""
    from respawn_jobs.cli.common.report import text_of

    live = [cell for cell in detail.cells if cell.outputs is not None or cell.index in known]
    return {cell.index: text_of(service.outputs(detail.run.id, cell.index)) for cell in live}


def _print_new(texts: dict[int, str], printed: dict[int, str]) -> None:
    for index, text in sorted(texts.items()):
        before = printed.get(index)
        if before is None:
            click.echo(click.style(f"── cell {index} ", bold=True))
            click.echo(text, nl=False)
        elif text != before:
            # Outputs may also be replaced, as progress bars do: then the whole is printed again.
            click.echo(text[len(before) :] if text.startswith(before) else text, nl=False)


@click.command()
@click.argument("run_id", metavar="RUN")
@json_option
def cancel(run_id: str, as_json: bool) -> int:
    """Ask a run to stop."""
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        run = connected.service.cancel(run_id)
    if as_json:
        printing.document(run.model_dump(mode="json"))
    elif run.state.final:
        click.echo(f"{run.id} is {run.state.value}")
    else:
        click.echo(f"{run.id} is asked to stop")
    return 0
