"""One hub for the tests of the extension, with two people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.browser import chromium, context, page
from support.hub import RunningHub, running_hub
from support.jupyter import LABEXTENSION
from support.leaks import tolerate
from support.servers import Server
from support.waiting import wait_for

# A kernel as of another environment: what is installed there does not include Respawn.
_WITHOUT_RESPAWN = """
import sys
ours = ("/kernels", "/papermill_jobs", "/hub_ext", "/widgets")
sys.path[:] = [path for path in sys.path if not path.endswith(ours)]
from ipykernel.kernelapp import launch_new_instance
launch_new_instance()
"""

# Cyd may run ada's jobs.
_ROLES = [{"name": "helps-ada", "users": ["cyd"], "scopes": ["custom:respawn:run!user=ada"]}]

__all__ = ["chromium", "context", "page"]


@pytest.fixture(scope="package")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    directory = tmp_path_factory.mktemp("hub")
    source_tree = directory / "jupyter" / "labextensions"
    source_tree.mkdir(parents=True)
    (source_tree / "respawn").symlink_to(LABEXTENSION, target_is_directory=True)
    servers = {
        "JUPYTER_PATH": str(source_tree.parent),
        "JUPYTER_RUNTIME_DIR": str(directory / "runtime"),
        "RESPAWN_RESTORE": str(directory / "restore"),
    }
    _add_kernel(directory / "service-jupyter", "kernel-of-the-service", "-m", "ipykernel_launcher")
    _add_kernel(source_tree.parent, "bare", "-c", _WITHOUT_RESPAWN)
    service = {"JUPYTER_PATH": f"{directory / 'service-jupyter'}:{source_tree.parent}"}
    with running_hub(
        directory / "hub",
        users=("ada", "bob", "cyd"),
        roles=_ROLES,
        server_environment=servers,
        service_environment=service,
    ) as running:
        tolerate(running.process.pid)
        (directory / "hub" / "runtime").symlink_to(directory / "runtime")
        yield running


@pytest.fixture(scope="package")
def server(hub: RunningHub) -> Server:
    hub.token("ada")
    assert hub.hub_api("POST", "/users/ada/server").status_code in (201, 202)
    ada = Server(hub, "ada")
    wait_for(lambda: ada.call("GET", "api/status").status_code == 200, 60, "ada's server")
    return ada


def _add_kernel(data: Path, name: str, *launcher: str) -> None:
    """Install a kernelspec below a Jupyter data directory."""
    spec = data / "kernels" / name
    spec.mkdir(parents=True)
    argv = [sys.executable, *launcher, "-f", "{connection_file}"]
    document = {"argv": argv, "display_name": name, "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(document))
