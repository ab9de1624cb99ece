"""A release to come: the code as it is, with more migrations, in a directory of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import respawn_hub
import respawn_jobs
import respawn_kernels
from respawn_jobs.store.schema import OURS
from support.later_schemas import release_0_2

_PACKAGES = (respawn_jobs, respawn_hub, respawn_kernels)


def installed_0_2(root: Path) -> str:
    """Write the code of a release 0.2, whose schema `release_0_2` is, and return its PYTHONPATH."""
    for package in _PACKAGES:
        [source] = package.__path__
        shutil.copytree(source, root / package.__name__, ignore=shutil.ignore_patterns("__pycache__"))
    store = root / "respawn_jobs" / "store"
    shutil.rmtree(store / "migrations")
    later = release_0_2(store / "migrations")
    schema = store / "schema.py"
    ours = f'release="{OURS.release}", needed="{OURS.needed}", head="{OURS.head}"'
    text = schema.read_text()
    assert text.count(ours) == 1
    theirs = f'release="{later.release}", needed="{later.needed}", head="{later.head}"'
    schema.write_text(text.replace(ours, theirs))
    return str(root)
