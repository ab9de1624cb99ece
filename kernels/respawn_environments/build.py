"""An environment.toml and its lock become a virtual environment and a kernelspec.

The hash of the lock, of the Python's minor version and of Respawn's own code names the environment. So a
changed lock, another Python or other code makes a new one beside the old, and a run records exactly what it
ran in. What is installed is compared with the lock before it counts. Limit: uv trusts what its cache holds
unpacked. The comparison finds a file that was changed there, but not one that was changed with its RECORD.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from respawn_environments import catalog, own_wheel
from respawn_environments.catalog import BuiltEnvironment, EnvironmentRecord
from respawn_environments.definition import EnvironmentSource
from respawn_environments.drift import drift, installed_in
from respawn_environments.errors import (
    EnvironmentDiffers,
    EnvironmentFailed,
    EnvironmentMissing,
    InvalidEnvironment,
    NoInterpreter,
)
from respawn_environments.interpreters import Interpreter, find_interpreters, interpreter
from respawn_environments.kernelspecs import PROVISIONER
from respawn_environments.lockfile import environment_hash, lock_hash, made_of, read_lock
from respawn_environments.own_wheel import OwnWheel
from respawn_environments.programs import Progress, find_uv, run
from respawn_kernels import hash_seed
from respawn_kernels.counting import how_many
from respawn_kernels.digest import write_whole

_MAX_NAMED = 5
_OTHER_PYTHON = re.compile(
    r"no (usable |source distribution or binary )?wheels?\b|no matching distribution|requires[- ]python"
    r"|requires a different python|depends on python",
    re.IGNORECASE,
)
"""How uv and pip say that a package is not for this Python: any other failure would come again."""
_QUIET = {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}


@dataclass(frozen=True)
class KernelEnvironment:
    """An environment that kernels run in."""

    name: str
    lock: str
    """Hash of the lock file, the Python's minor version and Respawn's own code."""
    version: str
    """The Python's minor version, such as `3.13`."""
    directory: Path
    python: Path
    kernelspec: Path

    @property
    def kernel(self) -> str:
        """The kernel's name, as notebooks give it."""
        return f"respawn-{self.name}"


@dataclass(frozen=True)
class _Recipe:
    """What makes an environment, but for the Python."""

    source: EnvironmentSource
    root: Path
    own: OwnWheel | None
    packages: int

    def digest(self, minor: str) -> str:
        return environment_hash(self.source.lock, minor, self.own.digest if self.own else None)


def create(
    source: EnvironmentSource,
    *,
    root: Path,
    prefix: Path,
    own: OwnWheel | None = None,
    python: str | None = None,
    progress: Progress = print,
) -> KernelEnvironment:
    """Build an environment and install its kernelspec; quick when both are there already.

    Two that build the same one at once give one: the second waits for the first.

    Args:
        source: the environment.toml and its lock.
        root: environments live here, each in a directory named by name and hash.
        prefix: kernelspecs go to `<prefix>/share/jupyter/kernels`.
        own: Respawn's own code for it; None for an environment without, in which notebooks cannot
            `import respawn`.
        python: the Python to make it from, as a version, a command or a path. None for one on which it is
            built already, else for the newest that is found here and that the lock has builds for; `progress`
            is called for each that is passed over.
        progress: called with a line of text for each step.

    Raises:
        EnvironmentDiffers: what was installed is not what the lock names.
        EnvironmentFailed: venv, uv or pip failed; what was half made is removed.
        EnvironmentMissing: there is no lock.
        InvalidEnvironment: the lock is not one, or not that of this environment.toml, or the Python that is
            named is not among those that it allows.
        NoInterpreter: there is no such Python here.
        OSError: the lock cannot be read or the directories cannot be written.
    """
    # Absolute but not resolved: a kernelspec may go through a link that is moved to the next environment.
    recipe = _Recipe(source, root.absolute(), own, check_lock(source, own))
    built = _built_already(recipe, prefix, python)
    if built is None:
        built = _built_on_first(recipe, _candidates(source, python), progress)
    else:
        progress(f"environment {built.directory.name} is ready")
    kernelspec = _install_kernelspec(source, built, prefix)
    progress(f"kernel respawn-{source.name} is installed")
    return KernelEnvironment(
        source.name, built.record.hash, built.minor, built.directory, built.python, kernelspec
    )


def check_lock(source: EnvironmentSource, own: OwnWheel | None) -> int:
    """Refuse a lock that cannot be the environment's, before anything is made; returns how many it pins.

    Args:
        source: the environment.
        own: Respawn's own code for it; None for an environment without.

    Raises:
        EnvironmentMissing: there is no lock.
        InvalidEnvironment: the lock is not one, or not that of this environment.toml.
        OSError: the lock cannot be read.
    """
    again = f"make it with `respawn kernels lock {source.name}`"
    if not source.lock.exists():
        raise EnvironmentMissing(f"{source.lock} is missing: {again}")
    locked = read_lock(source.lock)
    if made_of(source.lock) not in (None, source.definition.digest):
        raise InvalidEnvironment(
            f"{source.directory / 'environment.toml'} was changed after {source.lock.name} was made: {again}"
        )
    if own is not None and (missing := own_wheel.unmet(locked)):
        raise InvalidEnvironment(
            f"{source.lock} does not have what Respawn needs in a kernel ({', '.join(missing)}): {again}"
        )
    return len({package.name for package in locked})


def _built_already(recipe: _Recipe, prefix: Path, python: str | None) -> BuiltEnvironment | None:
    """Return the environment when it is whole; no interpreter is started to find that out.

    So a Python that is new on this machine changes no kernel: it is taken with the next lock.
    """
    allowed = [
        one
        for one in catalog.environments(recipe.root)
        if (python is None and recipe.source.definition.allows(one.minor)) or python == one.minor
    ]
    found = [one for one in allowed if one.record.hash == recipe.digest(one.minor)]
    present = catalog.hash_of_kernelspec(_kernelspec(recipe.source.name, prefix))
    found.sort(key=lambda one: (one.record.hash == present, *map(int, one.minor.split("."))))
    return found[-1] if found else None


def _candidates(source: EnvironmentSource, python: str | None) -> list[Interpreter]:
    """Return the Pythons to try, the newest first."""
    definition = source.definition
    where = source.directory / "environment.toml"
    if python is not None:
        named = interpreter(python)
        if not definition.allows(named.minor):
            raise InvalidEnvironment(
                f"{where} asks for Python {definition.python}, and {python} is {named.minor}: "
                "name another, or change `python` there and make the lock anew"
            )
        return [named]
    if definition.python[0].isdigit():
        return [interpreter(definition.python)]
    every = find_interpreters()
    found = [one for one in every if definition.allows(one.minor)]
    if not found:
        known = ", ".join(one.minor for one in every) or "none"
        raise NoInterpreter(
            f"no Python here is as {where} asks ({definition.python}): install one with its venv module "
            f"(found: {known})"
        )
    return found


def _built_on_first(recipe: _Recipe, found: Iterable[Interpreter], progress: Progress) -> BuiltEnvironment:
    """Return the environment on the first Python on which it can be built."""
    pythons = list(found)
    for place, base in enumerate(pythons):
        older = pythons[place + 1] if place + 1 < len(pythons) else None
        try:
            return _ready(recipe, base, progress, builds_only=older is not None)
        except EnvironmentDiffers:
            raise
        except EnvironmentFailed as error:
            if older is None or not _OTHER_PYTHON.search(str(error)):
                raise
            reason = str(error).strip().splitlines()[-1]
            progress(f"Python {base.minor} does not do, trying Python {older.minor}: {reason}")
    raise NoInterpreter("no Python here can make environments: install one with its venv module")


def _ready(recipe: _Recipe, base: Interpreter, progress: Progress, *, builds_only: bool) -> BuiltEnvironment:
    """Return the environment on one Python, built unless it is whole."""
    digest = recipe.digest(base.minor)
    with catalog.alone(recipe.root, digest, progress) as lock:
        built = catalog.with_hash(recipe.root, digest)
        if built is not None:
            progress(f"environment {built.directory.name} is ready")
            return built
        directory = catalog.place_for(recipe.root, recipe.source.name, digest)
        if directory.exists():
            progress(f"environment {directory.name} is incomplete: building it again")
            shutil.rmtree(directory)
        try:
            return _build(recipe, base, directory, lock, progress, builds_only=builds_only)
        except BaseException:  # Ctrl-C too: what is half made must not count as whole
            _discard(directory)
            raise


def _discard(directory: Path) -> None:
    """Remove what is half made; what cannot be removed is built over by the next build."""
    if directory.exists():
        catalog.invalidate(directory)
        shutil.rmtree(directory, ignore_errors=True)


def _build(
    recipe: _Recipe, base: Interpreter, directory: Path, lock: int, progress: Progress, *, builds_only: bool
) -> BuiltEnvironment:
    """Make the environment; `builds_only` fails at once where a package would have to be compiled."""
    progress(f"making environment {directory.name} on Python {base.minor}")
    _make_venv(base, directory, lock, progress)
    source, own = recipe.source, recipe.own
    progress(f"installing {how_many(recipe.packages, 'package')} from {source.lock.name}")
    # A Python newer than a package's builds would have pip compile it, for an hour and then in vain.
    only = ["--only-binary", ":all:"] if builds_only else []
    wanted = ["--require-hashes", *only, "-r", str(source.lock.absolute())]
    _install(directory, wanted, f"install -r {source.lock}", lock, progress)
    if own is not None:
        progress(f"installing Respawn {own.version}")
        wheels = directory / ".respawn-wheel"
        wheels.mkdir()
        own.write(wheels)
        # By name, not by path: an installer would note the path, and the next build would be another one.
        exact = f"{own_wheel.DISTRIBUTION}=={own.version}"
        _install(
            directory, ["--no-index", "--find-links", str(wheels), exact], f"install {exact}", lock, progress
        )
        shutil.rmtree(wheels)
    progress("comparing what is installed with the lock")
    return _completed(recipe, base, directory)


def _make_venv(base: Interpreter, directory: Path, lock: int, progress: Progress) -> None:
    """Make a virtual environment with pip in it; with uv in a tenth of the time that ensurepip takes."""
    uv = find_uv()
    if uv is None or base.pip_wheels is None:
        run(
            [str(base.path), "-m", "venv", str(directory)],
            f"python -m venv {directory}",
            progress,
            keep=[lock],
        )
        return
    bare = [str(base.path), "-m", "venv", "--without-pip", str(directory)]
    run(bare, f"python -m venv --without-pip {directory}", progress, keep=[lock])
    python = str(directory / "bin" / "python")
    bundled = ["--no-index", "--find-links", str(base.pip_wheels), "--no-deps", "pip"]
    command = [*uv, "pip", "install", "--quiet", "--python", python, *bundled]
    run(command, "uv pip install pip", progress, directory=directory, variables=_QUIET, keep=[lock])


def _install(directory: Path, wanted: list[str], what: str, lock: int, progress: Progress) -> None:
    """Install by uv, which is many times as fast, or by the environment's own pip."""
    python, uv = str(directory / "bin" / "python"), find_uv()
    if uv is not None:
        # In the new directory: a pyproject.toml or uv.toml around the caller would have a say.
        command = [*uv, "pip", "install", "--python", python, "--no-deps", "--compile-bytecode", *wanted]
        run(command, f"uv pip {what}", progress, directory=directory, variables=_QUIET, keep=[lock])
    else:
        quiet = ["--disable-pip-version-check", "--no-input", "--no-deps"]
        command = [python, "-m", "pip", "install", *quiet, *wanted]
        run(command, f"pip {what}", progress, directory=directory, keep=[lock])


def _completed(recipe: _Recipe, base: Interpreter, directory: Path) -> BuiltEnvironment:
    """Compare what was installed with the lock, and let the environment count."""
    source, own = recipe.source, recipe.own
    found = installed_in(directory / "bin" / "python")
    wrong = drift(source.lock, found, own_version=own.version if own else None)
    if wrong:
        named = "\n".join(f"  {one.message}" for one in wrong[:_MAX_NAMED])
        raise EnvironmentDiffers(
            f"what was installed from {source.lock} is not what it names, so it is not used "
            f"({how_many(len(wrong), 'difference')}):\n{named}\nIf a file differs, the installer's cache was "
            "changed: empty it (uv cache clean, pip cache purge) and build again."
        )
    record = EnvironmentRecord(
        name=source.name,
        display_name=source.display_name,
        hash=recipe.digest(base.minor),
        lock=lock_hash(source.lock),
        own=own.digest if own else None,
        own_version=own.version if own else None,
        python=".".join(map(str, base.version)),
        built_at=_moment(),
        size=sum(path.lstat().st_size for path in directory.rglob("*") if not path.is_dir()),
        records={one.name: one.record for one in found.packages if one.record is not None},
    )
    catalog.complete(directory, record, source.lock.read_bytes())
    return BuiltEnvironment(directory, record)


def _moment() -> datetime:
    """Return the time of this build: in an image that which all its files have."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)


def _kernelspec(name: str, prefix: Path) -> Path:
    return prefix.absolute() / "share" / "jupyter" / "kernels" / f"respawn-{name}"


def _install_kernelspec(source: EnvironmentSource, built: BuiltEnvironment, prefix: Path) -> Path:
    definition, digest = source.definition, built.record.hash
    asked = {
        "resources": definition.resources.model_dump(mode="json", exclude_none=True),
        "labels": definition.labels,
        "preload": definition.preload,
        "description": definition.description,
    }
    ours = {"environment": source.name, "lock": digest, "python": built.minor}
    spec = {
        "argv": [str(built.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": source.display_name,
        "language": "python",
        "interrupt_mode": "signal",
        "env": {hash_seed.VARIABLE: hash_seed.seed_for(digest)},
        "metadata": {
            "debugger": True,
            **_encryption(built),
            "kernel_provisioner": {"provisioner_name": PROVISIONER},
            "respawn": {**ours, **{key: value for key, value in asked.items() if value}},
        },
    }
    directory = _kernelspec(source.name, prefix)
    directory.mkdir(parents=True, exist_ok=True)
    with _kept(built):
        catalog.note_kernelspec(built.directory, directory)
        path, text = directory / "kernel.json", json.dumps(spec, indent=1).encode()
        catalog.keep_kernelspec(built.directory, directory.name, text)
        write_whole(path, text)
        path.chmod(0o644)  # whole files are private by default, and every user may start this kernel
    return directory


def _encryption(built: BuiltEnvironment) -> dict[str, list[str]]:
    """Return what its ipykernel's own kernelspec says of encryption: nothing where the version has none."""
    found = built.directory.glob("lib/python3*/site-packages/ipykernel/kernelspec.py")
    able = any('"supported_encryption": ["curve"]' in file.read_text(encoding="utf-8") for file in found)
    return {"supported_encryption": ["curve"]} if able else {}


@contextmanager
def _kept(built: BuiltEnvironment) -> Iterator[None]:
    """Keep an environment from being removed while a kernelspec for it is installed.

    Raises EnvironmentFailed when it was removed since it was found.
    """
    root = built.directory.parent
    with catalog.alone(root, built.record.hash, _ignore) if os.access(root, os.W_OK) else nullcontext():
        if catalog.read(built.directory) is None:
            raise EnvironmentFailed(
                f"environment {built.directory.name} was removed meanwhile: build it again"
            )
        yield


def _ignore(_: str) -> None:
    """Wait in silence: an installed kernelspec takes milliseconds."""
