"""What cells share besides variables: parts of the session's state, files, and what libraries keep.

Each has a name that starts with `#`, which no variable can have. It promises that a part which nobody
described is taken for one that matters to every cell that runs library code; only a cell that is *shown* to
leave a part alone is independent of it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from respawn_kernels.normal_path import normal_path
from respawn_kernels.session_state import CATALOGUE

MARK = "#"
RANDOM, NUMPY_RANDOM = "#random", "#numpy.random"
RANDOM_STATES = (RANDOM, NUMPY_RANDOM)
"""Nobody can depend on what these were before the first cell: they differ from process to process."""
CWD, ENV, PATCHES, WARNINGS = "#cwd", "#env", "#patches", "#warnings"
WORLD_STATE = "#libraries"
"""All that code which cannot be seen keeps; whoever writes it may write every part of the session's state."""
FILES = "#files"
"""Files of any name."""
NETWORK = "#network"
"""What servers keep."""
FILE = "#file:"
"""Begins the name of a file."""
_LIBRARY = "#lib:"

OF_EVERY_CELL = frozenset(["#in", "#last", "#running"])
"""What cells change by being executed; whoever looks at that is a cell that may depend on everything."""
TRANSIENT = frozenset(["#figures"])
"""What a kernel may put back after each cell: where figures are shown at a cell's end they are closed."""

ANYTHING = "*"
"""Among what a cell uses: code that cannot be seen."""
PYTHON = "python"
"""Among what a cell uses: Python's own operators and functions."""

SHOWN = "IPython.display"
"""Among what a cell uses: how IPython shows what a cell ends with."""
IMPORTS = "import"
"""Among what a cell uses: the import of a module."""

_TITLES = {
    WORLD_STATE: "the state of libraries",
    FILES: "files",
    NETWORK: "what servers keep",
}


def hidden(name: str) -> bool:
    """Return whether a name stands for no variable."""
    return name.startswith(MARK)


def library_state(module: str) -> str:
    """Return the name of what the library of a module keeps."""
    return _LIBRARY + module.partition(".")[0]


def states_of_libraries(uses: Iterable[str]) -> set[str]:
    """Return the names of what the libraries that a cell uses may keep."""
    return {library_state(one) for one in uses if one not in (ANYTHING, PYTHON, SHOWN, IMPORTS)}


def file_state(path: str) -> str:
    """Return the name of a file or directory."""
    return FILE + normal_path(path)


def is_file(name: str) -> bool:
    """Return whether a name stands for files."""
    return name == FILES or name.startswith(FILE)


def label_of(name: str) -> str:
    """Return what a name is called in messages to people."""
    if name in _TITLES:
        return _TITLES[name]
    if name in CATALOGUE:
        return CATALOGUE[name].title
    if name.startswith(FILE):
        return f"the file {name.removeprefix(FILE)}"
    return f"the state of {name.removeprefix(_LIBRARY)}" if name.startswith(_LIBRARY) else name


def overlap(one: str, other: str) -> bool:
    """Return whether two names may stand for the same.

    A directory and what lies in it overlap. A relative and an absolute path overlap when the absolute one
    may end with the relative one; where the working directory is known, paths in it are to be given
    relative to it.
    """
    if one == other:
        return True
    if not (is_file(one) and is_file(other)):
        return False
    if FILES in (one, other):
        return True
    first, second = (name.removeprefix(FILE) for name in (one, other))
    if first.startswith("..") or second.startswith(".."):
        return True
    if posixpath.isabs(first) == posixpath.isabs(second):
        return _inside(first, second) or _inside(second, first)
    relative, absolute = (second, first) if posixpath.isabs(first) else (first, second)
    return _may_end_with(absolute.strip("/").split("/"), relative.split("/"))


def _inside(path: str, directory: str) -> bool:
    return directory in (path, ".", "/") or path.startswith(directory + "/")


def _may_end_with(absolute: list[str], relative: list[str]) -> bool:
    """Return whether an absolute path may be, lie in, or hold what a relative one names."""
    if relative == ["."]:
        return True
    return any(
        all(a == b for a, b in zip(absolute[at:], relative, strict=False)) for at in range(len(absolute))
    )


def matters(name: str, uses: Iterable[str]) -> bool:
    """Return whether a part of the session's state may matter to a cell, by what the cell uses.

    Args:
        name: the part's name.
        uses: modules whose code the cell may run or whose values it may use, `PYTHON` and `ANYTHING`.
    """
    if is_file(name) or name in (WORLD_STATE, NETWORK):
        return ANYTHING in uses
    if name.startswith(_LIBRARY):
        return any(one == ANYTHING or library_state(one) == name for one in uses)
    if name in _ALL_BUT:
        return any(one not in _ALL_BUT[name] for one in uses)
    through = _USERS.get(name)
    if through is None and name in CATALOGUE:
        through = CATALOGUE[name].read_through
    if through is None:
        return any(True for _ in uses)
    return any(one == ANYTHING or _meets(one, through) for one in uses)


def _meets(used: str, through: Iterable[str]) -> bool:
    """Return whether a module is one of some, or lies in one; of `lib.*` only the library is known."""
    if used.endswith(".*"):
        used = used.removesuffix(".*")
        return any(_in(used, one) or _in(one, used) for one in through)
    return any(_in(used, one) for one in through)


def _in(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


_TABLES = ("pandas", "seaborn", "statsmodels", "sklearn")
_ARRAYS = (
    *("numpy", "scipy", "networkx", "lightgbm", "xgboost", "matplotlib", "PIL", "polars", "pyarrow", "torch"),
    *_TABLES,
)
_USERS: dict[str, frozenset[str]] = {
    NUMPY_RANDOM: frozenset(),
    "#decimal": frozenset(["decimal", "_pydecimal"]),
    "#numpy.errors": frozenset(_ARRAYS),
    "#numpy.print": frozenset(_ARRAYS),
    "#pandas": frozenset(_TABLES),
    "#cwd": frozenset([IMPORTS, "glob", "subprocess"]),
    "#env": frozenset([IMPORTS, "subprocess", *_ARRAYS]) - {"numpy", "pandas"},
    "#sys.path": frozenset([IMPORTS]),
    "#modules": frozenset([IMPORTS]),
    "#sys.modules": frozenset([IMPORTS]),
    "#finders": frozenset([IMPORTS]),
    "#atexit": frozenset(["atexit"]),
    "#extensions": frozenset(["IPython"]),
}
"""Through what a part can matter that the catalogue says may matter through anything.

Calls that draw random numbers, look at the environment or use files are named by the analysis one by one.
"""
_ALL_BUT: dict[str, frozenset[str]] = {
    "#warnings": frozenset([PYTHON, SHOWN]),
    "#patches": frozenset([PYTHON, SHOWN]),
    "#registries": frozenset([PYTHON, SHOWN]),
    "#helpers": frozenset([PYTHON, SHOWN]),
    "#logging": frozenset([PYTHON, SHOWN]),
}
"""What cannot use a part that all libraries use."""
