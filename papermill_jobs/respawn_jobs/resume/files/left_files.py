"""Files that are not as they were at the state that a resume starts from.

A state holds no files. The cells below it have run, and the one that failed may have got half-way: what they
did to files is still there when the resume begins. And files may have changed since: the end of a kernel
takes its temporary directories away, the next run of a job writes its own results. So a file that a cell
needs as it was goes back to a cell that makes it anew, which runs again; where there is none, the plan says
what stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from respawn_jobs.api.runner_protocol import ResumeFrom
from respawn_jobs.dataflow import Footprint, footprints, is_file, label_of, observed
from respawn_jobs.dataflow.observation import file_of
from respawn_jobs.model.hidden_state import FILES, WORLD_STATE
from respawn_jobs.model.runs import CellRecord, CellState
from respawn_jobs.notebook.document import TAG_SKIP, cell_tags, code_cells
from respawn_jobs.resume.files.file_history import Fate, fates_of
from respawn_jobs.resume.invalidation.file_changes import Look, changed_outputs
from respawn_jobs.resume.invalidation.reruns import Namer, Reruns, Step, find_reruns, makes_anew
from respawn_kernels.counting import how_many
from respawn_kernels.evidence import CellEvidence

if TYPE_CHECKING:
    from nbformat import NotebookNode

_UNKNOWN = Footprint(opaque="it is not Python")
_UNFINISHED = (CellState.RUNNING, CellState.FAILED)
"""A cell in one of these did something, and no state is from after it."""
_BEGUN = (*_UNFINISHED, CellState.EXECUTED)


class LeftFiles:
    """What one run did to files, and what a resume of it must do about that."""

    def __init__(
        self,
        cells: Sequence[CellRecord],
        notebook: NotebookNode | None,
        directory: str | None,
        since: Sequence[CellRecord] = (),
        *,
        python: bool,
        look: Look | None = None,
    ) -> None:
        """Look at what was recorded of a run.

        Args:
            cells: the records of its cells, from the top.
            notebook: the notebook that ran; None when it is not known.
            directory: where it ran; None when that is not known.
            since: cells that have been executed after it, from its states on.
            python: whether its cells can be followed.
            look: tells files as they are now; None where they cannot be seen.
        """
        self._directory = directory
        self._begun = _begun_writes(cells, notebook, directory, _UNFINISHED, python=python)
        for record in since:
            self._begun |= (
                seen_written(record.evidence, directory) if record.evidence is not None else {FILES}
            )
        self._cells, self._since, self._look = cells, since, look
        self._made = () if look is not None else tuple(cells)
        changed = changed_outputs([*cells, *since], look) if look is not None else {}
        self.changes = {file_of(path, directory): change for path, change in changed.items()}
        """What has become of files since the cells that wrote them, by their names."""

    def begun(self) -> frozenset[str]:
        """Return the files that cells may have changed which began and are in no state."""
        return self._begun

    def fates(self, reused: Collection[int]) -> dict[str, Fate]:
        """Return what the run did to files, as far as the cells of these indices did not."""
        return fates_of(self._cells, self._directory, self._look, reused, self._since)

    def unseen(self, steps: Sequence[Step]) -> list[str]:
        """Say that nobody can see from here whether files are as reused cells left them.

        Args:
            steps: those that run, in order.
        """
        made = {file_of(one[0], self._directory) for cell in self._made for one in _kept(cell)}
        needed = sum(_needs(name, steps) for name in made)
        files = how_many(needed, "file")
        message = (
            f"cells that run need {files} that cells of the run before have made: what has changed cannot"
        )
        return [f"{message} be seen from here"] if needed else []

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
        changed = self._begun | _changed_since(steps, records, point, self._directory) | self.changes.keys()
        made = [
            _made(step.old, record.evidence if record is not None else None, self._directory)
            for step, record in zip(steps, records, strict=True)
            if step.old is not None
        ]
        changed = _by_name(changed, made)
        needed = {name for name in changed if _needs(name, steps[point:])}
        return find_reruns(
            steps, point, name_of, missing=missing, changed=changed, needed=needed, became=self.changes
        )


def spoilt(
    cells: Sequence[CellRecord],
    notebook: NotebookNode,
    directory: str | None,
    start: ResumeFrom,
    *,
    python: bool,
) -> set[str]:
    """Return the files that a further try needs as they were where it starts, and that the last one changed.

    Args:
        cells: the records of the try that ended.
        notebook: the notebook that it executed, and that the next one will.
        directory: where it ran; None when that is not known.
        start: where the next one starts.
        python: whether the notebook's cells can be followed.
    """
    changed = _begun_writes(cells, notebook, directory, _BEGUN, python=python)
    sources = [(index, cell) for index, cell in code_cells(notebook) if TAG_SKIP not in cell_tags(cell)]
    followed = footprints([cell.source for _, cell in sources]) if python else [_UNKNOWN] * len(sources)
    seen = {cell.index: cell.evidence for cell in cells}
    known = {
        index: observed(one, seen.get(index), directory=directory)
        for (index, _), one in zip(sources, followed, strict=True)
    }
    steps = [Step(None, one) for index, one in known.items() if index >= start.first or index in start.rerun]
    changed = _by_name(changed, [_made(one, seen.get(index), directory) for index, one in known.items()])
    return {name for name in changed if _needs(name, steps)}


def _kept(cell: CellRecord) -> tuple[tuple[str, int, int], ...]:
    return cell.evidence.outputs if cell.evidence is not None else ()


def describe_left_files(names: Iterable[str], became: Mapping[str, str]) -> list[str]:
    """Return in words that files stay as they are.

    Args:
        names: the files.
        became: what has become of those that did not change while the run ran.
    """
    changed, left = ([name for name in sorted(names) if (name in became) is since] for since in (True, False))
    messages = [
        f"{became[name]}, cells that run need it, and no cell is known to make it again: put it back first, "
        "or restart the run"
        for name in changed
    ]
    return [*messages, _describe_left(left)] if left else messages


def _describe_left(names: Sequence[str]) -> str:
    some = ", ".join(map(label_of, names))
    return (
        f"{some}: cells of the run before have changed it since the state, and no cell is known to make it "
        "again: it may stay as they left it; put it back first, or restart the run"
    )


def _begun_writes(
    cells: Sequence[CellRecord],
    notebook: NotebookNode | None,
    directory: str | None,
    states: Sequence[CellState],
    *,
    python: bool,
) -> frozenset[str]:
    """Return the files that cells may have changed which are in some states.

    Args:
        cells: the records of the run, from the top.
        notebook: the notebook that ran; None when it is not known.
        directory: where it ran; None when that is not known.
        states: those states.
        python: whether its cells can be followed.
    """
    sources = [cell.source for _, cell in code_cells(notebook)] if notebook is not None and python else []
    found: set[str] = set()
    for place, record in enumerate(cells):
        if record.state not in states:
            continue
        if record.evidence is not None:
            found |= seen_written(record.evidence, directory)
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
            found |= seen_written(record.evidence, directory)
        elif step.old is not None:
            found |= _written(step.old)
    return frozenset(found)


def _by_name(changed: frozenset[str], made: Iterable[set[str]]) -> frozenset[str]:
    """Return changed files by their names; where any may have changed, those that cells are known to make.

    A file that no cell makes comes from outside, and `inputs` compares it with what it was.
    """
    if FILES not in changed:
        return changed
    return (changed | set().union(*made)) - {FILES}


def _made(footprint: Footprint, evidence: CellEvidence | None, directory: str | None) -> set[str]:
    """Return the files that a cell is known to make: those alone where all that it changed was seen.

    The analysis takes a call that it cannot follow for one that may write whatever it names.
    """
    if evidence is None or not footprint.files_seen:
        return _files(footprint.writes)
    return seen_written(evidence, directory)


def _needs(name: str, steps: Sequence[Step]) -> bool:
    """Return whether cells that run need a file as it was at the state."""
    for step in steps:
        if step.new is None:
            continue
        if makes_anew(step.new, name):
            return False
        if step.new.may_read(name) or step.new.may_write(name):
            return True
    return False


def seen_written(evidence: CellEvidence, directory: str | None) -> set[str]:
    """Return the files that a cell was seen to change; with `FILES` where it may have changed others."""
    found = _files(observed(Footprint(), evidence, directory=directory).writes)
    if evidence.overflow or evidence.background_work or evidence.files_unwatched:
        found.add(FILES)
    return found


def _written(footprint: Footprint) -> set[str]:
    """Return the files that a cell may change by the analysis alone."""
    unseen = footprint.opaque is not None or WORLD_STATE in footprint.writes
    return _files(footprint.writes) | ({FILES} if unseen else set())


def _files(names: Iterable[str]) -> set[str]:
    return {name for name in names if is_file(name)}
