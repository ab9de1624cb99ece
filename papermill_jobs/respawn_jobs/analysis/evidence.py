"""What a cell reads and writes by the analysis and by what was seen while it ran.

Neither takes anything away from the other: the analysis knows what C code and unseen branches may do, and
what was seen is what the analysis could not follow. A cell is independent only of what neither of them
names.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace

from respawn_jobs.analysis.footprint import Footprint
from respawn_jobs.analysis.hidden import CWD, ENV, FILES, NETWORK, OF_EVERY_CELL, TRANSIENT, file_state
from respawn_kernels.evidence import CellEvidence


def observed(
    footprint: Footprint, evidence: CellEvidence | None, *, directory: str | None = None
) -> Footprint:
    """Return what a cell may read and change, by the analysis of its source and by what was seen of it.

    Args:
        footprint: what the analysis tells.
        evidence: what was seen when exactly this source ran; None when nothing was recorded.
        directory: the directory in which the notebook ran; None when it is not known.
    """
    if evidence is None:
        return footprint
    changed = set(evidence.changed) - OF_EVERY_CELL
    # What the cell sets anew in any case does not depend on what it was; all else may.
    reads = {*(_file(path, directory) for path in evidence.opened), *(changed - footprint.sure)}
    writes = {*(_file(path, directory) for path in evidence.written), *changed, *evidence.bound}
    if "process" in evidence.outside:
        reads |= {FILES, CWD, ENV}
        writes |= {FILES}
    if "socket" in evidence.outside:
        reads |= {NETWORK}
        writes |= {NETWORK}
    uses = footprint.uses
    if evidence.unwatched is None:
        reads |= set(evidence.reads)
        writes |= set(evidence.writes)
        uses |= frozenset(evidence.libraries)
    return replace(
        footprint,
        reads=footprint.reads | reads,
        writes=footprint.writes | writes,
        opaque=footprint.opaque or _everything(evidence),
        uses=uses,
        reads_all=footprint.reads_all or _frames(evidence),
        unwatched=evidence.unwatched,
        seen=frozenset(reads | writes),
        undone=footprint.undone | (footprint.writes & TRANSIENT - changed),
    )


def _file(path: str, directory: str | None) -> str:
    """Return the name of a file; paths in the notebook's directory are relative to it, as in its cells."""
    path = posixpath.normpath(path)
    if directory is None:
        return file_state(path)
    home = posixpath.normpath(directory)
    if home == path or home.startswith(path.rstrip("/") + "/"):
        return file_state(".")
    return file_state(posixpath.relpath(path, home) if path.startswith(home + "/") else path)


def _everything(evidence: CellEvidence) -> str | None:
    if evidence.going_on:
        return f"{', '.join(evidence.going_on)} went on after it"
    return "more was seen of it than is kept" if evidence.overflow else None


def _frames(evidence: CellEvidence) -> str | None:
    if not evidence.frames:
        return None
    return f"{', '.join(evidence.frames)} looked up names where it was called"
