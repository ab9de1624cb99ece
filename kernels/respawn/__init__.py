"""What notebooks import: a thin face of Respawn, loaded piece by piece as it is used.

import respawn
client = respawn.cluster(workers=2)
model = respawn.load("model", None)
respawn.save("model", model)
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from respawn_kernels.exchange.artifact_records import ArtifactRecord
    from respawn_kernels.host.freeze import FrozenEnvironment

__all__ = [
    "__version__",
    "artifacts",
    "cluster",
    "freeze",
    "latest",
    "load",
    "load_ipython_extension",
    "save",
]

__version__ = "0.1.0"
_NONE: Any = object()


def save(name: str, value: Any, *, wait: bool = False) -> ArtifactRecord:
    """Keep an object under the run, from within a cell, so that the work since the cell began is not lost.

    When this returns, the object is in a whole file on this machine and survives the kernel. The runner
    stores it in the service at once, beside the cell; from then on it survives the machine. Saving under the
    same name again replaces what `load` gives; the two newest that were stored are kept. When saves follow
    each other faster than they can be stored, only the newest is stored.

    Tables become Parquet, arrays `.npy`, torch's objects what `torch.save` writes, text, bytes and plain data
    themselves, a `pathlib.Path` a copy of the file or directory; everything else is pickled.

    Args:
        name: letters, digits, `_`, `-` and `.`; at most 100.
        value: any object that can be written.
        wait: return only when the service has stored it.

    Returns:
        What was kept: name, number, kind, size.

    Raises:
        ArtifactError: it could not be kept; what was kept before still is.
    """
    from respawn_kernels.artifacts.api import save as keep

    return keep(name, value, wait=wait)


def load(name: str, default: Any = _NONE) -> Any:
    """Return the latest object kept under a name: by this run, else by what it resumes or tries again.

    A run that was restarted begins without artifacts. In a debug notebook it is the failed run's. Outside a
    run it is what this session saved.

    Args:
        name: as it was saved.
        default: what to return when there is none.

    Raises:
        respawn_kernels.exchange.artifact_records.ArtifactNotFound: there is none, and no default was given.
        respawn_kernels.exchange.artifact_records.ArtifactError: it cannot be read or fetched.
    """
    from respawn_kernels.artifacts.api import REQUIRED
    from respawn_kernels.artifacts.api import load as bring

    return bring(name, REQUIRED if default is _NONE else default)


def latest(address: str, default: Any = _NONE) -> Any:
    """Return what the newest successful run of another job kept with `save`.

    A run sees one and the same artifact for all of its life, also after a retry or a resume; a restart takes
    the newest again. The run's record names what was read and whose it is. In a debug notebook it is what the
    failed run read.

    Args:
        address: the job and the name that it saves under, as in `nightly/model`; the job is one of the same
            namespace.
        default: what to return when no successful run of the job has kept it, or there is no such job.

    Raises:
        respawn_kernels.exchange.artifact_records.ArtifactNotFound: there is none, and no default was given.
        respawn_kernels.exchange.artifact_records.ArtifactError: it cannot be read or fetched.
    """
    from respawn_kernels.artifacts.api import REQUIRED
    from respawn_kernels.artifacts.api import latest as newest

    return newest(address, REQUIRED if default is _NONE else default)


def artifacts() -> list[ArtifactRecord]:
    """Return what `load` would give, by name."""
    from respawn_kernels.artifacts.api import artifacts as listed

    return listed()


def cluster(workers: int = 2, *, panel: bool = True, **options: Any) -> Any:
    """Return a Dask client on a cluster of this kernel's own, and show a panel to watch and scale it.

    Args:
        workers: how many worker processes, at least 1.
        panel: show the panel, where the widgets are installed.
        **options: see `respawn_kernels.dask.local_cluster.cluster`.

    Raises:
        ValueError: `workers` is not a positive number.
        ModuleNotFoundError: dask and distributed are not installed in this environment.
        TimeoutError: the workers did not start within a minute; nothing is left running.
    """
    from respawn_kernels.dask.local_cluster import cluster as start

    client = start(workers, **options)
    if panel and importlib.util.find_spec("respawn_widgets") and importlib.util.find_spec("anywidget"):
        from respawn_widgets import show_cluster

        show_cluster(client)
    return client


def freeze(directory: str | Path | None = None, *, replace: bool = False) -> FrozenEnvironment:
    """Return the environment that this notebook runs in, as a proposal for an environment.toml.

    It names what was asked for, each in the version that is installed; what those need comes by itself. What
    no lock can pin, such as an editable install, is left out and named.

    Args:
        directory: where to write environment.toml; its name will be the environment's. None to write nothing.
        replace: write also where there is one already.

    Raises:
        FileExistsError: there is one, and `replace` is not given.
        OSError: it cannot be written.
    """
    from respawn_kernels.host.freeze import freeze as propose

    return propose(directory, replace=replace)


def load_ipython_extension(shell: Any) -> None:
    """Give the shell the `%respawn` magic; what `%load_ext respawn` calls."""
    from respawn_kernels import load_ipython_extension as load_extension

    load_extension(shell)
