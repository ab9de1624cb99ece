"""One of each thing that has an owner, in a namespace, with a word in it that only its readers may see."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from respawn_jobs.access import Actor
from respawn_jobs.api.backfills import BackfillRequest
from respawn_jobs.api.carried_files import NewFile
from respawn_jobs.api.history import ImportRequest as ImportRequest
from respawn_jobs.api.runner_protocol import ArtifactCommit
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, ScheduleRequest
from respawn_jobs.api.triggers import DependencyRequest, HookRequest, SensorRequest
from respawn_jobs.api.versions import JobChange
from respawn_jobs.blobs.artifact_parts import sealed
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.people.actor_service import ActorService
from respawn_jobs.model.artifacts import Artifact, ArtifactPart
from respawn_jobs.model.runs import CellState
from respawn_jobs.model.settings import JobSettings
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.signed_calls import headers_of, signed_call

JOB, DOWNSTREAM, ATTIC = "report", "downstream", "attic"


@dataclass(frozen=True)
class Things:
    """What is in one namespace."""

    namespace: str
    word: str
    """In sources, outputs, parameters, errors and files of the namespace, and nowhere else."""
    ids: dict[str, str]
    """By the names that paths have for them, such as `run`; and `queued`, `unclaimed` for other states."""
    tokens: dict[str, str]
    """Of attempts, by their ids."""
    hook_secret: str
    archive: bytes
    blob: bytes
    """What a runner of the namespace may put; `digest` of `ids` names it."""

    @property
    def job(self) -> str:
        """The full name of the job that has everything."""
        return f"{self.namespace}/{JOB}"

    @property
    def downstream(self) -> str:
        """The full name of the job that follows it."""
        return f"{self.namespace}/{DOWNSTREAM}"

    @property
    def attic(self) -> str:
        """The full name of a job in the archive; its second version is current."""
        return f"{self.namespace}/{ATTIC}"

    def signed(self, body: bytes = b"", *, at: float | None = None) -> dict[str, str]:
        """Return the headers of a call of the webhook."""
        when = datetime.fromtimestamp(time.time() if at is None else at, UTC)
        return headers_of(signed_call(self.hook_secret, when, body))

    def private(self) -> list[str]:
        """Return what nobody but readers may learn from an answer."""
        return [self.word, self.hook_secret, *self.tokens.values(), *self.ids.values()]


def source(word: str) -> NotebookNode:
    """Return a notebook that says the word in each of its cells."""
    return notebook(
        f"md:about {word}",
        f"x = '{word}'",
        f"raise KeyError('{word}')",
        parameters=f"alpha: float = 0.5  # {word}\nwhere: str = '{word}'",
    )


def settle(ledger: Ledger, namespace: str, word: str, scratch: Path) -> Things:
    """Fill a namespace of a ledger that has an inbox.

    Args:
        ledger: the store.
        namespace: such as `team/risk`.
        word: letters that occur nowhere else.
        scratch: a directory for a file that goes away.
    """
    owner = ledger.as_actor(Actor.owner("maker"))
    for name in (JOB, DOWNSTREAM):
        settings = JobSettings(max_parallel=3)
        promotion = Promotion(namespace=namespace, name=name, notebook=text(source(word)), settings=settings)
        owner.promote(promotion)
    job, given = f"{namespace}/{JOB}", {"where": word}
    failed = _failed(ledger, owner, job, given)
    resumed = owner.resume(_failed(ledger, owner, job, given).run, ResumeRequest()).id
    running = PlayedRunner(ledger, resumed)
    running.begin()
    blob = json.dumps([{"output_type": "stream", "name": "stdout", "text": word}]).encode()
    unclaimed = PlayedRunner(ledger, owner.run(RunRequest(job=job, parameters=given)).id, claim=False)
    hook = owner.hook(HookRequest(job=job, parameters=given, accepts=["alpha"]))
    owner.set_dependency(DependencyRequest(job=f"{namespace}/{DOWNSTREAM}", upstream=[job], parameters=given))
    for value in (word, f"{word} again"):
        carried = [NewFile.of("rates.csv", value.encode(errors="surrogatepass"))]
        promotion = Promotion(namespace=namespace, name=ATTIC, notebook=text(source(value)), files=carried)
        owner.promote(promotion)
    _succeeded(ledger, owner, f"{namespace}/{ATTIC}", word)
    owner.change_job(f"{namespace}/{ATTIC}", JobChange(archived=True))
    archive = scratch / "archive.zip"
    owner.export_run(failed.run, archive)
    ids = {
        "run": failed.run,
        "queued": owner.run(RunRequest(job=job, parameters=given)).id,
        "running": running.run,
        "attempt": running.attempt,
        "unclaimed": unclaimed.attempt,
        "ended": failed.attempt,
        "digest": running.put(blob.decode()),
        "schedule": owner.schedule(
            ScheduleRequest(job=job, cron="0 3 * * *", tz="UTC", parameters=given)
        ).id,
        "hook": hook.hook.id,
        "sensor": owner.add_sensor(SensorRequest(job=job, prefix=word, parameter="where")).id,
        "backfill": owner.backfill(BackfillRequest(job=job, sets=[given, given])).id,
        "artifact": f"{word}-model",
        "notebook": owner.version(failed.run).notebook,
    }  # fmt: skip
    tokens = {played.attempt: played.token for played in (failed, running, unclaimed)}
    return Things(namespace, word, ids, tokens, hook.secret, archive.read_bytes(), blob)


def _failed(ledger: Ledger, owner: ActorService, job: str, given: dict[str, Any]) -> PlayedRunner:
    """Return the runner of a run that failed in its last cell, after markup and an artifact."""
    word = given["where"]
    played = PlayedRunner(ledger, owner.run(RunRequest(job=job, parameters=given)).id)
    played.begin()
    first, *between, last = [
        index for index, cell in enumerate(played.notebook.cells) if cell.cell_type == "code"
    ]
    data = {"text/html": f"<b>{word}</b>", "text/plain": word, "image/png": b64encode(word.encode()).decode()}
    framed = {"output_type": "display_data", "data": data, "metadata": {}}
    outputs = played.put(json.dumps([framed]))
    played.port.record([played.event(first, CellState.EXECUTED, execution_count=1, outputs=outputs)])
    played.checkpoint(first)
    for index in between:
        played.execute(index)
    _keep(played, word)
    played.fail(last)
    return played


def _succeeded(ledger: Ledger, owner: ActorService, job: str, word: str) -> None:
    """Make a run that other jobs read an artifact of."""
    played = PlayedRunner(ledger, owner.run(RunRequest(job=job)).id)
    played.begin()
    _keep(played, word)
    played.succeed()


def _keep(played: PlayedRunner, word: str) -> None:
    blob = sealed(played.run, word.encode())
    played.port.put_blob(digest := played.put(blob.decode()), blob)
    played.port.commit_artifact(ArtifactCommit(artifact=_artifact(f"{word}-model", digest, len(word))))


def _artifact(name: str, digest: str, size: int, number: int = 1) -> Artifact:
    return Artifact(
        name=name,
        number=number,
        kind="text",
        type="str",
        file=f"{name}.txt",
        size=size,
        saved_at=datetime.now(UTC),
        parts=[ArtifactPart(digest=digest, size=size)],
    )
