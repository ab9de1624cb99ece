"""The service as a runner sees it, in-process: `RunnerPort` over the store."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.api.runner_protocol import (
    PROTOCOL,
    SERVICE_CAN,
    ArtifactCommit,
    ArtifactRequest,
    Assignment,
    CellEvent,
    CheckpointCommit,
    HeartbeatAnswer,
    Outcome,
    Reconsidered,
    RunnerVersion,
    check_protocol,
)
from respawn_jobs.errors import Conflict, Fenced, InvalidInput, NotFound, Unauthenticated
from respawn_jobs.ledger.attempts import latest_artifacts, replanning
from respawn_jobs.ledger.attempts.lifecycle import end_attempt, lock_attempt, settle, token_hash
from respawn_jobs.ledger.attempts.own_directory import check_runner, own_directory
from respawn_jobs.ledger.blobs import ownership
from respawn_jobs.ledger.blobs.ownership import name_in_checkpoints
from respawn_jobs.ledger.blobs.registry import fresh_of, secure
from respawn_jobs.ledger.context.context import Context, touch
from respawn_jobs.ledger.context.text_limits import check_digest, check_text, cleaned
from respawn_jobs.ledger.runs import artifacts
from respawn_jobs.ledger.runs.cell_records import begins_from, cells_of, count_done, taken_over_by
from respawn_jobs.ledger.runs.revisions import mark_state_change
from respawn_jobs.ledger.runs.rows import ref_of
from respawn_jobs.model.artifacts import Artifact
from respawn_jobs.model.evidence import document_of
from respawn_jobs.model.runs import CellState, RunState
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.notebook.parameter_values import parameters_hash
from respawn_jobs.store.tables import AttemptRow, CellRow, CheckpointRow, JobRow, RunRow, VersionRow

_COLUMNS = (
    "cell_id",
    "source_hash",
    "tags",
    "execution_count",
    "started_at",
    "finished_at",
    "seconds",
    "outputs",
    "note",
    "blocked_since",
)
_KEY = 64
"""Characters of a cell's id and of a hash."""
_PATH = 4096
"""Characters of the directory in which an attempt works."""


class LedgerRunner:
    """Serves one attempt's runner; every call checks the token and whether the attempt still holds."""

    def __init__(self, context: Context, attempt: str, token: str) -> None:
        """Serve one attempt.

        Args:
            context: the ledger's surroundings.
            attempt: the attempt's id.
            token: the token that the attempt was opened with; only its hash is kept.

        Raises:
            InvalidInput: the id holds a character that cannot be stored.
        """
        self._context = context
        self._attempt = check_text("attempt", attempt)
        self._token_hash = token_hash(token)

    def claim(self, runner: RunnerVersion | None = None) -> Assignment:
        """Take the attempt: it becomes `running` and its lease starts. A second claim is a `Conflict`."""
        with self._holding(write=True) as (session, run, attempt):
            check_protocol(runner := runner or RunnerVersion.own())
            if attempt.state != RunState.QUEUED.value:
                raise Conflict(f"{attempt.id} was claimed before", attempt=attempt.id)
            now = self._context.clock()
            attempt.state = run.state = RunState.RUNNING.value
            attempt.started_at = attempt.heartbeat_at = now
            attempt.lease_until = now + self._context.lease
            if run.started_at is None:
                since = run.due_at or run.created_at
                self._context.observer.started(run.queue, (now - since).total_seconds())
            run.started_at = run.started_at or now
            mark_state_change(session, run.id)
            version = session.get_one(VersionRow, run.version_id)
            check_runner(version, runner)
            settings = JobSettings.model_validate(run.settings)
            return Assignment(
                attempt=attempt.id,
                run=run.id,
                job=ref_of(session.get_one(JobRow, run.job_id)),
                version=version.number,
                number=attempt.number,
                notebook=version.notebook,
                kernel=version.kernel,
                lock=run.lock,
                language=version.language,
                directory=version.directory if version.files is None else None,
                own_directory=own_directory(session, run, version),
                parameters=run.parameters,
                timeout_seconds=settings.timeout_seconds,
                cell_timeout_seconds=settings.cell_timeout_seconds,
                blocked_after_seconds=settings.blocked_after_seconds,
                blocked_timeout_seconds=settings.blocked_timeout_seconds,
                keep_kernel_seconds=_kept_seconds(settings, self._context.keep_kernel_seconds),
                lease_seconds=self._context.lease.total_seconds(),
                checkpoint_share=settings.checkpoint_share,
                snapshot_memory_mb=settings.snapshot_memory_mb,
                snapshot_fork=settings.snapshot_fork,
                limits=settings.limits,
                resume=begins_from(run),
                artifacts=artifacts.latest(session, run.id),
                protocol=PROTOCOL,
                can=list(SERVICE_CAN),
            )

    def heartbeat(self) -> HeartbeatAnswer:
        """Renew the lease and learn what the service wants."""
        with self._running(write=True) as (_, run, attempt):
            now = self._context.clock()
            attempt.heartbeat_at = now
            attempt.lease_until = now + self._context.lease
            store, attempt.state_wanted = attempt.state_wanted, False
            command: Literal["continue", "cancel"] = "cancel" if run.cancel_requested else "continue"
            return HeartbeatAnswer(command=command, store=store)

    def record(self, events: list[CellEvent]) -> None:
        """Store cell events; all or none."""
        self._require([event.outputs for event in events if event.outputs])
        with self._running(write=True) as (session, run, attempt):
            secure(session, [event.outputs for event in events if event.outputs])
            inherited = _inherited(session, run) if any(_reused(event) for event in events) else {}
            for event in events:
                session.merge(_row(event, run, attempt, inherited.get(event.index)))
            session.flush()
            run.cells_done = count_done(session, run, attempt.number)
            touch(session, run.id)

    def begin(self, skeleton: str, cells: list[CellEvent]) -> None:
        """Tell the parameterized notebook and its pending code cells.

        Cells that the run takes over are recorded as reused at once, so that they are not lost if the
        runner dies before it says so.
        """
        self._require([skeleton])
        with self._running(write=True) as (session, run, attempt):
            secure(session, [skeleton])
            inherited = _inherited(session, run)
            for event in cells:
                before = inherited.get(event.index)
                row = _row(event, run, attempt)
                if (
                    before is not None
                    and before.state == CellState.REUSED.value
                    and event.state is CellState.PENDING
                    and before.source_hash == event.source_hash
                ):
                    row.state = CellState.REUSED.value
                    row.outputs, row.execution_count = before.outputs, before.execution_count
                    row.seconds = before.seconds
                    row.parameters_hash, row.lock = before.parameters_hash, before.lock
                    row.evidence, row.cost = before.evidence, before.cost
                session.merge(row)
            session.flush()
            run.skeleton = skeleton
            run.cells_total = len(cells)
            run.cells_done = count_done(session, run, attempt.number)
            touch(session, run.id)

    def reconsider(self, done: list[int]) -> Reconsidered:
        """Make the plan of a resumed attempt anew, with what was seen of the cells that ran again."""
        with self._running() as (session, run, attempt):
            return replanning.reconsider(self._context, session, run, attempt, done)

    def missing(self, digests: list[str]) -> list[str]:
        """Return those of `digests` that the run's namespace has not stored, whatever others have."""
        return self._lacking(digests)

    def put_blob(self, digest: str, source: bytes | Path) -> None:
        """Store bytes under their digest.

        Raises `Corrupt` when they do not match it, `QuotaExceeded` when the namespace stores enough.
        """
        with self._running() as (session, run, _):
            namespace = session.get_one(JobRow, run.job_id).namespace
            new = not ownership.held(session, namespace, [digest])
        if new:
            size = source.stat().st_size if isinstance(source, Path) else len(source)
            self._context.quotas.check_room(self._context, namespace, size)
        ownership.put(self._context, namespace, digest, source, new=new)

    def get_blob(self, digest: str) -> bytes:
        """Return a blob that this attempt may read. Raises `NotFound` for any other."""
        self._check_blob(digest)
        return self._context.blobs.get(digest)

    def stream_blob(self, digest: str) -> Iterator[bytes]:
        """Return what `get_blob` does, in pieces; whether the attempt may read it is checked at once."""
        self._check_blob(digest)
        return self._context.blobs.stream(digest)

    def check(self) -> None:
        """Raise what any call would: for a wrong token, or an attempt that does not run any more."""
        with self._running():
            pass

    def _check_blob(self, digest: str) -> None:
        with self._running() as (session, run, _):
            version = session.get_one(VersionRow, run.version_id)
            allowed = {version.notebook, version.bundle, run.skeleton}
            resume = begins_from(run)
            if resume is not None:
                allowed |= {resume.manifest, *resume.blobs, *(cell.outputs for cell in resume.reused)}
            belongs = digest in allowed or artifacts.names(session, run.id, digest)
        if not belongs:
            raise NotFound(f"blob {digest} does not belong to {self._attempt}", digest=digest)

    def commit_checkpoint(self, commit: CheckpointCommit) -> None:
        """Make a checkpoint part of the run. Raises `InvalidInput` when a blob is missing."""
        checkpoint = commit.checkpoint
        self._require([checkpoint.manifest, *commit.blobs])
        with self._running(write=True) as (session, run, attempt):
            session.merge(
                CheckpointRow(
                    run_id=run.id,
                    attempt=attempt.number,
                    blobs=commit.blobs,
                    **checkpoint.model_dump(mode="json"),
                )
            )
            name_in_checkpoints(session, run.id, {checkpoint.manifest, *commit.blobs})
            attempt.hash_seed = commit.hash_seed or attempt.hash_seed
            attempt.directory = _directory(commit.directory) or attempt.directory
            touch(session, run.id)
        self._context.observer.checkpointed(checkpoint.seconds, checkpoint.new_bytes)

    def commit_artifact(self, commit: ArtifactCommit) -> None:
        """Make an artifact the latest of its name. Raises `InvalidInput` when a part is missing."""
        artifact = artifacts.checked(commit.artifact)
        self._require([part.digest for part in artifact.parts])
        with self._running(write=True) as (session, run, attempt):
            secure(session, [part.digest for part in artifact.parts])
            unnamed = artifacts.commit(session, run, attempt, artifact)
            touch(session, run.id)
            run_id = run.id
        artifacts.forget(self._context, run_id, unnamed)

    def latest_artifact(self, request: ArtifactRequest) -> Artifact:
        """Return what the newest successful run of another job kept; see `latest_artifacts.read`."""
        with self._running(write=True) as (session, run, attempt):
            return latest_artifacts.read(session, run, attempt, request.address, request.cell)

    def finish(self, outcome: Outcome) -> None:
        """End the attempt. The run becomes final, or is queued again by its retry policy.

        Telling the same end again changes nothing: the answer to the first may have been lost.
        """
        try:
            self._require([outcome.notebook] if outcome.notebook is not None else [])
            with self._running(write=True) as (session, run, attempt):
                secure(session, [outcome.notebook] if outcome.notebook is not None else [])
                attempt.hash_seed = outcome.hash_seed or attempt.hash_seed
                attempt.directory = _directory(outcome.directory) or attempt.directory
                attempt.limits = outcome.limits.model_dump(mode="json") if outcome.limits else None
                start = outcome.kernel_start
                attempt.kernel_start = start.model_dump(mode="json") if start is not None else None
                now, state = self._context.clock(), RunState(outcome.state)
                end_attempt(session, run, attempt, now, state, outcome.error, outcome.notebook, outcome.cause)
                run_id = run.id
        except Fenced:
            if not self._recorded_before(outcome):
                raise
            return
        if start is not None:
            self._context.observer.kernel_started(warm=start.warm)
        settle(self._context, run_id)

    def _recorded_before(self, outcome: Outcome) -> bool:
        """Return whether the attempt ended by this very outcome. The token was checked before."""
        with self._context.database.session() as session:
            attempt = session.get_one(AttemptRow, self._attempt)
            error = outcome.error.model_dump(mode="json") if outcome.error else None
            recorded = (attempt.state, attempt.error, attempt.notebook)
            return recorded == (outcome.state, error, outcome.notebook)

    def close(self) -> None:
        """Release nothing: the ledger owns the connections."""

    def _lacking(self, digests: list[str]) -> list[str]:
        wanted = list(dict.fromkeys(check_digest(digest) for digest in digests))
        with self._running() as (session, run, _):
            known = ownership.held(session, session.get_one(JobRow, run.job_id).namespace, wanted)
            fresh = fresh_of(self._context, session, known)
        found = ownership.kept(self._context, known, fresh)
        return [digest for digest in wanted if digest not in found]

    def _require(self, digests: list[str]) -> None:
        # What names no blob is checked by the transaction that follows alone.
        missing = self._lacking(digests) if digests else []
        if missing:
            raise InvalidInput(f"blob {missing[0]} was not put before it was named", missing=missing)

    @contextmanager
    def _running(self, *, write: bool = False) -> Iterator[tuple[Session, RunRow, AttemptRow]]:
        with self._holding(write=write) as (session, run, attempt):
            if attempt.state != RunState.RUNNING.value:
                raise Conflict(f"{attempt.id} was not claimed", attempt=attempt.id)
            yield session, run, attempt

    @contextmanager
    def _holding(self, *, write: bool = False) -> Iterator[tuple[Session, RunRow, AttemptRow]]:
        with self._context.database.session(write=write) as session:
            stored = session.scalar(select(AttemptRow.token_hash).where(AttemptRow.id == self._attempt))
            # The same answer for a wrong token and an unknown attempt: neither may be found out.
            if not hmac.compare_digest(stored or "", self._token_hash):
                raise Unauthenticated("the attempt's token is not valid", attempt=self._attempt)
            found = lock_attempt(session, self._attempt)
            if found is None or not RunState(found[1].state).executing:
                raise Fenced(f"{self._attempt} ended or was replaced: stop", attempt=self._attempt)
            yield session, *found


def _inherited(session: Session, run: RunRow) -> dict[int, CellRow]:
    rows = cells_of(session, run, taken_over_by(run), evidence=True)
    return {cell.index: cell for cell in rows}


def _kept_seconds(settings: JobSettings, allowed: float) -> float:
    """Return how long an attempt's kernel is kept after a failure, of what the deployment allows."""
    wanted = settings.keep_kernel_seconds
    return allowed if wanted is None else min(wanted, allowed)


def _reused(event: CellEvent) -> bool:
    return event.state is CellState.REUSED


def _row(event: CellEvent, run: RunRow, attempt: AttemptRow, inherited: CellRow | None = None) -> CellRow:
    """Return a cell as it is recorded, with the conditions that it runs under, or did when it is reused."""
    values = {name: getattr(event, name) for name in _COLUMNS}
    values["cell_id"] = check_text("cell id", event.cell_id, _KEY)
    values["source_hash"] = check_text("source hash", event.source_hash, _KEY)
    # A cell's own text may end up in its note: refusing it would end a run over a character.
    values["note"] = cleaned(event.note) if event.note else event.note
    values["evidence"] = document_of(event.evidence) if event.evidence is not None else None
    values["cost"] = event.cost.model_dump(mode="json") if event.cost is not None else None
    if _reused(event):
        if inherited is not None:
            values |= {"parameters_hash": inherited.parameters_hash, "lock": inherited.lock}
            values |= {"evidence": inherited.evidence, "cost": inherited.cost}
    elif event.state not in (CellState.PENDING, CellState.SKIPPED):
        values |= {"parameters_hash": parameters_hash(run.parameters), "lock": run.lock}
    return CellRow(
        run_id=run.id, attempt=attempt.number, index=event.index, state=event.state.value, **values
    )


def _directory(reported: str | None) -> str | None:
    return None if reported is None else check_text("directory", reported, _PATH)
