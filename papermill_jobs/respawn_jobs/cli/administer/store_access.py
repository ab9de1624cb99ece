"""The store itself, for commands that look under the service: never over HTTP, and never a new one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from respawn_jobs.backup import Store
    from respawn_jobs.ledger import Ledger
    from respawn_jobs.store.database import Database


@contextmanager
def own_store() -> Iterator[Ledger]:
    """Open the store that `RESPAWN_DATA`, `RESPAWN_DB_URL` and `RESPAWN_BLOBS_URL` name, as the service does.

    Raises:
        InvalidInput: `RESPAWN_URL` is set: the store of a hub is on the hub's machine.
        NotFound: there is no store.
        Conflict: it is of another version.
    """
    from respawn_jobs.embedded.local_store import open_store
    from respawn_jobs.errors import Conflict, NotFound

    with own_database() as database:
        standing = database.standing()
    if standing.revision is None:
        raise NotFound(f"there is no store in the database {database.url}")
    if standing.message:
        raise Conflict(
            f"the database {database.url} has schema {standing.revision}, and this version has "
            f"{database.schema.head}: use the command of the service's version, or start the service of this "
            "one first"
        )
    ledger = open_store()
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def own_database() -> Iterator[Database]:
    """Open the database of that store, whatever version made it.

    Raises:
        InvalidInput: `RESPAWN_URL` is set.
        NotFound: there is no store.
    """
    from respawn_jobs.embedded.local_store import data_directory, database_url
    from respawn_jobs.errors import NotFound
    from respawn_jobs.store.database import Database

    on_the_service()
    file = data_directory() / "respawn.db"
    if not os.environ.get("RESPAWN_DB_URL") and not file.exists():
        raise NotFound(f"there is no store: {file} is missing; set RESPAWN_DATA to the service's directory")
    database = Database(database_url())
    try:
        yield database
    finally:
        database.close()


@contextmanager
def new_store() -> Iterator[Store]:
    """Name the parts of a store that is to be filled; nothing is made yet. Raises as `own_store`."""
    from respawn_jobs.backup import Store
    from respawn_jobs.blobs.blob_store import BlobStore
    from respawn_jobs.embedded.local_store import data_directory, database_url
    from respawn_jobs.keyring import Keyring
    from respawn_jobs.store.database import Database

    on_the_service()
    data = data_directory()
    blobs = os.environ.get("RESPAWN_BLOBS_URL") or (data.resolve() / "blobs").as_uri()
    database = Database(database_url())
    try:
        yield Store(data, database, BlobStore(blobs), Keyring.of(data))
    finally:
        database.close()


def on_the_service() -> None:
    """Refuse, with `InvalidInput`, to look at another store than the one of a hub that is named."""
    from respawn_jobs.errors import InvalidInput

    if os.environ.get("RESPAWN_URL"):
        raise InvalidInput(
            "this command works on the store itself: run it on the machine of the service, with its "
            "RESPAWN_DATA, RESPAWN_DB_URL and RESPAWN_BLOBS_URL, and without RESPAWN_URL"
        )
