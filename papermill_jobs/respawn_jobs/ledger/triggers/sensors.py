"""Sensors: an object that appears under a prefix of the inbox makes a run.

A sensor pokes the inbox every so often, by one replica at a time, and lists it outside of any transaction.
An object makes its run when two pokes in a row see the same mark on it; written again, it makes another. What
was there before the sensor makes none. Names that were seen are remembered as long as the sensor, so that an
inbox which goes away and comes back makes nothing run again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.api.triggers import ObjectSensor, SensorRequest
from respawn_jobs.blobs.inbox import Appeared, Inbox
from respawn_jobs.errors import InvalidInput, NotFound, RespawnError
from respawn_jobs.ids import new_id
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.capacity.suspension import at_work, check_not_archived, locked_job
from respawn_jobs.ledger.context.context import Context, find_job, find_version
from respawn_jobs.ledger.context.text_limits import NAME, check_text
from respawn_jobs.ledger.runs.masked_parameters import shown_by_trigger
from respawn_jobs.ledger.runs.rows import ref_of
from respawn_jobs.ledger.runs.run_parameters import check_fixed_parameters
from respawn_jobs.ledger.triggers.trigger_run import TriggerEvent, queue
from respawn_jobs.store.pieces import in_pieces
from respawn_jobs.store.tables import JobRow
from respawn_jobs.store.trigger_tables import SensorObjectRow, SensorRow

logger = logging.getLogger(__name__)
_POKE_LEASE = timedelta(minutes=5)
"""After which another replica may poke: the one that did may have died."""


@dataclass(frozen=True)
class Poke:
    """One poke of a sensor, claimed by one replica."""

    sensor: str
    namespace: str
    prefix: str


def add(context: Context, actor: Actor, request: SensorRequest) -> ObjectSensor:
    """Add a sensor to a job; see `TriggerService.add_sensor`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `edit` in the job's namespace.
        request: the job, the prefix of the objects' names, and the parameter that gets a name.

    Raises:
        Unavailable: the inbox does not answer.
        InvalidInput: the ledger has no inbox, or prefix or parameters cannot be used.
        NotFound, Forbidden: see `find_job`.
        Conflict: the job is archived.
    """
    inbox = _inbox(context)
    later = [] if request.parameter is None else [check_text("parameter", request.parameter, NAME)]
    prefix = check_text("prefix", request.prefix.strip("/"))
    with context.database.session() as session:
        job = find_job(session, actor, request.job, "edit")
        check_not_archived(job)
        fixed = check_fixed_parameters(find_version(session, job), request.parameters, later)
    present = inbox.list_objects(job.namespace, prefix)
    with context.database.session(write=True) as session:
        job = locked_job(session, job.id)
        check_not_archived(job)
        # Race: another version became current since, which asked nothing about what was not there yet.
        fixed = check_fixed_parameters(find_version(session, job), request.parameters, later)
        row = SensorRow(
            id=new_id("sen"),
            job_id=job.id,
            prefix=prefix,
            parameter=request.parameter,
            parameters=fixed,
            next_poke=context.clock(),
            message=None,
            created_by=actor.name,
            created_at=context.clock(),
        )
        session.add(row)
        session.flush()
        session.add_all(
            SensorObjectRow(sensor_id=row.id, name_hash=hash_of(one.name), mark=one.mark, fired=True)
            for one in present
        )
        trail.write(
            context, session, actor.name, "add_sensor", job.namespace, row.id, job=ref_of(job), prefix=prefix
        )
        return sensor_of(context, row, job)


def remove_sensor(context: Context, actor: Actor, sensor_id: str) -> None:
    """Remove a sensor; its runs stay.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `edit` in the job's namespace.
        sensor_id: id of the sensor.

    Raises:
        NotFound: there is no such sensor.
    """
    with context.database.session(write=True) as session:
        query = select(SensorRow).where(SensorRow.id == check_text("sensor", sensor_id))
        row = session.scalar(query.with_for_update())
        if row is None:
            raise NotFound(f"there is no sensor {sensor_id}", sensor=sensor_id)
        job = session.get_one(JobRow, row.job_id)
        actor.require("edit", job.namespace, sensor_id)
        session.execute(delete(SensorObjectRow).where(SensorObjectRow.sensor_id == row.id))
        session.delete(row)
        trail.write(
            context, session, actor.name, "remove_sensor", job.namespace, sensor_id,
            job=ref_of(job), prefix=row.prefix,
        )  # fmt: skip


def sensors_of(context: Context, session: Session, job: JobRow) -> list[ObjectSensor]:
    """Return a job's sensors, oldest first.

    Args:
        context: the ledger's surroundings.
        session: the caller's transaction.
        job: the job.
    """
    query = select(SensorRow).where(SensorRow.job_id == job.id).order_by(SensorRow.created_at, SensorRow.id)
    return [sensor_of(context, row, job) for row in session.scalars(query)]


def sensor_of(context: Context, row: SensorRow, job: JobRow) -> ObjectSensor:
    """Return a sensor.

    Args:
        context: the ledger's surroundings.
        row: the sensor.
        job: its job.
    """
    return ObjectSensor(
        id=row.id,
        job=ref_of(job),
        prefix=row.prefix,
        address=context.inbox.address(job.namespace, row.prefix) if context.inbox else None,
        parameter=row.parameter,
        parameters=shown_by_trigger(row.parameters, job),
        next_poke=row.next_poke,
        message=row.message,
        created_by=row.created_by,
        created_at=row.created_at,
    )


def poke_sensors(context: Context, every_seconds: float) -> list[str]:
    """Poke every sensor that is due, and return the ids of the runs that objects have made.

    What keeps one poke from its end is noted on its sensor and tried again; it holds up no other.
    """
    queued: list[str] = []
    if context.inbox is None:
        return queued
    due = select(SensorRow.id).where(SensorRow.next_poke <= context.clock(), at_work(SensorRow.job_id))
    due = due.order_by(SensorRow.next_poke)
    with context.database.session() as session:
        waiting = list(session.scalars(due))
    for sensor_id in waiting:
        claimed = _claim(context, sensor_id)
        if claimed is None:
            continue
        message: str | None = None
        try:
            seen = context.inbox.list_objects(claimed.namespace, claimed.prefix)
            for name in _settled(context, sensor_id, seen):
                run = _fire(context, sensor_id, name)
                queued += [run] if run else []
        except RespawnError as error:
            message = error.message
            logger.warning("%s: %s", sensor_id, message)
        except Exception as error:  # whatever one sensor meets, the others must be poked
            message = f"the service met an error of its own: {type(error).__name__}"
            logger.exception("%s could not be poked", sensor_id)
        _note(context, sensor_id, message, every_seconds)
    return queued


def _claim(context: Context, sensor_id: str) -> Poke | None:
    """Claim a due poke; None when another replica has, or the sensor is gone."""
    with context.database.session(write=True) as session:
        now = context.clock()
        due = select(SensorRow).where(SensorRow.id == sensor_id, SensorRow.next_poke <= now)
        row = session.scalar(due.with_for_update(skip_locked=True))
        if row is None:
            return None
        row.next_poke = now + _POKE_LEASE
        return Poke(row.id, session.get_one(JobRow, row.job_id).namespace, row.prefix)


def _note(context: Context, sensor_id: str, message: str | None, every_seconds: float) -> None:
    with context.database.session(write=True) as session:
        row = session.scalar(select(SensorRow).where(SensorRow.id == sensor_id).with_for_update())
        if row is not None:
            row.message, row.next_poke = message, context.clock() + timedelta(seconds=every_seconds)


def _settled(context: Context, sensor_id: str, seen: Sequence[Appeared]) -> list[Appeared]:
    """Remember what a poke saw; return what is as the poke before saw it, and has made no run yet."""
    settled: list[Appeared] = []
    for piece in in_pieces(seen):
        some = {hash_of(one.name): one for one in piece}
        with context.database.session(write=True) as session:
            sensor = select(SensorRow.id).where(SensorRow.id == sensor_id)
            if session.scalar(sensor.with_for_update()) is None:
                return []  # removed while it poked
            known = {
                row.name_hash: row
                for row in session.scalars(
                    select(SensorObjectRow).where(
                        SensorObjectRow.sensor_id == sensor_id, SensorObjectRow.name_hash.in_(some)
                    )
                )
            }
            for name_hash, one in some.items():
                row = known.get(name_hash)
                if row is None:
                    session.add(
                        SensorObjectRow(sensor_id=sensor_id, name_hash=name_hash, mark=one.mark, fired=False)
                    )
                elif row.mark != one.mark:
                    row.mark, row.fired = one.mark, False
                elif not row.fired:
                    settled.append(one)
    return settled


def _fire(context: Context, sensor_id: str, appeared: Appeared) -> str | None:
    """Make the run of an object that has settled; None when another replica has."""
    name_hash = hash_of(appeared.name)
    with context.database.session(write=True) as session:
        sensor = session.scalar(select(SensorRow).where(SensorRow.id == sensor_id).with_for_update())
        row = session.get(SensorObjectRow, (sensor_id, name_hash))
        if sensor is None or row is None or row.fired or row.mark != appeared.mark:
            return None
        job = locked_job(session, sensor.job_id)
        if job.archived_at is not None:
            return None
        given = {} if sensor.parameter is None else {sensor.parameter: appeared.address}
        event = TriggerEvent(
            "sensor", sensor.id, f"{name_hash}-{hash_of(appeared.mark)}", sensor.created_by,
            {**sensor.parameters, **given},
        )  # fmt: skip
        run = queue(context, session, job, event)
        row.fired = True
        return None if run is None else run.id


def _inbox(context: Context) -> Inbox:
    if context.inbox is None:
        raise InvalidInput(
            "there is no inbox for a sensor: an administrator names one with RESPAWN_INBOX_URL, "
            "and only a hub's service looks into it"
        )
    return context.inbox


def hash_of(text: str) -> str:
    """Return what a name, or a mark, is remembered by."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
