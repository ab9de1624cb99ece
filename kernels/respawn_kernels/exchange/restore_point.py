"""Where a run's state lies on this machine while somebody debugs it.

Whoever fetches it (the server extension, `respawn debug`) writes

    <root>/<run>/restore.json             which run, cell and kernel; written last
    <root>/<run>/manifests/<cell>.json    the checkpoint just before the cell that failed, if there is one
    <root>/<run>/blobs                    a link to <root>/blobs
    <root>/<run>/download.json            how far the download is, see `download_state`
    <root>/blobs/<digest>                 the data of all runs; removed when there is too much of it

and `%respawn restore <run>` in the kernel reads it. The kernel needs no access to any service. What
`%respawn checkpoint` saves lies beside it and is never removed by Respawn:

    <root>/<run>/own/<name>/              restore.json, manifests/ and a link to
    <root>/<run>/own/blobs/<digest>
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from respawn_kernels.exchange.versions import known_fields
from respawn_kernels.originals import dumps, loads

_RUN = re.compile(r"run-[0-9a-z]{1,64}")
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")


@dataclass(frozen=True)
class AlwaysCell:
    """A cell before the failing one that makes what the state does not hold; `%respawn rerun` runs it."""

    index: int
    source: str
    why: str = "tagged respawn:always"
    """Why it is run again, in words for people."""


@dataclass(frozen=True)
class RestorePoint:
    """What a download holds."""

    run: str
    cell: int | None
    """The cell after which the checkpoint was taken; None when the kernel was still empty."""
    kernel: str
    lock: str | None = None
    failing_cell: int | None = None
    error: str | None = None
    """One line, such as `KeyError: 'price'`."""
    always: list[AlwaysCell] = field(default_factory=list)
    """Cells that `%respawn rerun` runs."""
    lost: list[str] = field(default_factory=list)
    """What the state does not hold and none of these makes, each with the cell and what to do."""
    name: str | None = None
    """What `%respawn checkpoint` called it; None for the run's own."""
    saved: str | None = None
    """When it was saved, for people."""
    authors: list[str] = field(default_factory=list)
    """Whose code has made the state, when it is not the person's own who fetched it: loading runs it."""
    agreed_by: int | None = None
    """The account (its number) that has agreed to load what these authors have made."""
    worked_in: str | None = None
    """The directory of its own in which the run has worked: whoever debugs it works in a copy of that, which
    is where the kernel starts. None for a run that has worked where its notebook lies."""

    @property
    def reference(self) -> str:
        """What `%respawn restore` calls it: `run-0a1b2c3d4e`, or `run-0a1b2c3d4e@name`."""
        return self.run if self.name is None else f"{self.run}@{self.name}"

    @property
    def unagreed(self) -> list[str]:
        """Whose code would be loaded without the consent of this process's account."""
        return self.authors if self.agreed_by != os.getuid() else []

    def to_json(self) -> str:
        """Return it as a JSON document."""
        return dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> RestorePoint:
        """Read what `to_json` wrote. Raises ValueError when it is something else."""
        try:
            data: dict[str, Any] = loads(text)
            always = [known_fields(AlwaysCell, cell) for cell in data.pop("always", [])]
            return known_fields(cls, {**data, "always": always})
        except (TypeError, AttributeError) as error:
            raise ValueError(f"not a restore point: {error}") from error


def restore_root() -> Path:
    """Return the directory of downloads: `$RESPAWN_RESTORE`, else one in the user's cache."""
    if configured := os.environ.get("RESPAWN_RESTORE"):
        return Path(configured)
    from platformdirs import user_cache_path

    return user_cache_path("respawn") / "restore"


def point_directory(reference: str) -> Path:
    """Return where a run's state, or one that was saved beside it (`run@name`), lies.

    Raises ValueError for what is not the name of one.
    """
    run, at, name = reference.partition("@")
    directory = run_directory(run)
    if not at:
        return directory
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a checkpoint: letters, digits, - and _")
    return directory / "own" / name


def run_directory(run: str) -> Path:
    """Return where the download of a run lies. Raises ValueError for what is not a run's id."""
    if not _RUN.fullmatch(run):
        raise ValueError(f"{run!r} is not the id of a run (such as run-0a1b2c3d4e)")
    return restore_root() / run
