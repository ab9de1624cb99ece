"""One spelling for each path: what names the same file by its text has the same text."""

from __future__ import annotations

import posixpath


def normal_path(path: str) -> str:
    """Return a path without `.`, `..`, and slashes that mean nothing.

    POSIX lets a system give two slashes at the beginning a meaning of their own, so `posixpath.normpath`
    keeps them; Linux gives them none: path_resolution(7).

    Args:
        path: absolute or relative; it need not exist.
    """
    normal = posixpath.normpath(path)
    return normal[1:] if normal.startswith("//") else normal
