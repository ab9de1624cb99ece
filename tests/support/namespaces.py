"""Namespaces made by code, as a notebook makes them, and their trips through the engine."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

from respawn_kernels.capture.engine import GroupsEngine
from respawn_kernels.checkpoint.manifest import Manifest
from respawn_kernels.restore.report import RestoreReport
from respawn_kernels.restore.restore import restore_now


def notebook(code: str) -> dict[str, Any]:
    """Run code as a notebook's cells run: what it defines belongs to `__main__`."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(dedent(code), "<cell>", "exec"), namespace)
    return namespace


def run(code: str, namespace: dict[str, Any]) -> None:
    """Run another cell."""
    exec(compile(dedent(code), "<cell>", "exec"), namespace)


def capture(namespace: dict[str, Any], directory: Path, cell: int = 0, **first_seen: int) -> Manifest:
    """Take a snapshot into a spool."""
    (directory / "blobs").mkdir(parents=True, exist_ok=True)
    manifest = GroupsEngine().capture(namespace, cell, directory, first_seen=first_seen, execution_count=1)
    return Manifest.from_json(manifest.to_json())


def restore(manifest: Manifest, directory: Path) -> tuple[dict[str, Any], RestoreReport]:
    """Restore into an empty namespace."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    return namespace, restore_now(manifest, directory, namespace, None)


def round_trip(code: str, directory: Path) -> dict[str, Any]:
    """Run code, take a snapshot and restore it."""
    restored, report = restore(capture(notebook(code), directory), directory)
    assert not report.failed
    return restored
