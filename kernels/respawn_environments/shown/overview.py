"""All environments that this machine knows: what is written and built of each, and what its kernel has.

What a kernel has now is told by its kernelspec; environment.toml may have been changed since. An
environment.toml that cannot be read hides nothing: its fault is told beside what is built. Limit: builds of
other machines are not seen, nor processes that other machines have warm.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from respawn_environments import catalog, kernelspec_contents, kernelspecs
from respawn_environments.catalog import BuiltEnvironment
from respawn_environments.definition import EnvironmentSource, find_sources
from respawn_environments.errors import KernelEnvironmentError
from respawn_environments.lockfile import asked_for, read_lock
from respawn_environments.pins import kernel_of
from respawn_environments.shipped import shipped
from respawn_environments.shown.icons import drawn, icon, icon_of_kernelspec
from respawn_environments.warm.zygote_process import MODULE

_MAX_LOCKS = 64
PREFIX = "respawn-"
"""What the name of an environment's kernel begins with."""


@dataclass(frozen=True)
class KnownBuild:
    """A build that is whole and on this machine."""

    built: BuiltEnvironment
    packages: Mapping[str, str]
    """Versions by name, but for Respawn itself."""
    main: tuple[str, ...]
    """The names of those that environment.toml asked for."""
    warm: bool
    """Whether a process here imports ahead, to fork kernels."""


@dataclass(frozen=True)
class KnownEnvironment:
    """One name, with what is known of it here."""

    name: str
    display_name: str
    icon: bytes
    """An SVG."""
    description: str = ""
    python: str | None = None
    """Which Python environment.toml asks for; None where that is not here."""
    requirements: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, Any] = field(default_factory=dict)
    preload: tuple[str, ...] = ()
    not_preloaded: Mapping[str, str] = field(default_factory=dict)
    """Modules that a fork would not bear, each with the reason."""
    problem: str | None = None
    """What is wrong with its environment.toml."""
    current: str | None = None
    """The hash of the build that its kernel starts; None where no kernel is installed."""
    builds: tuple[KnownBuild, ...] = ()
    """The newest first."""

    @property
    def kernel(self) -> str:
        """The name of its kernel, as notebooks give it."""
        return f"{PREFIX}{self.name}"


@dataclass(frozen=True)
class _Installed:
    """The kernelspec that Jupyter finds for an environment."""

    directory: Path
    spec: Mapping[str, Any]

    @property
    def ours(self) -> Mapping[str, Any]:
        return kernelspec_contents.ours(self.spec.get("metadata"))


def overview(root: Path | None, images: Path | None) -> list[KnownEnvironment]:
    """Return the environments by name.

    Args:
        root: where environments are built; what `catalog.environments_root` and installed kernels name is
            looked through in any case.
        images: where people write environments of their own; None for those alone that come with Respawn.
    """
    installed = dict(_installed())
    builds = _builds(_roots(root, installed.values()))
    sources = find_sources([*([images] if images else []), shipped()])
    warm = _warm(one.directory for one in builds)
    names = sorted({*sources, *installed, *(one.record.name for one in builds)})
    return [_known(name, sources.get(name), installed.get(name), builds, warm) for name in names]


def _known(
    name: str,
    directory: Path | None,
    installed: _Installed | None,
    builds: list[BuiltEnvironment],
    warm: set[Path],
) -> KnownEnvironment:
    asked = installed.ours if installed else {}
    current = asked.get("lock")
    of_name = [one for one in builds if one.record.name == name or one.record.hash == current]
    written, picture, problem = _written(directory)
    if installed is None and written is not None:
        asked = written.definition.model_dump(mode="json", exclude_none=True)
    spec = installed.spec if installed else {}
    shown_as = [written.display_name] if written else [one.record.display_name for one in of_name]
    display_name = str(spec.get("display_name") or next(iter(shown_as), name.title()))
    logo = icon_of_kernelspec(installed.directory) if installed else None
    return KnownEnvironment(
        name=name,
        display_name=display_name,
        icon=logo or picture or drawn(name, display_name),
        description=str(asked.get("description") or ""),
        python=written.definition.python if written else None,
        requirements=tuple(written.definition.requirements) if written else (),
        labels=dict(asked.get("labels") or {}),
        resources=dict(asked.get("resources") or {}),
        preload=tuple(asked.get("preload") or ()),
        not_preloaded=dict(asked.get("not_preloaded") or {}),
        problem=problem,
        current=current,
        builds=tuple(_build(one, written, one.directory in warm) for one in of_name),
    )


def _written(directory: Path | None) -> tuple[EnvironmentSource | None, bytes | None, str | None]:
    """Return an environment.toml read, its icon, and what is wrong with either."""
    if directory is None:
        return None, None, None
    source = None
    try:
        source = EnvironmentSource.read(directory)
        return source, icon(source), None
    except (KernelEnvironmentError, OSError) as error:
        # Who reads it need not know where on the machine it lies.
        return source, None, str(error).replace(f"{directory.absolute().parent}{os.sep}", "")


def _build(built: BuiltEnvironment, written: EnvironmentSource | None, warm: bool) -> KnownBuild:
    packages, main = _packages(built.lock, built.record.hash, built.record.python)
    if not main and written is not None:
        asked = [canonicalize_name(Requirement(one).name) for one in written.definition.requirements]
        main = tuple(name for name in asked if name in packages)
    return KnownBuild(built, packages, main, warm)


@lru_cache(maxsize=_MAX_LOCKS)
def _packages(lock: Path, _hash: str, python: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return what a build's lock pins for its Python, and what of that was asked for."""
    markers = {
        **{name: str(value) for name, value in default_environment().items()},
        "python_version": ".".join(python.split(".")[:2]),
        "python_full_version": python,
        "extra": "",
    }
    try:
        packages = {one.name: one.version for one in read_lock(lock) if one.applies(markers)}
        return packages, tuple(sorted(asked_for(lock) & packages.keys()))
    except (KernelEnvironmentError, OSError):  # it is being removed
        return {}, ()


def _installed() -> Iterator[tuple[str, _Installed]]:
    """Yield the kernels of environments that Jupyter finds, by the environment's name."""
    from jupyter_client.kernelspec import KernelSpecManager

    kernelspecs.provide()
    for name, found in KernelSpecManager().get_all_specs().items():
        one = _Installed(Path(found["resource_dir"]), found["spec"])
        if kernel_of(name) == name and name == f"{PREFIX}{one.ours.get('environment')}":
            yield str(one.ours["environment"]), one


def _roots(root: Path | None, installed: Iterable[_Installed]) -> list[Path]:
    found = [root.absolute()] if root else []
    found.append(catalog.environments_root(os.environ))
    found += [place for one in installed if (place := kernelspec_contents.root_of(one.spec)) is not None]
    return list(dict.fromkeys(found))


def _builds(roots: Iterable[Path]) -> list[BuiltEnvironment]:
    """Return the builds below some roots, the newest first, each hash once."""
    found = {one.record.hash: one for root in roots for one in catalog.environments(root)}
    return sorted(found.values(), key=lambda one: one.record.built_at, reverse=True)


def _warm(directories: Iterable[Path]) -> set[Path]:
    """Return in which environments a process imports ahead, to fork kernels; none without /proc."""
    by_prefix = {os.fsencode(directory) + b"/": directory for directory in directories}
    found: set[Path] = set()
    with suppress(OSError):
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):  # it has ended, or is another account's
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    if MODULE.encode() in words:
                        found |= {place for prefix, place in by_prefix.items() if words[0].startswith(prefix)}
    return found
