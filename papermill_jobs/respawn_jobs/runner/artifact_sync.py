"""The runner's side of `respawn.save` and `respawn.load`: what is kept while a cell runs becomes durable.

The kernel writes whole files into a directory (`respawn_kernels.exchange.artifact_records`); a thread here
looks there and stores the newest artifact of each name, another brings those of earlier attempts and runs
when the kernel asks for them. Neither the cell nor its record waits for that. When saves follow
each other faster than they can be stored, those in between are never stored.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from respawn_jobs.api.runner_protocol import (
    LATEST,
    SERVICE_CAN,
    ArtifactCommit,
    ArtifactRequest,
    CellEvent,
    RunnerPort,
)
from respawn_jobs.blobs.artifact_parts import fetch_parts, store_parts
from respawn_jobs.blobs.artifact_records import artifact_of, record_of
from respawn_jobs.errors import Fenced, InvalidInput, NotFound, RespawnError
from respawn_jobs.model.artifacts import Artifact
from respawn_jobs.model.runs import CellState
from respawn_kernels.digest import write_whole
from respawn_kernels.exchange.artifact_records import ArtifactError, ArtifactRecord, Shelf, is_address

log = logging.getLogger(__name__)
Progress = Callable[[Sequence[CellEvent]], None]

_LOOK_SECONDS = 0.05
_FIRST_PAUSE, _MAX_PAUSE = 0.5, 30.0
_TRIES_AT_THE_END = 2
_GRACE_SECONDS = 20.0
"""How long the end of a run that is stopped waits for what is on its way."""
_CLOSE_SECONDS = 1.0


@dataclass
class _Failure:
    """Why the artifact of a name could not be stored, and when that is tried again."""

    number: int
    why: str
    tries: int
    again: float
    final: bool


class ArtifactSync:
    """Stores what one kernel saves, and brings it what it loads; call `start`, then `drain` and `close`."""

    def __init__(
        self,
        port: RunnerPort,
        run: str,
        directory: Path,
        before: Sequence[Artifact] = (),
        can: Collection[str] = SERVICE_CAN,
    ) -> None:
        """Prepare the directory that the kernel will use.

        Args:
            port: the service.
            run: the run.
            directory: emptied when it exists.
            before: what earlier attempts and runs kept; files come when they are asked for.
            can: what the service can.
        """
        shutil.rmtree(directory, ignore_errors=True)
        self._port = port
        self._run = run
        self._can = can
        self._shelf = Shelf(directory).make()
        self._outbox = directory / "outbox"
        self._outbox.mkdir()
        self._before = {artifact.name: artifact for artifact in before}
        for artifact in before:
            text = record_of(artifact).to_json().encode()
            write_whole(self._shelf.path("before", artifact.name), text, durable=False)
        self._stored: dict[str, int] = {}
        self._seen: dict[str, tuple[int, int]] = {}
        self._waiting: dict[str, ArtifactRecord] = {}
        self._failures: dict[str, _Failure] = {}
        self._draining = False
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"respawn-artifacts-{name}", daemon=True)
            for name, work in (("store", self._store_all), ("fetch", self._fetch_all))
        ]

    def start(self) -> None:
        """Begin to look."""
        for thread in self._threads:
            thread.start()

    def watching(self, progress: Progress | None) -> Progress:
        """Return a `Progress` that tells the kernel which cell runs, and then tells `progress`."""

        def report(events: Sequence[CellEvent]) -> None:
            running = [event.index for event in events if event.state is CellState.RUNNING]
            if running:
                with suppress(OSError):  # a full disk: the artifact will not know its cell
                    write_whole(self._shelf.root / "cell", str(running[-1]).encode(), durable=False)
            if progress is not None:
                progress(events)

        return report

    def drain(self, stopping: Callable[[], bool] = lambda: False) -> list[tuple[int | None, str]]:
        """Wait until the newest of each name is stored, or could not be, however often it was tried before.

        Args:
            stopping: tells that the run is being stopped; then there are 20 seconds left.

        Returns:
            For each that is not stored its cell and a sentence that says why.
        """
        give_up: float | None = None
        with self._changed:
            self._look()
            self._draining = True
            tries = {name: failure.tries + _TRIES_AT_THE_END for name, failure in self._failures.items()}
            for failure in self._failures.values():
                failure.again = 0.0
            while not self._closed.is_set():
                if give_up is None and stopping():
                    give_up = time.monotonic() + _GRACE_SECONDS
                if give_up is not None and time.monotonic() >= give_up:
                    break
                if all(self._hopeless(name, tries.get(name, _TRIES_AT_THE_END)) for name in self._waiting):
                    break
                self._changed.notify_all()
                self._changed.wait(_LOOK_SECONDS)
            return [self._note_of(record) for record in self._waiting.values()]

    def close(self) -> None:
        """Stop looking, and let go of what is on its way."""
        self._closed.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(_CLOSE_SECONDS)

    def _hopeless(self, name: str, tries: int) -> bool:
        failure = self._failures.get(name)
        return failure is not None and (failure.final or failure.tries >= tries)

    def _note_of(self, record: ArtifactRecord) -> tuple[int | None, str]:
        failure = self._failures.get(record.name)
        why = failure.why if failure else "the run was stopped before"
        kept = f"; number {self._stored[record.name]} is" if record.name in self._stored else ""
        return record.cell, f"artifact {record.name!r} number {record.number} is not stored{kept}: {why}"

    # Storing

    def _store_all(self) -> None:
        while not self._closed.is_set():
            with self._changed:
                self._look()
                record = self._next()
                if record is None:
                    self._changed.wait(_LOOK_SECONDS)
                    continue
            try:
                number = self._store(record)
            except Fenced:
                self._closed.set()
            except Exception as error:  # noqa: BLE001  reported to the kernel, noted at the end, tried again
                self._failed(record, error)
            else:
                self._succeeded(record.name, number)

    def _look(self) -> None:
        """Read the records that changed since the last look."""
        with suppress(OSError), os.scandir(self._shelf.root / "records") as entries:
            for entry in entries:
                name, mark = Path(entry.name).stem, _mark(entry)
                if entry.name.startswith(".") or mark is None or self._seen.get(name) == mark:
                    continue
                with suppress(ArtifactError, OSError):
                    record = self._shelf.record("records", name)
                    if record is not None and record.number > self._stored.get(name, 0):
                        self._waiting[name] = record
                self._seen[name] = mark

    def _next(self) -> ArtifactRecord | None:
        """Return what to store now: of the names whose turn it is, the one that waits longest."""
        now = time.monotonic()
        for name, record in self._waiting.items():
            failure = self._failures.get(name)
            if (
                failure is None
                or failure.number < record.number
                or (not failure.final and failure.again <= now)
            ):
                return record
        return None

    def _store(self, record: ArtifactRecord) -> int:
        """Store the newest artifact of a name; return its number."""
        kept = self._outbox / record.name
        while True:
            kept.unlink(missing_ok=True)
            try:
                # A link of our own: the kernel removes its file as soon as a newer one is there.
                kept.hardlink_to(self._shelf.file(record))
                break
            except FileNotFoundError:
                newer = self._shelf.record("records", record.name)
                if newer is None or newer.number <= record.number:
                    raise
                record = newer
        try:
            parts = store_parts(self._run, kept, self._port.missing, self._port.put_blob)
            self._port.commit_artifact(ArtifactCommit(artifact=artifact_of(record, parts)))
        finally:
            kept.unlink(missing_ok=True)
        return record.number

    def _succeeded(self, name: str, number: int) -> None:
        with self._changed:
            self._stored[name] = number
            self._failures.pop(name, None)
            waiting = self._waiting.pop(name)
            if waiting.number > number:
                self._waiting[name] = waiting  # behind the others
            self._changed.notify_all()
        self._answer("stored", name, {"number": number})

    def _failed(self, record: ArtifactRecord, error: Exception) -> None:
        why = error.message if isinstance(error, RespawnError) else f"{type(error).__name__}: {error}"
        log.warning("artifact %r of %s could not be stored: %s", record.name, self._run, why)
        with self._changed:
            before = self._failures.get(record.name)
            tries = before.tries + 1 if before else 1
            pause = _FIRST_PAUSE if self._draining else min(_FIRST_PAUSE * 2**tries, _MAX_PAUSE)
            final = isinstance(error, InvalidInput)
            self._failures[record.name] = _Failure(record.number, why, tries, time.monotonic() + pause, final)
            self._changed.notify_all()
        number = self._stored.get(record.name, 0)
        self._answer("stored", record.name, {"number": number, "failed": record.number, "why": why})

    # Fetching

    def _fetch_all(self) -> None:
        wanted = self._shelf.root / "wanted"
        while not self._closed.wait(_LOOK_SECONDS):
            with suppress(OSError):
                for name in os.listdir(wanted):  # noqa: PTH208  names only
                    if name.startswith("."):
                        continue  # it is being written
                    self._fetch((wanted / name).read_text() or name)
                    (wanted / name).unlink(missing_ok=True)

    def _fetch(self, name: str) -> None:
        """Bring the file of an artifact; of another job's the record first."""
        try:
            artifact = self._before.get(name) or self._latest(name)
            fetch_parts(artifact.parts, self._port.get_blob, self._shelf.file(record_of(artifact)))
        except Exception as error:  # noqa: BLE001  the kernel waits for an answer, whatever broke
            why = error.message if isinstance(error, RespawnError) else str(error)
            answer = {"why": why or type(error).__name__, "missing": isinstance(error, NotFound)}
            self._answer("answers", name, answer)

    def _latest(self, address: str) -> Artifact:
        """Return another job's artifact, and write its record for the kernel."""
        if not is_address(address):
            raise NotFound("nothing was kept under this name before")
        if LATEST not in self._can:
            raise InvalidInput("the service is older than this kernel, and finds no artifacts of other jobs")
        artifact = self._port.latest_artifact(ArtifactRequest(address=address, cell=self._shelf.cell()))
        text = record_of(artifact).to_json().encode()
        write_whole(self._shelf.path("before", address), text, durable=False)
        self._before[address] = artifact
        return artifact

    def _answer(self, place: str, name: str, document: dict[str, Any]) -> None:
        with suppress(OSError):  # a full disk: who waits learns of the next one
            write_whole(self._shelf.path(place, name), json.dumps(document).encode(), durable=False)


def _mark(entry: os.DirEntry[str]) -> tuple[int, int] | None:
    try:
        found = entry.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
