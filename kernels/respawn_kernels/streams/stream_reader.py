"""A stream in memory as the file that an unpickler wants."""

from __future__ import annotations


class StreamReader:
    """The stream as the file that an unpickler wants, without a copy of the whole."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        return bytes(self._take(size))

    def readinto(self, target: memoryview) -> int:
        """Fill memory with the next bytes."""
        piece = self._take(len(target))
        target[: len(piece)] = piece
        return len(piece)

    def readline(self) -> bytes:
        """Return the next line."""
        end = self._at
        while end < len(self._data) and self._data[end] != 0x0A:
            end += 1
        return self.read(end + 1 - self._at)

    def _take(self, size: int) -> memoryview:
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        return piece
