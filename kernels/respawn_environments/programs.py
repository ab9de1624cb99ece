"""Programs that make environments: started, their progress passed on, their last words kept for the error."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from respawn_environments.errors import EnvironmentFailed

Progress = Callable[[str], None]
"""Called with a line of text for each step."""

_TAIL = 20
_WIDTH = 100
_NOTABLE = (
    "Installing collected",
    "Successfully installed",
    "Resolved ",
    "Prepared ",
    "Installed ",
    "Building ",
)
_OF_INSTALLERS = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "__PYVENV_LAUNCHER__",
)


def find_uv() -> list[str] | None:
    """Return the command of uv: on PATH, beside this Python, or as its module; None where there is none."""
    beside = Path(sys.executable).with_name("uv")
    program = shutil.which("uv") or (str(beside) if os.access(beside, os.X_OK) else None)
    if program is not None:
        return [program]
    return [sys.executable, "-m", "uv"] if importlib.util.find_spec("uv") is not None else None


def needed_uv() -> list[str]:
    """Return the command of uv. Raises EnvironmentFailed, which says what to install, where there is none."""
    command = find_uv()
    if command is None:
        raise EnvironmentFailed(
            f"locks are made by uv, which is not here: {sys.executable} -m pip install uv"
        )
    return command


def run(
    command: Sequence[str],
    what: str,
    progress: Progress,
    *,
    directory: Path | None = None,
    variables: Mapping[str, str] | None = None,
    keep: Sequence[int] = (),
) -> None:
    """Run a program, pass on its notable lines, and raise with its last ones when it fails.

    Args:
        command: the program and its arguments.
        what: how a message calls it.
        progress: called with notable lines.
        directory: where it works; None for the present one.
        variables: more variables of its environment.
        keep: descriptors that it inherits. It holds the locks among them for as long as it lives, also when
            this process is killed meanwhile.

    Raises:
        EnvironmentFailed: it failed, or cannot be started.
    """
    # A server's PYTHONPATH, or the environment that the command lies in, would leak into what is made.
    inherited = {name: value for name, value in os.environ.items() if name not in _OF_INSTALLERS}
    tail: list[str] = []
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=directory,
            env={**inherited, **(variables or {})},
            pass_fds=keep,
        )
    except OSError as error:
        raise EnvironmentFailed(f"{what} cannot be started: {error}") from error
    with process:
        assert process.stdout is not None  # noqa: S101  for the type checker: it is a pipe
        for line in process.stdout:
            line = line.rstrip()
            tail = [*tail[-_TAIL + 1 :], line]
            if line.startswith(_NOTABLE):
                progress("  " + (line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"))
    if process.returncode:
        raise EnvironmentFailed(f"{what} failed:\n" + "\n".join(tail))
