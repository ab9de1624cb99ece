"""papermill's engine with a memory: what papermill runs is also recorded as a run that can be resumed.

The notebook comes parameterized from papermill and goes back to it executed, exactly as with papermill's own
engine: papermill keeps writing the output and raising its errors. Beside that the run, its cells and its
checkpoints are kept in the embedded store, as a scratch job named after the notebook.

papermill reaches it through `respawn_jobs.embedded.entry_point`.
"""

from __future__ import annotations

import logging
import os
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from papermill.engines import NBClientEngine
from papermill.utils import remove_args

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from respawn_jobs.api.service import Service


class RecordingEngine(NBClientEngine):  # type: ignore[misc]  # papermill has no types
    """Executes like papermill's own engine, and records cells and checkpoints in the embedded store."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        log_output: bool = False,
        stdout_file: Any = None,
        stderr_file: Any = None,
        start_timeout: float = 60,
        execution_timeout: float | None = None,
        **kwargs: Any,
    ) -> Any:
        """Execute the notebook and record it.

        Args:
            nb_man: papermill's `NotebookExecutionManager` of the parameterized notebook.
            kernel_name: The kernel to run it with.
            log_output: Whether outputs also go to papermill's log.
            stdout_file: Open text file that gets what cells write to stdout.
            stderr_file: The same for stderr.
            start_timeout: Seconds the kernel may take to come up.
            execution_timeout: Seconds each cell may take; None for no limit.
            **kwargs: Options for nbclient, as papermill passes them on.

        Returns:
            The executed notebook.

        Raises:
            RespawnError: the embedded store could not record the run, so nothing was executed.
            nbclient.exceptions.DeadKernelError, CellTimeoutError: as with papermill's own engine.
        """
        from papermill.log import logger

        from respawn_jobs.embedded.local_store import open_store, owner
        from respawn_jobs.runner.attempt import execute_prepared

        options = remove_args(["input_path", "timeout", "startup_timeout"], **kwargs)
        options |= {"log": logger, "log_output": log_output}
        options |= {"stdout_file": stdout_file, "stderr_file": stderr_file}
        # papermill's command logs what every library says; how our database is made concerns nobody there.
        logging.getLogger("alembic").setLevel(logging.WARNING)
        _as_a_job_runs_it(nb_man)
        ledger = open_store()
        try:
            ledger.expire()
            run = _recorded_run(ledger.as_actor(owner()), nb_man.nb, kernel_name, kwargs.get("input_path"))
            attempt, token = ledger.open_attempt(run, "papermill")
            logger.info("Recorded as %s", run)
            ended = execute_prepared(
                ledger.runner(attempt, token),
                nb_man,
                start_timeout=start_timeout,
                cell_timeout=execution_timeout or kwargs.get("timeout"),
                client_options=options,
            )
        finally:
            ledger.close()
        if ended.exception is not None:
            raise ended.exception
        return nb_man.nb


def _as_a_job_runs_it(nb_man: Any) -> None:
    """Leave scratch cells out, and give parameters the types that the notebook declares, in place.

    The notebook that a job executes has no scratch cells and typed values; a resume of this run could not
    bring the two together otherwise.
    """
    from respawn_jobs.notebook.document import TAG_SCRATCH, cell_tags, injected_cell
    from respawn_jobs.notebook.injected_values import typed_source
    from respawn_jobs.notebook.parameters import kinds

    nb = nb_man.nb
    kept = [cell for cell in nb.cells if TAG_SCRATCH not in cell_tags(cell)]
    if nb_man.pbar is not None:
        nb_man.pbar.total -= len(nb.cells) - len(kept)
    nb.cells = kept
    languages = (
        nb.metadata.get("kernelspec", {}).get("language"),
        nb.metadata.get("language_info", {}).get("name"),
    )
    given = nb.metadata.get("papermill", {}).get("parameters")
    injected = injected_cell(nb)
    # A notebook may come with an injected cell of an earlier run, which papermill has left as it is.
    if injected is not None and given and "python" in {str(name).lower() for name in languages if name}:
        injected.source = typed_source(injected.source, kinds(nb))


def _recorded_run(service: Service, nb: NotebookNode, kernel: str, input_path: Any) -> str:
    """Make the scratch job's version and a run of it; return the run's id."""
    from respawn_jobs.api.service import Promotion, RunRequest
    from respawn_jobs.api.versions import RUN_ANYHOW
    from respawn_jobs.embedded.local_store import plain_json, scratch_name
    from respawn_jobs.errors import InvalidInput
    from respawn_jobs.notebook.document import strip_debug, write_notebook

    def promote(text: str) -> str:
        version = service.promote(
            Promotion(
                name=scratch_name(input_path),
                notebook=text,
                kernel=kernel,
                directory=os.getcwd(),  # noqa: PTH109
                agreed=list(RUN_ANYHOW),
            )
        )
        return version.job

    parameters = plain_json(dict(nb.metadata.get("papermill", {}).get("parameters") or {}))
    try:
        job = promote(write_notebook(strip_debug(nb)))
        return service.run(RunRequest(job=job, parameters=parameters)).id
    except InvalidInput:
        # papermill injects what the notebook does not declare, or declares otherwise, and runs without what
        # it requires; a job refuses both. The notebook as papermill made it, the values already in its cells
        # and with no parameters of its own, is then what was run.
        return service.run(RunRequest(job=promote(write_notebook(_undeclared(nb))))).id


def _undeclared(nb: NotebookNode) -> NotebookNode:
    """Return a copy of a notebook that declares no parameters."""
    from respawn_jobs.notebook.document import TAG_PARAMETERS, cell_tags

    made = deepcopy(nb)
    for cell in made.cells:
        if TAG_PARAMETERS in cell_tags(cell):
            cell.metadata["tags"] = [tag for tag in cell_tags(cell) if tag != TAG_PARAMETERS]
    return made
