"""Real containers on a plain Debian host without Docker: podman, buildah and runc of its packages.

Settled by trial: crun refuses a machine whose cgroups are in hybrid mode, runc takes it; builds are isolated
by chroot; the usual limits of open files and processes are above what a machine that is a container may set.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("buildah", "podman", "runc", "debootstrap")
USER = 1000
"""The account that our images run as."""
_CONF = (
    '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n[engine]\nruntime = "runc"\n'
)
_SECONDS = 600


def missing() -> list[str]:
    """Return what `make containers` would install, and root where this is another account."""
    found = [name for name in PROGRAMS if shutil.which(name) is None]
    return found if os.geteuid() == 0 else [*found, "the rights of root"]


@dataclass(frozen=True)
class Containers:
    """How containers are started in a test."""

    variables: Mapping[str, str]
    """For whatever starts podman or buildah."""

    @classmethod
    def configured(cls, directory: Path) -> Containers:
        """Write the settings into a directory."""
        conf = directory / "containers.conf"
        conf.write_text(_CONF)
        return cls({"CONTAINERS_CONF": str(conf), "BUILDAH_ISOLATION": "chroot"})

    def run(
        self,
        image: str,
        *words: str,
        volumes: Mapping[Path, str] | None = None,
        variables: Mapping[str, str] | None = None,
        script: str | None = None,
        status: int = 0,
    ) -> str:
        """Return what a command put out in a fresh container that has no network."""
        options = ["--rm", "--network", "none", *_options(volumes, variables)]
        options += ["--interactive"] if script is not None else []
        done = self.podman("run", *options, image, *words, script=script)
        assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    @contextmanager
    def started(
        self, image: str, *words: str, options: tuple[str, ...] = (), name: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Keep a container for as long as the block."""
        command = ["podman", "run", "--rm", "--name", name, *options, image, *words]
        process = subprocess.Popen(command, env={**os.environ, **self.variables})
        try:
            yield process
        finally:
            self.podman("rm", "--force", name)
            process.wait(timeout=60)

    def podman(self, *words: str, script: str | None = None) -> subprocess.CompletedProcess[str]:
        """Call podman."""
        return self._call("podman", *words, script=script)

    def buildah(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Call buildah."""
        return self._call("buildah", *words)

    def _call(self, *words: str, script: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*words],
            env={**os.environ, **self.variables},
            input=script,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )


def shared(directory: Path) -> Path:
    """Return a directory that the account in containers may write to."""
    directory.mkdir(parents=True, exist_ok=True)
    os.chown(directory, USER, USER)
    return directory


def _options(volumes: Mapping[Path, str] | None, variables: Mapping[str, str] | None) -> list[str]:
    given = [word for name, value in (variables or {}).items() for word in ("--env", f"{name}={value}")]
    return [
        word for path, place in (volumes or {}).items() for word in ("--volume", f"{path}:{place}")
    ] + given
