"""Where runs have worked: where their notebook lay, or in a directory of their own."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.store.tables import AttemptRow, RunRow, VersionRow


def directory_of(session: Session, run: RunRow) -> str | None:
    """Return where a run has worked; None where it had a directory of its own and has not said which."""
    version = session.get_one(VersionRow, run.version_id)
    return version.directory if version.files is None else own_directory_of(session, run)


def own_directory_of(session: Session, run: RunRow) -> str | None:
    """Return the directory of its own in which a run, or the one that it goes on from, has worked."""
    while True:
        query = select(AttemptRow.directory).where(
            AttemptRow.run_id == run.id, AttemptRow.directory.is_not(None)
        )
        found = session.scalar(query.order_by(AttemptRow.number.desc()).limit(1))
        goes_on = run.trigger in ("resume", "retry") and run.origin is not None
        before = session.get(RunRow, run.origin) if found is None and goes_on else None
        if before is None:
            return found
        run = before  # it was lost before anything of it was stored, and has the states of this one
