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
STATELESS = frozenset(
    {
        *(
            "_collections_abc",
            "_py_abc",
            "_weakrefset",
            "abc",
            "ast",
            "asyncio",
            "bisect",
            "codeop",
            "collections",
        ),
        *(
            "concurrent",
            "contextlib",
            "copy",
            "dataclasses",
            "dis",
            "enum",
            "fnmatch",
            "functools",
            "genericpath",
        ),
        *(
            "graphlib",
            "heapq",
            "inspect",
            "keyword",
            "linecache",
            "numbers",
            "opcode",
            "operator",
            "posixpath",
        ),
        *(
            "queue",
            "re",
            "reprlib",
            "selectors",
            "stat",
            "string",
            "textwrap",
            "threading",
            "token",
            "tokenize",
        ),
        *("traceback", "types", "typing", "weakref"),
    }
)
"""Modules of Python itself without a state that one cell could set and another one read: not reported."""

_OF_BOTH = frozenset({"dateutil", "psutil", "stack_data", "executing", "asttokens", "pure_eval", "pygments"})
_OF_BOTH_MODULES = frozenset(
    {"matplotlib", "matplotlib.pyplot", "matplotlib._pylab_helpers", "matplotlib_inline.backend_inline"}
)


def _under(*names: str) -> tuple[str, ...]:
    return tuple({f"{path}/" for path in map(sysconfig.get_path, names) if path is not None})


_STANDARD = _under("stdlib", "platstdlib")
_INSTALLED = _under("purelib", "platlib")


def is_machinery(module: str) -> bool:
    """Whether the module is part of what runs cells, ours included."""
    return module.partition(".")[0] in MACHINERY


def is_stateless(module: str) -> bool:
    """Whether it makes no difference to know that a module's code ran."""
    return module.partition(".")[0] in STATELESS


def serves_both(module: str, filename: str) -> bool:
    """Whether a module's code runs for what runs cells as well: then its caller shows for whom.

    Modules of matplotlib look for open figures after each cell.
    """
    if module in _OF_BOTH_MODULES or module.partition(".")[0] in _OF_BOTH:
        return True
    return is_standard_file(filename) and not is_stateless(module)


def is_standard_file(filename: str) -> bool:
    """Whether code of this file name is of Python's own library."""
    # What is installed lies below the standard library, where there is no environment.
    return filename.startswith(("<frozen ", *_STANDARD)) and not filename.startswith(_INSTALLED)


def is_library_file(filename: str) -> bool:
    """Whether code of this file name has the globals of its module, and never those of a notebook."""
    return filename.startswith(("<frozen ", *_STANDARD, *_INSTALLED))
