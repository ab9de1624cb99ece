"""Which code is a library's, and which is part of what runs cells."""

from __future__ import annotations

import sysconfig

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
"""Packages that run whatever a cell does, or because it is watched."""
_DIRECTORIES = tuple(
    {
        f"{path}/"
        for path in map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib"))
        if path is not None
    }
)


def is_machinery(module: str) -> bool:
    """Whether the module is part of what runs cells, ours included."""
    return module.partition(".")[0] in MACHINERY


def is_library_file(filename: str) -> bool:
    """Whether code of this file name has the globals of its module, and never those of a notebook."""
    return filename.startswith(("<frozen ", *_DIRECTORIES))
