"""Whether an image can be a job server, found out before one is started of it.

A container that ends at once says nothing to the service, and the hub's own words for it are that a server
did not respond. So a container of the image, without network, is asked for its release of Respawn; once for
each image that a hub has started job servers of.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from docker.errors import APIError

from respawn_jobs.api.job_server_protocol import VERSION_OPTION, other_release, own_release

Docker = Callable[..., Awaitable[Any]]
_SECONDS = 60
"""How long the answer may take; a container's first start reads an image from a cold disk."""
_GOOD: set[tuple[str, ...]] = set()
"""Images by their id that were asked, with the command."""


async def image_fault(
    docker: Docker, host_config: Callable[..., dict[str, Any]], image: str, command: Sequence[str]
) -> str | None:
    """Return why an image cannot be a job server, None where it can.

    Args:
        docker: calls a method of `docker.APIClient` by its name.
        host_config: makes the settings of a container as the API takes them (`create_host_config`).
        image: name of the image, which is on the Docker host.
        command: what starts a job server in it.

    Raises:
        APIError: the API does not do what it is asked for.
    """
    identity = (str((await docker("inspect_image", image))["Id"]), *command)
    if identity in _GOOD:
        return None
    status, printed = await _asked(docker, host_config, image, [*command, VERSION_OPTION])
    last = printed.strip().splitlines()[-1:] or [""]
    how = f"the image {image} cannot run jobs"
    if status != 0:
        what = " ".join([*command, VERSION_OPTION])
        return (
            f"{how}: it has no Respawn, or `job_server_command` is another one there. `{what}` ended with "
            f"{status}: {last[0][:300]}. Make one by `respawn kernels image`, or install "
            f"jupyterhub-respawn[server]=={own_release()} in it."
        )
    other = other_release(last[0].rpartition(" ")[2])
    if other is not None:
        return f"{how}: {other}. Make it anew by the `respawn kernels image` of the hub's release."
    _GOOD.add(identity)
    return None


async def _asked(
    docker: Docker, host_config: Callable[..., dict[str, Any]], image: str, command: list[str]
) -> tuple[int, str]:
    """Return how a command ends in a container of an image, and what it prints."""
    made = await docker(
        "create_container", image=image, command=command, host_config=host_config(network_mode="none")
    )
    try:
        await docker("start", made["Id"])
        ended = await docker("wait", made["Id"], timeout=_SECONDS)
        printed = await docker("logs", made["Id"])
    except APIError as error:
        if error.status_code is None or error.status_code < 400:
            raise
        # The program is not there: engines refuse the start, each with another status.
        return 127, str(error.explanation or error)
    finally:
        await docker("remove_container", made["Id"], force=True, v=True)
    return int(ended["StatusCode"]), printed.decode("utf-8", "replace")
