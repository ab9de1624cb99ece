"""The build that a job pins by its hash, found and started also after its name has moved on to a newer one.

A kernelspec names one build: that of the newest lock. Older ones lie beside it below the same root, each with
the kernelspecs that were installed for it; so one is found also when the kernel's own kernelspec was removed.
Limit: builds of another machine, or in a root that neither the kernelspec nor `environments_root` names, are
not found.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from respawn_environments import catalog, kernelspec_contents
from respawn_environments.catalog import SHORT, BuiltEnvironment
from respawn_environments.errors import EnvironmentMissing
from respawn_kernels import hash_seed
from respawn_kernels.digest import write_whole

_PINNED = re.compile(rf"(?P<kernel>.+)\.pinned-[0-9a-f]{{{SHORT}}}")


def kernel_of(name: str) -> str:
    """Return the name of a kernel without the pin that `pinned_name` gave it."""
    found = _PINNED.fullmatch(name)
    return found["kernel"] if found is not None else name


def pinned_name(kernel: str, digest: str) -> str:
    """Return the name under which Jupyter is told of a pinned build that its kernel's name has left.

    Args:
        kernel: the kernel's name, such as `respawn-science`.
        digest: the hash that is pinned.
    """
    return f"{kernel}.pinned-{digest[:SHORT]}"


def is_built(spec: Mapping[str, Any] | None, digest: str) -> bool:
    """Whether a build that a job may pin is here.

    Args:
        spec: the contents of the kernel.json of its kernel; None where that is not installed any more.
        digest: its hash.
    """
    return any(catalog.with_hash(root, digest) is not None for root in _roots(spec or {}))


def pinned_spec(kernel: str, spec: Mapping[str, Any] | None, digest: str) -> dict[str, Any]:
    """Return the kernelspec of the build that is pinned.

    Args:
        kernel: the kernel's name.
        spec: the contents of its kernel.json, which starts another build; None where it is not installed any
            more.
        digest: the hash that is pinned.

    Raises:
        EnvironmentMissing: it is not built here; the message says what can be done.
    """
    roots = list(dict.fromkeys(_roots(spec or {})))
    built = next((found for root in roots if (found := catalog.with_hash(root, digest)) is not None), None)
    if built is None:
        where = " or ".join(map(str, roots)) or "a known place"
        raise EnvironmentMissing(
            f"the job pins build {digest[:SHORT]} of kernel {kernel}, which is not in {where}: build "
            "it again from its lock and its release of Respawn, or promote the notebook again, to pin the "
            "build that the kernel has now"
        )
    catalog.mark_used(built.directory)
    return catalog.kept_kernelspec(built.directory, kernel) or _derived(spec or _spec_of(built), built)


def install_pinned(
    kernels: Path, kernel: str, spec: Mapping[str, Any] | None, digest: str, icon: Path | None = None
) -> str:
    """Let Jupyter start a pinned build, and return the name by which it does.

    What earlier calls installed and whose build is gone is removed.

    Args:
        kernels: the directory of a person's own kernelspecs.
        kernel: the kernel's name.
        spec: the contents of its kernel.json, as `pinned_spec` takes it.
        digest: the hash that is pinned.
        icon: the picture of the kernel, which this one gets too; None for none.

    Raises:
        EnvironmentMissing: see `pinned_spec`.
        OSError: the kernelspec cannot be written.
    """
    pinned = pinned_spec(kernel, spec, digest)
    _prune(kernels)
    pinned["display_name"] = f"{pinned.get('display_name') or kernel}, pinned {digest[:SHORT]}"
    name = pinned_name(kernel, digest)
    directory = kernels / name
    directory.mkdir(parents=True, exist_ok=True)
    if icon is not None and icon.is_file():
        write_whole(directory / icon.name, icon.read_bytes())
    write_whole(directory / kernelspec_contents.FILE, json.dumps(pinned, indent=1).encode())
    return name


def _roots(spec: Mapping[str, Any]) -> Iterator[Path]:
    """Yield where builds may lie: beside the one that the kernel has now, and where they are built here."""
    if (beside := kernelspec_contents.root_of(spec)) is not None:
        yield beside
    yield catalog.environments_root(os.environ)


def _spec_of(built: BuiltEnvironment) -> dict[str, Any]:
    """Return a kernelspec for a build with which none was kept."""
    return {
        "argv": kernelspec_contents.command_of(""),
        "display_name": built.record.display_name,
        "language": "python",
        "interrupt_mode": "signal",
        "metadata": {"respawn": {"environment": built.record.name}},
    }


def _derived(spec: Mapping[str, Any], built: BuiltEnvironment) -> dict[str, Any]:
    """Return a kernelspec made from the one of another build.

    What that one wants preloaded may not be there, and is left out.
    """
    metadata = dict(spec.get("metadata") or {})
    ours = {key: value for key, value in kernelspec_contents.ours(metadata).items() if key != "preload"}
    digest = built.record.hash
    return {
        **spec,
        "argv": [str(built.python), *list(spec["argv"])[1:]],
        "env": {**(spec.get("env") or {}), hash_seed.VARIABLE: hash_seed.seed_for(digest)},
        "metadata": {**metadata, "respawn": {**ours, "lock": digest, "python": built.minor}},
    }


def _prune(kernels: Path) -> None:
    """Remove the pinned kernelspecs of a person whose builds are gone."""
    with suppress(OSError):  # there is no such directory yet, or another server is at it
        for directory in kernels.iterdir():
            if _PINNED.fullmatch(directory.name):
                interpreter = catalog.interpreter_of_kernelspec(directory)
                if interpreter is not None and not interpreter.exists():
                    shutil.rmtree(directory, ignore_errors=True)
