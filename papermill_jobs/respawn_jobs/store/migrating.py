"""A schema brought to a later migration, or back to an earlier one, beside replicas that work on it.

Each migration is one transaction on PostgreSQL; on SQLite all of them are. The one exception is an index that
is built beside writers: `store.large_indexes`. No migration is applied that a living replica cannot bear.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, select, text

from respawn_jobs.clock import utc_now
from respawn_jobs.errors import Conflict, InvalidInput
from respawn_jobs.store.data_loss import data_lost
from respawn_jobs.store.migration_turn import migration_turn, transaction, until_unlocked
from respawn_jobs.store.schema import KnownSchema, release_number
from respawn_jobs.store.service_tables import ReplicaRow

if TYPE_CHECKING:
    from alembic.config import Config

logger = logging.getLogger(__name__)
_ALIVE = timedelta(seconds=30)
"""How long ago a replica may have reported itself and count as living."""


@dataclass(frozen=True)
class Migration:
    """One migration of the code, as its script states it."""

    revision: str
    kind: str
    release: str
    oldest: str
    has_way_back: bool

    def __str__(self) -> str:
        return f"migration {self.revision} ({self.kind}, release {self.release})"


def migrations_of(known: KnownSchema) -> list[Migration]:
    """Return all migrations that some code has, oldest first."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_config(known))
    found = [(script.revision, script.module) for script in scripts.walk_revisions()]
    return [
        Migration(revision, one.kind, one.release, one.oldest, hasattr(one, "downgrade"))
        for revision, one in reversed(found)
    ]


def named_migration(known: KnownSchema, name: str) -> str:
    """Return the revision that a person means: a revision, or a release, which means its newest migration.

    Raises `InvalidInput` when this code has no such one.
    """
    every = migrations_of(known)
    revisions = [one.revision for one in every]
    if name in revisions:
        return name
    try:
        release = release_number(name)
    except ValueError:
        raise InvalidInput(
            f"there is no migration {name}: this version has {', '.join(revisions)}; or name a release, such "
            f"as {known.release}"
        ) from None
    up_to = [one.revision for one in every if release_number(one.release) <= release]
    if not up_to or release > release_number(known.release):
        raise InvalidInput(f"release {name} is none that this version ({known.release}) can bring it to")
    return up_to[-1]


def upgrade(engine: Engine, known: KnownSchema, target: str, url: str) -> list[Migration]:
    """Apply what is missing, after whoever migrates now.

    Args:
        engine: begins transactions that write.
        known: the migrations of the code.
        target: the last revision to apply.
        url: the database in messages.

    Returns:
        What was applied.

    Raises:
        Conflict: a living replica could not go on.
        Unavailable: others held a table locked all the time.
    """
    with migration_turn(engine, url) as connection:
        return apply_missing(connection, known, target, url)


def apply_missing(connection: Connection, known: KnownSchema, target: str, url: str) -> list[Migration]:
    """Apply what is missing, within a turn; see `upgrade`.

    Args:
        connection: that of the turn.
        known: the migrations of the code.
        target: the last revision to apply.
        url: the database in messages.
    """
    with transaction(connection):
        applied = revision_of(connection)
    missing = [one for one in migrations_of(known) if (applied or "") < one.revision <= target]
    for one in missing:
        if applied is not None:
            _check_replicas(connection, one)
        until_unlocked(partial(_run, connection, known, "up", one.revision), what=str(one), url=url)
        applied = one.revision
        logger.info("%s was applied to the database %s", one, url)
    return missing


def step_back(
    engine: Engine, known: KnownSchema, target: str, url: str, *, dry_run: bool = False
) -> list[Migration]:
    """Take migrations back, newest first, until `target` is the newest.

    Args:
        engine: begins transactions that write.
        known: the migrations of the code.
        target: the revision that stays.
        url: the database in messages.
        dry_run: whether it is only tried.

    Returns:
        What was taken back.

    Raises:
        Conflict: data would be lost, a migration has no way back, or a living replica needs it.
        Unavailable: others held a table locked all the time.
    """
    with migration_turn(engine, url) as connection:
        with transaction(connection):
            applied = revision_of(connection)
        every = {one.revision: one for one in migrations_of(known)}
        if applied is None or applied not in every:
            raise Conflict(
                f"the database {url} has schema {applied}, which this version ({known.release}) does not "
                "know: use the command of the version that made it"
            )
        going = [one for revision, one in reversed(every.items()) if target < revision <= applied]
        before = dict(zip(list(every)[1:], list(every), strict=False))
        steps = [(one, before.get(one.revision)) for one in going]
        for part in [steps] if dry_run else [[step] for step in steps]:
            back = partial(_take_back, connection, known, part, dry_run=dry_run)
            until_unlocked(back, what=f"the step back to {target}", url=url)
        if not dry_run:
            logger.info("the database %s is back at %s", url, target)
        return going


def revision_of(connection: Connection) -> str | None:
    """Return the revision of a schema; None for a database without tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _take_back(
    connection: Connection,
    known: KnownSchema,
    steps: Sequence[tuple[Migration, str | None]],
    *,
    dry_run: bool,
) -> None:
    """Take migrations back, each to the one before it, in one transaction."""
    with transaction(connection), connection.begin_nested() as savepoint:
        for one, earlier in steps:
            _take_one_back(connection, known, one, earlier)
        if dry_run:
            savepoint.rollback()


def _take_one_back(connection: Connection, known: KnownSchema, one: Migration, earlier: str | None) -> None:
    if earlier is None or not one.has_way_back:
        raise Conflict(f"{one} has no way back: restore a backup from before it (respawn admin restore)")
    needing = [
        f"{name} ({release})"
        for name, release in _living(connection)
        if release_number(release) >= release_number(one.release)
    ]
    if needing:
        raise Conflict(f"{one} is needed by replicas that run: {', '.join(needing)}; stop them first")
    downgrade = partial(_run, connection, known, "down", earlier)
    lost = data_lost(connection, downgrade)
    if lost:
        raise Conflict(
            f"going back over {one} would lose data: {'; '.join(lost)}. Older replicas can go on without "
            "going back; else restore a backup from before it (respawn admin restore)",
            lost=lost,
        )
    downgrade()


def _check_replicas(connection: Connection, one: Migration) -> None:
    """Raise `Conflict` when a living replica is too old for a migration."""
    with transaction(connection):
        living = _living(connection)
    too_old = [
        f"{name} ({release})"
        for name, release in living
        if release_number(release) < release_number(one.oldest)
    ]
    if too_old:
        raise Conflict(
            f"{one} needs all replicas to be of release {one.oldest} or newer, and older ones run: "
            f"{', '.join(too_old)}; stop them first"
        )


def _living(connection: Connection) -> Sequence[tuple[str, str]]:
    seen = ReplicaRow.seen_at >= utc_now() - _ALIVE
    rows = connection.execute(select(ReplicaRow.id, ReplicaRow.host, ReplicaRow.release).where(seen))
    return [(f"{name} on {host}", release) for name, host, release in rows]


def _run(connection: Connection, known: KnownSchema, direction: str, revision: str) -> None:
    from alembic import command

    config = _config(known)
    config.attributes["connection"] = connection
    (command.upgrade if direction == "up" else command.downgrade)(config, revision)


def _config(known: KnownSchema) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(known.scripts).replace("%", "%%"))
    return config
