"""Webhooks: a signed call makes a run.

    X-Respawn-Timestamp: <Unix seconds>
    X-Respawn-Signature: sha256=<hex of HMAC-SHA256(secret, timestamp + "." + body)>

A hook's secret is derived from a key of the service and the hook's salt, and kept nowhere. It is good for as
long as that key is accepted: when the key is rotated, a hook needs another secret within a stated time. A
signature is good for five minutes around its timestamp and makes one run; the same call again is answered
with that run. An unknown hook and a wrong signature are answered alike.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.errors import Conflict, InvalidInput, NotFound, Unauthenticated
from respawn_jobs.ids import is_id, new_id
from respawn_jobs.keyring import Key, Keyring
from respawn_jobs.ledger import audit
from respawn_jobs.ledger.context import Context, find_job, find_version
from respawn_jobs.ledger.convert import ref_of
from respawn_jobs.ledger.limits import NAME, check_text
from respawn_jobs.ledger.runs import check_parameters, with_due
from respawn_jobs.ledger.shown_parameters import shown_by_trigger
from respawn_jobs.ledger.suspension import check_at_work, check_not_archived, locked_job
from respawn_jobs.ledger.triggered import Occasion, check_rule, made, queue
from respawn_jobs.models import RunState
from respawn_jobs.service_triggers import Hook, HookAnswer, HookRequest, NewHook
from respawn_jobs.store.tables import JobRow
from respawn_jobs.store.trigger_tables import HookCallRow, HookRow

WINDOW_SECONDS = 300
"""How far a call's timestamp may be from the service's time."""
MOST_BYTES = 64 * 1024
"""Bytes of a call's body."""
_KEPT = timedelta(hours=1)
"""How long a signature is remembered; longer than any call may be repeated."""
_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_REFUSED = "there is no such webhook, or the signature is wrong"
_FORM = (
    "a call needs the headers X-Respawn-Timestamp (Unix seconds) and "
    "X-Respawn-Signature (sha256=<hex of HMAC-SHA256(secret, timestamp + '.' + body)>)"
)


def hook(context: Context, actor: Actor, request: HookRequest) -> NewHook:
    """Add a webhook to a job; see `TriggerService.hook`."""
    accepts = [check_text("parameter", name, NAME) for name in dict.fromkeys(request.accepts)]
    with context.database.session(write=True) as session:
        job = find_job(session, actor, request.job, "edit")
        check_not_archived(job)
        row = HookRow(
            id=new_id("hok"),
            job_id=job.id,
            salt=secrets.token_hex(16),
            parameters=check_rule(find_version(session, job), request.parameters, accepts),
            accepts=accepts,
            created_by=actor.name,
            created_at=context.clock(),
            key=_keys(context).current("webhooks").id,
        )
        secret = _secret(context, row)
        session.add(row)
        audit.write(
            context, session, actor.name, "hook", job.namespace, row.id, job=ref_of(job), accepts=accepts
        )
        return NewHook(hook=hook_of(row, job), secret=secret)


def rotate(context: Context, actor: Actor, hook_id: str) -> NewHook:
    """Give a webhook another secret; see `TriggerService.rotate`."""
    with context.database.session(write=True) as session:
        row, job = _find(session, actor, hook_id)
        row.salt, row.key = secrets.token_hex(16), _keys(context).current("webhooks").id
        secret = _secret(context, row)
        audit.write(context, session, actor.name, "rotate", job.namespace, row.id, job=ref_of(job))
        return NewHook(hook=hook_of(row, job), secret=secret)


def unhook(context: Context, actor: Actor, hook_id: str) -> None:
    """Remove a webhook; its runs stay."""
    with context.database.session(write=True) as session:
        row, job = _find(session, actor, hook_id)
        session.execute(delete(HookCallRow).where(HookCallRow.hook_id == row.id))
        session.delete(row)
        audit.write(context, session, actor.name, "unhook", job.namespace, hook_id, job=ref_of(job))


def hooks_of(session: Session, job: JobRow) -> list[Hook]:
    """Return a job's webhooks, oldest first."""
    query = select(HookRow).where(HookRow.job_id == job.id).order_by(HookRow.created_at, HookRow.id)
    return [hook_of(row, job) for row in session.scalars(query)]


def hook_of(row: HookRow, job: JobRow) -> Hook:
    """Return a webhook, without its secret."""
    return Hook(
        id=row.id,
        job=ref_of(job),
        parameters=shown_by_trigger(row.parameters, job),
        accepts=row.accepts,
        created_by=row.created_by,
        created_at=row.created_at,
    )


def call(context: Context, hook_id: str, timestamp: str, signature: str, body: bytes) -> HookAnswer:
    """Make the run that a call asks for.

    Args:
        context: the ledger.
        hook_id: which webhook is called.
        timestamp: the header X-Respawn-Timestamp.
        signature: the header X-Respawn-Signature.
        body: empty, or a JSON document `{"parameters": {...}}`.

    Raises:
        Unauthenticated: unsigned, too old, unknown or wrongly signed; in this order, so that a made-up call
            costs one look into the database at most.
        InvalidInput: the body cannot be read, or gives parameters that the hook or notebook does not take.
        Conflict: the call was taken before, and its run has been removed since; or the job is archived.
    """
    signed = _SIGNATURE.fullmatch(signature)
    if signed is None or _TIMESTAMP.fullmatch(timestamp) is None:
        raise Unauthenticated(f"{_FORM}; one is missing or has another form")
    now = context.clock()
    if abs(now.timestamp() - int(timestamp)) > WINDOW_SECONDS:
        raise Unauthenticated(
            f"the call's timestamp {timestamp} is more than {WINDOW_SECONDS} seconds from the service's "
            f"time, {int(now.timestamp())}; sign each call when it is sent, and set the sender's clock"
        )
    if not is_id("hok", hook_id):
        raise Unauthenticated(_REFUSED)
    with context.database.session() as session:
        row = session.get(HookRow, hook_id)
    expected = sign(_secret(context, row) if row else secrets.token_hex(32), timestamp, body)
    if not hmac.compare_digest(expected, signature) or row is None:
        raise Unauthenticated(_REFUSED)
    return _take(context, row, signed.group(1), _given(body, row.accepts))


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature header of a call."""
    return "sha256=" + hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def forget_calls(context: Context) -> None:
    """Forget signatures that are too old to be used again."""
    with context.database.session(write=True) as session:
        session.execute(delete(HookCallRow).where(HookCallRow.at < context.clock() - _KEPT))


def _take(context: Context, hook: HookRow, signature: str, given: dict[str, Any]) -> HookAnswer:
    with context.database.session(write=True) as session:
        known = session.get(HookRow, hook.id)
        if known is None:  # removed since it was looked up
            raise Unauthenticated(_REFUSED)
        job = locked_job(session, known.job_id)
        check_at_work(session, job.namespace)
        check_not_archived(job)
        try:
            with session.begin_nested():
                session.add(HookCallRow(hook_id=hook.id, signature=signature, at=context.clock()))
        except IntegrityError:
            return _repeated(session, hook, signature)
        version = find_version(session, job)
        parameters = {**hook.parameters, **given}
        try:
            check_parameters(version, with_due(version, parameters, context.clock()))
        except InvalidInput as error:
            if error.fields.get("parameter") in hook.accepts:
                raise
            # What the hook gives no longer fits the notebook: not the caller's fault, so a run says it.
        run = queue(context, session, job, Occasion("hook", hook.id, signature, hook.created_by, parameters))
        if run is None:
            return _repeated(session, hook, signature)
        return HookAnswer(run=run.id, state=RunState(run.state))


def _repeated(session: Session, hook: HookRow, signature: str) -> HookAnswer:
    """Answer a call that was taken before, such as one that is sent again because its answer was lost."""
    run = made(session, hook.id, signature)
    if run is None:
        raise Conflict(f"this call of {hook.id} was taken before; sign each call anew", hook=hook.id)
    return HookAnswer(run=run.id, state=RunState(run.state), repeated=True)


def _given(body: bytes, accepts: list[str]) -> dict[str, Any]:
    """Return the parameters that a call gives."""
    if len(body) > MOST_BYTES:
        raise InvalidInput(f"the body has {len(body)} bytes; {MOST_BYTES} at most are taken")
    try:
        document = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the body is not JSON: {error}") from error
    if not isinstance(document, dict) or not document.keys() <= {"parameters"}:
        raise InvalidInput('the body is a JSON object with `parameters` and nothing else: {"parameters": {}}')
    given = document.get("parameters", {})
    if not isinstance(given, dict):
        raise InvalidInput("`parameters` is a JSON object of names and values")
    for name in given:
        if name not in accepts:
            known = ", ".join(accepts) or "none"
            raise InvalidInput(f"this webhook accepts no parameter {name[:80]!r}; it accepts {known}")
    return given


def _keys(context: Context) -> Keyring:
    if context.keyring is None:
        raise InvalidInput(
            "this store has no key that webhooks could be signed with: open it with its data directory"
        )
    return context.keyring


def _key(context: Context, row: HookRow) -> Key | None:
    """Return the key of a webhook's secret; None when it is no longer known."""
    keys = _keys(context).all("webhooks")
    if row.key is None:  # made before keys were rotated
        return keys[-1] if keys else None
    return next((key for key in keys if key.id == row.key), None)


def _secret(context: Context, row: HookRow) -> str:
    """Return a webhook's secret; one that nobody knows when its key is not accepted any more."""
    key = _key(context, row)
    if key is None or not key.accepted(context.clock()):
        return secrets.token_hex(32)
    return hmac.new(
        key.secret.encode(), f"respawn webhook {row.id} {row.salt}".encode(), hashlib.sha256
    ).hexdigest()


def _find(session: Session, actor: Actor, hook_id: str) -> tuple[HookRow, JobRow]:
    query = select(HookRow).where(HookRow.id == check_text("webhook", hook_id))
    row = session.scalar(query.with_for_update())
    if row is None:
        raise NotFound(f"there is no webhook {hook_id}", hook=hook_id)
    job = session.get_one(JobRow, row.job_id)
    actor.require("edit", job.namespace, hook_id)
    return row, job
