"""What the plugin asks for after a resume: the fix, written to the file that the job was promoted from."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from jupyter_server.auth.decorator import authorized
from tornado import web

from respawn_jobs.errors import Conflict, InvalidInput, NotFound
from respawn_jobs.models import Model
from respawn_server.fixes import CellFix, Fix, Merge, find_fix, merge
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
        document, merged, changed = await _look(self, body.path)
        if document.target is None or merged is None:
            raise Conflict(f"there is no file to write to: {document.why}")
        if document.seen != body.seen:
            raise Conflict(f"{document.target} was changed meanwhile: look at the changes again")
        if document.state == "write":
            await self.shared.notebooks.replace(document.target, merged.notebook, changed)
            document = document.model_copy(update={"state": "written"})
        self.answer(document.model_dump(mode="json"))


async def _look(handler: RespawnHandler, path: str) -> tuple[WriteBack, Merge | None, Any]:
    """Return what writing back would do, the file with the fix, and when the file was changed last."""
    notebooks = handler.shared.notebooks
    run, _ = await notebooks.run_of(path)
    fix = await handler.call(lambda service: find_fix(service, run))
    if isinstance(fix, str):
        return WriteBack(target=None, why=fix), None, None
    target = notebooks.path_of(fix.source)
    if target is None:
        return _nowhere(fix, "is not a file below the root of this Jupyter server"), None, None
    try:
        mine, changed = await notebooks.document(target)
    except (NotFound, InvalidInput) as error:
        return _nowhere(fix, f"cannot be read: {error.message}"), None, None
    seen = hashlib.sha256(json.dumps(mine, sort_keys=True).encode(errors="replace")).hexdigest()
    merged = merge(fix.old, fix.new, mine)
    states = {cell.state for cell in merged.cells}
    state: Literal["write", "there", "otherwise"] = "there"
    if "write" in states:
        state = "write"
    elif "otherwise" in states:
        state = "otherwise"
    document = WriteBack(
        target=target,
        source=fix.source,
        job=fix.fixed.job,
        base=fix.base.number,
        fixed=fix.fixed.number,
        cells=merged.cells,
        state=state,
        seen=seen,
    )
    return document, merged, changed


def _nowhere(fix: Fix, why: str) -> WriteBack:
    return WriteBack(
        target=None, why=f"{fix.source} {why}.", source=fix.source, job=fix.fixed.job, fixed=fix.fixed.number
    )


ROUTES: list[tuple[str, Any]] = [("api/write-back", WriteBackHandler)]
