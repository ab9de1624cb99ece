"""The command `debug`: a run's failure as a notebook, with the state before it."""

from __future__ import annotations

import json
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click

from respawn_jobs.cli.common.options import json_option, writable
from respawn_jobs.errors import Conflict, Forbidden

if TYPE_CHECKING:
    from respawn_jobs.model.debug_bundle import DebugBundle


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=writable,
    help="The debug notebook's file.",
)
@click.option("-y", "--yes", is_flag=True, help="Load the state also where code of others has made it.")
@json_option
def debug(run_id: str, output: Path | None, yes: bool, as_json: bool) -> int:
    """Write a notebook that opens a failed or running run."""
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection
    from respawn_jobs.cli.common.transfer_progress import transfer
    from respawn_jobs.debug.notebook import debug_notebook
    from respawn_jobs.debug.running import await_state
    from respawn_jobs.debug.state_download import download
    from respawn_jobs.debug.work_files import lay_out_beside
    from respawn_jobs.host.atomic_write import write_text
    from respawn_jobs.model.code_authors import other_authors
    from respawn_jobs.model.runs import RunState
    from respawn_jobs.notebook.document import write_notebook
    from respawn_kernels.exchange.restore_point import run_directory

    with connection() as connected:
        if connected.service.show(run_id).run.state is RunState.RUNNING:
            click.echo("waiting for the state before the cell that runs", err=True)
            await_state(connected.service, run_id)
        bundle = connected.service.debug(run_id)
        inside = bundle.run.state is RunState.RUNNING
        name = bundle.run.job.rpartition("/")[2].lstrip("~")
        own = f"{name}-{bundle.run.id}{_free_number(name, bundle.run.id) if inside else ''}"
        # Files that the job carries lie beside the notebook: these two need a directory of their own.
        path = output or (Path(own) if bundle.version.files is not None else Path()) / f"{own}.ipynb"
        kept = _is_kept(path, bundle.run.id)
        authors = other_authors(bundle, connected.service.whoami())
        if authors and not yes:
            _ask(bundle.run.id, authors, quiet=as_json)
        directory = run_directory(bundle.run.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not kept:
            notebook = debug_notebook(bundle)
            notebook.metadata["kernelspec"]["name"] = _kernel(bundle)
            write_text(path, write_notebook(notebook))
        lay_out_beside(connected.service, bundle, path.resolve().parent)
        with transfer("getting the state", quiet=as_json) as progress:
            download(connected.service, bundle, directory, progress, authors=authors, agreed=True)
    if as_json:
        document = {
            "run": bundle.run.id,
            "notebook": str(path),
            "kernel": bundle.run.kernel,
            "restore": str(directory),
            "kept": kept,
        }
        printing.document(document)
        return 0
    click.echo(f"kept {path} with its changes" if kept else f"wrote {path}")
    click.echo(f"open it:       jupyter lab {path}")
    if inside:
        click.echo(f"{bundle.run.id} goes on; nothing can be resumed from this notebook")
    else:
        click.echo(f"then go on:    respawn resume {bundle.run.id} --notebook {path}")
    return 0


def _free_number(name: str, run: str) -> str:
    """Return the ending of the first notebook that is not there yet, of those that look into a run."""
    numbers = (f"-inside-{number}" for number in count(1))
    return next(one for one in numbers if not any(Path().glob(f"{name}-{run}{one}*")))


def _kernel(bundle: DebugBundle) -> str:
    """Return the kernel that is of the build that the run used, as far as that is here."""
    from respawn_environments.errors import EnvironmentMissing
    from respawn_environments.kernelspecs import UnknownKernel, pinned_kernel

    name = bundle.run.kernel
    try:
        return pinned_kernel(name, bundle.lock) if bundle.lock is not None else name
    except (EnvironmentMissing, OSError, UnknownKernel) as error:
        # Also a hub's run can be debugged here: with other packages, or a kernel that Jupyter asks for.
        click.echo(f"respawn: the kernel has other packages than the run had: {error}", err=True)
        return name


def _ask(run: str, authors: list[str], *, quiet: bool) -> None:
    """Let the person agree to load what code of others has made. Raises `Forbidden` where nobody is asked."""
    from respawn_jobs.cli.common import printing

    warning = (
        f"the state of {run} was made by code of {printing.plain('; '.join(authors))}: "
        "loading it runs their code with your rights"
    )
    if quiet or not sys.stdin.isatty():
        raise Forbidden(f"{warning}. Agree with --yes", run=run, authors=authors)
    click.echo(f"respawn: {warning}.", err=True)
    click.confirm("Load it?", default=False, abort=True, err=True)


def _is_kept(path: Path, run: str) -> bool:
    """Return whether a file is the run's debug notebook already; its edits are somebody's work.

    Raises `Conflict` for any other file.
    """
    if not path.exists():
        return False
    try:
        debugged = json.loads(path.read_bytes())["metadata"]["respawn"]["run"]
    except (OSError, ValueError, LookupError, TypeError):
        debugged = None
    if debugged != run:
        raise Conflict(f"{path} exists and is not the debug notebook of {run}; name another file with -o")
    return True
