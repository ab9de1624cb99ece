"""Panels in the notebook. Importing the package imports no widget library; showing a panel does."""

from __future__ import annotations

from typing import Any


def show_cluster(client: Any) -> None:
    """Display the panel of a Dask client's local cluster in the running cell; outside IPython, do nothing.

    Args:
        client: a `distributed.Client` on a `LocalCluster` of this process.
    """
    from IPython.core.getipython import get_ipython

    if get_ipython() is None:
        return
    from IPython.core.display_functions import display

    from respawn_widgets.cluster_panel import ClusterPanel

    show: Any = display
    show(ClusterPanel(client))
