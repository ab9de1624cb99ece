"""A real S3 server (Ceph's gateway) for a test session: `s3_env`.

`tests/support/s3-server` needs Debian and root, and installs Ceph's packages itself when they are missing.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from support.ports import free_port

SCRIPT = Path(__file__).with_name("s3-server")
STARTS = 3
"""How often the server is started: it has three ports, and binds them one after the other."""


@dataclass(frozen=True)
class S3:
    """A running S3 server and one user of it."""

    env: dict[str, str]
    """AWS_* variables as boto3, s3fs and our own blob store read them."""

    @property
    def endpoint(self) -> str:
        """The server's URL."""
        return self.env["AWS_ENDPOINT_URL"]

    def bucket(self, prefix: str = "respawn") -> str:
        """Make a new empty bucket and return its name."""
        import botocore.session

        name = f"{prefix}-{uuid4().hex[:12]}"
        client = botocore.session.get_session().create_client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.env["AWS_DEFAULT_REGION"],
            aws_access_key_id=self.env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_bucket(Bucket=name)
        client.close()
        return name


def _call(command: str, directory: Path, *options: str) -> str:
    done = subprocess.run(
        [str(SCRIPT), command, "--dir", str(directory), *options],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"s3-server {command} failed ({done.returncode}): {done.stderr.strip()}")
    return done.stdout


def _started(directory: Path) -> str:
    """Start the server and return its variables: again when something took one of its ports meanwhile."""
    for _ in range(STARTS - 1):
        try:
            return _call("start", directory, "--port", str(free_port()))
        except RuntimeError as error:
            print(error, file=sys.stderr)
            _call("wipe", directory)
    return _call("start", directory, "--port", str(free_port()))


def _variables(text: str) -> dict[str, str]:
    pairs = (line.split("=", 1) for line in text.splitlines() if line.startswith("AWS_"))
    return dict(pairs)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """Start the S3 server once for the session, and remove it with its data."""
    if os.geteuid() != 0:
        pytest.skip("the S3 server (Ceph's gateway) can only be started by root")
    root = tmp_path_factory.getbasetemp()
    with _shared(root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) as server:
        yield server


@contextmanager
def _shared(root: Path) -> Iterator[S3]:
    """Yield the server below `root`: whichever process comes first starts it, the last to go removes it."""
    directory, users = root / "s3" / "server", root / "s3" / "users"
    users.mkdir(parents=True, exist_ok=True)
    own = users / str(os.getpid())
    with _alone(root / "s3.lock"):
        started = root / "s3" / "variables"
        if not started.exists():
            started.write_text(_started(directory))
        own.touch()
    try:
        yield S3(_variables(started.read_text()))
    finally:
        with _alone(root / "s3.lock"):
            own.unlink()
            if not any(users.iterdir()):
                started.unlink()
                _call("wipe", directory)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture
def s3_env(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The S3 server, with its AWS_* variables set in this process for the length of the test."""
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    return s3_server
