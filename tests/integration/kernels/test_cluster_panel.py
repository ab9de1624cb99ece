"""The kernel's side of the cluster panel, on a real cluster."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing import resource_tracker
from typing import Any

import pytest

from respawn_kernels.dask import local_cluster
from respawn_widgets.cluster_panel import ClusterPanel
from support.leaks import tolerate
from support.waiting import wait_for

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", autouse=True)
def helper_of_multiprocessing() -> None:
    """Let live what Python starts once per process to start others."""
    resource_tracker.ensure_running()
    tolerate(resource_tracker._resource_tracker._pid)  # type: ignore[attr-defined]


@pytest.fixture
def panel() -> Iterator[ClusterPanel]:
    shown = ClusterPanel(local_cluster.cluster(1))
    yield shown
    shown.close()
    local_cluster.close()


class Browser:
    """Collects what the panel sends."""

    def __init__(self, panel: ClusterPanel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.panel = panel
        self.replies: list[Any] = []
        monkeypatch.setattr(panel, "send", self.replies.append)

    def ask(self, **request: Any) -> Any:
        self.panel._handle_custom_msg(request, [])
        return self.replies.pop()


@pytest.mark.long
def test_panel_shows_scales_and_closes_the_cluster(
    panel: ClusterPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = Browser(panel, monkeypatch)
    assert browser.ask(id=1, kind="look") == {"id": 1, "ok": True}
    [worker] = panel.state["workers"]
    assert worker["limit"] > 0
    assert panel.state["dashboard"].startswith("http://127.0.0.1:")
    assert browser.ask(id=2, kind="scale", workers=2) == {"id": 2, "ok": True}
    wait_for(lambda: len(panel.state["workers"]) == 2, 20, "the second worker to be pushed to the panel")
    assert panel.state["wanted"] == 2
    assert browser.ask(id=3, kind="close") == {"id": 3, "ok": True}
    assert panel.state["open"] is False
    assert not local_cluster.alive()
    assert repr(panel) == "Dask cluster (closed)"


def test_every_request_gets_an_answer(panel: ClusterPanel, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Browser(panel, monkeypatch)
    for workers in (0, -1, "3", None, True, 10**6):
        answer = browser.ask(id=4, kind="scale", workers=workers)
        assert (answer["id"], answer["ok"]) == (4, False)
        assert "workers must be a whole number" in answer["error"]
    assert browser.ask(id=5, kind="dance") == {"id": 5, "ok": False, "error": "unknown request 'dance'"}
    assert browser.ask(kind="look")["error"] == "not a request: it has no id"


def test_panel_learns_that_the_cluster_was_closed_elsewhere(
    panel: ClusterPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = Browser(panel, monkeypatch)
    browser.ask(id=1, kind="look")
    local_cluster.close()
    wait_for(lambda: not panel.state["open"], 10, "the panel to see that the cluster is closed")
    assert "the cluster is closed" in browser.ask(id=2, kind="scale", workers=2)["error"]
    assert browser.ask(id=3, kind="close")["ok"] is True
    watcher = panel._watcher
    assert watcher is not None
    wait_for(lambda: not watcher.is_alive(), 5, "the watching to end")


def test_closed_panel_stops_watching_and_leaves_the_cluster(
    panel: ClusterPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    Browser(panel, monkeypatch).ask(id=1, kind="look")
    watcher = panel._watcher
    assert watcher is not None
    panel.close()
    wait_for(lambda: not watcher.is_alive(), 5, "the watching to end")
    assert local_cluster.alive()
