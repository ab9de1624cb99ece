"""The notebooks of this server, by their path below its root, through whatever contents manager it has."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from jupyter_server.utils import ApiPath, ensure_async, to_os_path
from nbformat import NotebookNode
from tornado.web import HTTPError

from respawn_jobs.errors import Conflict, InvalidInput, NotFound
from respawn_jobs.ids import is_id
from respawn_jobs.model.debug_bundle import DebugBundle
from respawn_jobs.model.jobs import GitState
from respawn_jobs.model.runs import Run, RunState
from respawn_server.job_file import JobFile, find

DEBUG_DIRECTORY = "respawn-debug"
RUNS_DIRECTORY = "respawn-runs"
_MAX_COPIES = 1000


@dataclass(frozen=True)
class Saved:
    """A notebook as it is saved, with where it lies."""

    text: str
    directory: str | None
    source: str
    """Its absolute path where the contents are files of this machine, else its path at the server."""
    git: GitState | None


class Notebooks:
    """Reads and writes notebooks.

    Args:
        contents: The server's contents manager.
    """

    def __init__(self, contents: Any) -> None:
        self._contents = contents
        self._remembered: tuple[str, Any, Saved] | None = None

    async def text(self, path: str) -> str:
        """Return a saved notebook byte for byte. Raises NotFound naming the path."""
        text: str = (await self._model(path, content=True, type="file", format="text"))["content"]
        return text

    async def _model(self, path: str, *, content: bool = False, **form: str) -> dict[str, Any]:
        try:
            model: dict[str, Any] = await ensure_async(self._contents.get(path, content=content, **form))
        except HTTPError as error:
            if error.status_code == 404:
                raise NotFound(f"there is no notebook {path!r} on this server", path=path) from error
            raise InvalidInput(f"{path!r} cannot be read: {error.log_message or error.reason}") from error
        return model

    def directory(self, path: str) -> str | None:
        """Return the real directory of a notebook, None when the contents are not files of this machine."""
        root = getattr(self._contents, "root_dir", None)
        if not root:
            return None
        directory = Path(to_os_path(ApiPath(path), str(root))).parent
        return str(directory) if directory.is_dir() else None

    async def saved(self, path: str) -> Saved:
        """Return a saved notebook with where it lies. Raises NotFound naming the path."""
        from respawn_jobs.notebook.promotion import git_state

        text, directory = await self.text(path), self.directory(path)
        if directory is None:
            return Saved(text, None, path, None)
        file = Path(directory) / PurePosixPath(path).name
        return Saved(text, directory, str(file), await asyncio.to_thread(git_state, file))

    async def remembered(self, path: str) -> Saved:
        """Return what `saved` does, read again only when the file has changed; it is asked as one types."""
        changed = (await self._model(path))["last_modified"]
        if self._remembered is None or self._remembered[:2] != (path, changed):
            self._remembered = (path, changed, await self.saved(path))
        return self._remembered[2]

    async def job_file(self, source: str) -> JobFile:
        """Return the file that `source` names as `Saved.source` does; raises what `job_file.find` raises."""
        return await asyncio.to_thread(find, self._contents, source)

    async def run_of(self, path: str) -> tuple[str, str]:
        """Return the run that a debug notebook is of, and the notebook's text.

        Raises:
            InvalidInput: It is not a debug notebook, or names something else than a run.
            NotFound: There is no such file.
        """
        text = await self.text(path)
        run = debugged_run(text)
        if run is None:
            raise InvalidInput(f"{path} is not a debug notebook: it names no run", path=path)
        if not is_id("run", run):
            raise InvalidInput(f"{path} is not a debug notebook: {run!r} is not the id of a run", path=path)
        return run, text

    async def keep_or_write(self, bundle: DebugBundle) -> tuple[str, bool]:
        """Make sure that a run's debug notebook is there; one that is there is kept, with its edits.

        Each look into a run that goes on has a notebook of its own.

        Returns:
            Its path, and whether it was there before.

        Raises:
            Conflict: Another file has its name.
        """
        from respawn_jobs.debug.notebook import debug_notebook

        own = bundle.version.files is not None
        if bundle.run.state is RunState.RUNNING:
            path = await self._look_path(bundle.run, own=own)
        else:
            path = await self._debug_path(bundle.run, own=own)
        if await ensure_async(self._contents.file_exists(path)):
            if debugged_run(await self.text(path)) != bundle.run.id:
                raise Conflict(
                    f"{path} is not the debug notebook of {bundle.run.id}: move it away", path=path
                )
            return path, True
        await self._make(str(PurePosixPath(path).parent))
        await self._save(path, debug_notebook(bundle))
        return path, False

    async def prepare_place(self, run: Run, *, own: bool) -> str:
        """Make the directory in which a run's debug notebook works, and return the path that it will have.

        Args:
            run: the run.
            own: whether the run has worked in a directory of its own: so does its debug notebook.
        """
        path = await self._debug_path(run, own=own)
        await self._make(str(PurePosixPath(path).parent))
        return path

    async def _look_path(self, run: Run, *, own: bool) -> str:
        """Return a path for the notebook of a look into a run that goes on, at which there is none."""
        for number in range(1, _MAX_COPIES):
            name = f"{_file_name(run.job)}-{run.id}-inside-{number}"
            path = f"{DEBUG_DIRECTORY}/{name}/{name}.ipynb" if own else f"{DEBUG_DIRECTORY}/{name}.ipynb"
            if not await ensure_async(self._contents.file_exists(path)):
                return path
        raise Conflict(
            f"{DEBUG_DIRECTORY} holds too many looks into {run.id}: remove some", path=DEBUG_DIRECTORY
        )

    async def _debug_path(self, run: Run, *, own: bool) -> str:
        if not own:
            return await self._path_of(DEBUG_DIRECTORY, run)
        name, ends = f"{_file_name(run.job)}-{run.id}", f"-{run.id}"
        names = []
        if await ensure_async(self._contents.dir_exists(DEBUG_DIRECTORY)):
            model = await ensure_async(self._contents.get(DEBUG_DIRECTORY, content=True, type="directory"))
            names = sorted(entry["name"] for entry in model["content"] if entry["name"].endswith(ends))
        name = name if name in names or not names else names[0]
        return f"{DEBUG_DIRECTORY}/{name}/{name}.ipynb"

    async def keep_copy(self, run: Run, text: str) -> str:
        """Keep a copy of a run's executed notebook and return its path; none that is there is written over.

        Args:
            run: the run. One that has ended has one copy, with the edits that were made to it.
            text: the executed notebook, as far as it came.

        Raises:
            Conflict: There are too many copies of a run that has not ended.
        """
        from respawn_jobs.notebook.document import read_notebook

        await self._make(RUNS_DIRECTORY)
        endings = [""] if run.state.final else [f"-so-far-{number}" for number in range(1, _MAX_COPIES)]
        for ending in endings:
            path = await self._path_of(RUNS_DIRECTORY, run, ending)
            if not await ensure_async(self._contents.file_exists(path)):
                await self._save(path, read_notebook(text))
                return path
        if run.state.final:
            return path
        raise Conflict(
            f"{RUNS_DIRECTORY} holds too many copies of {run.id}: remove some", path=RUNS_DIRECTORY
        )

    async def store_outputs(self, path: str, cell_id: str, outputs: list[Any], count: int | None) -> None:
        """Store what a cell gave; nothing happens when somebody took the cell out.

        Args:
            path: the notebook's path below the server's root.
            cell_id: nbformat's id of the cell.
            outputs: nbformat outputs, in their order; they replace the cell's own.
            count: the cell's execution count; None where the kernel gave none.
        """
        model = await ensure_async(self._contents.get(path, content=True, type="notebook"))
        for cell in model["content"].cells:
            if cell.get("id") == cell_id:
                cell.outputs, cell.execution_count = outputs, count
                await self._save(path, model["content"])
                return

    async def _path_of(self, directory: str, run: Run, ending: str = "") -> str:
        """Return where a run's notebook is kept; it stays there when the job is renamed."""
        ends = f"-{run.id}{ending}.ipynb"
        own = f"{_file_name(run.job)}{ends}"
        names = []
        if await ensure_async(self._contents.dir_exists(directory)):
            model = await ensure_async(self._contents.get(directory, content=True, type="directory"))
            names = sorted(entry["name"] for entry in model["content"] if entry["name"].endswith(ends))
        return f"{directory}/{own if own in names or not names else names[0]}"

    async def _make(self, directory: str) -> None:
        if await ensure_async(self._contents.dir_exists(directory)):
            return
        if "/" in directory:
            await self._make(str(PurePosixPath(directory).parent))
        try:
            await ensure_async(self._contents.save({"type": "directory"}, directory))
        except HTTPError:
            # Race: the kernel that boots meanwhile has asked for the same directory, or another tab has.
            if not await ensure_async(self._contents.dir_exists(directory)):
                raise

    async def _save(self, path: str, notebook: NotebookNode) -> None:
        await ensure_async(
            self._contents.save({"type": "notebook", "format": "json", "content": notebook}, path)
        )


def _file_name(job: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "", job.rpartition("/")[2]).lstrip(".") or "notebook"


def debugged_run(text: str) -> str | None:
    """Return the run that a debug notebook's text names, None for any other text."""
    try:
        run = json.loads(text)["metadata"]["respawn"]["run"]
    except (ValueError, KeyError, TypeError):
        return None
    return run if isinstance(run, str) else None
