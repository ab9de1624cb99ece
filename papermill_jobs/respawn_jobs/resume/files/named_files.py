"""Files that the text of a cell names, and directories that it has listed, for changes since the run.

What a cell opens is seen while it runs, unless a child process or a library in C opens it; and that a file is
new, or was not there when a cell looked, no list of opened files tells. So what the texts in a cell name, as
a path, a pattern, a word of a command or a module to import, is looked at when a plan is made.
"""

from __future__ import annotations

import ast
import glob
import os
import stat
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from itertools import islice
from pathlib import Path

from respawn_jobs.model.runs import CellRecord
from respawn_kernels.cell_code.syntax import called_name, command_lines, tree_of, words_of
from respawn_kernels.counting import how_many
from respawn_kernels.normal_path import normal_path

Newer = Callable[[str, float], list[str]]
"""Returns the files that a path, or a pattern, stands for and that were written since a moment (seconds)."""
_MAX_FILES = 1_000
_MAX_LISTED = 3
_LONGEST = 300
_EVERYBODYS = frozenset(["/", "/dev", "/proc", "/sys", tempfile.gettempdir()])
_IMPORTERS = frozenset(["find_spec", "find_loader", "import_module", "importorskip", "__import__"])
"""Functions that import, or look for, the modules that texts name."""


def newer_on_disk(path: str, moment: float) -> list[str]:
    """Return which of the files that a path names were written or put there since a moment.

    Of a directory the files in it count, at any depth, and of a pattern those that it fits; a thousand are
    looked at. What is hidden, and notebooks, which people edit, do not count.

    Args:
        path: absolute; what has `*`, `?` or `[` is a pattern.
        moment: seconds since 1970.
    """
    if glob.has_magic(path):
        found: Iterator[str] = glob.iglob(path, recursive=True)  # noqa: PTH207  of a text that nobody checked
    elif Path(path).is_dir():
        found = (str(Path(top, name)) for top, _, names in os.walk(path) for name in names)
    else:
        found = iter([path])
    return sorted(one for one in islice(found, _MAX_FILES) if _counts(one) and _changed_at(one) > moment)


class NamedFiles:
    """What the cells of one run name.

    Args:
        cells: the records of the run.
        since: those of cells that were executed after it, from its states on.
        directory: where it ran; None when that is not known.
        newer: tells files as they are now; None where they cannot be seen.
    """

    def __init__(
        self,
        cells: Iterable[CellRecord],
        since: Iterable[CellRecord],
        directory: str | None,
        newer: Newer | None,
    ) -> None:
        records = [*cells, *since]
        self._made = {path for one in records if one.evidence for path in one.evidence.written}
        ended = [one.finished_at for one in records if one.finished_at is not None]
        self._end = max(ended).timestamp() if ended else None
        self._directory = directory
        # Cells name the same directories again and again.
        self._newer = cache(newer) if newer is not None else None

    def of(self, source: str, record: CellRecord, known: Collection[str]) -> list[str]:
        """Tell which files that a reused cell names, or whose directories it listed, were written since.

        Args:
            source: the cell's source.
            record: what was recorded of it.
            known: files that it was seen to read, which are compared otherwise.
        """
        directory, newer, end = self._directory, self._newer, self._end
        if directory is None or newer is None or end is None:
            return []
        places = {normal_path(str(Path(directory, text))) for text in _texts(source)}
        places |= set(record.evidence.opened) if record.evidence is not None else set()
        places -= {*known, *_EVERYBODYS, *map(str, Path(directory).parents)}
        if directory in places:  # all that lies below would be too much
            places.remove(directory)
            places.add(f"{directory}/*")
        found = {file for place in places for file in newer(place, end)} - self._made - set(known)
        changes = [f"{_short(file, directory)} was written since" for file in sorted(found)]
        more = len(changes) - _MAX_LISTED
        return (
            changes
            if more <= 0
            else [
                *changes[:_MAX_LISTED],
                f"{how_many(more, 'more file was', 'more files were')} written since",
            ]
        )


def may_name(source: str, directory: str, path: str) -> bool:
    """Return whether a text in a cell may stand for a file: by its path, a pattern, or a directory above it.

    Args:
        source: the cell's source.
        directory: where the cell runs.
        path: the file, absolute.
    """
    for text in _texts(source):
        place = normal_path(str(Path(directory, text)))
        if place == path or (glob.has_magic(text) and fnmatchcase(path, place)):
            return True
        if path.startswith(f"{place}/") and place.startswith(f"{directory}/"):
            return True
    return False


def _texts(source: str) -> set[str]:
    """Return the texts in a cell that may be paths: whole, and the words of commands."""
    tree = tree_of(source)
    texts = set(command_lines(source))
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.add(node.value)
    words = {word for text in texts for word in words_of(text[: 10 * _LONGEST])}
    modules = _module_files(tree) if tree is not None else set()
    return {text for text in texts | words | modules if _may_be_path(text)}


def _module_files(tree: ast.AST) -> set[str]:
    """Return where the modules that a cell imports, or looks for, would lie beside the notebook."""
    modules = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and called_name(node) in _IMPORTERS:
            given = (one.value for one in node.args if isinstance(one, ast.Constant))
            modules |= {one for one in given if isinstance(one, str)}
    paths = {name.replace(".", "/") for name in modules if all(map(str.isidentifier, name.split(".")))}
    # A package comes before its modules.
    paths |= {str(parent) for path in paths for parent in Path(path).parents if parent.name}
    return {f"{path}{end}" for path in paths for end in (".py", "/__init__.py")}


def _may_be_path(text: str) -> bool:
    return 0 < len(text) <= _LONGEST and "\0" not in text and "\n" not in text and "://" not in text


def _counts(path: str) -> bool:
    return not path.endswith(".ipynb") and not any(part.startswith(".") for part in Path(path).parts[-3:])


def _changed_at(path: str) -> float:
    """Return when a file was last written or put into its place; 0 for what is none."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return 0.0
    return found.st_ctime if stat.S_ISREG(found.st_mode) else 0.0


def _short(path: str, directory: str) -> str:
    return os.path.relpath(path, directory) if path.startswith(f"{directory}/") else path
