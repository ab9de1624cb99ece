"""The network of one user's containers: made with the first of them, removed after the last one.

That one network does not reach another is Docker's doing, and that of podman since 4.3, when its Docker API
is asked for a network.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakValueDictionary

from docker.errors import APIError

Docker = Callable[..., Awaitable[Any]]
"""Calls a method of `docker.APIClient`, by its name and with its arguments, in a thread."""
LABEL = "respawn.network"
"""What networks are labelled with that are made here: no other one is ever removed."""
_LEAVE_SECONDS = 10.0
"""How long a container that was stopped may take to leave its network."""
_LOOK_SECONDS = 0.2
_LOCKS: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
logger = logging.getLogger(__name__)


class UserNetwork:
    """One user's network.

    Whoever makes a container on it holds `lock` from `make` to the container's start, and whoever removes it
    does: one server of the user may end while another one starts.

    Args:
        docker: the Docker API.
        name: the network's name.
    """

    def __init__(self, docker: Docker, name: str) -> None:
        self.name = name
        self.lock = _LOCKS.setdefault(name, asyncio.Lock())
        self._docker = docker

    async def make(self) -> None:
        """Make the network, unless it is there. Raises APIError where Docker makes none."""
        try:
            await self._docker("inspect_network", self.name)
        except APIError as error:
            if error.status_code != 404:
                raise
            await self._docker("create_network", self.name, driver="bridge", labels={LABEL: "yes"})

    async def remove_unless_used(self, leaving: str) -> None:
        """Remove the network, unless others are on it; what Docker refuses is logged.

        Args:
            leaving: name of the container that was stopped; it may still be on its way out.
        """
        end = asyncio.get_running_loop().time() + _LEAVE_SECONDS
        try:
            while asyncio.get_running_loop().time() < end:
                network = await self._docker("inspect_network", self.name)
                if LABEL not in (network.get("Labels") or {}):
                    return
                there = {one.get("Name") for one in (network.get("Containers") or {}).values()}
                if not there:
                    await self._docker("remove_network", self.name)
                    return
                if there != {leaving}:
                    return
                await asyncio.sleep(_LOOK_SECONDS)
        except APIError as error:
            if error.status_code != 404:
                logger.warning("the network %s stays: %s", self.name, error.explanation or error)
