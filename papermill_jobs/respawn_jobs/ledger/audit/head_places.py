"""Where heads of the audit trail are kept, outside of what the service's account can rewrite.

/mnt/elsewhere/heads.jsonl     a file, to which a line is appended
s3://bucket/prefix             an object for each head, named by its number and hash
https://collector/heads        a POST of the line; what becomes of it is the receiver's
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from respawn_jobs.blobs.backends import Objects, shown
from respawn_jobs.errors import InvalidInput, Unavailable
from respawn_jobs.ledger.audit.signed_heads import SignedHead

_SECONDS = 10.0


class AuditHeadStore:
    """One such place."""

    def __init__(self, url: str) -> None:
        """Name a path or a URL. Raises `InvalidInput` for one that cannot be used."""
        parts = urlsplit(url)
        self._url = url
        self._http = parts.scheme in ("http", "https")
        self._path = Path(unquote(parts.path) if parts.scheme == "file" else url).expanduser()
        self._objects = None if parts.scheme in ("", "file", "http", "https") else Objects(url, {})
        self.name = shown(url)
        """What it is called in messages: without credentials."""

    def keep(self, head: SignedHead) -> None:
        """Keep a head. Raises `Unavailable` when that is not done."""
        line = head.model_dump_json() + "\n"
        if self._http:
            self._post(line)
        elif self._objects is not None:
            self._objects.write(f"{head.seq:015d}-{head.hash}.json", line.encode())
        else:
            self._append(line)

    def text(self) -> str:
        """Return all heads that are kept, one a line.

        Raises:
            InvalidInput: it is no place that can be read, or nothing is there.
        """
        if self._http:
            raise InvalidInput(f"what {self.name} has received is read there: name a file of its lines")
        if self._objects is not None:
            names = sorted(file.name for file in self._objects.listed())
            if not names:
                raise InvalidInput(f"nothing is kept in {self.name}")
            return "".join(self._objects.read(name).decode() for name in names)
        try:
            return self._path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"{self.name} cannot be read: {error}") from error

    def _append(self, line: str) -> None:
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(handle, "ab", buffering=0) as file:
                # One write: lines of several replicas do not mix.
                file.write(_separated(self._path, line).encode())
                os.fsync(file.fileno())
        except OSError as error:
            raise Unavailable(f"the audit trail's head is not kept in {self.name}: {error}") from error

    def _post(self, line: str) -> None:
        import httpx

        try:
            headers = {"Content-Type": "application/json"}
            answer = httpx.post(self._url, content=line, headers=headers, timeout=_SECONDS)
        except httpx.HTTPError as error:
            reason = type(error).__name__
            raise Unavailable(f"the audit trail's head is not kept at {self.name}: {reason}") from error
        if not answer.is_success:
            raise Unavailable(
                f"the audit trail's head is not kept at {self.name}: it answered {answer.status_code}"
            )


def _separated(path: Path, line: str) -> str:
    """Return a line that begins anew, also after one that a full disk has cut short."""
    try:
        with path.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return line
            file.seek(-1, os.SEEK_END)
            return line if file.read(1) == b"\n" else f"\n{line}"
    except OSError:  # it may be appended to and not be read
        return line
