"""The command `admin migrate`: the database's schema, forward to this version's and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from respawn_jobs.cli.common.options import json_option

if TYPE_CHECKING:
    from respawn_jobs.store.database import Database
    from respawn_jobs.store.migrating import Migration


@click.command()
@click.option(
    "--to", "target", metavar="RELEASE", help="Where it is to be: a release, or a migration's number."
)
@click.option("--dry-run", is_flag=True, help="Tell what would be done, and change nothing.")
@json_option
def migrate(target: str | None, dry_run: bool, as_json: bool) -> int:
    """Bring the database to this version's schema, contractions too; or with --to to that of another release.

    Going back is refused where data would be lost, and names them. Works beside the service, as far as its
    replicas can bear it: else it names those to stop.
    """
    from respawn_jobs.cli.administer.store_access import own_database
    from respawn_jobs.cli.common import printing

    with own_database() as database:
        before = database.revision()
        back, done = _migrated(database, target, dry_run=dry_run)
        after = before if dry_run else database.revision()
    if as_json:
        steps = [{"revision": one.revision, "kind": one.kind, "release": one.release} for one in done]
        direction = "back" if back else "forward"
        printing.document(
            {"before": before, "after": after, "direction": direction, "steps": steps, "dry_run": dry_run}
        )
        return 0
    verb = (
        ("would be taken back" if dry_run else "taken back")
        if back
        else ("would be applied" if dry_run else "applied")
    )
    for one in done:
        click.echo(f"{one} {verb}")
    if not done:
        click.echo(f"the database is at {after} already")
    return 0


def _migrated(database: Database, target: str | None, *, dry_run: bool) -> tuple[bool, list[Migration]]:
    """Migrate; return whether it was back, and the steps."""
    from respawn_jobs.errors import Conflict
    from respawn_jobs.store.migrating import migrations_of, named_migration

    known = database.schema
    wanted = known.head if target is None else named_migration(known, target)
    revision = database.revision() or ""
    if revision > known.head:
        raise Conflict(
            f"the database {database.url} has schema {revision}, and this version has {known.head}: use the "
            "command of the newer version"
        )
    if wanted < revision:
        return True, database.step_back(wanted, dry_run=dry_run)
    if dry_run:
        return False, [one for one in migrations_of(known) if revision < one.revision <= wanted]
    return False, database.migrate(wanted)


COMMANDS = (migrate,)
