"""What every test gets: the fixtures of `support/`, and a home of its own.

Support modules are imported as `from support.waiting import wait_for` (pyproject.toml puts tests/ on the
path). No test reads or writes the data, settings or kernels of the person who runs it.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = [
    "support.compiled_statements",
    "support.interpreters",
    "support.leaks",
    "support.overdue",
    "support.postgres",
    "support.s3",
    "support.schemas",
]

_FOREIGN = (
    "RESPAWN_URL",
    "RESPAWN_TOKEN",
    "JUPYTERHUB_API_TOKEN",
    "JUPYTERHUB_API_URL",
    "JUPYTERHUB_SERVICE_PREFIX",
    "JUPYTERHUB_USER",
    "JUPYTER_PATH",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL",
    "AWS_PROFILE",
)


_PLACES = {
    "HOME": ".",
    "XDG_CACHE_HOME": "cache",
    "XDG_CONFIG_HOME": "config",
    "XDG_DATA_HOME": "data",
    "XDG_STATE_HOME": "state",
    "JUPYTER_CONFIG_DIR": "jupyter/config",
    "JUPYTER_DATA_DIR": "jupyter/data",
    "JUPYTER_RUNTIME_DIR": "jupyter/runtime",
    "IPYTHONDIR": "ipython",
    "RESPAWN_DATA": "respawn/data",
    "RESPAWN_RESTORE": "respawn/restore",
}


def pytest_configure() -> None:
    """Hear Ctrl-C also in the background of a shell, where it is ignored, by all that is started as well."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _move_to(home: Path, patch: pytest.MonkeyPatch) -> None:
    for variable, place in _PLACES.items():
        patch.setenv(variable, str(home / place))
    for variable in _FOREIGN:
        patch.delenv(variable, raising=False)


@pytest.fixture(scope="session", autouse=True)
def session_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of servers that several tests share."""
    home = tmp_path_factory.mktemp("session-home")
    with pytest.MonkeyPatch.context() as patch:
        _move_to(home, patch)
        yield home


@pytest.fixture(autouse=True)
def own_home(
    session_home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Point everything that programs keep for a person into an empty directory, and return it."""
    home = tmp_path_factory.mktemp("home")
    _move_to(home, monkeypatch)
    return home
