"""What the version that goes on carries otherwise than the one whose states are used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from respawn_jobs.carried.archive import content_of
from respawn_jobs.carried.changes import Files, file_changes, files_of
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.resume.files.carried_edits import CarriedEdits, edited_of
from respawn_jobs.store.tables import VersionRow


@dataclass(frozen=True)
class Carrying:
    """What a version carries."""

    files: Files = None
    bundle: str | None = None
    """Digest of the archive."""
    archive: bytes | None = None
    """The archive, where it is not stored yet."""

    @classmethod
    def of(cls, version: VersionRow) -> Carrying:
        """Return what a stored version carries."""
        return cls(files_of(version.files), version.bundle)

    def sources(self, context: Context) -> Iterator[tuple[str, str]]:
        """Yield path and text of each module."""
        archive = self.archive
        if archive is None and self.bundle is not None:
            archive = context.blobs.get(self.bundle)
        for file in self.files or ():
            if file.path.endswith(".py"):
                yield file.path, content_of(archive, file).decode(errors="replace")


def carried_edits(
    context: Context, before: Carrying, directory: str | None, after: Carrying
) -> CarriedEdits | None:
    """Return the edits; None where the versions carry the same, or one of them carries no files.

    Args:
        context: the ledger's surroundings.
        before: what the version carries whose states are used.
        directory: where its run has worked; None where nothing of the run was stored.
        after: what the version carries that goes on.
    """
    if before.files is None or after.files is None:
        return None
    changes = {change.path: str(change.kind) for change in file_changes(before.files, after.files)}
    texts: dict[str, str] = {}
    if any(not path.endswith(".py") for path in changes):
        for path, text in [*before.sources(context), *after.sources(context)]:
            texts[path] = texts.get(path, "") + text
    return edited_of(directory, changes, texts)
