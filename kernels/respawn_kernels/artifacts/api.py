"""`respawn.save` and `respawn.load`: what a notebook keeps on purpose while a cell runs.

In a run the files go to a directory that the kernel shares with its runner, which stores them in the service.
`save` returns when the file is whole on this machine's disk: from then on it survives the kernel. The runner
stores it at once, in a thread of its own; from then on it survives the machine. When saves follow each other
faster than they can be stored, the newest of each name is stored and the others are left out.

Elsewhere, in a notebook that somebody develops, the files are in a temporary directory that ends with the
session.
"""

from __future__ import annotations

import atexit
import errno
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from respawn_kernels.artifacts.kinds import Writing, pickled, read, writing_of
from respawn_kernels.artifacts.previews import preview_of
from respawn_kernels.counting import how_many
from respawn_kernels.digest import write_whole
from respawn_kernels.exchange.artifact_records import (
    MAX_NAMES,
    PREVIEW,
    ArtifactError,
    ArtifactNotFound,
    ArtifactRecord,
    Shelf,
    check_address,
    check_name,
)
from respawn_kernels.introspection.descriptions import describe, type_name
from respawn_kernels.originals import getpid, sleep

REQUIRED: Any = type("Required", (), {"__repr__": lambda _: "<no default>"})()
"""Stands for a default that was not given."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MAX_PAUSE = 0.1


@dataclass
class _Place:
    """Where this process keeps artifacts."""

    shelf: Shelf
    served: bool
    """Whether a runner stores what is saved and brings what is asked for."""
    run: str | None = None
    """The run whose artifacts a debug notebook sees."""
    downloaded: Shelf | None = None
    """Where they are."""


_place: _Place | None = None
_lock = threading.Lock()
_fetching = threading.Lock()


def start(directory: Path) -> None:
    """Keep artifacts in a directory that a runner watches; what the agent calls in a run's kernel."""
    global _place
    _place = _Place(Shelf(directory).make(), served=True)


def attach(directory: Path, run: str) -> None:
    """Let `load` see the artifacts of a run that was downloaded, in the notebook that debugs it.

    What the notebook saves stays in the session and changes nothing of the run.

    Args:
        directory: where the run's artifacts were downloaded to.
        run: the run's id, for messages.
    """
    place = _here()
    if place.served:
        return
    for name in place.shelf.names("before"):
        place.shelf.path("before", name).unlink(missing_ok=True)
    downloaded = Shelf(directory)
    for name in downloaded.names("before") | downloaded.addresses():
        with suppress(ArtifactError, OSError):  # it is missing then, and load says so
            record = downloaded.record("before", name)
            if record is not None:
                write_whole(place.shelf.path("before", name), record.to_json().encode(), durable=False)
    place.run, place.downloaded = run, downloaded


def save(name: str, value: Any, *, wait: bool = False) -> ArtifactRecord:
    """Keep an object under a name; see `respawn.save`.

    Args:
        name: of the artifact: letters, digits, `_`, `-` and `.`; at most 100.
        value: any object that can be written.
        wait: return only when the runner has stored it.

    Raises:
        ArtifactError: it could not be kept; what was kept before still is.
    """
    check_name(name)
    place = _here()
    shelf = place.shelf
    try:
        writing = writing_of(value)
        record = _write(shelf, name, value, writing)
    except ArtifactError:
        raise
    except OSError as error:
        raise _not_written(name, shelf, error) from error
    except Exception as error:  # broad: the object's own code and its library may raise anything
        raise ArtifactError(
            f"artifact {name!r} ({type_name(value)}) could not be saved: {type(error).__name__}: {error}. "
            "Save what it is made of instead, such as its arrays, tables or settings"
        ) from error
    if wait and place.served:
        _until_stored(shelf, record)
    return record


def load(name: str, default: Any = REQUIRED) -> Any:
    """Return the latest object kept under a name; see `respawn.load`.

    Args:
        name: of the artifact.
        default: what to return when there is none; `REQUIRED` for no default.

    Raises:
        ArtifactNotFound: there is none, and no default.
        ArtifactError: it cannot be read or fetched.
    """
    check_name(name)
    place = _here()
    while True:
        record = place.shelf.latest(name)
        if record is None:
            if default is REQUIRED:
                raise _unknown(name, place)
            return default
        if not place.shelf.file(record).exists():
            if place.shelf.latest(name) != record:
                continue  # Race: another thread or process has just saved a newer one.
            _fetch(place, record)
        try:
            return read(record.kind, place.shelf.file(record), record.meta)
        except FileNotFoundError:
            if place.shelf.latest(name) != record:
                continue  # Race: the same, after it was found to exist.
            raise
        except Exception as error:  # broad: as when it was saved
            raise ArtifactError(
                f"artifact {name!r} ({record.type}, saved {record.saved_at}) could not be loaded: "
                f"{type(error).__name__}: {error}"
            ) from error


def latest(address: str, default: Any = REQUIRED) -> Any:
    """Return another job's artifact; see `respawn.latest`.

    Args:
        address: the job and the artifact's name, with `/` between them.
        default: what to return when there is none; `REQUIRED` for no default.

    Raises:
        ArtifactNotFound: there is none, and no default.
        ArtifactError: it cannot be read or fetched.
    """
    check_address(address)
    place = _here()
    shelf = place.shelf
    try:
        if shelf.record("before", address) is None:
            _ask(place, address)
        record = shelf.record("before", address)
        if record is None:  # the runner has answered, so it is there
            raise ArtifactError(f"artifact {address!r} is gone from {shelf.root}")
        if not shelf.file(record).exists():
            _fetch(place, record)
    except ArtifactNotFound:
        if default is REQUIRED:
            raise
        return default
    try:
        return read(record.kind, shelf.file(record), record.meta)
    except Exception as error:  # broad: as when it was saved
        raise ArtifactError(
            f"artifact {address!r} ({record.type}, saved {record.saved_at}) could not be loaded: "
            f"{type(error).__name__}: {error}"
        ) from error


def artifacts() -> list[ArtifactRecord]:
    """Return the artifacts that `load` would give, by name."""
    shelf = _here().shelf
    found = [shelf.latest(name) for name in sorted(shelf.names("records") | shelf.names("before"))]
    return [record for record in found if record is not None]


def _write(shelf: Shelf, name: str, value: Any, writing: Writing) -> ArtifactRecord:
    """Write an object's file, then make it the latest of its name."""
    file = shelf.root / "files" / f"{name}.{os.urandom(6).hex()}{writing.suffix}"
    try:
        try:
            writing.write(file)
        except OSError:
            raise
        except Exception:  # broad: each library has errors of its own for what a format cannot hold
            if writing.kind in ("pickle", "file", "directory"):
                raise
            # A format that takes the first rows may still refuse the rest.
            file.unlink(missing_ok=True)
            writing = pickled(value)
            file = file.with_suffix(writing.suffix)
            writing.write(file)
        preview = preview_of(value, writing.kind)
        record = ArtifactRecord(
            name=name,
            number=0,
            kind=writing.kind,
            type=type_name(value),
            description=describe(value),
            size=file.stat().st_size,
            saved_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            file=file.name,
            cell=shelf.cell(),
            meta=writing.meta if preview is None else {**writing.meta, PREVIEW: preview},
        )
        return _publish(shelf, record)
    except BaseException:  # an interrupt too: nothing half-written stays
        file.unlink(missing_ok=True)
        raise


def _publish(shelf: Shelf, record: ArtifactRecord) -> ArtifactRecord:
    with shelf.publishing():
        own, taken_over = shelf.record("records", record.name), shelf.record("before", record.name)
        if own is None and len(shelf.names("records")) >= MAX_NAMES:
            raise ArtifactError(
                f"artifact {record.name!r} could not be saved: a run keeps at most {MAX_NAMES:,} names. "
                "Save under the same name again, which replaces what it held; respawn.load gives the latest"
            )
        number = max((before.number for before in (own, taken_over) if before), default=0) + 1
        record = replace(record, number=number)
        path = shelf.path("records", record.name)
        write_whole(path, record.to_json().encode(), durable=False)
        for before in (own, taken_over):
            if before is not None:
                shelf.file(before).unlink(missing_ok=True)
    return record


def _until_stored(shelf: Shelf, record: ArtifactRecord) -> None:
    """Wait for the runner. Raises ArtifactError when it could not store this artifact."""
    pause = 0.005
    while True:
        answer = shelf.document("stored", record.name) or {}
        if answer.get("number", 0) >= record.number:
            return
        if answer.get("failed", 0) >= record.number:
            raise ArtifactError(
                f"artifact {record.name!r} is on this machine but could not be stored: {answer['why']}"
            )
        sleep(pause)
        pause = min(2 * pause, _MAX_PAUSE)


def _fetch(place: _Place, record: ArtifactRecord) -> None:
    """Have the runner fetch the file of an artifact that an earlier run or attempt kept."""
    shelf = place.shelf
    if not place.served:
        file = place.downloaded.file(record) if place.downloaded else None
        if file is None or not file.exists():
            raise ArtifactError(
                f"artifact {record.name!r} ({how_many(record.size, 'byte')}) is not on this machine. Fetch "
                f"it in a terminal with: respawn fetch {place.run} {record.name} --debug"
            )
        _link(file, shelf.file(record))
        return
    with _fetching:
        for answer in _answers(shelf, record.name):
            if shelf.file(record).exists() or shelf.latest(record.name) != record:
                return
            if answer.get("why"):
                raise ArtifactError(f"artifact {record.name!r} could not be fetched: {answer['why']}")


def _ask(place: _Place, address: str) -> None:
    """Have the runner bring another job's artifact."""
    if not place.served:
        where = f"run {place.run} did not read it" if place.run else "only a run reads what other jobs kept"
        raise ArtifactNotFound(
            f"no artifact {address!r} is here: {where}. Give latest a default for it: "
            f"respawn.latest({address!r}, None)"
        )
    with _fetching:
        for answer in _answers(place.shelf, address):
            if place.shelf.record("before", address) is not None:
                return
            if answer.get("why"):
                kind = ArtifactNotFound if answer.get("missing") else ArtifactError
                raise kind(f"artifact {address!r} cannot be had: {answer['why']}")


def _answers(shelf: Shelf, name: str) -> Iterator[dict[str, Any]]:
    """Ask the runner for an artifact, and yield what it has answered until now, again and again."""
    shelf.path("answers", name).unlink(missing_ok=True)
    write_whole(shelf.path("wanted", name), name.encode(), durable=False)
    pause = 0.005
    while True:
        yield shelf.document("answers", name) or {}
        sleep(pause)
        pause = min(2 * pause, _MAX_PAUSE)


def _not_written(name: str, shelf: Shelf, error: OSError) -> ArtifactError:
    where = f"the disk of {shelf.root}"
    if error.errno in _FULL or error.errno is None:  # NumPy sets no number
        fix = f"{where} is full ({error}): free some space, or set TMPDIR to a directory on a larger disk"
    elif error.filename is not None and not str(error.filename).startswith(str(shelf.root)):
        fix = f"{error.strerror}: {error.filename}"
    else:
        fix = f"{error}; see that {shelf.root} can be written"
    kept = " What was saved before under this name is kept." if shelf.latest(name) else ""
    return ArtifactError(f"artifact {name!r} could not be saved: {fix}.{kept}")


def _unknown(name: str, place: _Place) -> ArtifactNotFound:
    known = ", ".join(record.name for record in artifacts()) or "none"
    where = f"run {place.run} kept" if place.run else "was saved here"
    return ArtifactNotFound(
        f"no artifact {name!r} {where}. Known: {known}. Give load a default for the first time: "
        f"respawn.load({name!r}, None)"
    )


def _here() -> _Place:
    """Return where artifacts are; outside a run, a directory that ends with this process."""
    global _place
    with _lock:
        if _place is None:
            root = Path(tempfile.mkdtemp(prefix="respawn-artifacts-"))
            _place = _Place(Shelf(root).make(), served=False)
            atexit.register(_remove, root, getpid())
        return _place


def _remove(root: Path, owner: int) -> None:
    if getpid() == owner:  # a forked child ends earlier
        shutil.rmtree(root, ignore_errors=True)


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:  # another file system
        shutil.copyfile(source, target)


if sys.platform != "win32":
    # A fork while another thread holds a lock must not leave it held in the child for ever.
    os.register_at_fork(
        after_in_child=lambda: globals().update(_lock=threading.Lock(), _fetching=threading.Lock())
    )
