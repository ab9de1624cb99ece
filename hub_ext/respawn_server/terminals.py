"""The `respawn` command in a server's terminals, wherever the server's environment lies.

A terminal gets the server's `PATH`, and Jupyter makes it a login shell where the server has no terminal of
its own: then the system's profile sets `PATH` anew, without the environment of the command.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

_SHELLS = {"bash", "dash", "sh", "zsh"}
"""Shells that take the words below."""


def add_command(server: ServerApp, programs: Path | None = None) -> None:
    """Let terminals, and kernels that start from now on, find `respawn`; it comes last and hides nothing.

    Args:
        server: The Jupyter server.
        programs: Directory of the command; by default that of this Python.
    """
    directory = programs or Path(sys.executable).parent
    if not (directory / "respawn").exists():
        return
    if shutil.which("respawn") is None:
        os.environ["PATH"] = os.pathsep.join(filter(None, (os.environ.get("PATH"), str(directory))))
    manager = server.web_app.settings.get("terminal_manager")
    if manager is None:
        return
    shell = list(manager.shell_command)
    if len(shell) != 2 or shell[1] != "-l" or Path(shell[0]).name not in _SHELLS:
        return  # a shell of somebody's choice
    found = f'command -v respawn > /dev/null || export PATH="$PATH":{shlex.quote(str(directory))}'
    manager.shell_command = [*shell, "-c", f"{found}; exec {shlex.quote(shell[0])}"]
