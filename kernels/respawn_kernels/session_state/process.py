"""What the process has besides its memory: working directory, environment variables."""

from __future__ import annotations

import os
from collections.abc import Hashable
from typing import Any

from respawn_kernels.working_directory import working_directory

_environment_before = dict(os.environ)


class WorkingDirectory:
    """The working directory. Only its change is seen here: it is a field of the manifest, and no value."""

    name = "#cwd"
    first = True

    def fingerprint(self) -> Hashable:
        """Return the directory."""
        return working_directory()

    def capture(self) -> None:
        """Return nothing: see the class."""

    def restore(self, value: Any, shell: Any | None) -> None:
        """Do nothing: see the class."""


class Environment:
    """The environment variables that changed since the kernel began.

    Never the whole environment: a platform gives its secrets to a kernel by it.
    """

    name = "#env"
    first = True

    def fingerprint(self) -> Hashable:
        """Return a hash of all variables."""
        return hash(frozenset(os.environ.items()))

    def capture(self) -> dict[str, str | None] | None:
        """Return the variables, None for those that are gone."""
        changed: dict[str, str | None] = {
            name: value for name, value in os.environ.items() if _environment_before.get(name) != value
        }
        return changed | {name: None for name in _environment_before if name not in os.environ} or None

    def restore(self, value: dict[str, str | None], shell: Any | None) -> None:
        """Set and remove them."""
        for name, text in value.items():
            if text is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = text
