"""Reading checkpoints of format 1: the whole namespace in one stream.

The stream holds one pickle per variable, all with one memo. Buffers of 64 KiB and more are blobs of their
own. Nothing writes this format any more.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from respawn_kernels.blobs import load_blobs
from respawn_kernels.manifest import Frame, Manifest, UnstoredVariable
from respawn_kernels.pickling import NamespaceUnpickler
from respawn_kernels.salvage import salvage
from respawn_kernels.session_state import restore
from respawn_kernels.snapshot import RestoreReport, check_python
from respawn_kernels.stream_reader import StreamReader
from respawn_kernels.working_directory import enter

_RANDOM = "#random"


class PlainEngine:
    """Reads checkpoints of format 1."""

    name = "plain"

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
        cwd = enter(manifest.cwd)
        sys.path += [entry for entry in payload["path"] if entry not in sys.path and Path(entry).is_dir()]
        builtins = namespace.get("__builtins__")
        values, lost = _load(stream, frames, buffers, namespace)
        if lost:
            # A constructor of the notebook may have missed names of the notebook: now they are there.
            namespace.update({name: value for name, value in values.items() if name != _RANDOM})
            values, lost = _load(stream, frames, buffers, namespace)
        if builtins is not None:
            # Race with nobody, but with cloudpickle: each function it loads puts a dict of its own here.
            namespace["__builtins__"] = builtins
        restore({name: values.pop(name) for name in [_RANDOM] if name in values})
        lost.pop(_RANDOM, None)
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
