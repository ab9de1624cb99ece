"""What notebooks import: a thin face of Respawn, loaded piece by piece as it is used.

import respawn
client = respawn.cluster(workers=2)
"""

from __future__ import annotations

import importlib.util
from typing import Any

__all__ = ["__version__", "cluster", "load_ipython_extension"]

__version__ = "0.1.0"


def cluster(workers: int = 2, *, panel: bool = True, **options: Any) -> Any:
    """Return a Dask client on a cluster of this kernel's own, and show a panel to watch and scale it.

    Args:
        workers: how many worker processes.
        panel: show the panel, where the widgets are installed.
        **options: see `respawn_kernels.cluster.cluster`.
    """
    from respawn_kernels.cluster import cluster as start

    client = start(workers, **options)
    if panel and importlib.util.find_spec("respawn_widgets") and importlib.util.find_spec("anywidget"):
        from respawn_widgets import show_cluster

        show_cluster(client)
    return client


def load_ipython_extension(shell: Any) -> None:
    """Give the shell the `%respawn` magic; what `%load_ext respawn` calls."""
    from respawn_kernels import load_ipython_extension as load

    load(shell)
