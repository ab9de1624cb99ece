"""The cluster panel: workers and memory of a local Dask cluster, a slider, a way to close it.

The state is pushed from a thread, because a kernel that computes answers no requests, and that is when people
watch. The thread starts at a browser's first request and ends with the cluster or the panel.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from respawn_kernels.counting import how_many
from respawn_widgets.cluster_state import is_open, read_state, scale
from respawn_widgets.messages import Done, Refused, Reply

_HERE = Path(__file__).parent
_SECONDS = 1.0


class ClusterPanel(anywidget.AnyWidget):
    """A panel for the cluster of a `distributed.Client`."""

    _esm = _HERE / "cluster_panel.js"
    _css = _HERE / "cluster_panel.css"
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, client: Any, **options: Any) -> None:
        self._client = client
        self._cluster = client.cluster
        self._dashboard = client.dashboard_link
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None
        super().__init__(state=read_state(self._cluster, self._dashboard), **options)
        self.on_msg(self._answer)

    def __repr__(self) -> str:
        state = self.state
        if not state["open"]:
            return "Dask cluster (closed)"
        return f"Dask cluster ({how_many(len(state['workers']), 'worker')})"

    def refresh(self) -> None:
        """Read the cluster now; traitlets sends the state to browsers only when something changed."""
        self.state = dict(read_state(self._cluster, self._dashboard))

    def close(self) -> None:
        """Close the panel, not the cluster: stop watching, and close the connection to the browser."""
        self._stop.set()
        self.on_msg(self._answer, remove=True)
        super().close()

    def _answer(self, _widget: Any, request: Any, _buffers: Any) -> None:
        self.send(self._carry_out(request))

    def _carry_out(self, request: Any) -> Reply:
        number = request.get("id") if isinstance(request, dict) else None
        if not isinstance(number, int):
            return Refused(id=None, ok=False, error="not a request: it has no id")
        try:
            match request.get("kind"):
                case "look":
                    self._watch()
                case "scale":
                    scale(self._cluster, request.get("workers"))
                case "close":
                    self._close_cluster()
                case kind:
                    raise ValueError(f"unknown request {kind!r}")  # noqa: TRY301  answered like the others
            self.refresh()
        except Exception as error:  # noqa: BLE001  each request gets an answer, whatever Dask raises
            return Refused(id=number, ok=False, error=str(error) or type(error).__name__)
        return Done(id=number, ok=True)

    def _close_cluster(self) -> None:
        self._client.close()
        if is_open(self._cluster):
            self._cluster.close(timeout=10)

    def _watch(self) -> None:
        if self._watcher is None or not self._watcher.is_alive():
            self._watcher = threading.Thread(target=self._push, name="respawn-cluster-panel", daemon=True)
            self._watcher.start()

    def _push(self) -> None:
        while not self._stop.wait(_SECONDS):
            self.refresh()
            if not self.state["open"]:
                return
