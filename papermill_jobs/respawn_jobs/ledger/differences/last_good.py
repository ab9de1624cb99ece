"""How a run differs from the last run of its job that succeeded before it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.api.differences import (
    ArtifactDifference,
    InputDifference,
    ParameterDifference,
    RunDifferences,
)
from respawn_jobs.api.versions import CellChange, Comparison
from respawn_jobs.ledger.context.context import Context, find_run
from respawn_jobs.ledger.jobs.version_contents import compare_versions
from respawn_jobs.ledger.runs.artifacts import latest
from respawn_jobs.ledger.runs.cell_records import cells_of
from respawn_jobs.ledger.runs.rows import cell_of, run_of, version_of
from respawn_jobs.model.artifacts import Artifact
from respawn_jobs.model.evidence import SeenFile, files_of
from respawn_jobs.model.jobs import Version
from respawn_jobs.model.runs import CellRecord, Run, RunState
from respawn_jobs.notebook.document import TAG_INJECTED
from respawn_jobs.store.tables import AttemptRow, JobRow, RunRow, VersionRow
from respawn_kernels.evidence import CellEvidence


def differences(context: Context, actor: Actor, run_id: str) -> RunDifferences:
    """Return how a run differs from the last good one; see `HistoryService.differences`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `read` in the job's namespace.
        run_id: the run's id.

    Raises:
        NotFound, Forbidden: see `find_run`.
    """
    with context.database.session() as session:
        row, job = find_run(session, actor, run_id)
        good_row = session.scalar(
            select(RunRow)
            .where(
                RunRow.job_id == row.job_id,
                RunRow.state == RunState.SUCCEEDED.value,
                RunRow.created_at < row.created_at,
            )
            .order_by(RunRow.created_at.desc(), RunRow.id.desc())
            .limit(1)
        )
        if good_row is None:
            return RunDifferences()
        now, good = _Looked.at(session, row), _Looked.at(session, good_row)
        ref = job.id
    versions = (good.run.version, now.run.version)
    comparison = compare_versions(context, actor, ref, *versions) if versions[0] != versions[1] else None
    locks = (good.run.lock, now.run.lock)
    kernels = (good.run.kernel, now.run.kernel)
    return RunDifferences(
        good=good.run.id,
        finished_at=good.run.finished_at,
        kernels=kernels if kernels[0] != kernels[1] else None,
        locks=locks if locks[0] != locks[1] else None,
        parameters=_parameters(good, now),
        inputs=_inputs(good, now),
        artifacts=_artifacts(good, now),
        all_inputs_seen=good.all_seen and now.all_seen,
        **_code(comparison, now),
    )


class _Looked:
    """A run, and what its cells were seen to read."""

    def __init__(
        self,
        run: Run,
        cells: list[CellRecord],
        version: Version,
        directory: str | None,
        artifacts: list[Artifact],
    ) -> None:
        self.last = run.error.cell if run.error is not None else None
        begun = [cell for cell in cells if self.last is None or cell.index <= self.last]
        seen = [(cell.index, cell.evidence) for cell in begun if cell.evidence is not None]
        self.artifacts = {
            one.name: one for one in artifacts if self.last is None or (one.cell or 0) <= self.last
        }
        self.run = run
        self.cells = cells
        self.directory = directory or version.directory
        self.defaults = {
            one.name: one.default
            for one in version.parameters
            if one.default is not None and not one.secret and one.name not in run.parameters
        }
        self.all_seen = all(map(_all_seen, (evidence for _, evidence in seen)))
        self.read: dict[str, tuple[int, SeenFile]] = {}
        """By the name that both runs have for it: the first cell that read it, and how that one found it."""
        written: set[str] = set()
        for index, evidence in seen:
            for file in files_of(evidence)[0]:
                if file.path not in written:
                    self.read.setdefault(self._name(file.path), (index, file))
            written.update(evidence.written)

    @classmethod
    def at(cls, session: Session, row: RunRow) -> _Looked:
        """Look at a run of the store."""
        own = session.scalar(
            select(AttemptRow.directory)
            .where(AttemptRow.run_id == row.id, AttemptRow.directory.is_not(None))
            .order_by(AttemptRow.number.desc())
            .limit(1)
        )
        version = version_of(session.get_one(VersionRow, row.version_id), session.get_one(JobRow, row.job_id))
        cells = [cell_of(one, None) for one in cells_of(session, row, evidence=True)]
        read = [one for one in latest(session, row.id) if one.is_read]
        return cls(run_of(session, row), cells, version, own, read)

    def _name(self, path: str) -> str:
        inside = PurePosixPath(path)
        if self.directory is None or not inside.is_relative_to(self.directory):
            return path
        return str(inside.relative_to(self.directory))


def _all_seen(evidence: CellEvidence) -> bool:
    return not evidence.overflow and evidence.files_unwatched is None


def _code(comparison: Comparison | None, now: _Looked) -> dict[str, Any]:
    """Return what differs of the versions: the cells up to the failing one, and how many below it."""
    if comparison is None:
        return {}
    code = [one for one in comparison.cells if one.cell_type == "code"]
    was_injected = len(now.cells) > sum(one.new is not None for one in code)
    injected = (cell.index for cell in now.cells if was_injected and TAG_INJECTED in cell.tags)
    place = next(injected, None)
    changed = [_moved(one, place) for one in code if one.kind != "same"]
    above = [one for one in changed if now.last is None or one.new is None or one.new <= now.last]
    return {
        "versions": (comparison.old, comparison.new),
        "cells": above,
        "later_cells": len(changed) - len(above),
        "files": comparison.files,
    }


def _moved(cell: CellChange, injected: int | None) -> CellChange:
    """Return a cell with its place in the executed notebook, where the parameters were put at `injected`."""
    if cell.new is None or injected is None or cell.new < injected:
        return cell
    return cell.model_copy(update={"new": cell.new + 1})


def _parameters(good: _Looked, now: _Looked) -> list[ParameterDifference]:
    before, after = ({**one.defaults, **one.run.parameters} for one in (good, now))
    found = []
    for name in sorted(before.keys() | after.keys()):
        then, value = before.get(name), after.get(name)
        if name in before and name in after and (type(then), then) == (type(value), value):
            continue
        found.append(
            ParameterDifference(
                name=name,
                kind="added" if name not in before else "removed" if name not in after else "changed",
                then=then,
                now=value,
                then_default=name in good.defaults,
                now_default=name in now.defaults,
            )
        )
    return found


def _inputs(good: _Looked, now: _Looked) -> list[InputDifference]:
    found = []
    for name, (cell, file) in now.read.items():
        _, then = good.read.get(name, (0, None))
        if then is None or (then.size, then.modified) != (file.size, file.modified):
            same = then is not None and then.size == file.size
            found.append(InputDifference(path=name, cell=cell, then=then, now=file, same_size=same))
    return found


def _artifacts(good: _Looked, now: _Looked) -> list[ArtifactDifference]:
    pairs = ((good.artifacts.get(name), one) for name, one in sorted(now.artifacts.items()))
    return [
        ArtifactDifference(then=then, now=one)
        for then, one in pairs
        if then is None or (then.made_in, then.number) != (one.made_in, one.number)
    ]
