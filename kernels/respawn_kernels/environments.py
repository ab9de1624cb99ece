"""Standardized kernels: a name and a lock file become a virtual environment and a kernelspec.

The hash of the lock file and of the Python's minor version names the environment, so a changed lock or
another Python makes a new one beside the old, and a run can tell exactly what it ran in. The Python is the
newest of this machine that the lock can be installed for.

    python -m respawn_kernels.environments create NAME --lock FILE --root DIR --prefix DIR
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from respawn_kernels import hash_seed
from respawn_kernels.digest import write_whole
from respawn_kernels.interpreters import Interpreter, NoInterpreter, find_interpreters, interpreter
from respawn_kernels.kernelspecs import KernelInfo, UnknownKernel, find_kernel, list_kernels

__all__ = [
    "EnvironmentFailed",
    "KernelEnvironment",
    "KernelInfo",
    "UnknownKernel",
    "create",
    "environment_hash",
    "find_kernel",
    "list_kernels",
    "lock_hash",
    "main",
]

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_COMPLETE = ".complete"
Progress = Callable[[str], None]


class EnvironmentFailed(Exception):
    """The environment could not be built; the message ends with what the failing program said."""


@dataclass(frozen=True)
class KernelEnvironment:
    """An environment that kernels run in."""

    name: str
    lock: str
    """Hash of the lock file and the Python's minor version."""
    version: str
    """The Python's minor version, such as `3.13`."""
    directory: Path
    python: Path
    kernelspec: Path

    @property
    def kernel(self) -> str:
        """The kernel's name, as notebooks give it."""
        return f"respawn-{self.name}"


def lock_hash(path: Path) -> str:
    """Return the SHA-256 of a lock file's requirements, 64 hex digits; comments and blank lines do not count.

    Raises OSError when the file cannot be read.
    """
    lines = (line.partition(" #")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    requirements = [line for line in lines if line and not line.startswith("#")]
    return hashlib.sha256("\n".join(requirements).encode()).hexdigest()


def environment_hash(lock: Path, version: str) -> str:
    """Return the hash that tells environments apart: of a lock's requirements and a Python's minor version.

    The same lock installs other builds for another Python, and what one has pickled the other may not load.
    Raises OSError when the lock cannot be read.
    """
    return hashlib.sha256(f"{lock_hash(lock)} python {version}".encode()).hexdigest()


def create(
    name: str,
    lock: Path,
    *,
    root: Path,
    prefix: Path,
    project: Path | None = None,
    python: str | None = None,
    display_name: str | None = None,
    progress: Progress = print,
) -> KernelEnvironment:
    """Build an environment and install its kernelspec; quick when both are there already.

    Args:
        name: such as `science`; the kernel is called `respawn-<name>`.
        lock: pip requirements, all pinned.
        root: environments live here, each in a directory named by name, lock and Python.
        prefix: kernelspecs go to `<prefix>/share/jupyter/kernels`.
        project: where Respawn itself is installed from: a checkout (then editable) or a wheel. None when the
            lock names it already.
        python: the Python to make it from, as a version, a command or a path. None for the newest that is
            found here and that the lock has builds for; `progress` is told of each that is passed over.
        display_name: how JupyterLab shows the kernel.
        progress: is told each step, one line each.

    Raises:
        EnvironmentFailed: venv or pip failed; a half-built environment is built anew the next time.
        NoInterpreter: there is no such Python here.
        OSError: the lock cannot be read or the directories cannot be written.
        ValueError: the name cannot name a kernel.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name an environment: lower case letters, digits, '.', '_', '-'")
    found = [interpreter(python)] if python is not None else find_interpreters()
    if not found:
        raise NoInterpreter("no Python here can make environments: install one with its venv module")
    for place, base in enumerate(found):
        older = found[place + 1] if place + 1 < len(found) else None
        try:
            made = _ready(name, lock, root, project, base, progress, builds_only=older is not None)
            break
        except EnvironmentFailed as error:
            if older is None:
                raise
            reason = str(error).strip().splitlines()[-1]
            progress(f"Python {base.minor} does not do, trying Python {older.minor}: {reason}")
    digest, directory = made
    bin_python = directory / "bin" / "python"
    shown = display_name or f"{name.title()} (Respawn)"
    spec = _install_kernelspec(name, digest, base.minor, bin_python, prefix, shown)
    progress(f"kernel respawn-{name} is installed")
    return KernelEnvironment(name, digest, base.minor, directory, bin_python, spec)


def _ready(
    name: str,
    lock: Path,
    root: Path,
    project: Path | None,
    base: Interpreter,
    progress: Progress,
    *,
    builds_only: bool,
) -> tuple[str, Path]:
    """Return the hash and the directory of the environment on one Python, built unless it is complete."""
    digest = environment_hash(lock, base.minor)
    # Absolute but not resolved: a kernelspec may go through a link that is moved to the next environment.
    directory = root.absolute() / f"{name}-{digest[:12]}"
    python = directory / "bin" / "python"
    wanted = json.dumps({"lock": digest, "project": str(project.absolute()) if project else None})
    if _is_complete(directory, python, wanted):
        progress(f"environment {directory.name} is ready")
    else:
        _build(directory, base, lock, project, progress, builds_only=builds_only)
        write_whole(directory / _COMPLETE, wanted.encode())
    return digest, directory


def _is_complete(directory: Path, python: Path, wanted: str) -> bool:
    """Whether the environment was finished with the same inputs, and its interpreter still exists.

    A venv breaks when the Python it was made from is removed: its `bin/python` then leads nowhere.
    """
    try:
        return (directory / _COMPLETE).read_text(encoding="utf-8") == wanted and python.exists()
    except FileNotFoundError:
        return False


def _build(
    directory: Path,
    base: Interpreter,
    lock: Path,
    project: Path | None,
    progress: Progress,
    *,
    builds_only: bool,
) -> None:
    """Make the environment; `builds_only` fails at once where a package would have to be compiled."""
    if directory.exists():
        progress(f"environment {directory.name} is incomplete: building it anew")
        shutil.rmtree(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    progress(f"making environment {directory.name} on Python {base.minor}")
    _run([str(base.path), "-m", "venv", str(directory)], f"python -m venv {directory}", progress)
    pip = [str(directory / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    progress(f"installing {_count(lock)} packages from {lock.name}")
    # A Python newer than a package's builds would have pip compile it, for an hour and then in vain.
    only = ["--only-binary", ":all:"] if builds_only else []
    _run([*pip, "install", "--no-deps", *only, "-r", str(lock)], f"pip install -r {lock}", progress)
    if project is not None:
        progress("installing Respawn")
        source = ["--editable", str(project)] if (project / "pyproject.toml").is_file() else [str(project)]
        _run([*pip, "install", "--no-deps", *source], f"pip install {project}", progress)


def _run(command: Sequence[str], what: str, progress: Progress) -> None:
    """Run a program, tell its notable lines, and raise with its last ones when it fails."""
    tail: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None  # noqa: S101  for the type checker: it is a pipe
        for line in process.stdout:
            line = line.rstrip()
            tail = [*tail[-19:], line]
            if line.startswith(("Installing collected", "Successfully installed")):
                progress("  " + (line if len(line) <= 100 else line[:99] + "…"))
    if process.returncode:
        raise EnvironmentFailed(f"{what} failed:\n" + "\n".join(tail))


def _count(lock: Path) -> int:
    return sum("==" in line.partition("#")[0] for line in lock.read_text(encoding="utf-8").splitlines())


def _install_kernelspec(
    name: str, digest: str, version: str, python: Path, prefix: Path, display_name: str
) -> Path:
    spec = {
        "argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": display_name,
        "language": "python",
        "interrupt_mode": "signal",
        "env": {hash_seed.VARIABLE: hash_seed.seed_for(digest)},
        "metadata": {"debugger": True, "respawn": {"environment": name, "lock": digest, "python": version}},
    }
    directory = prefix.absolute() / "share" / "jupyter" / "kernels" / f"respawn-{name}"
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "kernel.json"
    write_whole(path, json.dumps(spec, indent=1).encode())
    path.chmod(0o644)  # whole files are private by default, and every user may start this kernel
    return directory


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m respawn_kernels.environments", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("create", help="build an environment and install its kernelspec")
    make.add_argument("name")
    make.add_argument("--lock", type=Path, required=True, help="pinned requirements")
    make.add_argument("--root", type=Path, required=True, help="where environments live")
    make.add_argument("--prefix", type=Path, default=Path(sys.prefix), help="where Jupyter looks for kernels")
    make.add_argument("--project", type=Path, help="checkout or wheel to install Respawn from")
    make.add_argument(
        "--python", help="version, command or path of the Python to use; the newest found when left out"
    )
    make.add_argument("--display-name", help="how JupyterLab shows the kernel")
    commands.add_parser("list", help="list the kernels that Jupyter finds")
    options = parser.parse_args(arguments)
    if options.command == "list":
        for kernel in list_kernels():
            print(
                f"{kernel.name}\t{kernel.language}\t{kernel.python or '-'}\t{(kernel.lock or '-')[:12]}"
                f"\t{kernel.display_name}"
            )
        return 0
    try:
        create(
            options.name,
            options.lock,
            root=options.root,
            prefix=options.prefix,
            project=options.project,
            python=options.python,
            display_name=options.display_name,
            progress=lambda line: print(line, flush=True),
        )
    except (EnvironmentFailed, NoInterpreter, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
