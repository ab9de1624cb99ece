"""A new virtual environment, and packages put into it by uv or by its own pip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from respawn_environments.interpreters import Interpreter
from respawn_environments.programs import Progress, find_uv, run

_QUIET = {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
PIP_QUIET = ("--disable-pip-version-check", "--no-input", "--no-deps")
"""For every call of pip: what is installed is what is named, and nobody is asked."""
WHEELS_ONLY = ("--only-binary", ":all:")
"""A build from source would run with whatever tools are the newest, for an hour and then perhaps in vain."""


def make_venv(base: Interpreter, directory: Path, progress: Progress, keep: Sequence[int] = ()) -> None:
    """Make a virtual environment with pip in it; with uv in a tenth of the time that ensurepip takes.

    Args:
        base: the Python to make it from.
        directory: where; it need not be there.
        progress: called with notable lines.
        keep: descriptors that the programs hold for as long as they live.

    Raises:
        EnvironmentFailed: venv or uv failed.
    """
    uv = find_uv()
    if uv is None or base.pip_wheels is None:
        command = [str(base.path), "-m", "venv", str(directory)]
        run(command, f"python -m venv {directory}", progress, keep=keep)
        return
    bare = [str(base.path), "-m", "venv", "--without-pip", str(directory)]
    run(bare, f"python -m venv --without-pip {directory}", progress, keep=keep)
    python = str(directory / "bin" / "python")
    bundled = ["--no-index", "--find-links", str(base.pip_wheels), "--no-deps", "pip"]
    command = [*uv, "pip", "install", "--quiet", "--python", python, *bundled]
    run(command, "uv pip install pip", progress, directory=directory, variables=_QUIET, keep=keep)


def install(
    directory: Path, wanted: Sequence[str], what: str, progress: Progress, keep: Sequence[int] = ()
) -> None:
    """Install by uv, which is many times as fast, or by the environment's own pip.

    Args:
        directory: the virtual environment.
        wanted: options and packages, as both programs take them.
        what: how a message calls it, after the program's name.
        progress: called with notable lines.
        keep: descriptors that the program holds for as long as it lives.

    Raises:
        EnvironmentFailed: it failed; the message ends with its last lines.
    """
    uv = find_uv()
    if uv is not None:
        # In the new directory: a pyproject.toml or uv.toml around the caller would have a say.
        python = str(directory / "bin" / "python")
        command = [*uv, "pip", "install", "--python", python, "--no-deps", "--compile-bytecode", *wanted]
        run(command, f"uv pip {what}", progress, directory=directory, variables=_QUIET, keep=keep)
    else:
        pip(directory, ["install", *PIP_QUIET, *wanted], what, progress, keep)


def pip(
    directory: Path, words: Sequence[str], what: str, progress: Progress, keep: Sequence[int] = ()
) -> None:
    """Call the pip of a virtual environment.

    Args:
        directory: the virtual environment.
        words: the command of pip and its arguments.
        what: how a message calls it, after the program's name.
        progress: called with notable lines.
        keep: descriptors that it holds for as long as it lives.

    Raises:
        EnvironmentFailed: it failed; the message ends with its last lines.
    """
    command = [str(directory / "bin" / "python"), "-m", "pip", *words]
    run(command, f"pip {what}", progress, directory=directory, keep=keep)
