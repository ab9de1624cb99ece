"""Kernels as clients of the service see them: which there are, what they are made of, how one was started."""

from __future__ import annotations

import operator
from datetime import datetime
from typing import NamedTuple

from pydantic import Field

from respawn_jobs.model.base import Model

KERNEL_START = "kernel_start"
"""A service that can take it with the outcome of an attempt."""
MAX_JOBS = 20
"""Jobs that are named of those that pin a build."""
MAX_SERVER_KERNELS = 500
"""Kernels that a job server may have, as far as it tells them."""
MAX_NAME = 255
"""Characters of a kernel's name there, and of how it is shown."""
_MAX_REASON = 500


class WantedKernel(NamedTuple):
    """The kernel that a run will use."""

    name: str
    """As Jupyter finds it."""
    lock: str | None = None
    """Hash of the build that is pinned; None for the one that the kernel has then."""


class JobPlace(NamedTuple):
    """Where a job runs, as far as the job itself says it."""

    namespace: str
    """Whose it is."""
    profile: str | None = None
    """The profile of its settings; None for the default of its namespace."""


class ForeseenRun(NamedTuple):
    """A run that waits, or that a schedule will make."""

    namespace: str
    kernel: WantedKernel
    profile: str | None = None
    """See `JobPlace`."""

    @property
    def place(self) -> JobPlace:
        """Where it will run."""
        return JobPlace(self.namespace, self.profile)


class KeptKernel(NamedTuple):
    """The kernel of a failed attempt that its runner keeps."""

    run: str
    attempt: str
    pid: int
    seconds: float
    """How long it is kept after it was last used."""
    connection_file: str
    """The path of the file by which Jupyter servers find it."""


class LivingKernel(Model):
    """The kernel of a failed run that lives on in a job server, as the failing cell has left it."""

    run: str
    server: str
    """The server's name at the hub."""
    account: str
    """The hub's user whose server it is."""
    until: datetime
    """When it ends, unless somebody uses it."""


class Kernel(Model):
    """A kernel that jobs can use."""

    name: str
    """As notebooks and `--kernel` name it."""
    display_name: str
    language: str
    """Lower case, such as `python` or `r`."""
    profiles: list[str] = Field(default=[], exclude_if=operator.not_)
    """The profiles whose servers have it, of those that the caller's own jobs may use."""


class ServerKernel(Kernel):
    """A kernel that a job server has, as it says itself."""

    name: str = Field(max_length=MAX_NAME)
    display_name: str = Field(max_length=MAX_NAME)
    language: str = Field(max_length=MAX_NAME)
    lock: str | None = Field(default=None, max_length=128)
    """Hash of the build that it starts now; None for a kernel without a lock."""
    resources: dict[str, float] = Field(default={}, max_length=10)
    """What its environment lets a kernel use, as far as it says: `memory` in bytes, `cpus`, `processes`."""


class OfferedProfile(Model):
    """A profile as those see it who may use it."""

    name: str | None
    """None: what the hub's Spawner starts without a profile, where no other is the default."""
    title: str
    description: str = ""
    namespace: str
    """Whose jobs may use it."""
    default: bool = False
    """Whether it is what jobs of this namespace get that say nothing."""
    beside: bool = False
    """Whether runs execute beside the service, as its account, and not in servers of the hub."""
    kernels: list[ServerKernel] | None = None
    """The kernels that its servers have; None before the first one has started."""
    seen_at: datetime | None = None
    """When a server last told them."""


class KernelStart(Model):
    """Whether a kernel was forked from a process with its imports done, or started as Jupyter starts one."""

    warm: bool
    reason: str | None = Field(default=None, max_length=_MAX_REASON)
    """Why it was started plainly; None for a warm one."""

    @classmethod
    def plain(cls, reason: str) -> KernelStart:
        """Return a plain start for a reason of any length."""
        return cls(warm=False, reason=reason[:_MAX_REASON])

    @property
    def sentence(self) -> str:
        """What to tell a person of it."""
        if self.warm:
            return "warm: forked from a process that had its imports done"
        return f"plain: {self.reason}" if self.reason else "plain"


class EnvironmentPackage(Model):
    """A package of a build."""

    name: str
    version: str
    main: bool
    """Whether environment.toml asked for it; the others came along."""


class EnvironmentBuild(Model):
    """One build of an environment: what a lock made on one Python."""

    hash: str
    newest: bool
    """Whether the kernel has this one now, so that what is promoted next pins it."""
    here: bool
    """Whether it is on the service's machine. One that is not is known by what pins it alone."""
    warm: bool = False
    """Whether a process there imports ahead, to fork kernels."""
    python: str | None = None
    """All of the version, such as `3.13.1`."""
    respawn: str | None = None
    """The version of Respawn's own code in it; None where it has none."""
    built_at: datetime | None = None
    last_used: datetime | None = None
    """When a kernel was last started in it."""
    size: int | None = None
    """Bytes of its files."""
    packages: list[EnvironmentPackage] = []
    jobs: int = 0
    """How many jobs that the caller may see have a version which pins it."""
    some_jobs: list[str] = []
    """The first of them by name, 20 at most."""
    runs: int = 0
    """How many runs that the caller may see need it: those that have not succeeded, or are pinned."""


class EnvironmentDetail(Model):
    """An environment that kernels run in."""

    name: str
    kernel: str
    """As notebooks and `--kernel` name it."""
    display_name: str
    icon: str
    """An address that holds the picture itself: `data:image/svg+xml;base64,…`."""
    description: str
    python: str | None = None
    """Which Python its environment.toml asks for; None where that file is not on the service's machine."""
    requirements: list[str] = []
    labels: dict[str, str] = {}
    memory_bytes: int | None = None
    """What a kernel may take, unless its job says otherwise; None where it does not say."""
    cpus: float | None = None
    processes: int | None = None
    disk_bytes: int | None = None
    preload: list[str] = []
    """Modules that a warm kernel has imported."""
    not_preloaded: dict[str, str] = {}
    """Modules that a fork would not bear, each with the reason."""
    problem: str | None = None
    """What is wrong with its environment.toml, by file, key and fix."""
    installed: bool
    """Whether its kernel is installed on the service's machine."""
    builds: list[EnvironmentBuild] = []
    """That of its kernel first, then the newest first."""
