"""The page of the files that a run's cells were seen to use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from fastapi import APIRouter
from starlette.responses import Response

from respawn_hub.auth.dependencies import PageServiceDep, VisitorDep
from respawn_hub.auth.runtime import RuntimeDep
from respawn_hub.pages.templating import page
from respawn_jobs.model.evidence import CellFiles, SeenFile

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class ShownFile:
    """A file as the page shows it."""

    name: str
    """Below the run's directory, or its full path."""
    file: SeenFile
    changed_by: int | None = None
    """Which earlier cell of this run was the last to change it."""


@dataclass(frozen=True)
class ShownCellFiles:
    """A cell and its files."""

    cell: int
    read: list[ShownFile]
    written: list[ShownFile]
    more: bool


@router.get("/runs/{run}/files")
def run_files(run: str, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Show the files of a run, cell by cell.

    Args:
        run: id of the run.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the page's addresses.

    Raises:
        NotFound, Forbidden: there is no such run, or the visitor may not read it.
    """
    detail = service.show(run)
    own = next((one.directory for one in reversed(detail.attempts) if one.directory), None)
    directory = own or service.version(run).directory
    return page(
        runtime,
        visitor,
        "files.html",
        run=detail.run,
        job=service.job(detail.run.job),
        directory=directory,
        found=shown(service.files(run), directory),
    )


def shown(found: list[CellFiles], directory: str | None) -> list[ShownCellFiles]:
    """Return what the page shows, in the order of the cells.

    Args:
        found: as the service has it.
        directory: where the run worked; names of files below it are short.
    """
    changed: dict[str, int] = {}
    cells = []
    for one in found:
        read = [
            ShownFile(_name(file.path, directory), file, changed.get(file.path))
            for file in sorted(one.read, key=lambda file: file.path)
        ]
        written = [ShownFile(_name(file.path, directory), file) for file in one.written]
        changed |= {file.path: one.cell for file in one.written}
        cells.append(ShownCellFiles(one.cell, read, written, one.more))
    return cells


def _name(path: str, directory: str | None) -> str:
    inside = PurePosixPath(path)
    if directory is None or not inside.is_relative_to(directory):
        return path
    return str(inside.relative_to(directory))
