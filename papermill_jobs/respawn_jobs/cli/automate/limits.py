"""The group `limit`: how many runs may execute at once in a namespace, for a user, in a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from respawn_jobs.cli.common.options import json_option

if TYPE_CHECKING:
    from respawn_jobs.api.queueing import Limit

_KINDS = click.Choice(["namespace", "user", "queue"])


@click.group()
def limit() -> None:
    """Limit how many runs execute at once.

    Administrators set and remove limits.
    """


@limit.command("list")
@click.argument("kind", metavar="[KIND]", required=False, type=_KINDS)
@click.argument("name", required=False)
@json_option
def list_limits(kind: str | None, name: str | None, as_json: bool) -> int:
    """List the limits that bind you.

    All of them, those of a KIND (namespace, user or queue), or that of a NAME.
    """
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        found = connected.service.limits()
    shown = [one for one in found if kind in (None, one.kind) and name in (None, one.name)]
    _show(shown, as_json, empty="no limits are set" if kind is None else "no such limit is set")
    return 0


@limit.command("set")
@click.argument("kind", metavar="KIND", type=_KINDS)
@click.argument("name")
@click.argument("most", metavar="N", type=click.IntRange(0))
@json_option
def set_limit(kind: str, name: str, most: int, as_json: bool) -> int:
    """Let N runs execute at once; 0 lets none start.

    KIND is namespace, user or queue, and NAME one of these; '*' stands for each that has no limit of its own.
    """
    from respawn_jobs.api.queueing import MAX_RUNS

    if most > MAX_RUNS:
        raise click.BadParameter(f"{most} is more than {MAX_RUNS}", param_hint="N")
    changed = _changed(kind, name, most)
    _show([one for one in changed if (one.kind, one.name) == (kind, name)], as_json)
    return 0


@limit.command()
@click.argument("kind", metavar="KIND", type=_KINDS)
@click.argument("name")
@json_option
def remove(kind: str, name: str, as_json: bool) -> int:
    """Remove a limit, and list those that are left.

    KIND and NAME are those of `respawn limit set`.
    """
    _show(_changed(kind, name, None), as_json)
    return 0


def _changed(kind: Any, name: str, most: int | None) -> list[Limit]:
    """Set or remove a limit, and return all that there are then."""
    from respawn_jobs.api.queueing import LimitRequest
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        return connected.service.limit(LimitRequest(kind=kind, name=name, max_running=most))


def _show(found: list[Limit], as_json: bool, empty: str = "no limits are set") -> None:
    from respawn_jobs.cli.common import printing

    if as_json:
        printing.document([one.model_dump(mode="json") for one in found])
    elif not found:
        click.echo(empty)
    else:
        rows = [
            [
                one.kind,
                printing.plain(one.name),
                str(one.max_running),
                "" if one.running is None else str(one.running),
            ]
            for one in found
        ]
        printing.table(["kind", "name", "most", "running"], rows)
