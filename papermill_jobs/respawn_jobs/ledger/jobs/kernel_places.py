"""Whether the servers in which a job will run have its kernel, as far as that is known at its promotion."""

from __future__ import annotations

from contextlib import suppress

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion
from respawn_jobs.api.versions import PromotionQuestion
from respawn_jobs.errors import Unavailable
from respawn_jobs.ledger.context.context import Context, installed_kernels, known_namespace
from respawn_jobs.ledger.context.job_places import Beside, missing_kernel
from respawn_jobs.model.jobs import Job
from respawn_jobs.model.kernels import JobPlace, Kernel, OfferedProfile, ServerKernel


def profiles(context: Context, actor: Actor, namespace: str | None) -> list[OfferedProfile]:
    """Return the profiles that jobs of a namespace may use; see `QueueingService.profiles`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `read` there.
        namespace: whose jobs; None for the actor's own.

    Raises:
        Forbidden: the actor may not read there.
        InvalidInput: it is no namespace.
        Unavailable: the hub has not said yet in which groups its owner is.
    """
    whose = known_namespace(namespace or actor.namespace)
    actor.require("read", whose)
    return [_with_kernels(context, one) for one in context.places.offered(whose)]


def kernels(context: Context, actor: Actor) -> list[Kernel]:
    """Return the kernels that the actor's own jobs can use, by name.

    In servers of the hub they are those that these have said; before that, the ones of the service's machine.

    Args:
        context: the ledger's surroundings.
        actor: who asks.
    """
    found: dict[str, Kernel] = {}
    for profile in offered(context, actor.namespace):
        for one in _with_kernels(context, profile).kernels or ():
            before = found[one.name].profiles if one.name in found else []
            named = [*before, *([profile.name] if profile.name else [])]
            fields = {"name": one.name, "display_name": one.display_name, "language": one.language}
            found[one.name] = Kernel(**fields, profiles=named)
    return [found[name] for name in sorted(found)] or installed_kernels()


def offered(context: Context, namespace: str) -> list[OfferedProfile]:
    """Return the profiles of a namespace; none while the hub has not said in which groups its owner is.

    Args:
        context: the ledger's surroundings.
        namespace: whose jobs.
    """
    with suppress(Unavailable):
        return context.places.offered(namespace)
    return []


def _with_kernels(context: Context, profile: OfferedProfile) -> OfferedProfile:
    if profile.beside:
        here = [ServerKernel.model_validate(one.model_dump()) for one in installed_kernels()]
        return profile.model_copy(update={"kernels": here, "seen_at": context.clock()})
    known = context.catalog(JobPlace(profile.namespace, profile.name))
    if known is None:
        return profile
    kernels = [known.kernels[name] for name in sorted(known.kernels)]
    return profile.model_copy(update={"kernels": kernels, "seen_at": known.seen_at})


def place_after(ref: str, job: Job | None, request: Promotion | None) -> JobPlace:
    """Return where a job will run after a promotion.

    Args:
        ref: the job's full name.
        job: the job as it is; None for a new one.
        request: the promotion; None for where it runs now.
    """
    settings = job.settings if job is not None else None
    if request is not None and request.settings is not None:
        settings = request.settings
    return JobPlace(ref.rpartition("/")[0], settings.profile if settings is not None else None)


def kernel_questions(context: Context, at: JobPlace, kernel: str) -> list[PromotionQuestion]:
    """Return what a person must agree to where the servers are known to lack a kernel.

    Args:
        context: the ledger's surroundings.
        at: where the job will run.
        kernel: the kernel's name.
    """
    known = context.catalog(at)
    if known is None or kernel in known.kernels:
        return []
    message = f"{missing_kernel(kernel, known)} Unless that has changed since, its runs would end at once."
    return [PromotionQuestion(code="unknown_kernel", message=message)]


def kernel_notes(context: Context, at: JobPlace, kernel: str) -> list[str]:
    """Return what is said of a kernel where nobody knows yet whether the servers have it; else nothing.

    Args:
        context: the ledger's surroundings.
        at: where the job will run.
        kernel: the kernel's name.
    """
    try:
        kind = context.places.kind(at)
    except Unavailable as error:
        return [f"Its runs will wait: {error.message}."]
    if isinstance(kind, Beside) or context.catalog(at) is not None:
        return []
    return [
        f"Whether the job servers of {kind.words} have the kernel {kernel} is seen when its first run "
        "starts: none has told yet which kernels it has."
    ]
