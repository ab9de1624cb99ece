"""Cells that somebody added only to look: left out of plan, run and version.

A cell is scratch when it is tagged `respawn:scratch`, or named so in a request to resume. What a cell that
stays needs of one must not go without a word: `needed` tells.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from respawn_jobs.dataflow import Footprint, footprints
from respawn_jobs.errors import InvalidInput
from respawn_jobs.model.plans import NewCell
from respawn_jobs.notebook.document import (
    TAG_INJECTED,
    TAG_RAISES,
    TAG_SCRATCH,
    TAG_SKIP,
    cell_tags,
    code_cells,
    source_hash,
    title,
)

if TYPE_CHECKING:
    from nbformat import NotebookNode


def mark_scratch(notebook: NotebookNode, ids: Collection[str], original: NotebookNode) -> None:
    """Tag the cells with these ids, in place.

    Args:
        notebook: the one that was edited.
        ids: ids of cells (nbformat's) that were added to look only.
        original: the notebook of the version that ran.

    Raises:
        InvalidInput: there is no such cell, or it is one that the job has already.
    """
    added = {str(cell.id): cell for cell in added_cells(notebook, original)}
    for cell_id in ids:
        if cell_id not in added:
            raise InvalidInput(
                f"no new cell of the notebook has the id {cell_id!r}: only cells that were added can be left "
                "out as scratch; delete a cell of the job in the notebook itself",
                cell_id=cell_id,
            )
        if TAG_SCRATCH not in cell_tags(added[cell_id]):
            added[cell_id].metadata["tags"] = [*cell_tags(added[cell_id]), TAG_SCRATCH]


def added_cells(notebook: NotebookNode, original: NotebookNode) -> list[NotebookNode]:
    """Return the code cells that a notebook has and the one that it was made from has not."""
    before = [cell for _, cell in code_cells(original)]
    ids = {str(cell.id) for cell in before}
    hashes = {source_hash(cell.source) for cell in before}
    return [
        cell
        for _, cell in code_cells(notebook)
        if str(cell.id) not in ids
        and source_hash(cell.source) not in hashes
        and TAG_INJECTED not in cell_tags(cell)
    ]


def describe_scratch(notebook: NotebookNode, original: NotebookNode, executed: NotebookNode) -> list[NewCell]:
    """Return the cells that were added, in order.

    Args:
        notebook: The notebook that was handed in, scratch included.
        original: The one that it was made from.
        executed: What will run; it tells the places of the cells that stay.
    """
    places = {str(cell.id): index for index, cell in code_cells(executed)}
    return [
        NewCell(id=str(cell.id), index=places.get(str(cell.id)), title=title(cell))
        for cell in added_cells(notebook, original)
    ]


def needed(notebook: NotebookNode, executed: NotebookNode, language: str) -> tuple[list[str], list[str]]:
    """Tell which cells that stay need what a scratch cell makes.

    Args:
        notebook: The notebook with its scratch cells.
        executed: What will run, without them.
        language: The kernel's; only Python's names can be followed.

    Returns:
        What would break, because a scratch cell binds a name that a cell below reads; and what may differ,
        because a scratch cell may have changed it.
    """
    cells = [cell for _, cell in code_cells(notebook) if TAG_INJECTED not in cell_tags(cell)]
    scratch = [TAG_SCRATCH in cell_tags(cell) for cell in cells]
    if not any(scratch) or language.lower() != "python":
        return [], []
    kept = iter([index for index, cell in code_cells(executed) if TAG_INJECTED not in cell_tags(cell)])
    names = [
        f"the scratch cell `{title(cell)}`" if out else f"cell {next(kept)}"
        for cell, out in zip(cells, scratch, strict=True)
    ]
    done = footprints(
        [cell.source for cell in cells], may_raise=[TAG_RAISES in cell_tags(cell) for cell in cells]
    )
    breaks, differs = [], []
    for place, out in enumerate(scratch):
        if not out:
            continue
        below = [
            (names[at], done[at])
            for at in range(place + 1, len(cells))
            if not scratch[at] and TAG_SKIP not in cell_tags(cells[at])
        ]
        breaks += [
            f"{names[place]} makes {name}, which {reader} reads: keep it in the job, or move the line into a "
            "cell that stays"
            for name, reader in _readers(done[place].sure, below)
        ]
        differs += _differences(names[place], done[place], below)
    return breaks, differs


def _differences(scratch: str, one: Footprint, below: Sequence[tuple[str, Footprint]]) -> list[str]:
    """Return what may be otherwise in cells below without a scratch cell, though nothing breaks."""
    if one.opaque is not None and below:
        return [f"{scratch} may have changed anything ({one.opaque}): the run continues without that"]
    found = [
        f"{scratch} may have changed {name}, which {reader} reads: the run continues without that"
        for name, reader in _readers(one.writes - one.sure, below)
    ]
    made = sorted(name for name in one.sure if not name.startswith("#"))
    for reader, footprint in below:
        if made and (why := footprint.opaque or footprint.reads_all) is not None:
            found.append(f"{reader} may read what {scratch} makes ({', '.join(made)}; {why})")
            break
    return found


def _readers(written: Collection[str], below: Sequence[tuple[str, Footprint]]) -> list[tuple[str, str]]:
    """Return who first reads each name, before a cell that stays binds it anew."""
    found = []
    for name in sorted(name for name in written if not name.startswith("#")):
        for reader, footprint in below:
            if name in footprint.reads:
                found.append((name, reader))
                break
            if name in footprint.sure:
                break
    return found
