"""What the plugin asks for after a resume: the fix, written to the file that the job was promoted from."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from jupyter_server.auth.decorator import authorized
from tornado import web

from respawn_jobs.errors import Conflict, InvalidInput
from respawn_jobs.model.base import Model
from respawn_server.fixes import CellFix, merge
from respawn_server.job_file import JobFile, replace
from respawn_server.notebook_text import with_cells
from respawn_server.outcomes import Fix, find_fix
from respawn_server.shared import KEY, RespawnHandler, read_body


class WriteBackBody(Model):
    """Which debug notebook's fix is written, to which state of the file."""

    path: str
    seen: str
    """`WriteBack.seen` of the look that the person decided by."""


class WriteBack(Model):
    """What writing a fix to its file does, or did."""

    target: str | None
    """The file's path at this server; None when there is nothing to write, or nowhere to."""
    why: str = ""
    """Why there is no target."""
    source: str | None = None
    """The file as the job knows it."""
    job: str | None = None
    base: int | None = None
    """The version that the file held."""
    fixed: int | None = None
    """The version with the fix."""
    by: str | None = None
    """Who made the version that the file held."""
    current: bool = False
    """Whether the job's new runs use the version with the fix."""
    cells: list[CellFix] = []
    state: Literal["none", "write", "there", "otherwise", "written"] = "none"
    """none: no target. write: some cells can be written. there: the file has the fix. otherwise: each cell
    that lacks the fix was changed in the file in another way. written: done."""
    seen: str = ""


class WriteBackHandler(RespawnHandler):
    """GET and POST write-back: look at what would be written, and write it."""

    auth_resource = KEY

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer a `WriteBack`; `path` is the debug notebook's. Changes nothing."""
        document, _, _ = await _look(self, self.get_query_argument("path"))
        self.answer(document.model_dump(mode="json"))

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Write, and answer a `WriteBack`. Raises Conflict when the file is not as it was seen."""
        body: WriteBackBody = read_body(WriteBackBody, self.body())
        document, file, text = await _look(self, body.path)
        if file is None:
            raise Conflict(f"there is no file to write to: {document.why}")
        if document.seen != body.seen:
            raise Conflict(
                f"{document.target}, or the fix, was changed meanwhile. Nothing was written: look again"
            )
        if document.state == "write":
            await asyncio.to_thread(replace, file, text)
            document = document.model_copy(update={"state": "written"})
        self.answer(document.model_dump(mode="json"))


async def _look(handler: RespawnHandler, path: str) -> tuple[WriteBack, JobFile | None, str]:
    """Return what writing back would do, the file as it is, and its text with the fix."""
    notebooks = handler.shared.notebooks
    run, _ = await notebooks.run_of(path)
    fix = await handler.call(lambda service: find_fix(service, run))
    if isinstance(fix, str):
        return WriteBack(target=None, why=fix), None, ""
    try:
        file = await notebooks.job_file(fix.source)
        document, text = await asyncio.to_thread(_merged, fix, file)
    except InvalidInput as error:
        why = f"{fix.source} {error.message}."
        nowhere = WriteBack(
            target=None, why=why, source=fix.source, job=fix.fixed.job, fixed=fix.fixed.number
        )
        return nowhere, None, ""
    return document, file, text


def _merged(fix: Fix, file: JobFile) -> tuple[WriteBack, str]:
    """Return what writing the fix to the file would do, and the text that it would have."""
    from respawn_jobs.notebook.document import read_notebook

    try:
        mine = read_notebook(file.text)
        merged = merge(fix.old, fix.new, mine, fix.between)
        text = with_cells(file.text, merged.edits)
    except InvalidInput as error:
        raise InvalidInput(f"cannot take the fix: {error.message}") from error
    states = {cell.state for cell in merged.cells}
    state: Literal["write", "there", "otherwise"] = "there"
    if "write" in states:
        state = "write"
    elif "otherwise" in states:
        state = "otherwise"
    document = WriteBack(
        target=file.path,
        source=fix.source,
        job=fix.fixed.job,
        base=fix.base.number,
        fixed=fix.fixed.number,
        by=fix.base.created_by,
        current=fix.current,
        cells=merged.cells,
        state=state,
        seen=f"{file.digest}-{fix.fixed.number}",
    )
    return document, text


ROUTES: list[tuple[str, Any]] = [("api/write-back", WriteBackHandler)]
