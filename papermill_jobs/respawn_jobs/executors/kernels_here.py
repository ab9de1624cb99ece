"""The kernels of this machine, for whoever must know them elsewhere: at first, and when they are others."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeGuard

from pydantic import ValidationError

from respawn_jobs.model.kernels import MAX_NAME, MAX_SERVER_KERNELS, ServerKernel

logger = logging.getLogger(__name__)
_RESOURCES = ("memory", "cpus", "processes", "disk")
_LOOK_SECONDS = 30.0
"""How often it is looked whether they are others: a person may install one meanwhile."""


def kernels_here() -> list[ServerKernel]:
    """Return the kernels that Jupyter finds on this machine and can read, by name, as far as all may be told.

    People write kernelspecs: one that says what cannot be told must not keep the others back.
    """
    from respawn_environments.kernelspecs import list_kernels

    found = []
    for one in list_kernels():
        resources = {name: one.resources.get(name) for name in _RESOURCES}
        numbers = {name: float(value) for name, value in resources.items() if _is_number(value)}
        try:
            found.append(
                ServerKernel(
                    name=one.name,
                    display_name=one.display_name[:MAX_NAME],
                    language=one.language[:MAX_NAME],
                    lock=one.lock,
                    resources=numbers,
                )
            )
        except ValidationError as error:
            logger.warning("the kernel %s is not told to the service: %s", one.name[:80], error)
    return found[:MAX_SERVER_KERNELS]


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class KernelNews:
    """Tells which kernels there are where they are others than before.

    Args:
        look: returns the kernels that there are.
        monotonic: a clock of seconds.
    """

    def __init__(
        self,
        look: Callable[[], list[ServerKernel]] = kernels_here,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look
        self._now = monotonic
        self._looked = float("-inf")
        self._known: list[ServerKernel] | None = None

    def news(self) -> list[ServerKernel] | None:
        """Return the kernels; None where nobody must be told, or it was looked a moment ago."""
        if self._looked + _LOOK_SECONDS > self._now():
            return None
        self._looked = self._now()
        found = self._look()
        return found if found != self._known else None

    def took(self, kernels: list[ServerKernel] | None) -> None:
        """Note what has been told; None for nothing."""
        if kernels is not None:
            self._known = kernels
