"""The service as a job server reaches it: it registers, reports itself, and asks for orders."""

from __future__ import annotations

from respawn_jobs.api.job_server_protocol import (
    PROTOCOL,
    JobServerHello,
    JobServerOrders,
    JobServerReport,
    JobServerWelcome,
    own_release,
)
from respawn_jobs.model.kernels import ServerKernel
from respawn_jobs.remote.connection import Link, part, read

_ORDERS_SECONDS = 60.0
"""A request for orders waits at the service for a third of it."""


class RemoteJobServer:
    """A job server's connection to the service.

    Args:
        url: Where the service answers.
        name: The server's name at the hub.
    """

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._base = f"job-servers/{part(name)}"
        self._link: Link | None = None

    def register(self, token: str, nonce: str, kernels: list[ServerKernel] | None = None) -> JobServerWelcome:
        """Register, and return what the server is to know.

        Args:
            token: The server's own token for the hub.
            nonce: What it was started with.
            kernels: Those that it has; None where that is not said.

        Raises:
            Unavailable: The service does not answer.
            Unauthenticated: It was not asked for, or has registered before.
            Conflict: It is of another release than the service.
        """
        hello = JobServerHello(nonce=nonce, protocol=PROTOCOL, version=own_release(), kernels=kernels)
        link = Link(self._url, f"token {token}", 30.0)
        try:
            answer = link.call(
                "POST",
                f"{self._base}/register",
                json=hello.model_dump(mode="json"),
            )
        finally:
            link.close()
        welcome = read(JobServerWelcome, answer.content)
        self._link = Link(self._url, f"Bearer {welcome.key}", _ORDERS_SECONDS)
        return welcome

    def report(self, report: JobServerReport) -> None:
        """Say what the server does. Raises Unavailable, or Unauthenticated where it was given up."""
        self._registered().call("POST", f"{self._base}/report", json=report.model_dump(mode="json"))

    def orders(self) -> JobServerOrders:
        """Return what the server is to do; waits for seconds for it. Raises as `report` does."""
        return read(JobServerOrders, self._registered().call("GET", f"{self._base}/orders").content)

    def close(self) -> None:
        """Release the connections."""
        if self._link is not None:
            self._link.close()

    def _registered(self) -> Link:
        if self._link is None:
            raise RuntimeError("the job server has not registered")
        return self._link
