"""The page of environments: the profiles of servers, what kernels are made of, and who pins which build."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from respawn_hub.auth.dependencies import PageServiceDep, VisitorDep
from respawn_hub.auth.runtime import RuntimeDep
from respawn_hub.pages.setting_words import resource_words
from respawn_hub.pages.templating import page
from respawn_jobs.api.service import Service
from respawn_jobs.errors import Forbidden, Unavailable
from respawn_jobs.model.kernels import EnvironmentDetail, OfferedProfile

router = APIRouter(include_in_schema=False)


@router.get("/environments")
def environments_page(visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Show the environments of kernels: those that jobs can use, then those that are only written.

    Args:
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the page's addresses.
    """
    found = sorted(service.environments(), key=lambda one: (not _usable(one), not one.builds, one.name))
    return page(
        runtime,
        visitor,
        "environments.html",
        found=found,
        usable=any(map(_usable, found)),
        resources={one.name: resource_words(one) for one in found},
        profiles=profiles_of(service),
    )


def profiles_of(service: Service, namespace: str | None = None) -> list[OfferedProfile]:
    """Return the profiles that jobs of a namespace may use; none where a page can do without an answer.

    Args:
        service: the ledger with the rights of who is signed in.
        namespace: whose jobs; None for the visitor's own.
    """
    try:
        return service.profiles(namespace)
    except (Forbidden, Unavailable):  # not theirs to see, or the hub has not said yet who is in which group
        return []


def _usable(one: EnvironmentDetail) -> bool:
    """Whether jobs can use its kernel now."""
    return one.installed and any(build.newest and build.here for build in one.builds)
