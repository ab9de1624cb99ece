"""The group `dependency`: a job runs after others; `graph` shows all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from respawn_jobs.cli.automate.dependency_graph import graph
from respawn_jobs.cli.automate.shared import note_store
from respawn_jobs.cli.common.job_parameters import parsed_for_job
from respawn_jobs.cli.common.options import json_option, parameter_option

if TYPE_CHECKING:
    from respawn_jobs.api.service import Service
    from respawn_jobs.api.triggers import Dependency, Source

_FORM = "NAME=JOB:WHAT, with WHAT one of artifact:NAME, parameter:NAME, run and state"


@click.group()
def dependency() -> None:
    """Run a job after others, and show which jobs run after which."""


@dependency.command("set")
@click.argument("job")
@click.option(
    "--on", "upstream", multiple=True, required=True, metavar="JOB", help="A job to wait for; repeatable."
)
@click.option("--any", "needs_any", is_flag=True, help="One of them is enough.")
@click.option("--end", is_flag=True, help="Failed and cancelled runs of them count too.")
@click.option(
    "--period",
    type=click.Choice(["due", "hour", "day", "week", "month"]),
    default="due",
    help="Which of their runs belong together.  [default: due, those of one logical date]",
)
@click.option("--tz", help="IANA time zone of hours, days, weeks and months.  [default: UTC]")
@click.option("--take", multiple=True, metavar="NAME=JOB:WHAT", help=f"A parameter: {_FORM}; repeatable.")
@parameter_option
@json_option
def set_dependency(
    job: str,
    upstream: tuple[str, ...],
    needs_any: bool,
    end: bool,
    period: str,
    tz: str | None,
    take: tuple[str, ...],
    parameters: tuple[tuple[str, str], ...],
    as_json: bool,
) -> int:
    """Let a job run after others, instead of the dependency that it has."""
    from respawn_jobs.api.triggers import DependencyRequest, TriggerRule
    from respawn_jobs.cli.common.service_connection import connection

    if tz and period == "due":
        raise click.UsageError("--tz belongs to --period hour, day, week or month")
    sources = _sources(take)
    with connection() as connected:
        service = connected.service
        request = DependencyRequest(
            job=job,
            upstream=list(upstream),
            trigger_rule=TriggerRule(f"{'one' if needs_any else 'all'}_{'done' if end else 'success'}"),
            period=period,  # type: ignore[arg-type]  # click allows nothing else
            tz=tz or "UTC",
            parameters=parsed_for_job(service, job, parameters),
            sources=sources,
        )
        made = service.set_dependency(request)
        note_store(connected)
    _show(job, made, as_json)
    return 0


@dependency.command()
@click.argument("job")
@json_option
def show(job: str, as_json: bool) -> int:
    """Show after which jobs a job runs."""
    return _after(job, lambda service: service.triggers(job).dependency, as_json)


@dependency.command()
@click.argument("job")
@json_option
def pause(job: str, as_json: bool) -> int:
    """Let the dependency of a job rest.

    Periods that complete meanwhile are not made up for.
    """
    return _after(job, lambda service: service.pause_dependency(job, paused=True), as_json)


@dependency.command()
@click.argument("job")
@json_option
def resume(job: str, as_json: bool) -> int:
    """Resume a paused dependency."""
    return _after(job, lambda service: service.pause_dependency(job, paused=False), as_json)


@dependency.command()
@click.argument("job")
@json_option
def remove(job: str, as_json: bool) -> int:
    """Remove the dependency of a job; its runs stay."""
    return _after(job, lambda service: service.remove_dependency(job), as_json)


dependency.add_command(graph)


def _after(job: str, act: Callable[[Service], Dependency | None], as_json: bool) -> int:
    """Do something with a job's dependency, and show what there is then."""
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        found = act(connected.service)
    _show(job, found, as_json)
    return 0


def _sources(take: tuple[str, ...]) -> dict[str, Source]:
    """Return where parameters come from. Raises `click.UsageError` for what cannot be read or comes twice."""
    sources: dict[str, Source] = {}
    for text in take:
        name, source = _source(text)
        if name in sources:
            raise click.UsageError(f"--take gives {name!r} more than once")
        sources[name] = source
    return sources


def _source(text: str) -> tuple[str, Source]:
    from respawn_jobs.api.triggers import Source

    name, _, rest = text.partition("=")
    job, _, what = rest.partition(":")
    take, _, of = what.partition(":")
    if not (name and job) or take not in ("artifact", "parameter", "run", "state"):
        raise click.UsageError(f"--take {text!r} is not of the form {_FORM}")
    return name, Source(job=job, take=take, name=of or None)  # type: ignore[arg-type]  # checked above


def _show(job: str, found: Dependency | None, as_json: bool) -> None:
    from respawn_jobs.cli.common import printing

    if as_json:
        printing.document({"dependency": found and found.model_dump(mode="json")})
        return
    if found is None:
        click.echo(f"{job} has no dependency: it runs after no other job")
        return
    rule = found.trigger_rule
    of_these = "all of these have" if rule.needs_all else "any of these has"
    ends = "ended" if rule.accepts_failures else "succeeded"
    each = "logical date" if found.period == "due" else f"{found.period} in {found.tz}"
    resting = " (paused)" if found.paused else ""
    how = f"{of_these} {ends}" if rule.known else "a rule that is unknown here says so"
    when = f"when {how}, once for each {each}{resting}"
    click.echo(f"{found.id} runs {found.job} {when}:")
    for upstream in found.upstream:
        click.echo(f"  {upstream}")
    for name, source in found.sources.items():
        of = f" {source.name}" if source.name else ""
        click.echo(f"{name} is taken from {source.job}: {source.take}{of}")
