"""Where environments are looked for: the caller's own directories, then those that come with Respawn."""

from __future__ import annotations

import os
from pathlib import Path

from respawn_environments.definition import DEFINITION, EnvironmentSource, find_sources
from respawn_environments.errors import EnvironmentMissing

_PACKAGE = Path(__file__).resolve().parent


def shipped() -> Path:
    """Return the directory with `base`, `science` and `dask`: in the package, or `images/` of a checkout."""
    packed = _PACKAGE / "images"
    return packed if packed.is_dir() else _PACKAGE.parents[1] / "images"


def source_of(wanted: str, images: Path) -> EnvironmentSource:
    """Return the environment that a person named.

    Args:
        wanted: the name of a directory in `images` or of one that comes with Respawn; or the path of a
            directory, or of its environment.toml.
        images: the caller's own environments.

    Raises:
        EnvironmentMissing: there is none; the message names those that are there.
        InvalidEnvironment: its environment.toml is not as it must be.
        OSError: it cannot be read.
    """
    path = Path(wanted)
    if path.name == DEFINITION:
        return EnvironmentSource.read(path.parent)
    if os.sep in wanted or wanted in (".", ".."):
        return EnvironmentSource.read(path)
    found = find_sources([images, shipped()])
    if wanted not in found:
        known = ", ".join(sorted(found)) or "none"
        raise EnvironmentMissing(
            f"there is no environment {wanted!r} in {images} or among those that come with Respawn "
            f"(there: {known}): write {images / wanted / DEFINITION}"
        )
    return EnvironmentSource.read(found[wanted])
