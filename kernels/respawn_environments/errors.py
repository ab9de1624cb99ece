"""What goes wrong with environments, as callers act on it: fix the file, wait, or give up."""

from __future__ import annotations


class KernelEnvironmentError(Exception):
    """Something was refused or could not be done; what was there before still is."""


class InvalidEnvironment(KernelEnvironmentError, ValueError):
    """A name, an environment.toml or a lock is wrong. The message names file, key and fix."""


class EnvironmentFailed(KernelEnvironmentError):
    """A program failed: resolving, making, installing. The message ends with its last lines."""


class EnvironmentDiffers(EnvironmentFailed):
    """What was installed is not what the lock names; the environment does not count."""


class EnvironmentMissing(KernelEnvironmentError, LookupError):
    """No such environment is there; the message names those that are."""


class EnvironmentInUse(KernelEnvironmentError):
    """Somebody needs the environment that was to be removed; the message names who."""


class NoInterpreter(KernelEnvironmentError, LookupError):
    """There is no such interpreter here, or none that can make environments; the message says which."""


class ProgramMissing(KernelEnvironmentError, LookupError):
    """A program of the system that an environment needs is not here; the message says what to install."""
