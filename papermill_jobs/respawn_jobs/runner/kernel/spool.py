"""The directory that a kernel's checkpoints are written to, as the runner keeps it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from respawn_kernels.exchange.messages import saving


def prepare(spool: Path) -> None:
    """Empty a spool of what an earlier kernel left there: its checkpoints are nobody's in this attempt."""
    for part in ("blobs", "manifests", "holds", "baselines", "evidence"):
        directory = spool / part
        if directory.is_dir():
            for file in directory.iterdir():
                file.unlink(missing_ok=True)


def sweep(spool: Path, stored: int) -> None:
    """Remove checkpoints before the one after cell `stored`, and blobs that only they name.

    Nothing is removed while a checkpoint is being written: the next call will do it.
    """
    with suppress(OSError, ValueError, LookupError, TypeError), saving(spool, wait=False) as alone:
        if not alone:
            return
        named: set[str] = set()
        for file in (spool / "manifests").glob("*.json"):
            if int(file.stem) < stored:
                file.unlink()
                (spool / "baselines" / file.name).unlink(missing_ok=True)
            else:
                named.update(blob["digest"] for blob in json.loads(file.read_bytes())["blobs"])
        for file in (spool / "blobs").iterdir():
            if file.name not in named:
                file.unlink()
