"""Webhooks: a signed call makes a run; see `webhook_signatures` for how a call is signed.

A hook's secret is derived from a key of the service and the hook's salt, and kept nowhere. It is good for as
long as that key is accepted: when the key is rotated, a hook needs another secret within a stated time. A
call's `webhook-id` makes one run: the same message again is answered with that run. An unknown hook and a
wrong signature are answered alike.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.api.triggers import Hook, HookAnswer, HookRequest, NewHook
from respawn_jobs.errors import Conflict, InvalidInput, NotFound, Unauthenticated
from respawn_jobs.ids import is_id, new_id
from respawn_jobs.keyring import Key, Keyring
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.capacity.suspension import check_at_work, check_not_archived, locked_job
from respawn_jobs.ledger.context.context import Context, find_job, find_version
from respawn_jobs.ledger.context.text_limits import NAME, check_text
from respawn_jobs.ledger.runs.masked_parameters import shown_by_trigger
from respawn_jobs.ledger.runs.rows import ref_of
from respawn_jobs.ledger.runs.run_parameters import check_fixed_parameters, check_parameters, with_due
from respawn_jobs.ledger.triggers.trigger_run import TriggerEvent, made, queue
from respawn_jobs.ledger.triggers.webhook_signatures import SignedCall, secret_of
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.tables import JobRow
from respawn_jobs.store.trigger_tables import HookCallRow, HookRow
from respawn_kernels.sizes import how_large

MAX_BYTES = 64 * 1024
"""Bytes of a call's body."""
_KEPT = timedelta(hours=1)
"""How long a message that made no run is remembered; longer than its signature is good for."""
_REFUSED = "there is no such webhook, or the signature is wrong"


def hook(context: Context, actor: Actor, request: HookRequest) -> NewHook:
    """Add a webhook to a job; see `TriggerService.hook`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `edit` in the job's namespace.
        request: the job, fixed parameters by name, and the parameters that a call may give.

    Raises:
        InvalidInput: a name or a value cannot be used, or the ledger has no key to sign with.
        NotFound, Forbidden: see `find_job`.
        Conflict: the job is archived.
    """
    accepts = [check_text("parameter", name, NAME) for name in dict.fromkeys(request.accepts)]
    with context.database.session(write=True) as session:
        # Race: a version that does not take this is made meanwhile, which would have asked.
        job = locked_job(session, find_job(session, actor, request.job, "edit").id)
        check_not_archived(job)
        row = HookRow(
            id=new_id("hok"),
            job_id=job.id,
            salt=secrets.token_hex(16),
            parameters=check_fixed_parameters(find_version(session, job), request.parameters, accepts),
            accepts=accepts,
            created_by=actor.name,
            created_at=context.clock(),
            key=_keys(context).current("webhooks").id,
        )
        secret = _secret(context, row)
        session.add(row)
        trail.write(
            context, session, actor.name, "hook", job.namespace, row.id, job=ref_of(job), accepts=accepts
        )
        return NewHook(hook=hook_of(row, job), secret=secret)


def rotate(context: Context, actor: Actor, hook_id: str) -> NewHook:
    """Give a webhook another secret; see `TriggerService.rotate`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `edit` in the job's namespace.
        hook_id: id of the webhook.

    Raises:
        NotFound, Forbidden: no such webhook, or one of somebody else.
    """
    with context.database.session(write=True) as session:
        row, job = _find(session, actor, hook_id)
        row.salt, row.key = secrets.token_hex(16), _keys(context).current("webhooks").id
        secret = _secret(context, row)
        trail.write(context, session, actor.name, "rotate", job.namespace, row.id, job=ref_of(job))
        return NewHook(hook=hook_of(row, job), secret=secret)


def unhook(context: Context, actor: Actor, hook_id: str) -> None:
    """Remove a webhook; its runs stay.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `edit` in the job's namespace.
        hook_id: id of the webhook.

    Raises:
        NotFound, Forbidden: no such webhook, or one of somebody else.
    """
    with context.database.session(write=True) as session:
        row, job = _find(session, actor, hook_id)
        session.execute(delete(HookCallRow).where(HookCallRow.hook_id == row.id))
        session.delete(row)
        trail.write(context, session, actor.name, "unhook", job.namespace, hook_id, job=ref_of(job))


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


def call(context: Context, hook_id: str, signed: SignedCall, body: bytes) -> HookAnswer:
    """Make the run that a call asks for.

    Args:
        context: the ledger.
        hook_id: which webhook is called.
        signed: the call's headers.
        body: empty, or a JSON document `{"parameters": {...}}`.

    Raises:
        Unauthenticated: unsigned, too old, unknown or wrongly signed; in this order, so that a made-up call
            costs one look into the database at most.
        InvalidInput: the body cannot be read, or gives parameters that the hook or notebook does not take.
        Conflict: the message was taken before, and its run has been removed since; or the job is archived.
    """
    signed.check_form(context.clock())
    if not is_id("hok", hook_id):
        raise Unauthenticated(_REFUSED)
    with context.database.session() as session:
        row = session.get(HookRow, hook_id)
    secret = _secret(context, row) if row else _nobodys_secret()
    if not signed.is_signed_with(secret, body) or row is None:
        raise Unauthenticated(_REFUSED)
    return _take(context, row, signed.message_id, _given(body, row.accepts))


def forget_calls(context: Context) -> None:
    """Forget messages whose signatures are too old to be used again."""
    with context.database.session(write=True) as session:
        session.execute(delete(HookCallRow).where(HookCallRow.at < context.clock() - _KEPT))


def _take(context: Context, hook: HookRow, message_id: str, given: dict[str, Any]) -> HookAnswer:
    with context.database.session(write=True) as session:
        known = session.get(HookRow, hook.id)
        if known is None:  # removed since it was looked up
            raise Unauthenticated(_REFUSED)
        job = locked_job(session, known.job_id)
        check_at_work(session, job.namespace)
        check_not_archived(job)
        try:
            with session.begin_nested():
                session.add(HookCallRow(hook_id=hook.id, message_id=message_id, at=context.clock()))
        except IntegrityError:
            return _repeated(session, hook, message_id)
        version = find_version(session, job)
        parameters = {**hook.parameters, **given}
        try:
            check_parameters(version, with_due(version, parameters, context.clock()))
        except InvalidInput as error:
            if error.fields.get("parameter") in hook.accepts:
                raise
            # What the hook gives no longer fits the notebook: not the caller's fault, so a run says it.
        run = queue(
            context, session, job, TriggerEvent("hook", hook.id, message_id, hook.created_by, parameters)
        )
        if run is None:
            return _repeated(session, hook, message_id)
        return HookAnswer(run=run.id, state=RunState(run.state))


def _repeated(session: Session, hook: HookRow, message_id: str) -> HookAnswer:
    """Answer a call that was taken before, such as one that is sent again because its answer was lost."""
    run = made(session, hook.id, message_id)
    if run is None:
        raise Conflict(
            f"this message was sent to {hook.id} before; give each its own webhook-id", hook=hook.id
        )
    return HookAnswer(run=run.id, state=RunState(run.state), repeated=True)


def _given(body: bytes, accepts: list[str]) -> dict[str, Any]:
    """Return the parameters that a call gives."""
    if len(body) > MAX_BYTES:
        raise InvalidInput(f"the body has {how_large(len(body))}; {how_large(MAX_BYTES)} at most are taken")
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
        return _nobodys_secret()
    derived = hmac.new(key.secret.encode(), f"respawn webhook {row.id} {row.salt}".encode(), hashlib.sha256)
    return secret_of(derived.digest())


def _nobodys_secret() -> str:
    return secret_of(secrets.token_bytes(32))


def _find(session: Session, actor: Actor, hook_id: str) -> tuple[HookRow, JobRow]:
    query = select(HookRow).where(HookRow.id == check_text("webhook", hook_id))
    row = session.scalar(query.with_for_update())
    if row is None:
        raise NotFound(f"there is no webhook {hook_id}", hook=hook_id)
    job = session.get_one(JobRow, row.job_id)
    actor.require("edit", job.namespace, hook_id)
    return row, job
