"""Environments that are removed: never one that somebody needs, unless that is agreed to.

Who needs one: kernelspecs that start it, wherever they lie; jobs whose versions or runs pin its hash, as the
caller knows them; and kernels that run in it now. Limit: kernels of other machines that share the directory
are not seen, nor jobs of a service that the caller cannot ask.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from respawn_environments import catalog
from respawn_environments.catalog import BuiltEnvironment
from respawn_environments.errors import EnvironmentInUse, EnvironmentMissing, InvalidEnvironment
from respawn_environments.programs import Progress
from respawn_kernels.counting import how_many

Pinned = Mapping[str, Sequence[str]]
"""The hashes that jobs pin, each with the names of the jobs."""
_MAX_NAMED = 5


@dataclass(frozen=True)
class Removal:
    """What was removed."""

    kernelspecs: list[Path]
    environment: Path | None
    """Its directory; None where only a kernelspec was left of it."""
    size: int


def remove(
    wanted: str,
    *,
    root: Path,
    prefix: Path,
    pinned: Pinned,
    force: bool = False,
    progress: Progress = print,
) -> Removal:
    """Remove an environment and the kernelspec in a prefix that starts it.

    Args:
        wanted: the environment's name, or six or more digits of its hash for one that the name has left.
        root: where environments live.
        prefix: where the kernelspec was installed.
        pinned: the hashes that jobs need.
        force: remove it also when somebody needs it, with all kernelspecs that start it.
        progress: told when another process is at it.

    Raises:
        EnvironmentInUse: somebody needs it; nothing was removed.
        EnvironmentMissing: there is none here; its kernelspec may start one in another root.
        InvalidEnvironment: the name or the digits stand for several.
        OSError: it could not be removed whole; it counts no more.
    """
    root = root.absolute()
    kernelspec = prefix.absolute() / "share" / "jupyter" / "kernels" / f"respawn-{wanted}"
    digest = catalog.hash_of_kernelspec(kernelspec)
    installed = next((one for one in _all(root) if one.record.hash == digest), None)
    if digest is not None and installed is None:
        return _remove_stale(kernelspec, root)
    found = installed or _the_one(root, wanted)
    with catalog.alone(root, found.record.hash, progress):
        if catalog.read_record(found.directory) is None:
            raise EnvironmentMissing(f"environment {found.directory.name} was removed meanwhile")
        needs = [*_needs(found, pinned, besides=kernelspec), *_needs_of_others(found, pinned, kernelspec)]
        if needs and not force:
            raise EnvironmentInUse(
                f"environment {found.directory.name} is needed: {'; '.join(needs)}. Nothing was removed; "
                "--force removes it all the same"
            )
        own = [kernelspec] if catalog.hash_of_kernelspec(kernelspec) == found.record.hash else []
        kernelspecs = list(dict.fromkeys([*own, *found.kernelspecs]))  # also one that nobody could note
        for path in kernelspecs:
            shutil.rmtree(path)
        _discard(found.directory)
    return Removal(kernelspecs, found.directory, found.record.size)


def collect(
    root: Path, *, unused_for: timedelta, now: datetime, pinned: Pinned, dry_run: bool = False
) -> Iterator[Removal]:
    """Remove the environments that nobody needs and nobody used for a time, and what builds left half made.

    Args:
        root: where environments live.
        unused_for: how long none of its kernels was started, and since it was built.
        now: the present moment.
        pinned: the hashes that jobs need.
        dry_run: only tell what would be removed.

    Yields:
        What was removed, or would be.
    """
    root = root.absolute()
    for directory in catalog.directories(root):
        with suppress(BlockingIOError), catalog.alone(root, catalog.digits_of(directory)):
            found = catalog.read_record(directory)
            if found is None and catalog.was_complete(directory):
                continue  # of another version of Respawn: who needs it is not known
            if found is not None and (_is_young(found, now - unused_for) or any(_needs(found, pinned))):
                continue
            if not dry_run:
                _discard(directory)
            yield Removal([], directory, found.record.size if found else 0)


def running_in(directory: Path) -> list[int]:
    """Return the processes of this machine that run the interpreter of an environment; none without /proc."""
    ours = os.fsencode(directory) + b"/"
    found = []
    with suppress(OSError):
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):  # it has ended, or is another account's
                    if (entry / "cmdline").read_bytes().startswith(ours):
                        found.append(int(entry.name))
    return sorted(found)


def _all(root: Path) -> list[BuiltEnvironment]:
    return catalog.environments(root, also_broken=True)


def _remove_stale(kernelspec: Path, root: Path) -> Removal:
    """Remove a kernelspec whose environment is nowhere; one of another root is that root's own affair."""
    interpreter = catalog.interpreter_of_kernelspec(kernelspec)
    if interpreter is not None and interpreter.exists():
        raise EnvironmentMissing(
            f"the kernel {kernelspec} starts {interpreter}, which is not in {root}: "
            "name its place with --root"
        )
    shutil.rmtree(kernelspec)
    return Removal([kernelspec], None, 0)


def _the_one(root: Path, wanted: str) -> BuiltEnvironment:
    found = catalog.find(root, wanted, also_broken=True)
    if len(found) > 1:
        hashes = ", ".join(one.record.hash[: catalog.SHORT] for one in found)
        raise InvalidEnvironment(
            f"{wanted!r} stands for several environments: name one by its hash ({hashes})"
        )
    return found[0]


def _needs(found: BuiltEnvironment, pinned: Pinned, besides: Path | None = None) -> Iterator[str]:
    """Yield in words who needs an environment."""
    kernelspecs = [str(path) for path in found.kernelspecs if path != besides]
    if kernelspecs:
        yield f"the kernel {_some(kernelspecs)} starts it"
    if jobs := pinned.get(found.record.hash):
        yield f"{how_many(len(jobs), 'job pins', 'jobs pin')} it ({_some(jobs)})"
    if running := running_in(found.directory):
        numbers = _some([str(number) for number in running])
        yield f"{how_many(len(running), 'process runs', 'processes run')} in it ({numbers})"


def _needs_of_others(removed: BuiltEnvironment, pinned: Pinned, kernelspec: Path) -> Iterator[str]:
    """Yield in words who needs the kernelspec that goes: it leads to the builds that its name had before."""
    if catalog.hash_of_kernelspec(kernelspec) != removed.record.hash:
        return
    for one in _all(removed.directory.parent):
        jobs = pinned.get(one.record.hash) if one.record.hash != removed.record.hash else None
        its_own = one.record.name == removed.record.name
        if jobs and (its_own or catalog.kept_kernelspec(one.directory, kernelspec.name)):
            build, pins = one.record.hash[: catalog.SHORT], how_many(len(jobs), "job pins", "jobs pin")
            yield f"{pins} its older build {build} ({_some(jobs)}), to which its kernel leads"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MAX_NAMED
    return ", ".join(names[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _is_young(found: BuiltEnvironment, since: datetime) -> bool:
    return max(found.record.built_at, found.last_used or found.record.built_at) > since


def _discard(directory: Path) -> None:
    """Remove an environment; when that fails on the way it counts no more all the same."""
    catalog.invalidate(directory)
    shutil.rmtree(directory)
