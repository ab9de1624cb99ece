"""One environment becomes one image."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from respawn_environments import catalog
from respawn_environments.build import check_lock
from respawn_environments.containers.builders import ImagePlan, find_builder
from respawn_environments.containers.context import write_context
from respawn_environments.containers.debian import SUITES, base_tag, make_base
from respawn_environments.definition import EnvironmentSource
from respawn_environments.errors import InvalidEnvironment
from respawn_environments.lockfile import environment_hash, lock_hash
from respawn_environments.own_wheel import OwnWheel
from respawn_environments.programs import Progress

Target = Literal["server", "kernel"]
_EXACT = re.compile(r"(localhost/\S+|(\S+@)?sha256:[0-9a-f]{64})")
_EPOCH = 1_580_601_600
"""2 February 2020: one time for all files, unless SOURCE_DATE_EPOCH says another."""


@dataclass(frozen=True)
class ContainerImage:
    """An image that was built."""

    tag: str
    hash: str
    """Hash of the environment in it."""
    python: str
    """Minor version of its Python."""
    base: str
    labels: dict[str, str]


@dataclass(frozen=True)
class ImageOptions:
    """What a person may say of an image."""

    target: Target = "server"
    python: str | None = None
    """Minor version; None for that of the environment on this machine, else for the newest of Debian's."""
    base: str | None = None
    """An image by digest, or one of this machine (`localhost/…`); None for a Debian made here."""
    tag: str | None = None
    wheel: Path | None = None
    """Respawn's own wheel; None for the code that runs now."""
    builder: str | None = None
    mirror: str | None = None
    """Debian's mirror for a base that is made here."""


def make_image(
    source: EnvironmentSource, options: ImageOptions, *, root: Path, progress: Progress
) -> ContainerImage:
    """Build the image of an environment.

    Args:
        source: the environment.toml and its lock.
        options: what a person said.
        root: where this machine's environments are: an image has the Python of the one that is built there.
        progress: called with a line of text for each step.

    Raises:
        EnvironmentFailed: no builder is here, or a download or the build failed.
        EnvironmentMissing: there is no lock, or no such wheel.
        InvalidEnvironment: the lock, the Python or the base is not as it must be.
        NoInterpreter: something is built from source, and no Python here can fetch it.
        OSError: files cannot be read or written.
    """
    own = OwnWheel.of_this_code()
    check_lock(source, own)
    builder = find_builder(options.builder)
    minor = _python(source, options, own, root)
    packages = list(source.definition.system_packages.values())
    base = _named_base(options.base) if options.base is not None else base_tag(minor, packages)
    digest = environment_hash(source.lock, minor, own.digest)
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or _EPOCH)
    tag = options.tag or f"respawn-{source.name}:{digest[: catalog.SHORT]}"
    labels = _labels(source, own, digest, minor, base)
    with tempfile.TemporaryDirectory(prefix="respawn-image-") as scratch:
        write_context(Path(scratch), source, minor, options.wheel, progress)
        if options.base is None:
            make_base(builder, minor, packages, epoch=epoch, mirror=options.mirror, progress=progress)
        arguments = {
            "BASE": base,
            "ENVIRONMENT": source.name,
            "HASH": digest[: catalog.SHORT],
            "PYTHON": minor,
        }
        progress(f"building {tag} by {builder.kind}")
        plan = ImagePlan(Path(scratch), tag, options.target, arguments, labels)
        builder.build(plan, epoch, progress)
    progress(f"image {tag} is ready")
    return ContainerImage(tag, digest, minor, base, labels)


def _named_base(base: str) -> str:
    if not _EXACT.fullmatch(base):
        raise InvalidEnvironment(
            f"the base {base!r} names no digest, so tomorrow it may be another one: write it as "
            f"{base}@sha256:… (docker buildx imagetools inspect {base} shows the digest)"
        )
    return base


def _python(source: EnvironmentSource, options: ImageOptions, own: OwnWheel, root: Path) -> str:
    """Return the minor version of the image's Python."""
    definition = source.definition
    if options.python is not None:
        if not definition.allows(options.python):
            raise InvalidEnvironment(
                f"{source.directory / 'environment.toml'} asks for Python {definition.python}, "
                f"and {options.python} was named"
            )
        return options.python
    for built in catalog.environments(root):
        if built.record.hash == environment_hash(source.lock, built.minor, own.digest):
            return built.minor
    allowed = [minor for minor in SUITES if definition.allows(minor)]
    return allowed[-1] if allowed else definition.oldest_python


def _labels(source: EnvironmentSource, own: OwnWheel, digest: str, minor: str, base: str) -> dict[str, str]:
    """Return what an image says of itself."""
    packages = sorted(set(source.definition.system_packages.values()))
    return {
        "org.opencontainers.image.title": source.display_name,
        "org.opencontainers.image.description": source.definition.description,
        "org.opencontainers.image.version": digest[: catalog.SHORT],
        "org.opencontainers.image.base.name": base,
        "respawn.environment": source.name,
        "respawn.hash": digest,
        "respawn.lock": lock_hash(source.lock),
        "respawn.python": minor,
        "respawn.version": own.version,
        **({"respawn.system-packages": " ".join(packages)} if packages else {}),
        **{f"respawn.label.{name}": value for name, value in source.definition.labels.items()},
    }
