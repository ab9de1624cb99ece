"""A database as one file, as of one moment, and back: SQLite's own copy, or pg_dump and pg_restore."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, inspect, text
from sqlalchemy.orm import Session

from respawn_jobs.errors import Conflict, Unavailable
from respawn_jobs.host.private_files import new_private_file
from respawn_jobs.store.columns import Base
from respawn_jobs.store.database import Database

_VERSIONS = "alembic_version"


@contextmanager
def snapshot(database: Database, file: Path) -> Iterator[Session]:
    """Write the database to a file, and give a session that sees what is in it.

    Raises `Unavailable` when it cannot be written, or the programs of PostgreSQL are missing.
    """
    if database.kind == "sqlite":
        _copy_sqlite(database, file)
        copy = Database(URL.create("sqlite", database=str(file)))
        try:
            with copy.session() as session:
                yield session
        finally:
            copy.close()
        return
    with database.session() as session:
        # It waits for pg_dump and does nothing meanwhile.
        session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        name = session.scalar(text("SELECT pg_export_snapshot()"))
        tables = [f"--table={table}" for table in _tables()]
        _run(
            database, "pg_dump", f"--snapshot={name}", "--format=custom", "--no-owner", "--no-privileges",
            "--strict-names", *tables, f"--file={file}",
        )  # fmt: skip
        yield session


def check_empty(database: Database) -> None:
    """Raise `Conflict` when a database has tables of ours."""
    if database.kind == "sqlite":
        file = Path(str(database.engine.url.database))
        if not is_empty_file(file):
            raise Conflict(f"{file} is not empty: restore into an empty place", file=str(file))
        return
    with database.session() as session:
        found = sorted({*inspect(session.connection()).get_table_names()} & {*_tables()})
    if found:
        raise Conflict(
            f"the database {database.url} is not empty, it has {found[0]}: restore into a new one",
            database=database.url,
        )


def is_empty_file(file: Path) -> bool:
    """Return whether an SQLite file is not there, or has no table, as one that was only opened."""
    if not file.exists():
        return True
    try:
        connection = sqlite3.connect(file)
        try:
            return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None
        finally:
            connection.close()
    except sqlite3.Error:
        return False


def load(database: Database, file: Path) -> None:
    """Fill an empty database from a file, whole or not at all.

    Raises:
        Conflict: it is not empty.
        Unavailable: it cannot be written, or the programs of PostgreSQL are missing.
    """
    check_empty(database)
    if database.kind == "sqlite":
        database.close()
        wanted = Path(str(database.engine.url.database))
        beside = wanted.with_name(f".{wanted.name}.restored")
        new_private_file(beside)
        shutil.copyfile(file, beside)
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        for left in ("-wal", "-shm"):  # of the empty one
            wanted.with_name(wanted.name + left).unlink(missing_ok=True)
        beside.replace(wanted)
        return
    options = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
    _run(database, "pg_restore", *options, str(file))


def _copy_sqlite(database: Database, file: Path) -> None:
    # In one read transaction, so writers go on; the backup interface of SQLite would begin anew with each
    # write of another process.
    new_private_file(file)
    try:
        connection = sqlite3.connect(str(database.engine.url.database), isolation_level=None)
        try:
            connection.execute("VACUUM INTO ?", [str(file)])
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise Unavailable(f"the database {database.url} cannot be copied to {file}: {error}") from error


def _tables() -> list[str]:
    return [*(table.name for table in Base.metadata.sorted_tables), _VERSIONS]


def _run(database: Database, program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL on a database; its password is in nobody's list of processes."""
    from psycopg.conninfo import make_conninfo

    path = shutil.which(program)
    if path is None:
        raise Unavailable(
            f"{program} is missing: install PostgreSQL's client programs, of the server's version or newer, "
            "on the machine where this command runs"
        )
    _, given = database.engine.dialect.create_connect_args(database.engine.url)
    password = given.pop("password", None)
    given.pop("context", None)  # the driver's, and none of libpq's
    environment = {**os.environ, **({"PGPASSWORD": str(password)} if password else {})}
    command = [path, "--no-password", f"--dbname={make_conninfo('', **given)}", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        message = " ".join(done.stderr.split())[:1000]
        raise Unavailable(f"{program} of {database.url} failed with status {done.returncode}: {message}")
