"""Ledgers over any database, and many runs at once, for tests of queues."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import event, insert, select

from respawn_jobs.access import Actor
from respawn_jobs.api.queueing import LimitKind
from respawn_jobs.api.runner_protocol import Outcome
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.clock import Clock
from respawn_jobs.ids import new_id
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import CellError
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.store.database import Database
from respawn_jobs.store.service_tables import LimitRow
from respawn_jobs.store.tables import RunRow
from support.notebooks import notebook, text

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


class TickingClock:
    """A clock that goes on by a millisecond with each look, so that what is made later is later."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def forward(self, seconds: float) -> None:
        """Go on at once."""
        self.now += timedelta(seconds=seconds)


class Stage:
    """A ledger, and what tests of queues do with it in few words."""

    def __init__(self, url: str, data: Path, clock: Clock | None = None) -> None:
        self.clock = clock or TickingClock()
        self.database = Database(url)
        self.ledger = Ledger(self.database, BlobStore(f"file://{data}/blobs"), clock=self.clock)
        self.root = self.ledger.as_actor(Actor.owner("root"))

    def promote(self, name: str, namespace: str = "team/risk", **settings: object) -> None:
        """Make a job with these settings."""
        self.root.promote(
            Promotion(
                name=name,
                namespace=namespace,
                notebook=text(notebook("a = 1")),
                settings=JobSettings.model_validate(settings),
            )
        )

    def run(self, job: str, by: str = "ada", namespace: str = "team/risk") -> str:
        """Queue a run of a job for a person."""
        actor = Actor(by, frozenset({"custom:respawn:admin"}))
        return self.ledger.as_actor(actor).run(RunRequest(job=f"{namespace}/{job}")).id

    def many(self, run: str, count: int, **values: object) -> None:
        """Insert copies of a run, each a second later than the one before."""
        with self.database.session(write=True) as session:
            row = session.scalars(select(RunRow).where(RunRow.id == run)).one()
            columns = {column.key: getattr(row, column.key) for column in RunRow.__table__.columns}
            copies = [
                {
                    **columns,
                    "id": new_id("run"),
                    "created_at": row.created_at + timedelta(seconds=i),
                    **values,
                }
                for i in range(1, count + 1)
            ]
            session.execute(insert(RunRow), copies)

    def limit(self, kind: LimitKind, name: str, most: int) -> None:
        """Set a limit."""
        with self.database.session(write=True) as session:
            session.add(LimitRow(kind=kind, name=name, max_running=most, set_by="root", set_at=START))

    def take(self, places: int = 1, replica: str | None = None) -> list[str]:
        """Return the runs that start now."""
        return [taken.run for taken in self.ledger.claim_runs("test", replica, places)]

    def end(self, run: str, state: str = "succeeded") -> None:
        """Let the run's runner finish."""
        attempt = self.root.show(run).attempts[-1].id
        with self.database.session(write=True) as session:
            from respawn_jobs.ledger.attempts.lifecycle import token_hash
            from respawn_jobs.store.tables import AttemptRow

            session.get_one(AttemptRow, attempt).token_hash = token_hash("t")
        port = self.ledger.runner(attempt, "t")
        port.claim()
        error = None if state == "succeeded" else CellError(cell=None, name="Error", value="wrong")
        port.finish(Outcome.model_validate({"state": state, "error": error}))

    def close(self) -> None:
        """Close the database."""
        self.ledger.close()


@contextmanager
def counted_statements(database: Database) -> Iterator[Callable[[], int]]:
    """Count the statements that a database is sent; gives a function that returns how many so far."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield lambda: len(statements)
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
