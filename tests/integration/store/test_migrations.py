"""A store of an earlier version keeps all that it holds when it is brought up to date."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from respawn_jobs.access import Actor
from respawn_jobs.ledger import Ledger
from respawn_jobs.service import Promotion, ResumeRequest, RunRequest
from respawn_jobs.store import database as module
from respawn_jobs.store.database import HEAD, Database
from support.notebooks import notebook
from support.notebooks import text as notebook_text
from support.runners import PlayedRunner

pytestmark = pytest.mark.integration


def test_a_store_of_the_first_version_goes_on_with_its_runs(tmp_path: Path) -> None:
    ledger = Ledger.embedded(tmp_path)
    ada = ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="report", notebook=notebook_text(notebook("a = 1", "b = 2"))))
    run = ada.run(RunRequest(job="report")).id
    runner = PlayedRunner(ledger, run)
    runner.begin()
    runner.execute(0)
    runner.fail(1)
    before = ada.show(run)
    ledger.close()
    _as_of(tmp_path, "0001")

    ledger = Ledger.embedded(tmp_path)
    ada = ledger.as_actor(Actor.owner("ada"))
    assert _revision(ledger.database) == HEAD
    assert ada.show(run) == before, "cells that ran did so under their run's parameters and lock"
    assert before.cells[0].parameters_hash is not None
    assert ada.artifacts(run) == []
    resumed = PlayedRunner(ledger, ada.resume(run, ResumeRequest()).id)
    assert resumed.assignment.artifacts == []
    assert resumed.assignment.resume.first == 1
    ledger.close()


def _revision(database: Database) -> str | None:
    with database.session() as session:
        return session.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _as_of(data: Path, revision: str) -> None:
    """Put in place of a store one of an earlier revision, with all that such a store can hold."""
    path, newer = data / "respawn.db", data / "newer.db"
    path.rename(newer)
    database = Database(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", str(module._MIGRATIONS))
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    assert _revision(database) == revision
    database.close()
    connection = sqlite3.connect(path)
    connection.execute("ATTACH ? AS newer", [str(newer)])
    tables = connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        if table != "alembic_version":
            columns = ", ".join(
                f'"{row[1]}"' for row in connection.execute(f"PRAGMA main.table_info({table})")
            )
            connection.execute(f"DELETE FROM main.{table}")
            connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}")
    connection.commit()
    connection.close()
