"""What a page shows of an artifact: its first rows or lines as the kernel noted them, or a picture.

A kernel may write down anything, so what is shown is looked at first, and bounded.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from pydantic import BaseModel, Field, ValidationError

from respawn_hub.rendering.media import PICTURES
from respawn_jobs.model.artifacts import Artifact
from respawn_kernels.exchange.artifact_records import PREVIEW

MAX_PICTURE = 5 << 20
"""Bytes of a picture that is shown; a larger one can be downloaded."""
_NAMED = (".png", ".jpg", ".jpeg", ".gif", ".webp")
_BEGINS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


class Preview(BaseModel):
    """The first rows of a table, or the beginning of a text."""

    text: str | None = Field(None, max_length=4000)
    columns: list[str] = Field([], max_length=40)
    types: list[str] = Field([], max_length=40)
    rows: list[list[str]] = Field([], max_length=20)

    @property
    def whole(self) -> bool:
        """Whether each row, and the types, have as many values as there are columns."""
        return all(len(one) == len(self.columns) for one in (self.types, *self.rows))


def preview_of(artifact: Artifact) -> Preview | None:
    """Return what the kernel noted; None where it noted nothing that can be shown."""
    try:
        found = Preview.model_validate(artifact.meta.get(PREVIEW), strict=True)
    except ValidationError:
        return None
    return found if found.whole and (found.text is not None or found.columns) else None


def may_be_picture(artifact: Artifact) -> bool:
    """Return whether an artifact is shown as a picture, if its bytes are one."""
    named = artifact.kind == "file" and PurePosixPath(artifact.file).suffix.lower() in _NAMED
    return (named or artifact.kind == "picture") and artifact.size <= MAX_PICTURE


def picture_kind(beginning: bytes) -> str | None:
    """Return the media type of a picture by its first bytes, never by its name; None for anything else.

    Source: WHATWG, MIME Sniffing, section 6.1.
    """
    kind = next((kind for begins, kind in _BEGINS.items() if beginning.startswith(begins)), None)
    if kind is None and beginning[:4] == b"RIFF" and beginning[8:14] == b"WEBPVP":
        kind = "image/webp"
    return kind if kind in PICTURES else None
