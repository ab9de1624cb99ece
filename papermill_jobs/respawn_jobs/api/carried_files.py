"""Files that come with a notebook, as a promotion or a resume brings them, and how many that may be."""

from __future__ import annotations

import base64
import binascii

from respawn_jobs.errors import InvalidInput
from respawn_jobs.model.base import Model, Whole

MAX_FILES = 1000
MAX_FILE_BYTES = 10 << 20
MAX_BYTES = 32 << 20
"""Of all files of a version. With them a request stays below what the service takes of a person."""


class NewFile(Model):
    """A file that a version is to carry."""

    path: str
    """Below the directory in which the notebook lies, with `/` between its parts."""
    content: str
    """Its bytes, as base64."""
    modified: Whole = 0
    """When it was last changed, in microseconds since 1970."""
    executable: bool = False

    @classmethod
    def of(cls, path: str, data: bytes, *, modified: int = 0, executable: bool = False) -> NewFile:
        """Return a file.

        Args:
            path: see `path`.
            data: its bytes.
            modified: microseconds since 1970.
            executable: whether it can be executed.
        """
        content = base64.b64encode(data).decode("ascii")
        return cls(path=path, content=content, modified=modified, executable=executable)

    def data(self) -> bytes:
        """Return its bytes. Raises `InvalidInput` where `content` is no base64."""
        try:
            return base64.b64decode(self.content, validate=True)
        except binascii.Error as error:
            raise InvalidInput(f"the content of {self.path[:200]!r} is not base64: {error}") from error
