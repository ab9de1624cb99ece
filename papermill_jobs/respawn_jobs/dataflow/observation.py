"""What a cell reads and writes by the analysis and by what was seen while it ran.

Neither takes anything away from the other: the analysis knows what C code and unseen branches may do, and
what was seen is what the analysis could not follow. A cell is independent only of what neither of them
names.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace

from respawn_jobs.dataflow.libraries.library_facts import words
from respawn_jobs.model.footprint import Footprint
from respawn_jobs.model.hidden_state import (
    ANYTHING,
    CWD,
    ENV,
    FILES,
    NETWORK,
    OF_EVERY_CELL,
    TRANSIENT,
    file_state,
)
from respawn_kernels.evidence import CellEvidence
from respawn_kernels.normal_path import normal_path


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
    reads = {*(file_of(path, directory) for path in evidence.opened), *(changed - footprint.sure)}
    writes = {*(file_of(path, directory) for path in evidence.written), *changed, *evidence.bound}
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
        uses |= frozenset(module for module in evidence.libraries if not _of_every_cell(module))
    return replace(
        footprint,
        reads=footprint.reads | reads,
        writes=footprint.writes | writes,
        opaque=footprint.opaque or _everything(evidence),
        uses=uses,
        reads_all=footprint.reads_all or _frames(footprint, evidence),
        unwatched=evidence.unwatched,
        seen=frozenset(reads | writes),
        files_seen=not (evidence.overflow or evidence.background_work or evidence.files_unwatched),
        by_import=frozenset(evidence.by_import),
        undone=footprint.undone | (footprint.writes & TRANSIENT - changed),
    )


def file_of(path: str, directory: str | None) -> str:
    """Return the name of a file; paths in the notebook's directory are relative to it, as in its cells."""
    path = normal_path(path)
    if directory is None:
        return file_state(path)
    home = normal_path(directory)
    if home == path or home.startswith(path.rstrip("/") + "/"):
        return file_state(".")
    return file_state(posixpath.relpath(path, home) if path.startswith(home + "/") else path)


def _everything(evidence: CellEvidence) -> str | None:
    if evidence.background_work:
        return f"{', '.join(evidence.background_work)} went on after it"
    return "more was seen of it than is kept" if evidence.overflow else None


def _frames(footprint: Footprint, evidence: CellEvidence) -> str | None:
    known = footprint.looked_up if ANYTHING not in footprint.uses else frozenset()
    looking = [one for one in evidence.frames if one.partition(".")[0] not in known]
    return f"{', '.join(looking)} looked up names where it was called" if looking else None


_MACHINERY = words(
    """
    IPython ipykernel traitlets respawn_kernels codeop contextlib pathlib bdb typing abc weakref _weakrefset
    ast tokenize token re enum functools collections _collections_abc genericpath posixpath os types copyreg
    linecache inspect threading asyncio selectors concurrent queue string dis opcode keyword operator reprlib
    dataclasses copy importlib zipimport io codecs encodings traceback textwrap stat fnmatch
    """
)
"""What runs in every cell because it is a cell, and modules of the standard library that keep nothing."""


def _of_every_cell(module: str) -> bool:
    return module.partition(".")[0] in _MACHINERY
