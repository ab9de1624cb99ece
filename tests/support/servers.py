"""A person's Jupyter server on a test's hub, and runs that failed for it to open."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import nbformat
from jupyter_client.blocking.client import BlockingKernelClient
from nbformat import v4

from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.model.runs import Run
from support.hub import RunningHub
from support.waiting import wait_for


@dataclass(frozen=True)
class Server:
    """A person's Jupyter server on the hub."""

    hub: RunningHub
    user: str

    @property
    def home(self) -> Path:
        return self.hub.home(self.user)

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Call the server as the person."""
        url = f"{self.hub.url}/user/{self.user}/{path}"
        headers = {"Authorization": f"token {self.hub.token(self.user)}", **options.pop("headers", {})}
        return httpx.request(method, url, headers=headers, timeout=120, **options)

    def open(self, run: str, *, confirm: bool = False) -> list[dict[str, Any]]:
        """Follow the opening of a run's failure to its end."""
        answer = self.call("POST", f"respawn/api/debug/{run}", json={"confirm": confirm})
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    def kernel(self, path: str) -> str:
        """Return the id of the kernel of a notebook."""
        sessions = self.call("GET", "api/sessions").json()
        return next(s["kernel"]["id"] for s in sessions if s["path"] == path)

    def evaluate(self, path: str, expression: str) -> str:
        """Return the text of an expression's value in the kernel of a notebook."""
        return self.evaluate_in(self.kernel(path), expression)

    def evaluate_in(self, kernel: str, expression: str) -> str:
        """Return the text of an expression's value in a kernel, by its id."""
        connection = self.hub.directory / "runtime" / f"kernel-{kernel}.json"
        client = BlockingKernelClient(connection_file=str(connection))
        client.load_connection_file()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=30)
            expressions = {"value": expression}
            reply = client.execute_interactive(
                "", silent=True, user_expressions=expressions, output_hook=lambda _: None, timeout=30
            )
        finally:
            client.stop_channels()
        return str(reply["content"]["user_expressions"]["value"]["data"]["text/plain"])


def fail(
    hub: RunningHub, name: str, sources: list[str], *, kernel: str = "python3", **tags: list[str]
) -> Run:
    """Promote a notebook of ada's, run it, and return the run when it is over."""
    service = hub.service("ada")
    cells = [
        v4.new_code_cell(source, id=f"c{index}", metadata={"tags": tags.get(f"c{index}", [])})
        for index, source in enumerate(sources)
    ]
    spec = {"name": kernel, "display_name": kernel, "language": "python"}
    notebook = v4.new_notebook(cells=cells, metadata={"kernelspec": spec})
    service.promote(Promotion(name=name, notebook=nbformat.writes(notebook), kernel=kernel))
    return finished(hub, service.run(RunRequest(job=f"user/ada/{name}")).id)


def finished(hub: RunningHub, run: str, timeout: float = 90) -> Run:
    """Wait until a run is final, for so many seconds at most."""
    service = hub.service("ada")
    wait_for(lambda: service.show(run).run.state.final, timeout, f"the end of {run}")
    return service.show(run).run
