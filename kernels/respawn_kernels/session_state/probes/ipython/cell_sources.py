"""The text of the cells behind the notebook's functions, which tracebacks and `inspect.getsource` show."""

from __future__ import annotations

import linecache
from collections.abc import Hashable
from typing import Any

from respawn_kernels.namespace import live_shell


class Sources:
    """What IPython's compiler remembers of cells by the file names of their code, and their numbers.

    The names differ from process to process, and functions that come back keep theirs.
    """

    name = "#sources"
    before_fork = False

    def fingerprint(self) -> Hashable:
        """Return nothing: every cell adds itself."""
        return None

    def capture(self) -> dict[str, tuple[int, str]] | None:
        """Return number and text of each cell by its file name."""
        entries: dict[str, Any] = dict(linecache.cache)
        found: dict[str, tuple[int, str]] = {}
        for name, number in list(_numbers(live_shell()).items()):
            entry = entries.get(name, ())
            if number and len(entry) == _ENTRY and entry[1] is None:
                found[name] = number, "".join(entry[2])
        return found or None

    def restore(self, value: dict[str, tuple[int, str]], shell: Any | None) -> None:
        """Add what this session does not have."""
        numbers = _numbers(shell)
        for name, (number, text) in value.items():
            if name not in linecache.cache:
                # No time of change: `linecache.checkcache` leaves such an entry alone.
                linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
                numbers.setdefault(name, number)


_ENTRY = 4
"""Size, time of change, lines, file name."""


def _numbers(shell: Any) -> dict[str, int]:
    found: dict[str, int] = getattr(getattr(shell, "compile", None), "_filename_map", {})
    return found
