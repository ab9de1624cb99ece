"""Files that the run before has changed since the state that a resume starts from.

A state holds no files. The cells below it have run, and the one that failed may have got half-way: what they
did to files is still there when the resume begins. So a file that a cell needs as it was goes back to a cell
that makes it anew, which runs again; where there is none, the plan says what stays as it was left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from respawn_jobs.analysis.hidden import FILES, WORLD_STATE
from respawn_jobs.dependencies import Footprint, footprints, is_file, observed, told
from respawn_jobs.models import CellRecord, CellState
from respawn_jobs.notebooks import TAG_SKIP, code_cells
from respawn_jobs.rerunning import Namer, Reruns, Step, find_reruns, makes_anew
from respawn_kernels.evidence import CellEvidence

if TYPE_CHECKING:
    from nbformat import NotebookNode

_BEGUN = (CellState.RUNNING, CellState.FAILED)
"""A cell in one of these did something, and no state is from after it."""


class LeftFiles:
    """What one run did to files, and what a resume of it must do about that."""

    def __init__(
        self,
        cells: Sequence[CellRecord],
        notebook: NotebookNode | None,
        directory: str | None,
        *,
        python: bool,
    ) -> None:
        """Look at what was recorded of a run.

        Args:
            cells: the records of its cells, from the top.
            notebook: the notebook that ran; None when it is not known.
            directory: where it ran; None when that is not known.
            python: whether its cells can be followed.
        """
        self._directory = directory
        self._begun = _begun_writes(cells, notebook, directory, python=python)

    def reruns(
        self,
        steps: Sequence[Step],
        records: Sequence[CellRecord | None],
        point: int,
        name_of: Namer,
        missing: Iterable[str] = (),
    ) -> Reruns:
        """Find the steps before `point` that must run again; see `find_reruns`.

        Args:
            steps: both notebooks, in order.
            records: for each step what was recorded of the cell that had finished.
            point: how many steps the restored state covers.
            name_of: names a step in reasons.
            missing: variables that the state could not hold and that are to be made again.
        """
        changed = self._begun | _changed_since(steps, records, point, self._directory)
        if FILES in changed:
            changed |= _files(name for step in steps for one in step.both for name in one.reads | one.writes)
        needed = {name for name in changed if _needs(name, steps[point:])}
        return find_reruns(steps, point, name_of, missing=missing, changed=changed, needed=needed)


def told_left(names: Iterable[str]) -> str:
    """Return in words that files stay as the run before left them."""
    some = ", ".join(told(name) for name in sorted(names))
    return (
        f"{some}: cells of the run before have changed it since the state, and no cell is known to make it "
        "anew: it may stay as they left it; put it back first, or restart the run"
    )


def _begun_writes(
    cells: Sequence[CellRecord], notebook: NotebookNode | None, directory: str | None, *, python: bool
) -> frozenset[str]:
    """Return the files that cells which had begun and never finished may have changed.

    Args:
        cells: the records of the run, from the top.
        notebook: the notebook that ran; None when it is not known.
        directory: where it ran; None when that is not known.
        python: whether its cells can be followed.
    """
    sources = [cell.source for _, cell in code_cells(notebook)] if notebook is not None and python else []
    found: set[str] = set()
    for place, record in enumerate(cells):
        if record.state not in _BEGUN:
            continue
        if record.evidence is not None:
            found |= _seen(record.evidence, directory)
        elif place < len(sources):  # its kernel died before it could tell
            before = zip(sources[:place], cells, strict=False)
            run = [source for source, one in before if TAG_SKIP not in one.tags]
            found |= _written(footprints([*run, sources[place]])[-1])
        else:
            found.add(FILES)
    return frozenset(found)


def _changed_since(
    steps: Sequence[Step], records: Sequence[CellRecord | None], point: int, directory: str | None
) -> frozenset[str]:
    """Return the files that finished cells from `point` on have changed.

    Args:
        steps: both notebooks, in order.
        records: for each step what was recorded of the cell that had finished.
        point: how many steps the state covers.
        directory: where the notebook ran; None when that is not known.
    """
    found: set[str] = set()
    for step, record in zip(steps[point:], records[point:], strict=True):
        if record is not None and record.evidence is not None:
            found |= _seen(record.evidence, directory)
        elif step.old is not None:
            found |= _written(step.old)
    return frozenset(found)


def _needs(name: str, steps: Sequence[Step]) -> bool:
    """Tell whether cells that run need a file as it was at the state."""
    for step in steps:
        if step.new is None:
            continue
        if makes_anew(step.new, name):
            return False
        if step.new.may_read(name) or step.new.may_write(name):
            return True
    return False


def _seen(evidence: CellEvidence, directory: str | None) -> set[str]:
    """Return the files that a cell was seen to change; with `FILES` where it may have changed others."""
    found = _files(observed(Footprint(), evidence, directory=directory).writes)
    if evidence.overflow or evidence.going_on or evidence.files_unwatched:
        found.add(FILES)
    return found


def _written(footprint: Footprint) -> set[str]:
    """Return the files that a cell may change by the analysis alone."""
    unseen = footprint.opaque is not None or WORLD_STATE in footprint.writes
    return _files(footprint.writes) | ({FILES} if unseen else set())


def _files(names: Iterable[str]) -> set[str]:
    return {name for name in names if is_file(name)}
