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

from respawn_environments import catalog, kernelspec_contents, own_wheel
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
from respawn_environments.installing.source_distributions import install_from_source, write_entries
from respawn_environments.installing.system_programs import check_programs
from respawn_environments.installing.virtual_environment import WHEELS_ONLY, install, make_venv
from respawn_environments.interpreters import Interpreter, find_interpreters, interpreter
from respawn_environments.kernelspecs import LOGO, PROVISIONER
from respawn_environments.lockfile import environment_hash, lock_hash, made_of, read_lock
from respawn_environments.own_wheel import OwnWheel
from respawn_environments.programs import Progress
from respawn_environments.shown.icons import icon
from respawn_environments.warm.preload_check import Preloadable, preloadable
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
_NO_WHEEL = re.compile(r"has no (usable )?wheels|no matching distribution", re.IGNORECASE)
_HOW_FROM_SOURCE = (
    "A package that has no wheel is built from source where environment.toml names it, and what builds it, "
    "below [from-source]."
)


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
    not_preloaded: dict[str, str]
    """Why modules of its `preload` list are left to the kernels."""

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
        EnvironmentFailed: venv, uv or pip failed; what was half made is removed. Or a module that is to be
            preloaded cannot be imported; the kernel is as it was.
        EnvironmentMissing: there is no lock.
        InvalidEnvironment: the lock is not one, or not that of this environment.toml, or the Python that is
            named is not among those that it allows.
        NoInterpreter: there is no such Python here.
        OSError: the lock cannot be read or the directories cannot be written.
        ProgramMissing: a program of the system that it needs is not here; the message says what to install.
    """
    # Absolute but not resolved: a kernelspec may go through a link that is moved to the next environment.
    recipe = _Recipe(source, root.absolute(), own, check_lock(source, own))
    check_programs(source)
    built = _built_already(recipe, prefix, python)
    if built is None:
        built = _built_on_first(recipe, _candidates(source, python), progress)
    else:
        progress(f"environment {built.directory.name} is ready")
    preload = preloadable(source, built, progress)
    kernelspec = _install_kernelspec(source, built, prefix, preload)
    for line in (f"kernel respawn-{source.name} is installed", *preload.lines):
        progress(line)
    return KernelEnvironment(
        source.name, built.record.hash, built.minor, built.directory, built.python, kernelspec, preload.unfit
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
            return _ready(recipe, base, progress)
        except EnvironmentDiffers:
            raise
        except EnvironmentFailed as error:
            if older is None and _NO_WHEEL.search(str(error)):
                raise EnvironmentFailed(f"{error}\n{_HOW_FROM_SOURCE}") from error
            if older is None or not _OTHER_PYTHON.search(str(error)):
                raise
            reason = str(error).strip().splitlines()[-1]
            progress(f"Python {base.minor} does not do, trying Python {older.minor}: {reason}")
    raise NoInterpreter("no Python here can make environments: install one with its venv module")


def _ready(recipe: _Recipe, base: Interpreter, progress: Progress) -> BuiltEnvironment:
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
            return _build(recipe, base, directory, lock, progress)
        except BaseException:  # Ctrl-C too: what is half made must not count as whole
            _discard(directory)
            raise


def _discard(directory: Path) -> None:
    """Remove what is half made; what cannot be removed is built over by the next build."""
    if directory.exists():
        catalog.invalidate(directory)
        shutil.rmtree(directory, ignore_errors=True)


def _build(
    recipe: _Recipe, base: Interpreter, directory: Path, lock: int, progress: Progress
) -> BuiltEnvironment:
    progress(f"making environment {directory.name} on Python {base.minor}")
    make_venv(base, directory, progress, [lock])
    source, own = recipe.source, recipe.own
    scratch = directory / ".respawn-build"
    scratch.mkdir()
    packages = read_lock(source.lock)
    wheels = write_entries([one for one in packages if not one.from_source], scratch / source.lock.name)
    progress(f"installing {how_many(recipe.packages, 'package')} from {source.lock.name}")
    wanted = ["--require-hashes", *WHEELS_ONLY, "-r", str(wheels)]
    install(directory, wanted, f"install -r {source.lock}", progress, [lock])
    built = [one for one in packages if one.from_source]
    if built:
        install_from_source(directory, built, scratch / "from-source", progress, [lock])
    if own is not None:
        progress(f"installing Respawn {own.version}")
        own.write(scratch)
        # By name, not by path: an installer would note the path, and the next build would be another one.
        exact = f"{own_wheel.DISTRIBUTION}=={own.version}"
        found = ["--no-index", "--find-links", str(scratch), exact]
        install(directory, found, f"install {exact}", progress, [lock])
    shutil.rmtree(scratch)
    progress("comparing what is installed with the lock")
    return _completed(recipe, base, directory)


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


def _install_kernelspec(
    source: EnvironmentSource, built: BuiltEnvironment, prefix: Path, preload: Preloadable
) -> Path:
    definition, digest = source.definition, built.record.hash
    asked = {
        "resources": definition.resources.model_dump(mode="json", exclude_none=True),
        "labels": definition.labels,
        "preload": preload.fit,
        "not_preloaded": preload.unfit,
        "description": definition.description,
        "system_packages": definition.system_packages,
    }
    ours = {"environment": source.name, "lock": digest, "python": built.minor}
    spec = {
        "argv": kernelspec_contents.command_of(str(built.python)),
        "display_name": source.display_name,
        "language": "python",
        "interrupt_mode": "signal",
        # What a cell or a library starts by name is the environment's: `!pip`, Spark's workers.
        "env": {
            hash_seed.VARIABLE: hash_seed.seed_for(digest),
            "PATH": f"{built.directory / 'bin'}{os.pathsep}${{PATH}}",
        },
        "metadata": {
            "debugger": True,
            **_encryption(built),
            "kernel_provisioner": {"provisioner_name": PROVISIONER},
            "respawn": {**ours, **{key: value for key, value in asked.items() if value}},
        },
    }
    files = {LOGO: icon(source), kernelspec_contents.FILE: json.dumps(spec, indent=1).encode()}
    directory = _kernelspec(source.name, prefix)
    directory.mkdir(parents=True, exist_ok=True)
    with _kept(built):
        catalog.note_kernelspec(built.directory, directory)
        catalog.keep_kernelspec(built.directory, directory.name, files[kernelspec_contents.FILE])
        for name, content in files.items():
            write_whole(directory / name, content)
            # Whole files are private by default, and every user may start this kernel.
            (directory / name).chmod(0o644)
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
