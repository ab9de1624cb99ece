"""The commands that look at runs: `runs`, `show`, `logs`, `debug`; and `cancel`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from respawn_jobs.cli.options import json_option, writable
from respawn_jobs.errors import Conflict, Forbidden

if TYPE_CHECKING:
    from respawn_jobs.models import RunDetail
    from respawn_jobs.service import Service

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
    from respawn_jobs.cli import printing
    from respawn_jobs.cli.connection import connection
    from respawn_jobs.models import RunState

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
    from respawn_jobs.cli import keeping, printing
    from respawn_jobs.cli.connection import connection
    from respawn_jobs.cli.executing import default_output
    from respawn_jobs.report import run_report

    with connection() as connected:
        detail = connected.service.show(run_id)
        artifacts = connected.service.artifacts(run_id)
    if as_json:
        kept = default_output(run_id)
        report = run_report(detail, kept if kept.exists() else None)
        told = [artifact.model_dump(mode="json") for artifact in artifacts]
        printing.document(report | {"detail": detail.model_dump(mode="json"), "artifacts": told})
        return 0
    run = detail.run
    facts: list[tuple[str, Any]] = [
        ("run", run.id),
        ("state", run.state.value.replace("_", " ")),
        ("", run.waiting),
        ("job", f"{run.job}, version {run.version}"),
        ("kernel", run.kernel),
        ("hash seed", _hash_seed(detail)),
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


def _attempts(detail: RunDetail) -> None:
    """Show how the attempts of a run ended, where that is not all told by its state."""
    from respawn_jobs.cli import printing

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
    from respawn_jobs.cli import printing

    unstored = {checkpoint.cell: checkpoint.unstored for checkpoint in detail.checkpoints}
    rows = []
    for cell in detail.cells:
        remarks = [cell.note] if cell.note else []
        if unstored.get(cell.index):
            names = ", ".join(f"{item.name} ({item.type})" for item in unstored[cell.index])
            remarks.append(f"not stored: {names}")
        rows.append(
            [
                str(cell.index),
                printing.coloured(cell.state.value),
                printing.seconds(cell.seconds),
                "yes" if cell.checkpoint else "",
                printing.plain("; ".join(remarks)),
            ]
        )
    printing.table(["cell", "state", "took", "checkpoint", ""], rows)


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended.")
@json_option
def logs(run_id: str, follow: bool, as_json: bool) -> int:
    """Print what a run's cells put out."""
    from respawn_jobs.cli import printing
    from respawn_jobs.cli.connection import connection

    printed: dict[int, str] = {}
    with connection() as connected:
        while True:
            detail = connected.service.show(run_id)
            texts = _texts(connected.service, detail, printed)
            if not as_json:
                _print_new(texts, printed)
            printed |= texts
            if not follow or detail.run.state.final:
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
    from respawn_jobs.report import text_of

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
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=writable,
    help="The debug notebook's file.",
)
@click.option("-y", "--yes", is_flag=True, help="Load the state also where code of others has made it.")
@json_option
def debug(run_id: str, output: Path | None, yes: bool, as_json: bool) -> int:
    """Write a notebook that opens a failure."""
    from respawn_jobs.cli import printing
    from respawn_jobs.cli.connection import connection
    from respawn_jobs.cli.transfer import transfer
    from respawn_jobs.consent import other_authors
    from respawn_jobs.debug import debug_notebook
    from respawn_jobs.debug_download import download
    from respawn_jobs.notebooks import write_notebook
    from respawn_jobs.workspace import write_text
    from respawn_kernels.restore import run_directory

    with connection() as connected:
        bundle = connected.service.debug(run_id)
        name = bundle.run.job.rpartition("/")[2].lstrip("~")
        path = output or Path(f"{name}-{bundle.run.id}.ipynb")
        kept = _is_kept(path, bundle.run.id)
        authors = other_authors(bundle, connected.service.whoami())
        if authors and not yes:
            _ask(bundle.run.id, authors, quiet=as_json)
        directory = run_directory(bundle.run.id)
        if not kept:
            write_text(path, write_notebook(debug_notebook(bundle)))
        with transfer("getting the state", quiet=as_json) as progress:
            download(connected.service, bundle, directory, progress, authors=authors, agreed=True)
    if as_json:
        told = {
            "run": bundle.run.id,
            "notebook": str(path),
            "kernel": bundle.run.kernel,
            "restore": str(directory),
            "kept": kept,
        }
        printing.document(told)
        return 0
    click.echo(f"kept {path} with its changes" if kept else f"wrote {path}")
    click.echo(f"open it:       jupyter lab {path}")
    click.echo(f"then go on:    respawn resume {bundle.run.id} --notebook {path}")
    return 0


def _ask(run: str, authors: list[str], *, quiet: bool) -> None:
    """Let the person agree to load what code of others has made. Raises `Forbidden` where nobody is asked."""
    from respawn_jobs.cli import printing

    told = (
        f"the state of {run} was made by code of {printing.plain('; '.join(authors))}: "
        "loading it runs their code with your rights"
    )
    if quiet or not sys.stdin.isatty():
        raise Forbidden(f"{told}. Agree with --yes", run=run, authors=authors)
    click.echo(f"respawn: {told}.", err=True)
    click.confirm("Load it?", default=False, abort=True, err=True)


def _is_kept(path: Path, run: str) -> bool:
    """Tell whether a file is the run's debug notebook already; its edits are somebody's work.

    Raises `Conflict` for any other file.
    """
    if not path.exists():
        return False
    try:
        debugged = json.loads(path.read_bytes())["metadata"]["respawn"]["run"]
    except (OSError, ValueError, LookupError, TypeError):
        debugged = None
    if debugged != run:
        raise Conflict(f"{path} exists and is not the debug notebook of {run}; name another file with -o")
    return True


@click.command()
@click.argument("run_id", metavar="RUN")
@json_option
def cancel(run_id: str, as_json: bool) -> int:
    """Ask a run to stop."""
    from respawn_jobs.cli import printing
    from respawn_jobs.cli.connection import connection

    with connection() as connected:
        run = connected.service.cancel(run_id)
    if as_json:
        printing.document(run.model_dump(mode="json"))
    elif run.state.final:
        click.echo(f"{run.id} is {run.state.value}")
    else:
        click.echo(f"{run.id} is asked to stop")
    return 0


COMMANDS = (runs, show, logs, debug, cancel)
