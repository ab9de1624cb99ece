"""What a run of the same file has read beside its notebook, and a promotion does not carry."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from respawn_jobs.api.service import Promotion
from respawn_jobs.api.versions import OpenedFile
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.runs.cell_records import cells_of
from respawn_jobs.ledger.runs.rows import cell_of
from respawn_jobs.model.jobs import CarriedFile
from respawn_jobs.store.tables import RunRow, VersionRow

_MAX_NAMED = 100
_NOT_INPUTS = ("__pycache__", ".ipynb_checkpoints")


def opened_files(
    context: Context, namespace: str, request: Promotion, carried: Sequence[CarriedFile] | None
) -> list[OpenedFile]:
    """Return files that the newest such run has read, none of its cells has made, and that are not carried.

    No text of the code may name them: a path that is put together, or what a library looks for by itself.

    Args:
        context: the store.
        namespace: the job's.
        request: the promotion.
        carried: what the version would carry; nothing is looked for where it carries no files.
    """
    if carried is None or request.source is None or request.directory is None:
        return []
    query = (
        select(RunRow)
        .join(VersionRow, VersionRow.id == RunRow.version_id)
        .where(
            RunRow.namespace == namespace,
            VersionRow.source == request.source,
            VersionRow.directory == request.directory,
            VersionRow.files.is_(None),
        )
        .order_by(RunRow.created_at.desc(), RunRow.id.desc())
        .limit(1)
    )
    with context.database.session() as session:
        run = session.scalar(query)
        cells = [cell_of(row, None) for row in cells_of(session, run, evidence=True)] if run else []
    evidence = [cell.evidence for cell in cells if cell.evidence is not None]
    made = {path for one in evidence for path in one.written}
    beside = f"{request.directory}/"
    read = {
        path for one in evidence for path, *_ in one.inputs if path.startswith(beside) and path not in made
    }
    known = {f"{beside}{file.path}" for file in carried} | {request.source}
    names = [path.removeprefix(beside) for path in sorted(read - known)]
    return [
        OpenedFile(path=name, run=run.id)
        for name in names[:_MAX_NAMED]
        if run is not None and not any(part in _NOT_INPUTS for part in name.split("/"))
    ]
