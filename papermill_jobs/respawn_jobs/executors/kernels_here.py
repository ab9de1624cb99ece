"""The kernels of this machine, for whoever must know them elsewhere: at first, and when they are others."""

from __future__ import annotations

import time
from collections.abc import Callable

from respawn_jobs.model.kernels import ServerKernel

_LOOK_SECONDS = 30.0
"""How often it is looked whether they are others: a person may install one meanwhile."""


def kernels_here() -> list[ServerKernel]:
    """Return all kernels that Jupyter finds on this machine and can read, by name."""
    from respawn_environments.kernelspecs import list_kernels

    return [
        ServerKernel(
            name=one.name,
            display_name=one.display_name,
            language=one.language,
            lock=one.lock,
            resources=dict(one.resources),
        )
        for one in list_kernels()
    ]


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
