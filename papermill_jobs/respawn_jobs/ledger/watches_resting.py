"""Objects that appeared while a watch's job was archived: like due times of then, they make no runs later."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from respawn_jobs.errors import InvalidInput, Unavailable
from respawn_jobs.inbox import Appeared
from respawn_jobs.ledger.context import Context
from respawn_jobs.ledger.watches import hash_of
from respawn_jobs.store.pieces import in_pieces
from respawn_jobs.store.tables import JobRow
from respawn_jobs.store.trigger_tables import WatchedRow, WatchRow


def pass_over(context: Context, job_id: str) -> None:
    """Let all that lies in the inbox now make no run of an archived job, which is about to be restored.

    Done before the restore and outside of its transaction: a listing may take long. It changes nothing that
    is seen while the job stays archived.

    Raises:
        Unavailable: the inbox does not answer. Restored all the same, the job would run for each object.
        InvalidInput: the inbox cannot be watched, such as for too many objects.
    """
    if context.inbox is None:
        return
    with context.database.session() as session:
        watches = session.execute(
            select(WatchRow.id, WatchRow.prefix, JobRow.namespace)
            .join(JobRow, JobRow.id == WatchRow.job_id)
            .where(WatchRow.job_id == job_id, JobRow.archived_at.is_not(None))
            .order_by(WatchRow.id)
        ).all()
    for watch_id, prefix, namespace in watches:
        try:
            present = context.inbox.look(namespace, prefix)
        except (InvalidInput, Unavailable) as error:
            raise type(error)(
                f"the job stays archived: what appeared under {prefix!r} meanwhile cannot be told from what "
                f"is to come: {error.message}. Try again when the inbox answers, or remove the watch "
                f"{watch_id} first",
                watch=watch_id,
            ) from error
        for piece in in_pieces(present):
            _remember(context, watch_id, piece)


def _remember(context: Context, watch_id: str, present: Sequence[Appeared]) -> None:
    some = {hash_of(one.name): one.mark for one in present}
    with context.database.session(write=True) as session:
        watch = session.scalar(select(WatchRow).where(WatchRow.id == watch_id).with_for_update())
        if watch is None or session.get_one(JobRow, watch.job_id).archived_at is None:
            return  # removed, or restored by somebody else meanwhile
        known = select(WatchedRow).where(WatchedRow.watch_id == watch_id, WatchedRow.name_hash.in_(some))
        for row in session.scalars(known):
            row.mark, row.fired = some.pop(row.name_hash), True
        session.add_all(
            WatchedRow(watch_id=watch_id, name_hash=name_hash, mark=mark, fired=True)
            for name_hash, mark in some.items()
        )
