"""Notebooks in a real JupyterLab on a hub."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from support.browser import sign_in
from support.servers import Server

CLEAN_PATH = """
import sys
c.Spawner.cmd = [
    sys.executable, "-c",
    "import os; os.environ.pop('PYTHONPATH', None); from jupyterhub.singleuser import main; main()",
]
"""
"""Lines for a hub's configuration: what the tests import from is no part of the servers' kernels."""


def show_notebook(page: Page, server: Server, path: str) -> None:
    """Open a notebook of a server in its JupyterLab, signed in as its user."""
    # `reset`: without the tabs that an earlier test left open.
    page.goto(f"{server.hub.url}/hub/login?next=/user/{server.user}/lab/tree/{path}%3Freset")
    sign_in(page, server.user, server.hub.password)
    expect(page.locator(".lm-DockPanel-tabBar .lm-mod-current")).to_contain_text(path.rpartition("/")[2])
