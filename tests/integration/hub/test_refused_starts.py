"""The service's process ends at once where it cannot start, and says why."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration


def test_the_process_says_so_and_ends_with_2() -> None:
    done = subprocess.run([sys.executable, "-m", "respawn_hub"], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "respawn_hub.configure(c)" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_TOKEN", "API_URL", "CLIENT_ID"):
        monkeypatch.setenv(f"JUPYTERHUB_{name}", "http://127.0.0.1:1")
    monkeypatch.setenv("RESPAWN_COOKIE_SECRET", "k9-qq")
    done = subprocess.run([sys.executable, "-m", "respawn_hub"], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "RESPAWN_COOKIE_SECRET" in done.stderr
    assert "k9-qq" not in done.stderr
    assert "Traceback" not in done.stderr
