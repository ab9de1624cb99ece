"""The command `backfill`: a job's runs for a range of dates, or for a list of parameter sets."""

from __future__ import annotations

import csv
import json
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from respawn_jobs.cli.options import json_option, parameter_option
from respawn_jobs.cli.promoting import parsed_for_job

if TYPE_CHECKING:
    from respawn_jobs.cli.connection import Connection
    from respawn_jobs.models import Parameter
    from respawn_jobs.service import Service
    from respawn_jobs.service_backfills import Backfill, BackfillPreview, BackfillRequest

_DATE = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.argument("job")
@click.option("--from", "start", type=_DATE, help="First date of a range.")
@click.option("--to", "end", type=_DATE, help="Last date of it, which counts.")
@click.option("--cron", help="Times within the range; else those of the job's only schedule.")
@click.option("--every", type=click.Choice(["hour", "day"]), help="Instead of --cron.")
@click.option("--tz", help="IANA zone of the dates.  [default: the schedule's, or UTC]")
@click.option(
    "--sets",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="A run for each set of parameters in a .json or .csv file, instead of a range.",
)
@click.option(
    "--parallel", type=click.IntRange(1, 100), default=2, show_default=True, help="Runs at the same time."
)
@parameter_option
@click.option("--preview", is_flag=True, help="Only show what would run; start nothing.")
@click.option("--stop", metavar="BACKFILL", help="Let a backfill make no more runs.")
@click.option("--cancel", is_flag=True, help="With --stop: cancel its runs that have not ended.")
@json_option
def backfill(
    job: str,
    start: datetime | None,
    end: datetime | None,
    sets: Path | None,
    parallel: int,
    parameters: tuple[tuple[str, str], ...],
    preview: bool,
    stop: str | None,
    cancel: bool,
    as_json: bool,
    **times: str | None,
) -> int:
    """Run a job for past dates, or with many parameter sets.

    Without a range, sets or --stop, list its backfills.
    """
    from respawn_jobs.cli.connection import connection

    asked = bool(start or end or sets)
    if stop and (asked or preview):
        raise click.UsageError("--stop stands alone")
    if cancel and not stop:
        raise click.UsageError("--cancel belongs to --stop")
    if not asked and (preview or parameters or any(times.values())):
        raise click.UsageError("say what to run: --from and --to, or --sets")
    with connection() as connected:
        if not asked:
            return _listed(connected.service, job, stop, cancel, as_json)
        request = _request(connected.service, job, _day(start), _day(end), sets, parallel, parameters, times)
        return _asked(connected, request, preview, as_json)


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
    from respawn_jobs.parameters import parse

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
                f"{path}, line {reader.line_num}: {len(fields)} fields; {len(names)} are named above"
            )
        given = zip(names, fields, strict=True)
        sets.append({name: parse(declared, name, field) for name, field in given if field != ""})
    return sets


def _request(
    service: Service,
    job: str,
    start: date | None,
    end: date | None,
    sets: Path | None,
    parallel: int,
    parameters: tuple[tuple[str, str], ...],
    times: dict[str, str | None],
) -> BackfillRequest:
    from respawn_jobs.service_backfills import BackfillRequest

    given = None
    if sets is not None:
        current = service.job(job).version
        declared = next(v for v in service.versions(job) if v.number == current).parameters
        given = read_sets(sets, declared)
    return BackfillRequest.model_validate(
        {
            "job": job, "start": start, "end": end, "sets": given, "parallel": parallel,
            "parameters": parsed_for_job(service, job, parameters), **times,
        }
    )  # fmt: skip


def _asked(connected: Connection, request: BackfillRequest, preview: bool, as_json: bool) -> int:
    from respawn_jobs.cli import printing

    if preview:
        seen = connected.service.preview_backfill(request)
        if as_json:
            printing.document(seen.model_dump(mode="json"))
        else:
            _print_preview(seen)
        return 2 if seen.problems else 0
    started = connected.service.backfill(request)
    if as_json:
        printing.document(started.model_dump(mode="json"))
    else:
        click.echo(f"{started.id} makes {started.total:,} runs of {started.job}: {started.about}")
    if connected.ledger is not None:
        click.echo("note: only a hub makes the runs of backfills; nothing does in this store", err=True)
    return 0


def _print_preview(seen: BackfillPreview) -> None:
    from respawn_jobs.cli import printing

    click.echo(f"{seen.job}, {seen.about}: {seen.total:,} runs")
    rows = [
        [
            str(item.number),
            f"{item.logical_at:%Y-%m-%d %H:%M %Z}",
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


def _listed(service: Service, job: str, stop: str | None, cancel: bool, as_json: bool) -> int:
    from respawn_jobs.cli import printing
    from respawn_jobs.errors import NotFound

    if stop is not None:
        ref = service.job(job).ref
        if service.show_backfill(stop).job != ref:
            raise NotFound(f"{ref} has no backfill {stop}", backfill=stop)
        found = [service.stop_backfill(stop, cancel=cancel)]
    else:
        found = service.backfills(job)
    if as_json:
        printing.document({"backfills": [item.model_dump(mode="json") for item in found]})
    else:
        head = ["backfill", "state", "made", "waiting", "running", "succeeded", "failed", "what"]
        printing.table(head, [_row(item) for item in found])
    return 0


def _row(item: Backfill) -> list[str]:
    counts = (item.queued, item.running, item.succeeded, item.failed + item.cancelled)
    return [item.id, item.state, f"{item.made} of {item.total}", *map(str, counts), item.about]


def _day(given: datetime | None) -> date | None:
    return given.date() if given is not None else None


COMMANDS = (backfill,)
