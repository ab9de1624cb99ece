"""What a kernelspec says: of the environment that it starts, and of the program that becomes the kernel.

Jupyter lets everybody write one. What is not as we write it counts as not said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FILE = "kernel.json"
"""What Jupyter reads in the directory of a kernelspec."""
LAUNCHER = "ipykernel_launcher"
"""The module that kernels of Python start with."""


def read(directory: Path) -> dict[str, Any]:
    """Return the contents of a kernelspec; nothing where it cannot be read.

    Args:
        directory: where its kernel.json lies.
    """
    return read_file(directory / FILE)


def read_file(path: Path) -> dict[str, Any]:
    """Return what a file in the form of a kernel.json says; nothing where it cannot be read.

    Args:
        path: of the file.
    """
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def ours(metadata: object) -> dict[str, Any]:
    """Return what a kernelspec's metadata says of an environment of ours; nothing for another kernel.

    Args:
        metadata: of the kernelspec, as it stands there.
    """
    found = metadata.get("respawn") if isinstance(metadata, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def lock_of(metadata: object) -> str | None:
    """Return the hash of the build that a kernelspec starts; None where it is of no lock.

    Args:
        metadata: of the kernelspec, as it stands there.
    """
    found = ours(metadata).get("lock")
    return str(found) if found else None


def interpreter_of(spec: Mapping[str, Any]) -> Path | None:
    """Return the program that a kernelspec starts; None where it says none.

    Args:
        spec: its contents.
    """
    command = spec.get("argv")
    return Path(command[0]) if isinstance(command, list) and command and isinstance(command[0], str) else None


def root_of(spec: Mapping[str, Any]) -> Path | None:
    """Return the directory of builds in which the one that a kernelspec starts lies; None for no build.

    Args:
        spec: its contents.
    """
    interpreter = interpreter_of(spec)
    return interpreter.parents[2] if interpreter is not None and len(interpreter.parents) > 2 else None


def command_of(interpreter: str) -> list[str]:
    """Return the command that starts ipykernel, as a kernelspec has it.

    Args:
        interpreter: the environment's Python.
    """
    return [interpreter, "-m", LAUNCHER, "-f", "{connection_file}"]


def is_ipykernel(command: Sequence[str]) -> bool:
    """Return whether a command starts ipykernel, on this machine or by way of another program.

    Args:
        command: the program and its arguments.
    """
    words = [Path(command[0]).name, *command[1:]] if command else []
    return any("ipykernel" in word for word in words)


def launcher_at(command: Sequence[str]) -> int | None:
    """Return where `-m ipykernel_launcher` stands in a command; None for one that starts otherwise.

    Only Python and its flags come before it: a wrapper may start the kernel in a container.

    Args:
        command: the program and its arguments.
    """
    at = next((at for at in range(1, len(command)) if list(command[at : at + 2]) == ["-m", LAUNCHER]), None)
    if at is None or not Path(command[0]).name.startswith("python"):
        return None
    return at if all(word.startswith("-") for word in command[1:at]) else None


def is_ipykernel_here(command: Sequence[str]) -> bool:
    """Return whether a command's own process becomes ipykernel, on this machine.

    Args:
        command: the program and its arguments.
    """
    return launcher_at(command) is not None
