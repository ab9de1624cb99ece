"""Objects that appeared while a sensor's job was archived: they make no runs later, as due times of then."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from respawn_jobs.blobs.inbox import Appeared
from respawn_jobs.errors import InvalidInput, Unavailable
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.triggers.sensors import hash_of
from respawn_jobs.store.pieces import in_pieces
from respawn_jobs.store.tables import JobRow
from respawn_jobs.store.trigger_tables import SensorObjectRow, SensorRow


def pass_over(context: Context, job_id: str) -> None:
    """Let all that lies in the inbox now make no run of an archived job, which is about to be restored.

    Done before the restore and outside of its transaction: a listing may take long. It changes nothing that
    is seen while the job stays archived.

    Raises:
        Unavailable: the inbox does not answer. Restored all the same, the job would run for each object.
        InvalidInput: the inbox cannot be listed, such as for too many objects.
    """
    if context.inbox is None:
        return
    with context.database.session() as session:
        sensors = session.execute(
            select(SensorRow.id, SensorRow.prefix, JobRow.namespace)
            .join(JobRow, JobRow.id == SensorRow.job_id)
            .where(SensorRow.job_id == job_id, JobRow.archived_at.is_not(None))
            .order_by(SensorRow.id)
        ).all()
    for sensor_id, prefix, namespace in sensors:
        try:
            present = context.inbox.list_objects(namespace, prefix)
        except (InvalidInput, Unavailable) as error:
            raise type(error)(
                f"the job stays archived: what appeared under {prefix!r} meanwhile cannot be told from what "
                f"is to come: {error.message}. Try again when the inbox answers, or remove the sensor "
                f"{sensor_id} first",
                sensor=sensor_id,
            ) from error
        for piece in in_pieces(present):
            _remember(context, sensor_id, piece)


def _remember(context: Context, sensor_id: str, present: Sequence[Appeared]) -> None:
    some = {hash_of(one.name): one.mark for one in present}
    with context.database.session(write=True) as session:
        sensor = session.scalar(select(SensorRow).where(SensorRow.id == sensor_id).with_for_update())
        if sensor is None or session.get_one(JobRow, sensor.job_id).archived_at is None:
            return  # removed, or restored by somebody else meanwhile
        known = select(SensorObjectRow).where(
            SensorObjectRow.sensor_id == sensor_id, SensorObjectRow.name_hash.in_(some)
        )
        for row in session.scalars(known):
            row.mark, row.fired = some.pop(row.name_hash), True
        session.add_all(
            SensorObjectRow(sensor_id=sensor_id, name_hash=name_hash, mark=mark, fired=True)
            for name_hash, mark in some.items()
        )
