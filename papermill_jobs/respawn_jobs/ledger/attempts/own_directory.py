"""The directory of its own in which an attempt works whose version carries files.

A run and all that go on from it have one of one name: what their cells leave in it is there for those after
them. A run from the top finds in it what the version carries, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

from sqlalchemy.orm import Session

from respawn_jobs.api.runner_protocol import (
    CARRIED_FILES,
    LeftFile,
    OwnDirectory,
    ResumeFrom,
    RunnerVersion,
)
from respawn_jobs.carried.changes import file_changes, files_of
from respawn_jobs.errors import Conflict
from respawn_jobs.ledger.runs.cell_records import begins_from, cells_of, taken_over_by
from respawn_jobs.ledger.runs.rows import cell_of
from respawn_jobs.ledger.runs.work_directory import own_directory_of
from respawn_jobs.model.evidence import DIRECTORY, GONE
from respawn_jobs.model.runs import CellState
from respawn_jobs.store.tables import CellRow, JobRow, RunRow, VersionRow

_MAX_LEFT = 1000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def check_runner(version: VersionRow, runner: RunnerVersion) -> None:
    """Raise `Conflict` for a runner that would execute a version without the files that it carries.

    Args:
        version: the version that it is to execute.
        runner: what it says that it can.
    """
    if version.files is not None and CARRIED_FILES not in runner.can:
        raise Conflict(
            "the version carries files, and the runner is too old to lay them out: start runners of the "
            "service's own version",
            protocol=runner.protocol,
        )


def own_directory(session: Session, run: RunRow, version: VersionRow) -> OwnDirectory | None:
    """Return where the latest attempt of a run works; None where the notebook lay.

    Args:
        session: the caller's transaction.
        run: the run.
        version: its version.
    """
    files = files_of(version.files)
    if files is None:
        return None
    start = begins_from(run)
    basis = basis_of(session, run, start)
    before = own_directory_of(session, basis)
    own = OwnDirectory(name=_name(session, run, before), files=files, bundle=version.bundle)
    if start is None or (start.manifest is None and not start.reused):
        return own
    had = files_of(session.get_one(VersionRow, basis.version_id).files)
    edited = {change.path for change in file_changes(had, files)}
    edited |= {file.path for file in files} & _changed_below(session, run, basis, before)
    return own.model_copy(update={"edited": sorted(edited), "left": _left(session, run, before)})


def _changed_below(session: Session, run: RunRow, basis: RunRow, directory: str | None) -> set[str]:
    """Return the files that cells have changed of which none is reused: these lie there as they were."""
    if directory is None:
        return set()
    begun = [
        row for one in {basis.id: basis, run.id: run}.values() for row in _cells_of_attempts(session, one)
    ]
    reused = [
        row
        for row in cells_of(session, run, taken_over_by(run), evidence=True)
        if row.state == CellState.REUSED.value
    ]
    return _written(begun, directory) - _written(reused, directory)


def _cells_of_attempts(session: Session, run: RunRow) -> list[CellRow]:
    return [
        row for number in range(1, run.attempt + 1) for row in cells_of(session, run, number, evidence=True)
    ]


def _written(rows: Iterable[CellRow], directory: str) -> set[str]:
    evidence = [cell_of(row, None).evidence for row in rows]
    paths = {path for one in evidence if one is not None for path in one.written}
    return {path.removeprefix(f"{directory}/") for path in paths if path.startswith(f"{directory}/")}


def basis_of(session: Session, run: RunRow, start: ResumeFrom | None) -> RunRow:
    """Return the run whose states an attempt starts from; the run itself where that is not known.

    Args:
        session: the caller's transaction.
        run: the run of the attempt.
        start: where the attempt starts.
    """
    basis = session.get(RunRow, start.basis) if start is not None and start.basis else None
    if basis is None and run.trigger in ("resume", "retry") and run.origin:
        basis = session.get(RunRow, run.origin)
    return run if basis is None else basis


def _name(session: Session, run: RunRow, before: str | None) -> str:
    if before is not None and _NAME.fullmatch(PurePath(before).name):
        return PurePath(before).name
    first = run
    while first.trigger in ("resume", "retry") and first.origin:
        origin = session.get(RunRow, first.origin)
        if origin is None:
            break
        first = origin
    return f"{session.get_one(JobRow, run.job_id).name.lstrip('~')}-{first.id}"


def _left(session: Session, run: RunRow, directory: str | None) -> list[LeftFile]:
    """Return what the reused cells of a run have left in the directory of the run that executed them."""
    if directory is None:
        return []
    found: dict[str, int | None] = {}
    for row in cells_of(session, run, taken_over_by(run), evidence=True):
        cell = cell_of(row, None)
        if cell.state is not CellState.REUSED or cell.evidence is None:
            continue
        for path, *state in cell.evidence.outputs:
            if path.startswith(f"{directory}/"):
                there = tuple(state) not in (GONE, DIRECTORY)
                found[path.removeprefix(f"{directory}/")] = cell.index if there else None
    left = [LeftFile(path=path, cell=cell) for path, cell in found.items() if cell is not None]
    return left[:_MAX_LEFT]
