"""environment.toml to lock: uv resolves it, for all platforms and for each Python that it allows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from respawn_environments import own_wheel
from respawn_environments.definition import LOCK, EnvironmentSource
from respawn_environments.errors import EnvironmentFailed, InvalidEnvironment
from respawn_environments.lockfile import WRITTEN, LockedPackage, header, lock_hash, read_lock, versions_in
from respawn_environments.programs import Progress, needed_uv, run
from respawn_kernels.digest import write_whole

_TOOLS, _OURS = "build-tools.in", "respawn.in"
"""Names of more lists that uv reads; the lock's comments say of each package which one wants it."""


@dataclass(frozen=True)
class LockChange:
    """What a new lock has unlike the old one."""

    lock: Path
    packages: int
    """How many are pinned."""
    is_new: bool
    """Whether there was no lock."""
    added: dict[str, str]
    """Versions by name."""
    removed: dict[str, str]
    changed: dict[str, tuple[str, str]]
    """Old and new version by name."""
    files_changed: bool
    """Whether the same versions now have other hashes, or other markers."""

    @property
    def lines(self) -> list[str]:
        """The difference, a line for each package."""
        lines = {
            **{name: f"+ {name} {version}" for name, version in self.added.items()},
            **{name: f"- {name} {version}" for name, version in self.removed.items()},
            **{name: f"~ {name} {old} → {new}" for name, (old, new) in self.changed.items()},
        }
        return [lines[name] for name in sorted(lines)]


def lock(
    source: EnvironmentSource,
    *,
    upgrade: bool = False,
    upgrades: tuple[str, ...] = (),
    progress: Progress = print,
) -> LockChange:
    """Resolve an environment.toml, and write its lock.

    Versions of the old lock stay where they still do.

    Args:
        source: the environment.
        upgrade: take the newest version of everything that its requirements allow.
        upgrades: packages of which to take the newest version.
        progress: called with a line of text for each step.

    Raises:
        EnvironmentFailed: uv is not here, or found no versions that fit together: the message ends with its
            reason, and the old lock is as it was.
        InvalidEnvironment: a package that is built from source is not in the lock; it is as it was.
        OSError: the lock cannot be written.
    """
    uv = needed_uv()
    oldest = source.definition.oldest_python
    progress(f"resolving {source.directory / 'environment.toml'} for Python {oldest} and newer")
    with tempfile.TemporaryDirectory(prefix="respawn-lock-") as scratch:
        # In a directory of its own: a pyproject.toml or uv.toml around the caller would have a say.
        directory = Path(scratch)
        (directory / WRITTEN).write_text("\n".join(source.definition.requirements) + "\n")
        source_builds = source.definition.from_source
        (directory / _TOOLS).write_text("\n".join(source_builds.tools if source_builds else ()) + "\n")
        (directory / _OURS).write_text("\n".join(own_wheel.requirements()) + "\n")
        if source.lock.exists():
            (directory / LOCK).write_bytes(source.lock.read_bytes())
        _resolve(uv, source, directory, upgrade, upgrades, progress)
        body = (directory / LOCK).read_text(encoding="utf-8")
        packages = source_builds.packages if source_builds else ()
        text = header(source.name, source.definition.digest, packages) + body
        (directory / LOCK).write_text(text, encoding="utf-8")
        _check_sources(packages, read_lock(directory / LOCK), source)
        change = _difference(source.lock, directory / LOCK)
        write_whole(source.lock, text.encode())
    source.lock.chmod(0o644)  # whole files are private by default, and a lock belongs to everybody
    return change


def _resolve(
    uv: list[str],
    source: EnvironmentSource,
    directory: Path,
    upgrade: bool,
    upgrades: tuple[str, ...],
    progress: Progress,
) -> None:
    newer = ["--upgrade"] if upgrade else [word for name in upgrades for word in ("--upgrade-package", name)]
    command = [
        *uv, "pip", "compile", WRITTEN, _TOOLS, _OURS, "--universal", "--generate-hashes", "--no-header",
        "--python-version", source.definition.oldest_python, "--no-emit-index-url", "--quiet",
        "--output-file", LOCK, *newer,
    ]  # fmt: skip
    try:
        run(
            command,
            "uv pip compile",
            progress,
            directory=directory,
            variables={"UV_PYTHON_DOWNLOADS": "never"},
        )
    except EnvironmentFailed as error:
        kept = "; the lock is as it was" if source.lock.exists() else ""
        raise EnvironmentFailed(
            f"{source.directory / 'environment.toml'} cannot be resolved{kept}. {error}"
        ) from error


def _check_sources(packages: Iterable[str], locked: list[LockedPackage], source: EnvironmentSource) -> None:
    for name in sorted(set(packages) - {package.name for package in locked}):
        raise InvalidEnvironment(
            f"{source.directory / 'environment.toml'}: from-source.packages: {name!r} is not in the lock: "
            "remove it, or name it in `requirements`"
        )


def _difference(old: Path, new: Path) -> LockChange:
    before, after = versions_in(old), versions_in(new)
    both = before.keys() & after.keys()
    changed = {name: (before[name], after[name]) for name in both if before[name] != after[name]}
    return LockChange(
        lock=old,
        packages=len(after),
        is_new=not old.exists(),
        added={name: after[name] for name in after.keys() - both},
        removed={name: before[name] for name in before.keys() - both},
        changed=changed,
        files_changed=before == after and old.exists() and lock_hash(old) != lock_hash(new),
    )
