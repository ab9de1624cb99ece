"""Cells that a debug notebook can run again to make what its state does not hold; none runs unseen."""

from __future__ import annotations

from dataclasses import dataclass, field

from respawn_jobs.model.debug_bundle import DebugBundle
from respawn_jobs.notebook.document import TAG_ALWAYS, cell_tags, code_cells, read_notebook
from respawn_jobs.resume.draft import EndedRun
from respawn_jobs.resume.plan import plan_resume
from respawn_kernels.exchange.restore_point import AlwaysCell


@dataclass(frozen=True)
class Again:
    """What runs when its reader asks for it, and what no cell makes again."""

    cells: list[AlwaysCell] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    otherwise: list[str] = field(default_factory=list)
    """What cells that run again may make otherwise than from the top."""


def cells_to_run(bundle: DebugBundle) -> Again:
    """Return the cells that would run again after a restore, each with the reason, and what stays lost."""
    if bundle.checkpoint is None:
        return Again()
    notebook = read_notebook(bundle.notebook)
    ended = EndedRun(
        run=bundle.run.id,
        kernel=bundle.run.kernel,
        lock=bundle.lock,
        cells=bundle.cells,
        checkpoints=[bundle.checkpoint],
        notebook=notebook,
        parameters=bundle.run.parameters,
        directory=bundle.version.directory,
    )
    planned = plan_resume(
        ended,
        notebook,
        kernel=ended.kernel,
        lock=ended.lock,
        language=bundle.version.language,
        only=bundle.checkpoint.manifest,
    )
    whys = {cell.index: cell.why for cell in planned.cells if cell.index in planned.again}
    cells = [
        AlwaysCell(index, cell.source, _why(cell_tags(cell), whys.get(index)))
        for index, cell in code_cells(notebook)
        if index <= bundle.checkpoint.cell and (TAG_ALWAYS in cell_tags(cell) or index in whys)
    ]
    return Again(cells, planned.lost, planned.always)


def _why(tags: list[str], planned: str | None) -> str:
    if TAG_ALWAYS in tags or planned is None:
        return f"tagged {TAG_ALWAYS}"
    return planned.removeprefix("reused; runs again on restore ")
