"""The plain snapshot engine: the whole namespace, pickled in line at each cell boundary.

One stream holds one pickle per variable, all with one memo: names that share an object share it again after a
restore. Buffers of 64 KiB and more (NumPy, Arrow, pandas blocks) leave the stream and become blobs of their
own, taken from memory without a copy and stored once however many checkpoints name them. Limit: an array and
a view of it come back as two arrays with equal contents.
"""

from __future__ import annotations

import pickle
import platform
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from respawn_kernels import surroundings
from respawn_kernels.blobs import load_blobs
from respawn_kernels.describe import describe, size_of, type_name
from respawn_kernels.digest import digest_of, new_blob
from respawn_kernels.manifest import Blob, Frame, Manifest, StoredVariable, UnstoredVariable
from respawn_kernels.names import user_names
from respawn_kernels.pickling import PREAMBLE, NamespacePickler, NamespaceUnpickler, reason
from respawn_kernels.salvage import salvage
from respawn_kernels.snapshot import RestoreReport, SnapshotError, check_python
from respawn_kernels.stream_reader import StreamReader

OUT_OF_BAND = 64 * 1024
_TRIES = 3


@dataclass
class _Written:
    stream: Blob
    frames: list[Frame]
    buffers: list[pickle.PickleBuffer]


class _CannotPickle(Exception):
    # A control signal: which name stopped the stream.

    def __init__(self, name: str, cause: BaseException) -> None:
        super().__init__(name)
        self.name = name
        self.cause = cause


class PlainEngine:
    """cloudpickle of the whole namespace at each boundary."""

    name = "plain"

    def __init__(self) -> None:
        self._suspects: set[str] = set()
        """Names that could not be stored the last time: asked first, so that the stream is written once."""

    def capture(
        self,
        namespace: dict[str, Any],
        cell: int,
        spool: Path,
        *,
        first_seen: Mapping[str, int],
        execution_count: int,
    ) -> Manifest:
        """Write the namespace into the spool; see `SnapshotEngine.capture`."""
        started = time.perf_counter()
        blobs = spool / "blobs"
        values = {name: namespace[name] for name in user_names(namespace)}
        suspects = {name: value for name, value in values.items() if name in self._suspects}
        written, reasons = _write_what_pickles(values, namespace, blobs, _unpicklable(suspects, namespace))
        self._suspects = set(reasons)
        buffers = [_store_buffer(buffer, blobs) for buffer in written.buffers]
        return Manifest(
            cell=cell,
            engine=self.name,
            python=platform.python_version(),
            cwd=surroundings.working_directory(),
            execution_count=execution_count,
            variables=[
                StoredVariable(name, type_name(value), describe(value), size_of(value), first_seen.get(name))
                for name, value in values.items()
                if name not in reasons
            ],
            unstored=[
                UnstoredVariable(name, type_name(values[name]), why, first_seen.get(name))
                for name, why in reasons.items()
            ],
            blobs=list(dict.fromkeys([written.stream, *buffers])),
            seconds=time.perf_counter() - started,
            payload={
                "stream": written.stream.digest,
                "frames": [[f.name, f.start, f.end, *f.buffers] for f in written.frames],
                "buffers": [buffer.digest for buffer in buffers],
                "path": surroundings.added_path(),
            },
        )

    def restore(self, manifest: Manifest, directory: Path, namespace: dict[str, Any]) -> RestoreReport:
        """Bring the variables back; see `SnapshotEngine.restore`."""
        check_python(manifest)
        payload = manifest.payload
        stream, *buffers = load_blobs(
            [payload["stream"], *payload["buffers"]], directory / "blobs", manifest.cell
        )
        frames = [
            Frame(name, start, end, (first, last)) for name, start, end, first, last in payload["frames"]
        ]
        cwd = surroundings.enter(manifest.cwd)
        surroundings.extend_path(payload["path"])
        builtins = namespace.get("__builtins__")
        values, lost = _load(stream, frames, buffers, namespace)
        if lost:
            # A constructor of the notebook may have missed names of the notebook: now they are there.
            namespace.update({name: value for name, value in values.items() if name != surroundings.RANDOM})
            values, lost = _load(stream, frames, buffers, namespace)
        if builtins is not None:
            # Race with nobody, but with cloudpickle: each function it loads puts a dict of its own here.
            namespace["__builtins__"] = builtins
        surroundings.set_random_state(values.pop(surroundings.RANDOM, None))
        lost.pop(surroundings.RANDOM, None)
        namespace.update(values)
        known = {variable.name: variable for variable in manifest.variables}
        return RestoreReport(
            manifest=manifest,
            restored=list(values),
            failed=[
                UnstoredVariable(name, known[name].type, why, known[name].cell) for name, why in lost.items()
            ],
            cwd=cwd,
        )


def _write_what_pickles(
    values: dict[str, Any], namespace: dict[str, Any], blobs: Path, reasons: dict[str, str]
) -> tuple[_Written, dict[str, str]]:
    """Write the stream without the variables that cannot be pickled; return it and the reasons for those.

    `reasons` tells those that are known before.
    """
    for _ in range(_TRIES):
        try:
            keep = {name: value for name, value in values.items() if name not in reasons}
            return _write(keep, namespace, blobs), reasons
        except _CannotPickle as stopped:
            reasons[stopped.name] = reason(stopped.cause)
            names = list(keep)
            rest = names[names.index(stopped.name) + 1 :]
            reasons |= _unpicklable({name: keep[name] for name in rest}, namespace)
    raise SnapshotError("the variables change while they are stored (a thread of the notebook?)")


def _write(values: dict[str, Any], namespace: dict[str, Any], blobs: Path) -> _Written:
    buffers: list[pickle.PickleBuffer] = []
    frames: list[Frame] = []
    with new_blob(blobs) as out:
        out.write(PREAMBLE)
        pickler = NamespacePickler(out, namespace, lambda buffer: _keep_large(buffer, buffers))
        for name, value in [*values.items(), (surroundings.RANDOM, surroundings.random_state())]:
            start, first = out.size, len(buffers)
            try:
                pickler.dump(value)
            except Exception as error:  # broad: __reduce__ of anybody's class may raise anything
                raise _CannotPickle(name, error) from error
            frames.append(Frame(name, start, out.size, (first, len(buffers))))
    return _Written(Blob(out.digest(), out.size), frames, buffers)


def _unpicklable(values: dict[str, Any], namespace: dict[str, Any]) -> dict[str, str]:
    """Return the reason for each value that cannot be pickled, tried one by one."""
    reasons: dict[str, str] = {}
    for name, value in values.items():
        try:
            NamespacePickler(_Nowhere(), namespace, lambda _: False).dump(value)
        except Exception as error:  # noqa: BLE001  as above
            reasons[name] = reason(error)
    return reasons


class _Nowhere:
    """A file that forgets."""

    def write(self, data: bytes) -> int:
        return len(data)


def _keep_large(buffer: pickle.PickleBuffer, kept: list[pickle.PickleBuffer]) -> bool:
    """Keep a large buffer out of the stream; True asks the pickler to write it into the stream."""
    with memoryview(buffer) as view:
        if view.nbytes < OUT_OF_BAND:
            return True
    kept.append(buffer)
    return False


def _store_buffer(buffer: pickle.PickleBuffer, blobs: Path) -> Blob:
    with buffer.raw() as data:
        digest = digest_of(data)
        if (blobs / digest).exists():
            return Blob(digest, data.nbytes)
        # A thread of the notebook may change the buffer right now: its name comes from what is written.
        with new_blob(blobs) as out:
            out.write(data)
    return Blob(out.digest(), out.size)


def _load(
    stream: memoryview, frames: Iterable[Frame], buffers: list[memoryview], namespace: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    frames = list(frames)
    unpickler = NamespaceUnpickler(StreamReader(stream), namespace, buffers)
    try:
        unpickler.load()  # the preamble
        return {frame.name: unpickler.load() for frame in frames}, {}
    except Exception:  # noqa: BLE001  the reason is found again, variable by variable
        return salvage(stream, frames, buffers, namespace)
