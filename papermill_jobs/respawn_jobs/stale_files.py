"""Files of the run before that a run from the top would not find, or not yet, and that running cells may see.

A cell that is gone, edited or runs again left them. Nobody removes them, for they are the person's; so a plan
names what a cell may take for its own: what it lists, what it makes only where it is missing, and what no
cell makes any more.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from respawn_jobs.analysis.hidden import FILE, FILES
from respawn_jobs.dependencies import is_file
from respawn_jobs.rerunning import Namer, Step, makes_anew

_LISTS = frozenset(
    [
        *("glob", "iglob", "rglob", "listdir", "scandir", "iterdir", "walk", "fwalk", "rmtree", "copytree"),
        *("dataset", "ParquetDataset", "make_archive"),
    ]
)
_TESTS = frozenset(
    [
        *("exists", "lexists", "isfile", "isdir", "is_file", "is_dir", "is_mount", "access", "samefile"),
        *("stat", "lstat", "getsize", "getmtime", "getctime", "FileExistsError", "FileNotFoundError"),
    ]
)
_CACHES = frozenset(
    ["Memory", "memory", "diskcache", "shelve", "cachier", "requests_cache", "CachedSession", "FanoutCache"]
)
"""What keeps results in files: `joblib.Memory`, scikit-learn's `memory=`, and the like."""
_MAKES_DIRECTORIES = frozenset(["mkdir", "makedirs"])
_MOST_NAMED = 3


@dataclass(frozen=True)
class _Left:
    """A file, and the cell that left it."""

    name: str
    place: int | None
    """The step of the cell; None for the one that failed."""


def stale_files(
    steps: Sequence[Step],
    running: Sequence[int],
    sources: Mapping[int, str],
    written: Mapping[int, Iterable[str]],
    begun: Iterable[str],
    name_of: Namer,
) -> list[str]:
    """Tell which cells may see files that the run before has left, in words.

    Args:
        steps: both notebooks, in order.
        running: the steps that are executed, in order.
        sources: the source of each step's cell in the fixed notebook.
        written: the files that the cell of each step was seen to write, in the run before.
        begun: files that cells which had not finished may have changed.
        name_of: names a step in messages.
    """
    known = _Words(sources.values())
    words = {place: known.of(sources[place]) for place in running}
    caches = not _CACHES.isdisjoint(known.all)
    found: dict[tuple[int, str, int | None], list[str]] = {}
    for left in _left(steps, set(running), written, begun):
        seen = _seen_by(left.name, steps, running, words)
        if seen is None and caches and "/" in left.name:
            seen = _cached_by(left.name, steps, running)
        if seen is not None:
            found.setdefault((*seen, left.place), []).append(left.name.removeprefix(FILE))
    return [
        f"{name_of(place)} {how.format(_some(files))}, and {_who(maker, name_of)} left "
        f"{_them(files)} in the run before; what no cell above makes anew is still there: remove "
        f"{_them(files)} first to have the result of a run in an empty directory"
        for (place, how, maker), files in found.items()
    ]


def _left(
    steps: Sequence[Step], running: set[int], written: Mapping[int, Iterable[str]], begun: Iterable[str]
) -> Iterator[_Left]:
    """Return the files that cells left which are gone, edited, or run again; directories go with theirs."""
    found: dict[str, int | None] = {name: None for name in begun if name != FILES}
    for place, step in enumerate(steps):
        if step.new is None or place in running:
            found |= {name: place for name in written.get(place, ()) if name != FILES}
    for name in sorted(found):
        if not any(other.startswith(f"{name}/") for other in found):
            yield _Left(name, found[name])


def _seen_by(
    name: str, steps: Sequence[Step], running: Sequence[int], words: Mapping[int, frozenset[str]]
) -> tuple[int, str] | None:
    """Return the first step that may see a file before it is made anew, and how it does."""
    written = False
    for place in running:
        step = steps[place].runs
        if makes_anew(step, name):
            return None
        if not words[place].isdisjoint(_LISTS) and step.may_read(name):
            return place, "may list {}"
        inside = any(one != name and name.startswith(f"{one}/") for one in step.reads if is_file(one))
        if inside and words[place].isdisjoint(_MAKES_DIRECTORIES):
            return place, "may list {}"
        if not words[place].isdisjoint(_TESTS) and step.may_read(name):
            return place, "may look whether {} is there"
        if name in step.reads and not written:
            return place, "reads {}"
        written = written or step.may_write(name)
    return None


def _cached_by(name: str, steps: Sequence[Step], running: Sequence[int]) -> tuple[int, str] | None:
    """Return the first step that may find a result in a cache of files, which no cell names."""
    place = next((place for place in running if steps[place].runs.may_read(name)), None)
    return (place, "may find results in {}") if place is not None else None


class _Words:
    """The names that cells use, with those of the notebook's functions that they call."""

    def __init__(self, sources: Iterable[str]) -> None:
        self._functions: dict[str, set[str]] = {}
        self.all: set[str] = set()
        """Of all cells, keywords of calls among them."""
        for source in sources:
            tree = _parsed(source)
            self.all |= _names(tree)
            self.all |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg}
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    self._functions.setdefault(node.name, set()).update(_names(node))

    def of(self, source: str) -> frozenset[str]:
        """Return the names that a cell's own code and what it calls use; a definition alone calls nothing."""
        found: set[str] = set()
        waiting = _executed(_parsed(source))
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting |= self._functions.get(name, set())
        return frozenset(found)


def _executed(tree: ast.Module) -> set[str]:
    calls = (node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {name for node in calls for name in _names(node)}


def _names(tree: ast.AST) -> set[str]:
    return {
        node.id if isinstance(node, ast.Name) else node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
    }


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def _some(files: Sequence[str]) -> str:
    named = ", ".join(files[:_MOST_NAMED])
    return named if len(files) <= _MOST_NAMED else f"{named} and {len(files) - _MOST_NAMED} more"


def _them(files: Sequence[str]) -> str:
    return "it" if len(files) == 1 else "them"


def _who(place: int | None, name_of: Namer) -> str:
    return "the cell that failed" if place is None else name_of(place)
