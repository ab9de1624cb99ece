"""What processes say of themselves beside the database, so that both can be compared afterwards.

A line is appended by one write, so lines of many processes never mix, and none is lost when its writer is
killed right after. Times are seconds of the system's monotonic clock.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

Line = dict[str, Any]


class Journal:
    """A file of JSON lines that many processes append to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._read = 0
        self._lines: list[Line] = []

    def note(self, kind: str, **fields: Any) -> None:
        """Append a line."""
        text = json.dumps({"kind": kind, "at": time.monotonic(), **fields})
        os.write(self._handle, text.encode() + b"\n")

    def lines(self, kind: str | None = None) -> list[Line]:
        """Return all lines so far, or those of a kind."""
        with self.path.open("rb") as file:
            file.seek(self._read)
            for raw in file:
                if not raw.endswith(b"\n"):
                    break
                self._read += len(raw)
                self._lines.append(json.loads(raw))
        return [line for line in self._lines if kind is None or line["kind"] == kind]

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)
