"""What every use case works with: the store, the blobs, the time, the kernels; and how rows are found."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import random
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from respawn_jobs.access import Action, Actor, check_namespace
from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.blobs.inbox import Inbox
from respawn_jobs.clock import Clock
from respawn_jobs.errors import InvalidInput, NotFound, Unavailable
from respawn_jobs.ids import is_id
from respawn_jobs.keyring import Keyring
from respawn_jobs.ledger.context.audit_anchor import AuditAnchor
from respawn_jobs.ledger.context.job_places import (
    Beside,
    BesideTheService,
    Catalog,
    JobPlaces,
    ServerKernels,
)
from respawn_jobs.ledger.context.ports import ChannelRules, NoChannels, Observer, Unobserved
from respawn_jobs.ledger.context.quotas import Quotas
from respawn_jobs.ledger.context.removed_records import no_job, no_run
from respawn_jobs.ledger.context.text_limits import NAMESPACE, check_text
from respawn_jobs.model.kernels import JobPlace, Kernel
from respawn_jobs.model.limits import KernelLimits
from respawn_jobs.resume.files.named_files import Newer
from respawn_jobs.resume.invalidation.file_changes import Look
from respawn_jobs.store.database import Database
from respawn_jobs.store.tables import FormerNameRow, JobRow, RunRow, VersionRow

if TYPE_CHECKING:
    from respawn_environments.shown.overview import KnownEnvironment

log = logging.getLogger(__name__)
_MAX_VERSIONS = 2**31
_KERNEL_MEMORY = timedelta(seconds=10)


class InstalledKernel(Protocol):
    """What must be known of a kernel: `respawn_environments.kernelspecs.KernelInfo`."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def language(self) -> str: ...  # noqa: D102
    @property
    def lock(self) -> str | None: ...  # noqa: D102
    @property
    def resources(self) -> Mapping[str, Any]: ...  # noqa: D102


KernelCheck = Callable[[str], InstalledKernel]
"""Finds a kernel by name. Raises a LookupError that names the known ones."""


BuildCheck = Callable[[str, str], bool]
"""Whether a build of a kernel, by the kernel's name and the build's hash, is where runs execute."""


def installed_build(name: str, lock: str) -> bool:
    """Return whether a build of a kernel is on this machine."""
    from respawn_environments.kernelspecs import is_installed

    return is_installed(name, lock)


def unpinned(name: str) -> str:
    """Return the name of a kernel without the pin to one of its builds that a debug notebook gave it."""
    from respawn_environments.pins import kernel_of

    return kernel_of(name)


def installed_kernel(name: str) -> InstalledKernel:
    """Find an installed kernel. Raises LookupError."""
    from respawn_environments.kernelspecs import find_kernel

    return find_kernel(name)


def installed_kernels() -> list[Kernel]:
    """Return all installed kernels, by name."""
    from respawn_environments.kernelspecs import list_kernels

    return [
        Kernel(name=kernel.name, display_name=kernel.display_name, language=kernel.language)
        for kernel in list_kernels()
    ]


@dataclass
class Context:
    """The ledger's surroundings, shared by all use cases and threads."""

    database: Database
    blobs: BlobStore
    clock: Clock
    lease: timedelta
    kernel_check: KernelCheck
    build_check: BuildCheck = installed_build
    channels: ChannelRules = field(default_factory=NoChannels)
    observer: Observer = field(default_factory=Unobserved)
    places: JobPlaces = field(default_factory=BesideTheService)
    """Where jobs run."""
    server_kernels: ServerKernels = field(default_factory=ServerKernels)
    """The kernels there, where that is not the service's machine."""
    random: Callable[[], float] = random
    """Numbers from 0 to 1, for pauses that differ."""
    keyring: Keyring | None = None
    """The service's own keys; None where there are none: no webhooks, and no signed audit trail."""
    anchor: AuditAnchor | None = None
    """Where the end of the audit trail is noted outside of the database."""
    inbox: Inbox | None = None
    """Where objects appear that make runs."""
    quotas: Quotas = field(default_factory=Quotas)
    """How much each namespace may store and let wait."""
    kernel_limits: KernelLimits = field(default_factory=KernelLimits)
    """What kernels may take where neither their job nor their environment says it."""
    keep_kernel_seconds: float = 0.0
    """How long the kernels of failed runs may live on in job servers."""
    max_kernel_limits: KernelLimits = field(default_factory=KernelLimits)
    """What kernels may take at most, whoever says more; see `limit_ceiling`."""
    blob_grace: timedelta = timedelta(days=1)
    """How long a blob that nothing names is kept after it was last touched."""
    look: Look | None = None
    """Tells files as they are where notebooks run; None where runs have other files."""
    newer: Newer | None = None
    """Tells which files were written there since a moment."""
    environments_root: Path | None = None
    """Where environments of kernels are built, beside what installed kernels name."""
    images: Path | None = None
    """Where people write environments, beside those that come with Respawn."""
    _kernels: dict[str, tuple[datetime, InstalledKernel]] = field(default_factory=dict)

    def kernel(self, name: str, at: JobPlace | None = None) -> InstalledKernel:
        """Find a kernel; one of this machine is asked for again only after ten seconds.

        Args:
            name: the kernel's name.
            at: where the job runs; None for this machine.

        Raises:
            InvalidInput: it is not there; the message names those that are.
        """
        known = self.catalog(at) if at is not None else None
        if known is not None:
            if name not in known.kernels:
                raise InvalidInput(f"unknown kernel {name!r} (known: {known.names})", kernel=name)
            return known.kernels[name]
        now = self.clock()
        remembered = self._kernels.get(name)
        if remembered is not None and now - remembered[0] < _KERNEL_MEMORY:
            return remembered[1]
        try:
            kernel = self.kernel_check(name)
        except LookupError as error:
            raise InvalidInput(str(error) or f"unknown kernel {name!r}", kernel=name) from error
        self._kernels[name] = (now, kernel)
        return kernel

    def catalog(self, at: JobPlace) -> Catalog | None:
        """Return the kernels that the servers have in which a job runs, as those of its account have said.

        What another account's servers say does not count: their owner can let them say anything.

        Args:
            at: where the job runs.

        Returns:
            None where that is this machine, or no server has said it yet.
        """
        try:
            kind = self.places.kind(at)
        except Unavailable:
            return None
        if isinstance(kind, Beside):
            return None
        return self.server_kernels.of(kind)

    def elsewhere(self, at: JobPlace) -> bool:
        """Return whether a job runs in a server of the hub, or would if it could; else on this machine."""
        try:
            return not isinstance(self.places.kind(at), Beside)
        except Unavailable:
            return True

    def known_environments(self) -> list[KnownEnvironment]:
        """Return the environments of kernels that this machine knows, by name."""
        from respawn_environments.shown.overview import overview

        return overview(self.environments_root, self.images)

    def check_kernel(self, name: str, pinned: str | None, at: JobPlace) -> None:
        """Raise `InvalidInput`, naming the known kernels, where no runner could start a version's kernel.

        In servers of the hub it is seen when a run starts: what is known of them may be old.

        Args:
            name: the kernel's name.
            pinned: the hash of the build that the version pins; None where it pins none.
            at: where the job runs.
        """
        if self.elsewhere(at):
            return
        try:
            self.kernel(name)
        except InvalidInput:  # its name may be gone, and the build is there
            if pinned is None or not self.build_check(name, pinned):
                raise

    def limits_of(
        self, kernel: str, own: KernelLimits, memory: int | None, at: JobPlace | None = None
    ) -> KernelLimits:
        """Return what the kernel of a new run may take.

        Args:
            kernel: the kernel's name; its environment may say what is usual.
            own: what the job says.
            memory: a memory limit for this run alone; None for none.
            at: where the run executes; None for this machine.
        """
        usual = self.kernel_limits
        known = {"memory_bytes": "memory", "cpus": "cpus", "processes": "processes", "disk_bytes": "disk"}
        try:
            resources = self.kernel(kernel, at).resources
            found = KernelLimits.model_validate({n: resources.get(key) for n, key in known.items()})
            usual = found.with_defaults(usual)
        except InvalidInput as error:
            log.warning("the limits of the kernel %s are not known here: %s", kernel, error.message)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            where = known[str(problem["loc"][0])]
            log.warning(
                "the limits of the kernel %s do not hold: %s in its kernel.json cannot be %r: %s",
                kernel, where, problem["input"], problem["msg"],
            )  # fmt: skip
        limits = own.with_defaults(usual)
        if memory is not None:
            limits = limits.model_copy(update={"memory_bytes": memory})
        return limits.at_most(self.max_kernel_limits)

    def lock_now(self, name: str, otherwise: str | None, at: JobPlace | None = None) -> str | None:
        """Return the hash of the lock file that a kernel has now; `otherwise` when it is not installed.

        Args:
            name: the kernel's name.
            otherwise: what is returned for one that is not there.
            at: where it is wanted; None for this machine.
        """
        try:
            return self.kernel(name, at).lock
        except InvalidInput:
            return otherwise

    def lock_for(self, name: str, pinned: str | None, at: JobPlace | None = None) -> str | None:
        """Return the hash of the build that a run uses: the pinned one, else the one that the kernel has now.

        Args:
            name: the kernel's name.
            pinned: the hash that the run's version pins; None where it pins none.
            at: where the run executes; None for this machine.
        """
        return pinned if pinned is not None else self.lock_now(name, None, at)

    def newer_lock(self, name: str, pinned: str | None, at: JobPlace | None = None) -> str | None:
        """Return the hash of the build that a kernel has now, where another one is pinned; else None.

        Args:
            name: the kernel's name.
            pinned: the hash that is pinned; None where none is.
            at: where runs execute; None for this machine.
        """
        now = self.lock_now(name, pinned, at) if pinned is not None else None
        return now if now != pinned else None


def split_ref(actor: Actor, ref: str) -> tuple[str, str]:
    """Return (namespace, name) of a job's `namespace/name` or bare name in the actor's own namespace.

    Raises:
        InvalidInput: it names no job, or no namespace that can be.
    """
    namespace, _, name = check_text("job", ref).rpartition("/")
    if not name:
        raise InvalidInput(
            f"{ref!r} is not a job: write user/<name>/<job>, team/<group>/<job> or <job>", job=ref
        )
    return known_namespace(namespace or actor.namespace), name


def known_namespace(namespace: str) -> str:
    """Return a namespace that is well formed and can be stored. Raises `InvalidInput`."""
    return check_namespace(check_text("namespace", namespace, NAMESPACE))


def find_job(session: Session, actor: Actor, ref: str, action: Action = "read") -> JobRow:
    """Find a job by reference, a former one included, or by id.

    Raises `NotFound`, or `Forbidden` before telling whether it exists.

    Args:
        session: the caller's transaction.
        actor: who asks.
        ref: `namespace/name`, a bare name in the actor's own namespace, or the job's id.
        action: what the actor must be allowed to do there.
    """
    if is_id("job", ref):
        by_id = session.get(JobRow, ref)
        if by_id is not None:
            actor.require(action, by_id.namespace, ref)
            return by_id
    namespace, name = split_ref(actor, ref)
    actor.require(action, namespace, f"{namespace}/{name}")
    job = session.scalar(select(JobRow).where(JobRow.namespace == namespace, JobRow.name == name))
    if job is None:
        former = (FormerNameRow.namespace == namespace, FormerNameRow.name == name)
        job = session.scalar(select(JobRow).join(FormerNameRow).where(*former))
    if job is None:
        raise no_job(session, actor, f"{namespace}/{name}")
    return job


def take_name(session: Session, namespace: str, name: str) -> None:
    """Let a name that a job had lead there no more: another job takes it.

    Args:
        session: the caller's transaction; it writes.
        namespace: where the name is taken.
        name: the job's name, without its namespace.
    """
    former = (FormerNameRow.namespace == namespace, FormerNameRow.name == name)
    session.execute(delete(FormerNameRow).where(*former))


def find_run(
    session: Session, actor: Actor, run_id: str, action: Action = "read", *, lock: bool = False
) -> tuple[RunRow, JobRow]:
    """Find a run and its job. Raises `NotFound`, or `Forbidden` naming whose it is.

    Args:
        session: the caller's transaction.
        actor: who asks.
        run_id: the run's id.
        action: what the actor must be allowed to do in the job's namespace.
        lock: whether the run's row is locked until the transaction is over.
    """
    query = select(RunRow).where(RunRow.id == check_text("run", run_id))
    run = session.scalar(query.with_for_update() if lock else query)
    if run is None:
        raise no_run(session, actor, run_id)
    job = session.get_one(JobRow, run.job_id)
    actor.require(action, job.namespace, run_id)
    return run, job


def find_version(session: Session, job: JobRow, number: int | None = None) -> VersionRow:
    """Find a job's version, by default its newest for new runs. Raises `NotFound`.

    Args:
        session: the caller's transaction.
        job: whose version.
        number: the version's number; None for the current one.
    """
    wanted = job.version if number is None else number
    query = select(VersionRow).where(VersionRow.job_id == job.id, VersionRow.number == wanted)
    version = session.scalar(query) if 0 < wanted <= _MAX_VERSIONS else None
    if version is None:
        raise NotFound(
            f"{job.namespace}/{job.name} has no version {wanted}",
            job=f"{job.namespace}/{job.name}",
            version=wanted,
        )
    return version


def touch(session: Session, run_id: str) -> None:
    """Tell those who watch a run that it changed."""
    session.execute(
        update(RunRow)
        .where(RunRow.id == run_id)
        .values(revision=RunRow.revision + 1)
        .execution_options(synchronize_session=False)
    )
