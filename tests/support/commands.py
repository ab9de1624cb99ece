"""The `respawn` command of some Python's environment, as people start it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any


def ran(python: Path, *words: str, status: int = 0) -> Any:
    """Return the JSON document of the command, which ends with `status`."""
    command = [python.with_name("respawn"), *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)
