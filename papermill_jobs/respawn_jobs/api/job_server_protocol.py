"""What passes between the service and a job server, which the hub started for the jobs of an account."""

from __future__ import annotations

from datetime import datetime
from importlib.metadata import version
from typing import Annotated

from pydantic import Field

from respawn_jobs.model.base import Many, Model, Whole
from respawn_jobs.model.kernels import MAX_SERVER_KERNELS, ServerKernel

PREFIX = "respawn-"
"""How the names of job servers begin at the hub."""
NONCE_OPTION = "respawn_nonce"
"""The user option of the hub with which the service asks for a job server."""
PROFILE_OPTION = "respawn_profile"
"""The user option that names the profile of the server's jobs."""
NONCE_VARIABLE = "RESPAWN_JOB_SERVER_NONCE"
"""The variable by which the hub's hook hands its value to the server's process."""
VERSION_OPTION = "--version"
"""With it, what starts a job server prints `respawn <version>` and ends."""
PROTOCOL = 1
"""What both say to each other. Fields may be added: readers pass over what they do not know."""


def own_release() -> str:
    """Return the version of Respawn that is installed here, such as `0.1.0`."""
    return version("jupyterhub-respawn")


def other_release(theirs: str, ours: str | None = None) -> str | None:
    """Return in words how a job server's release differs from the service's, None where it is the same.

    A release is a minor version, as for databases: `0.1.0` and `0.1.2` go together.

    Args:
        theirs: the version where job servers run; empty where it was not said.
        ours: the version of the service; None for what is installed here.
    """
    ours = ours or own_release()
    if theirs and theirs.split(".")[:2] == ours.split(".")[:2]:
        return None
    return f"it has Respawn {theirs or 'of an unknown version'}, and the service has {ours}"


class JobServerHello(Model):
    """How a job server registers."""

    nonce: str = Field(max_length=200)
    """What it was started with; it holds once."""
    protocol: Whole = 1
    kernels: Annotated[Many[ServerKernel], Field(max_length=MAX_SERVER_KERNELS)] | None = None
    """The kernels that it has; None from a server that does not say."""
    version: str = Field("", max_length=100)
    """Its version of Respawn."""


class JobServerWelcome(Model):
    """What a job server is given when it registers."""

    key: str
    """What it proves itself with from then on."""
    slots: Whole
    """How many attempts it executes at once."""
    kept_memory_bytes: Whole = 0
    """What the kernels of failed runs that live on there may have together."""


class EndedRunner(Model):
    """A runner that ended other than by finishing its attempt."""

    attempt: str
    reason: str = Field(max_length=2000)


class KeptKernelReport(Model):
    """The kernel of a failed run that lives on in a job server."""

    run: str
    until: datetime
    """When it ends, unless somebody uses it."""


class JobServerReport(Model):
    """What a job server does at present."""

    taken: Many[str] = []
    """Attempts of its orders that it has heard of since the last report, whatever became of them."""
    living: Many[str] = []
    """Attempts whose runner lives."""
    ended: Many[EndedRunner] = []
    """Those whose runner was found dead since the last report."""
    kept: Many[KeptKernelReport] = []
    kernels: Annotated[Many[ServerKernel], Field(max_length=MAX_SERVER_KERNELS)] | None = None
    """The kernels that it has now, where they are others than it said before."""
    leaving: bool = False
    """Whether it is being stopped: its runners requeue what they execute."""


class StartOrder(Model):
    """An attempt to execute."""

    attempt: str
    token: str
    """What its runner proves itself with; never logged."""


class ExpectedKernel(Model):
    """The kernel of an attempt that is foreseen; see `WantedKernel`."""

    name: str
    lock: str | None = None


class JobServerOrders(Model):
    """What a job server is to do now."""

    start: Many[StartOrder] = []
    cancel: Many[str] = []
    """Attempts whose runners are ended at once."""
    expect: Many[ExpectedKernel] = []
    """The kernels of attempts that come within seconds, in their order."""

    def __bool__(self) -> bool:
        """Return whether there is anything to do."""
        return bool(self.start or self.cancel or self.expect)


class KnownJobServer(Model):
    """A job server as the service knows it."""

    name: str
    account: str
    profile: str | None = None
    """The profile that it was started with; None where none was given."""
    requested_at: datetime
    registered: bool
