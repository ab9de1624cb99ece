"""The programs that build images: buildah, podman or docker, whichever is here."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from respawn_environments.errors import EnvironmentFailed
from respawn_environments.programs import Progress, run

BUILDERS = ("buildah", "podman", "docker")
"""In this order: the first needs no service, and the last one needs a daemon."""
_SECONDS = 60.0


@dataclass(frozen=True)
class ImagePlan:
    """What is built: a directory with a Containerfile, and what is said beside it."""

    context: Path
    tag: str
    target: str | None = None
    """The stage to stop at; None for the last one."""
    arguments: Mapping[str, str] | None = None
    labels: Mapping[str, str] | None = None


@dataclass(frozen=True)
class ImageBuilder:
    """One of the programs, found on this machine."""

    kind: str
    program: str

    def has(self, image: str) -> bool:
        """Whether an image is on this machine, by name or by id; nothing is fetched to find out."""
        look = ["inspect", "--type", "image"] if self.kind == "buildah" else ["image", "inspect"]
        done = subprocess.run(
            [self.program, *look, image], capture_output=True, timeout=_SECONDS, check=False
        )
        return done.returncode == 0

    def build(self, plan: ImagePlan, epoch: int, progress: Progress) -> None:
        """Build an image without network.

        Args:
            plan: what to build.
            epoch: the time that the image and all its files are given, in seconds since 1970.
            progress: called with notable lines.

        Raises:
            EnvironmentFailed: it failed; the message ends with its last lines.
        """
        arguments = {**(plan.arguments or {}), "SOURCE_DATE_EPOCH": str(epoch)}
        command = [self.program, "build", "--network", "none", "--tag", plan.tag]
        command += ["--file", str(plan.context / "Containerfile")]
        command += ["--target", plan.target] if plan.target else []
        # docker takes the time from the argument SOURCE_DATE_EPOCH.
        command += ["--timestamp", str(epoch)] if self.kind != "docker" else []
        command += [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        labels = sorted((plan.labels or {}).items())
        command += [word for name, value in labels for word in ("--label", f"{name}={value}")]
        run([*command, str(plan.context)], f"{self.kind} build of {plan.tag}", progress)


def find_builder(wanted: str | None = None) -> ImageBuilder:
    """Return the program that builds images here.

    Args:
        wanted: one of `BUILDERS`; None for the first that is found.

    Raises:
        EnvironmentFailed: there is none; the message says what to install.
    """
    for kind in (wanted,) if wanted is not None else BUILDERS:
        program = shutil.which(kind)
        if program is not None:
            return ImageBuilder(kind, program)
    missing = wanted or f"none of {', '.join(BUILDERS)}"
    raise EnvironmentFailed(
        f"images are built by buildah, podman or docker, and {missing} is on PATH: "
        "install one (Debian: apt-get install buildah)"
        if wanted is None
        else f"{wanted} is not on PATH: install it, or leave --builder out to take what is here"
    )
