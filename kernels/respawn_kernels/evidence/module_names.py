"""Which module a code object belongs to, told from the name of its file."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import PurePath

_FROZEN = "<frozen "
_LIBRARY_PATHS = tuple(
    f"{path}/"
    for path in sorted({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
)
MACHINERY = frozenset(
    {
        *(
            "IPython",
            "ipykernel",
            "ipykernel_launcher",
            "traitlets",
            "zmq",
            "tornado",
            "jupyter_client",
            "comm",
        ),
        *("respawn", "respawn_kernels", "debugpy", "_pydevd_bundle", "_pydev_bundle", "pydevd"),
    }
)
"""Packages that run whatever a cell does, or because we watch it."""


class ModuleNames:
    """Names of modules by the file names that code objects carry. What it has found it remembers."""

    def __init__(self) -> None:
        self._names: dict[str, str | None] = {}
        self._modules = 0

    def of(self, filename: str) -> str | None:
        """Return the dotted name of the module whose code has this file name; None when it is no module's.

        Code of no module is the notebook's: cells, text given to `exec`, scripts that `%run` ran.
        """
        if self._modules != len(sys.modules):
            self._look_at_modules()
        if filename not in self._names:
            name = _name_by_place(filename)
            if name is None:  # it may become a module's
                return None
            self._names[filename] = name
        return self._names[filename]

    def _look_at_modules(self) -> None:
        modules = list(sys.modules.items())
        self._modules = len(modules)
        for name, module in modules:
            if name == "__main__":
                continue
            try:
                # Not getattr: modules that load when they are first used would load now.
                found = object.__getattribute__(module, "__dict__").get("__file__")
            except AttributeError:
                continue
            if type(found) is str:
                self._names.setdefault(found, name)


def is_machinery(module: str) -> bool:
    """Whether the module is part of what runs cells, ours included."""
    return module.partition(".")[0] in MACHINERY


def _name_by_place(filename: str) -> str | None:
    """Tell a module that is not (or not any more) in `sys.modules` from where its file is."""
    if filename.startswith(_FROZEN):
        return filename.removeprefix(_FROZEN).rstrip(">")
    for directory in sorted(_LIBRARY_PATHS, key=len, reverse=True):
        if filename.startswith(directory):
            parts = PurePath(filename.removeprefix(directory)).with_suffix("").parts
            return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return None
