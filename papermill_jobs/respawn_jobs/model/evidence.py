"""What a kernel saw of each cell, on its way from the spool to the plan.

It travels whole or as *overflow*: a cell with more than a record may hold is taken to do everything. It
holds names, paths, sizes and times of files, never a value.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from respawn_jobs.model.base import Model
from respawn_kernels.evidence import CellEvidence
from respawn_kernels.exchange.cell_evidence import DIRECTORY as DIRECTORY
from respawn_kernels.exchange.cell_evidence import GONE as GONE

MAX_BYTES = 64 << 10
"""What the evidence of one cell may take in the store."""
_MAX_INPUTS = 200
_MAX_OUTPUTS = 100
_DIRECTORY = "evidence"


def document_of(evidence: CellEvidence) -> dict[str, Any]:
    """Return a record as a JSON object, without what is empty."""
    found: dict[str, Any] = json.loads(evidence.to_json())
    return found


def _small_enough(value: Any) -> Any:
    document = document_of(value) if isinstance(value, CellEvidence) else value
    if isinstance(document, dict) and len(json.dumps(document, default=str)) > MAX_BYTES:
        raise ValueError(f"the evidence of a cell is larger than {MAX_BYTES} bytes")
    return value


Evidence = Annotated[
    CellEvidence, BeforeValidator(_small_enough), PlainSerializer(document_of, return_type=dict[str, Any])
]
"""As it is in models: validated, bounded, and written without what is empty."""


class SeenFile(Model):
    """A file as a cell found it or left it."""

    path: str
    """Absolute, on the machine of the run."""
    size: int | None = None
    """In bytes; None for a directory, for what is gone, and where nobody looked."""
    modified: datetime | None = None
    """When it was changed last; None where there is no size."""
    directory: bool = False
    gone: bool = False


class CellFiles(Model):
    """The files that a cell was seen to use."""

    cell: int
    """Its place in the executed notebook, from 0 on."""
    cell_id: str
    read: list[SeenFile] = []
    """What it read and did not change."""
    written: list[SeenFile] = []
    """What it made, changed or removed, as it left it."""
    more: bool = False
    """It used more files than its record holds, or some that could not be seen."""


def files_of(evidence: CellEvidence) -> tuple[list[SeenFile], list[SeenFile]]:
    """Return the files that a cell only read, and those that it made, changed or removed."""
    left_as = {path: (size, time) for path, size, time in evidence.outputs}
    written = [_seen(path, left_as.get(path)) for path in evidence.written]
    return [_seen(path, (size, time)) for path, size, time in evidence.inputs], written


def _seen(path: str, found: Sequence[int] | None) -> SeenFile:
    match found and tuple(found):
        case None:
            return SeenFile(path=path)
        case -1, 0:
            return SeenFile(path=path, directory=True)
        case -2, 0:
            return SeenFile(path=path, gone=True)
        case size, nanoseconds:
            return SeenFile(path=path, size=size, modified=datetime.fromtimestamp(nanoseconds / 1e9, UTC))
    raise AssertionError(found)


def take(spool: Path, execution_count: int | None) -> CellEvidence | None:
    """Take what a kernel wrote of the cell that it has just executed; None when it wrote nothing.

    Args:
        spool: the kernel's spool.
        execution_count: as the kernel counted the cell.
    """
    if execution_count is None:
        return None
    file = spool / _DIRECTORY / f"{execution_count}.json"
    try:
        text = file.read_bytes()
        file.unlink()
    except OSError:
        return None
    try:
        evidence = CellEvidence.from_json(_printable(text))
    except (ValueError, TypeError, RecursionError) as error:
        return CellEvidence(unwatched=f"what was seen of it cannot be read: {type(error).__name__}")
    inputs, outputs = evidence.inputs or _inputs(evidence), evidence.outputs or _outputs(evidence)
    return bounded(replace(evidence, inputs=inputs, outputs=outputs))


def bounded(evidence: CellEvidence) -> CellEvidence:
    """Return a record that is small enough: where it is not, the cell did everything."""
    if len(evidence.to_json()) <= MAX_BYTES:
        return evidence
    names = ("changed", "by_import", "outside", "background_work", "frames")
    kept: dict[str, Any] = {
        name: tuple(value[:200] for value in getattr(evidence, name)[:20]) for name in names
    }
    return CellEvidence(
        unwatched=evidence.unwatched and evidence.unwatched[:200],
        overflow=True,
        **kept,
    )


def left(path: str) -> tuple[int, int]:
    """Return size and time of the last change of a file, `DIRECTORY` or `GONE`."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return GONE
    if stat.S_ISDIR(found.st_mode):
        return DIRECTORY
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else GONE


def _inputs(evidence: CellEvidence) -> tuple[tuple[str, int, int], ...]:
    """Return the files that the cell only read, as they are now, just after it."""
    only_read = sorted(set(evidence.opened) - set(evidence.written))[:_MAX_INPUTS]
    seen = {path: left(path) for path in only_read}
    return tuple((path, *found) for path, found in seen.items() if found not in (DIRECTORY, GONE))


def _outputs(evidence: CellEvidence) -> tuple[tuple[str, int, int], ...]:
    """Return how the cell left the files that it changed."""
    return tuple((path, *left(path)) for path in sorted(set(evidence.written))[:_MAX_OUTPUTS])


def _printable(text: bytes) -> str:
    """Return a document in which names of files that are no UTF-8 can be stored."""
    return json.dumps(json.loads(text), ensure_ascii=False).encode(errors="replace").decode()
