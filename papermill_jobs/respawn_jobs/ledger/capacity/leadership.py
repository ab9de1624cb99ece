"""Which replica does what one of them does for all, such as seeing to the job servers.

A replica leads while it says so every few seconds; one that is silent is followed by whoever asks next. For a
moment two may think that they lead, where one was frozen; what must happen once is in a transaction.
"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from respawn_jobs.ledger.context.context import Context
from respawn_jobs.store.service_tables import LeaderRow

LEASE = timedelta(seconds=12)
"""How long a leader may be silent: four times as long as it rests between two words."""


class Leader(NamedTuple):
    """A replica that leads, and where the others reach it."""

    replica: str
    address: str


def lead(context: Context, task: str, own: Leader) -> Leader:
    """Lead, or go on leading, unless another replica does; return who leads.

    Args:
        context: the ledger's surroundings.
        task: what is led.
        own: the replica that asks.
    """
    with context.database.session() as session:
        row = session.get(LeaderRow, task)
        if row is not None and row.replica != own.replica and row.until > context.clock():
            return Leader(row.replica, row.address)
    try:
        with context.database.session(write=True) as session:
            return _take(context, session, task, own)
    except IntegrityError:  # another replica was first
        with context.database.session() as session:
            row = session.get_one(LeaderRow, task)
            return Leader(row.replica, row.address)


def step_down(context: Context, replica: str) -> None:
    """Lead nothing any more, so that others need not wait."""
    with context.database.session(write=True) as session:
        session.execute(delete(LeaderRow).where(LeaderRow.replica == replica))


def _take(context: Context, session: Session, task: str, own: Leader) -> Leader:
    now = context.clock()
    row = session.scalar(select(LeaderRow).where(LeaderRow.task == task).with_for_update())
    if row is None:
        row = LeaderRow(task=task)
        session.add(row)
    elif row.replica != own.replica and row.until > now:
        return Leader(row.replica, row.address)
    row.replica, row.address, row.until = own.replica, own.address, now + LEASE
    session.flush()
    return own
