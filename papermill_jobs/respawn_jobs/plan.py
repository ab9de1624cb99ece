"""What a resume would do with each cell: reuse it, run it, or refuse because it cannot be restored.

Pure: it looks at what was recorded of a run, and at the notebook that is to go on. The reused part is the
longest prefix of code cells that are unchanged and finished, in the same kernel environment and with the
same parameters (papermill's injected cell is one of the cells compared), cut at the last boundary that has
a checkpoint. A changed cell therefore runs again together with everything after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from respawn_jobs.matching import Matches
from respawn_jobs.models import (
    CellRecord,
    CellState,
    Checkpoint,
    Plan,
    PlanAction,
    PlannedCell,
    Unstored,
)
from respawn_jobs.notebooks import (
    TAG_ALWAYS,
    TAG_ONCE,
    TAG_SKIP,
    cell_tags,
    code_cells,
    source_hash,
    title,
)
from respawn_jobs.reads import Reads

if TYPE_CHECKING:
    from nbformat import NotebookNode

_FINISHED = (CellState.EXECUTED, CellState.REUSED)
_BEGUN = (CellState.RUNNING, CellState.FAILED)


@dataclass(frozen=True)
class Ended:
    """What was recorded of the run that is resumed."""

    run: str
    kernel: str
    lock: str | None
    cells: list[CellRecord]
    """Its code cells in order."""
    checkpoints: list[Checkpoint]


def plan_resume(
    ended: Ended,
    executed: NotebookNode,
    *,
    kernel: str,
    lock: str | None,
    language: str,
    rerun_once: bool = False,
) -> Plan:
    """Tell what resuming `ended` with the notebook `executed` would do.

    Args:
        ended: the run that is resumed.
        executed: the notebook in its executed form (parameters injected); the plan's indices are its own.
        kernel: name of the kernel that would run.
        lock: hash of that kernel's lock file as it is now.
        language: the kernel's language; only Python's names can be followed.
        rerun_once: agree that cells tagged `respawn:once` which had finished run again.
    """
    draft = _Draft(ended, [cell for _, cell in code_cells(executed)], [i for i, _ in code_cells(executed)])
    draft.find_reusable(kernel, lock)
    draft.cut_at_checkpoint()
    draft.plan_cells()
    draft.tell_always()
    draft.guard_once(rerun_once=rerun_once)
    draft.guard_gone_once(rerun_once=rerun_once)
    if language.lower() == "python":
        draft.guard_unstored()
    return draft.result()


def mapped_checkpoint(checkpoint: Checkpoint, places: dict[int, int]) -> Checkpoint:
    """Return a checkpoint with its cells' indices translated from one notebook's to another's."""
    unstored = [
        item.model_copy(update={"cell": None if item.cell is None else places.get(item.cell)})
        for item in checkpoint.unstored
    ]
    return checkpoint.model_copy(update={"cell": places[checkpoint.cell], "unstored": unstored})


class _Draft:
    """A plan in the making; `reuse` counts the code cells that are taken over."""

    def __init__(self, ended: Ended, cells: list[NotebookNode], indices: list[int]) -> None:
        self.ended = ended
        self.cells = cells
        self.indices = indices
        self.checkpoint: Checkpoint | None = None
        self.planned: list[PlannedCell] = []
        self.problems: list[str] = []
        self.notices: list[str] = []
        self.reuse = 0

    def find_reusable(self, kernel: str, lock: str | None) -> None:
        """Find the longest prefix that is unchanged and finished, and say what shortens it."""
        ended, old = self.ended, self.ended.cells
        finished = 0
        while finished < len(old) and old[finished].state in _FINISHED:
            finished += 1
        if kernel != ended.kernel:
            self.notices.append(f"the kernel changed from {ended.kernel} to {kernel}: every cell runs again")
            return
        if lock != ended.lock:
            self.notices.append(
                f"the environment of kernel {kernel} was rebuilt since the run: every cell runs again"
            )
            return
        last = min(finished, len(self.cells))
        while self.reuse < last and _same(self.cells[self.reuse], old[self.reuse]):
            self.reuse += 1
        if self.reuse < last:
            how = "edited"
            if source_hash(self.cells[self.reuse].source) == old[self.reuse].source_hash:
                how = f"given or freed of the tag {TAG_SKIP}"
            self.notices.append(
                f"cell {self.indices[self.reuse]} was {how} although it had finished: "
                "the resume point moves there, and every cell from it on runs again"
            )

    def cut_at_checkpoint(self) -> None:
        """Go back to the last boundary whose state was kept."""
        kept = {checkpoint.cell: checkpoint for checkpoint in self.ended.checkpoints}
        unchanged, old = self.reuse, self.ended.cells
        while self.reuse > 0 and old[self.reuse - 1].index not in kept:
            self.reuse -= 1
        if self.reuse < unchanged:
            last, first = self.indices[unchanged - 1], self.indices[self.reuse]
            why = next((cell.note for cell in old[self.reuse : unchanged] if cell.note), None)
            self.notices.append(
                f"the state after cell {last} was not kept{f' ({why})' if why else ''}: "
                f"execution goes on from cell {first}"
            )
        if self.reuse > 0:
            self.checkpoint = mapped_checkpoint(kept[old[self.reuse - 1].index], self._places())

    def plan_cells(self) -> None:
        """Say for each cell what is done with it."""
        for place, (index, cell) in enumerate(zip(self.indices, self.cells, strict=True)):
            reused = place < self.reuse
            why = self._why_reused(index, cell) if reused else self._why_run(place)
            self.planned.append(
                PlannedCell(
                    index=index,
                    action=PlanAction.REUSE if reused else PlanAction.RUN,
                    why=why,
                    title=title(cell),
                    once=TAG_ONCE in self._tags(place) and self._finished(place),
                )
            )

    def tell_always(self) -> None:
        """Say of each reused cell that runs again what it is good for."""
        for place, index in enumerate(self.indices[: self.reuse]):
            if TAG_ALWAYS in cell_tags(self.cells[place]):
                made = self._unstored_of(index)
                makes = f"makes {made} again" if made else "makes nothing that could not be stored"
                self.notices.append(
                    f"cell {index} is tagged {TAG_ALWAYS}: it runs again and {makes}; "
                    "what was stored keeps the stored value"
                )

    def guard_once(self, *, rerun_once: bool) -> None:
        """Refuse to repeat side effects without being told to."""
        for place, cell in enumerate(self.planned):
            if not self._runs(place) or TAG_ONCE not in self._tags(place):
                continue
            before = self._matches.of(place)
            if cell.once and not rerun_once:
                both = f" and {TAG_ALWAYS}" if place < self.reuse else ""
                self.problems.append(
                    f"cell {cell.index} is tagged {TAG_ONCE}{both} and had finished: it would run again, "
                    "and so would its side effects; agree to that, or leave the cells before it as they were"
                )
            elif before is not None and before.state in _BEGUN:
                self.notices.append(
                    f"cell {cell.index} is tagged {TAG_ONCE} and had begun: "
                    "some of its side effects may have happened already"
                )

    def guard_gone_once(self, *, rerun_once: bool) -> None:
        """Refuse to run what may be a finished once cell in another form; tell of one that is deleted."""
        gone = [record for record in self._matches.gone() if TAG_ONCE in record.tags and _ran(record)]
        hashes = {record.source_hash for record in gone}
        suspects = [
            index
            for place, index in enumerate(self.indices)
            if self._runs(place) and self._new(place, hashes)
        ]
        for record in gone:
            told = f"cell {record.index} of {self.ended.run} was tagged {TAG_ONCE} and had finished"
            if suspects and not rerun_once:
                self.problems.append(
                    f"{told}; it is no longer in the notebook as it was, and cell {suspects[0]}, which is "
                    "new or edited, would run: if it does the same, so would the side effects; "
                    "agree to that, or put the cell back"
                )
            elif not suspects:
                self.notices.append(f"{told}; it is no longer in the notebook and does not run again")

    def guard_unstored(self) -> None:
        """Refuse to run a cell that reads a variable which the checkpoint could not keep."""
        if self.checkpoint is None:
            return
        lost = {item.name: item for item in self.checkpoint.unstored if not self._made_again(item)}
        if not lost:
            return
        reads = Reads()
        for cell in self.cells[: self.reuse]:
            reads.define(cell.source)
        for place, cell in enumerate(self.cells):
            if not self._runs(place):
                continue
            for name in sorted(reads.cell(cell.source) & lost.keys()):
                self._cannot_restore(place, lost[name])

    def result(self) -> Plan:
        """Return the finished plan."""
        return Plan(
            run=self.ended.run,
            first=self.indices[self.reuse] if self.reuse < len(self.indices) else None,
            checkpoint=self.checkpoint,
            cells=self.planned,
            problems=self.problems,
            notices=self.notices,
        )

    def _cannot_restore(self, place: int, item: Unstored) -> None:
        index = self.indices[place]
        what = f"{item.name} ({item.type}) could not be stored: {item.reason}"
        maker = "" if item.cell is None else f", made by cell {item.cell},"
        mend = (
            "restart the run instead"
            if item.cell is None
            else f"tag cell {item.cell} {TAG_ALWAYS} to have it made again, or restart the run"
        )
        self.problems.append(f"cell {index} reads {item.name}{maker} but {what}; {mend}")
        self.planned[place] = self.planned[place].model_copy(
            update={"action": PlanAction.CANNOT_RESTORE, "why": what}
        )

    def _why_reused(self, index: int, cell: NotebookNode) -> str:
        if TAG_ALWAYS not in cell_tags(cell):
            return "unchanged and finished"
        made = self._unstored_of(index) or "its variables"
        return f"rerun to make {made} again (tagged {TAG_ALWAYS})"

    def _unstored_of(self, index: int) -> str:
        unstored = self.checkpoint.unstored if self.checkpoint else []
        return ", ".join(item.name for item in unstored if item.cell == index)

    def _why_run(self, place: int) -> str:
        before = self._matches.of(place)
        if before is None:
            return "new"
        if source_hash(self.cells[place].source) != before.source_hash:
            return "edited"
        if not _same(self.cells[place], before):
            return f"its tag {TAG_SKIP} changed"
        if before.state is CellState.FAILED:
            return "failed"
        return "follows a cell that runs" if before.state in _FINISHED else "had not run"

    @cached_property
    def _matches(self) -> Matches:
        """What each cell was in the run before; asked when `reuse` is settled."""
        return Matches(self.cells, self.ended.cells, self.reuse)

    def _runs(self, place: int) -> bool:
        tags = cell_tags(self.cells[place])
        return TAG_SKIP not in tags and (place >= self.reuse or TAG_ALWAYS in tags)

    def _new(self, place: int, hashes: set[str]) -> bool:
        """Tell whether a cell is new, edited, or has one of these sources."""
        before, digest = self._matches.of(place), source_hash(self.cells[place].source)
        return before is None or before.source_hash != digest or digest in hashes

    def _tags(self, place: int) -> set[str]:
        before = self._matches.of(place)
        return {*cell_tags(self.cells[place]), *(before.tags if before else [])}

    def _finished(self, place: int) -> bool:
        before = self._matches.of(place)
        return before is not None and _ran(before)

    def _made_again(self, item: Unstored) -> bool:
        reused = dict(zip(self.indices[: self.reuse], self.cells, strict=False))
        return item.cell in reused and TAG_ALWAYS in cell_tags(reused[item.cell])

    def _places(self) -> dict[int, int]:
        return {
            old.index: new for old, new in zip(self.ended.cells[: self.reuse], self.indices, strict=False)
        }


def _same(cell: NotebookNode, before: CellRecord) -> bool:
    """Tell whether a cell would do what it did: its source, and whether it is left out."""
    skips = TAG_SKIP in cell_tags(cell)
    return source_hash(cell.source) == before.source_hash and skips == (TAG_SKIP in before.tags)


def _ran(record: CellRecord) -> bool:
    """Tell whether a cell finished and was not merely left out."""
    return record.state in _FINISHED and TAG_SKIP not in record.tags
