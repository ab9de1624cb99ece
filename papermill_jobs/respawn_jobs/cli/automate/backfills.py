"""The group `backfill`: a job's runs for a range of dates, or for a list of parameter sets."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from respawn_jobs.cli.automate.shared import note_store
from respawn_jobs.cli.common.job_parameters import parsed_for_job
from respawn_jobs.cli.common.options import json_option, parameter_option
from respawn_kernels.counting import how_many

if TYPE_CHECKING:
    from respawn_jobs.api.backfills import Backfill, BackfillPreview, BackfillRequest
    from respawn_jobs.api.service import Service
    from respawn_jobs.model.jobs import Parameter

_REFUSED = 2
_DATE = click.DateTime(["%Y-%m-%d"])


def _what_runs(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which runs a backfill makes."""
    for option in (
        parameter_option,
        click.option(
            "--parallel",
            type=click.IntRange(1, 100),
            default=2,
            show_default=True,
            help="Runs at the same time.",
        ),
        click.option(
            "--sets",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            metavar="FILE",
            help="A run for each set of parameters in a .json or .csv file, instead of a range.",
        ),
        click.option("--tz", help="IANA zone of the dates.  [default: the schedule's, or UTC]"),
        click.option("--every", type=click.Choice(["hour", "day"]), help="Instead of --cron."),
        click.option("--cron", help="Times within the range; else those of the job's only schedule."),
        click.option("--to", "end", type=_DATE, metavar="YYYY-MM-DD", help="Last date of it, which counts."),
        click.option("--from", "start", type=_DATE, metavar="YYYY-MM-DD", help="First date of a range."),
    ):
        command = option(command)
    return command


@click.group()
def backfill() -> None:
    """Run a job for past dates, or with many parameter sets."""


@backfill.command("start")
@click.argument("job")
@_what_runs
@json_option
def start_backfill(job: str, as_json: bool, **options: Any) -> int:
    """Start a backfill of a range of dates, or of parameter sets."""
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    _check_asked(**options)
    with connection() as connected:
        started = connected.service.backfill(_request(connected.service, job, **options))
        if as_json:
            printing.document(started.model_dump(mode="json"))
        else:
            runs = how_many(started.total, "run")
            click.echo(f"{started.id} makes {runs} of {started.job}: {started.about}")
        note_store(connected, "only a hub makes the runs of backfills")
    return 0


@backfill.command()
@click.argument("job")
@_what_runs
@json_option
def preview(job: str, as_json: bool, **options: Any) -> int:
    """Show what a backfill would run, and start nothing.

    Takes the options of `respawn backfill start`. The status is 2 when it would be refused.
    """
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    _check_asked(**options)
    with connection() as connected:
        seen = connected.service.preview_backfill(_request(connected.service, job, **options))
    if as_json:
        printing.document(seen.model_dump(mode="json"))
    else:
        _print_preview(seen)
    return _REFUSED if seen.problems else 0


@backfill.command("list")
@click.argument("job")
@json_option
def list_backfills(job: str, as_json: bool) -> int:
    """List the backfills of a job, newest first."""
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        found = connected.service.backfills(job)
    if as_json:
        printing.document({"backfills": [item.model_dump(mode="json") for item in found]})
    elif not found:
        click.echo(f"{job} has no backfill")
    else:
        head = ["backfill", "state", "made", "open", "succeeded", "failed", "what"]
        printing.table(head, [_row(item) for item in found])
    return 0


@backfill.command()
@click.argument("backfill_id", metavar="BACKFILL")
@json_option
def show(backfill_id: str, as_json: bool) -> int:
    """Show a backfill, and how far it is."""
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        _show(connected.service.show_backfill(backfill_id), as_json)
    return 0


@backfill.command()
@click.argument("backfill_id", metavar="BACKFILL")
@click.option("--cancel", is_flag=True, help="Cancel its runs that have not ended, too.")
@json_option
def stop(backfill_id: str, cancel: bool, as_json: bool) -> int:
    """Let a backfill make no more runs."""
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        _show(connected.service.stop_backfill(backfill_id, cancel=cancel), as_json)
    return 0


def read_sets(path: Path, declared: list[Parameter]) -> list[dict[str, Any]]:
    """Return the parameter sets of a file.

    A `.csv` file names parameters in its first line; each further line is a set, read as `-p` reads values,
    and an empty field takes the default. Any other is a JSON list of objects.

    Raises:
        InvalidInput: the file is none of these, saying where.
    """
    from respawn_jobs.errors import InvalidInput

    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not text in UTF-8") from error
    if path.suffix.lower() == ".csv":
        return _csv_sets(path, text, declared)
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON: {error}") from error
    if not isinstance(found, list) or not all(isinstance(given, dict) for given in found):
        raise InvalidInput(f'{path} is not a list of parameter sets, such as [{{"rows": 1}}, {{"rows": 2}}]')
    return found


def _csv_sets(path: Path, text: str, declared: list[Parameter]) -> list[dict[str, Any]]:
    from respawn_jobs.errors import InvalidInput
    from respawn_jobs.notebook.parameter_values import parse

    reader = csv.reader(text.splitlines(keepends=True))
    names = next(reader, [])
    if not names or len(set(names)) != len(names) or "" in names:
        raise InvalidInput(f"{path} must name the parameters in its first line, each once")
    sets: list[dict[str, Any]] = []
    for fields in reader:
        if not fields:
            continue
        if len(fields) != len(names):
            raise InvalidInput(
                f"{path}, line {reader.line_num}: {how_many(len(fields), 'field')}; "
                f"{how_many(len(names), 'is', 'are')} named above"
            )
        given = zip(names, fields, strict=True)
        sets.append({name: parse(declared, name, field) for name, field in given if field != ""})
    return sets


def _check_asked(**options: Any) -> None:
    if not any(options[name] for name in ("start", "end", "sets")):
        raise click.UsageError("say what to run: --from and --to, or --sets")


def _request(
    service: Service,
    job: str,
    *,
    start: datetime | None,
    end: datetime | None,
    sets: Path | None,
    parallel: int,
    parameters: tuple[tuple[str, str], ...],
    **times: str | None,
) -> BackfillRequest:
    from respawn_jobs.api.backfills import BackfillRequest

    given = None
    if sets is not None:
        current = service.job(job).version
        declared = next(v for v in service.versions(job) if v.number == current).parameters
        given = read_sets(sets, declared)
    return BackfillRequest.model_validate(
        {
            "job": job, "start": _day(start), "end": _day(end), "sets": given, "parallel": parallel,
            "parameters": parsed_for_job(service, job, parameters), **times,
        }
    )  # fmt: skip


def _print_preview(seen: BackfillPreview) -> None:
    from respawn_jobs.cli.common import printing

    click.echo(f"{seen.job}, {seen.about}: {how_many(seen.total, 'run')}")
    rows = [
        [
            str(item.number),
            f"{item.logical_date:%Y-%m-%d %H:%M %Z}",
            printing.plain(json.dumps(item.parameters)),
        ]
        for item in (*seen.first, *seen.last)
    ]
    if rows:
        printing.table(["run", "logical date", "parameters"], rows)
    for note in seen.notes:
        click.echo(f"note: {note}", err=True)
    for problem in seen.problems:
        click.echo(f"respawn: {problem}", err=True)


def _show(item: Backfill, as_json: bool) -> None:
    from respawn_jobs.cli.common import printing

    if as_json:
        printing.document(item.model_dump(mode="json"))
        return
    facts = [
        ("backfill", item.id),
        ("state", item.state),
        ("job", item.job),
        ("what", item.about),
        ("made", f"{item.made} of {how_many(item.total, 'run')}, {item.parallel} at a time"),
        ("", f"{item.queued} waiting, {item.running} running, {item.suspended} suspended"),
        ("", f"{item.succeeded} succeeded, {item.failed} failed, {item.cancelled} cancelled"),
        ("created", f"{printing.moment(item.created_at)} by {item.created_by}"),
        ("finished", printing.moment(item.finished_at)),
    ]
    for name, value in facts:
        if value:
            click.echo(f"{name:<11} {value}")


def _row(item: Backfill) -> list[str]:
    # Few and narrow columns: an id that is broken into two lines cannot be copied.
    counts = (item.queued + item.running + item.suspended, item.succeeded, item.failed + item.cancelled)
    return [item.id, item.state, f"{item.made} of {item.total}", *map(str, counts), item.about]


def _day(given: datetime | None) -> date | None:
    return given.date() if given is not None else None
