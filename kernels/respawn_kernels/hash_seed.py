"""The seed by which Python hashes texts (PYTHONHASHSEED): one for each environment, recorded with each run.

An object that keeps the hash of a text is found in a restored dictionary only where texts hash as they did
when the dictionary was made; sets of texts are iterated in the order of their hashes. So kernels are started
with a seed that the next kernel can have again. Limit: hashes that are made of addresses, as
`object.__hash__` returns them, differ in each kernel.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

VARIABLE = "PYTHONHASHSEED"
RANDOM = "random"
"""What is recorded of a kernel that chose its seed itself: it cannot be read, and no other kernel has it."""
UNLOCKED = "0"
"""The seed of kernels whose environment is not made from a lock."""
_MAX = 2**32 - 1


def seed_for(lock: str | None) -> str:
    """Return the seed for kernels of an environment, by the hash of its lock; None where there is none."""
    if lock is None:
        return UNLOCKED
    return str(int.from_bytes(hashlib.sha256(lock.encode()).digest()[:4], "big"))


def chosen(value: str | None) -> str | None:
    """Return a value of PYTHONHASHSEED in one form; None when it chooses nothing.

    What Python refuses is returned as it is, so that Python reports it.
    """
    if not value:
        return None
    return str(int(value)) if value.isascii() and value.isdigit() and int(value) <= _MAX else value


def own() -> str:
    """Return the seed that this interpreter began with, or `random`."""
    if not sys.flags.hash_randomization:
        return "0"
    value = None if sys.flags.ignore_environment or _asked_for_random() else chosen(_at_start)
    return value if value is not None and value.isdigit() else RANDOM


def _asked_for_random() -> bool:
    """Return whether the interpreter was started with -R, which overrides the environment."""
    for argument in sys.orig_argv[1:]:
        if not argument.startswith("-") or argument[1:2] in ("c", "m", "-"):
            return False
        if "R" in argument:
            return True
    return False


def difference(stored: str | None, here: str) -> str | None:
    """Return what a person must know when texts hash differently here than where a state was made.

    Args:
        stored: the seed that a checkpoint records; None when an older version wrote it.
        here: the seed of the kernel in which it is restored, or `random`.

    Returns:
        Two sentences; None when texts hash the same.
    """
    if stored == here != RANDOM:
        return None
    if stored is None or stored == RANDOM:
        why = f"its kernel had no fixed hash seed ({VARIABLE})"
    else:
        why = (
            f"it had hash seed {stored}, and this kernel has {here} (fix: start it with {VARIABLE}={stored})"
        )
    return (
        f"Texts hash differently here than where this state was made: {why}. Sets may have another order, "
        "and objects that keep their hash may not be found."
    )


def _environment_at_start() -> str | None:
    """Return PYTHONHASHSEED as the process got it: `os.environ` may have been changed since."""
    try:
        variables = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return os.environ.get(VARIABLE)
    prefix = f"{VARIABLE}=".encode()
    found = (value[len(prefix) :] for value in variables if value.startswith(prefix))
    return next((value.decode(errors="replace") for value in found), None)


_at_start = _environment_at_start()
