"""Files of the run before that a run from the top would not find, or not yet, and that running cells may see.

A cell that is gone, edited or runs again left them. Nobody removes them, for they are the person's; so a plan
names what a cell may take for its own: what it lists, what it makes only where it is missing, and what no
cell makes any more.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

from respawn_jobs.dataflow import is_file, overlap
from respawn_jobs.model.hidden_state import FILE, FILES, file_state
from respawn_jobs.resume.files.file_history import Fate
from respawn_jobs.resume.invalidation.reruns import Namer, Step, makes_anew
from respawn_kernels.cell_code.shell_commands import commands_of
from respawn_kernels.normal_path import normal_path

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
_MAX_NAMED = 3
_WRITEFILE = re.compile(r"\s*%%(?:writefile|file)\s+(?!-)([^{}$\n]+?)\s*(?:\n|$)")
"""A cell that says `Overwriting` where the file is there, and `Writing` where it is not."""
_PATTERN = re.compile(r"[*?\[]")
_WRITES = re.compile(
    r"open|write\w*|to_(csv|parquet|json|pickle|excel|feather|html|hdf|xml|stata|orc|latex|markdown|netcdf|zarr)"
    r"|\w*save\w*|dump|touch|copy2|copyfile\w*|move|rename\w*|\w+link_to|urlretrieve|tofile|export\w*"
)
"""Names of what writes files, as libraries have them."""


@dataclass(frozen=True)
class _Left:
    """A file, the cell that left it, and what the run did to it."""

    name: str
    place: int | None
    """The step of the cell; None for the one that failed."""
    fate: Fate


def stale_files(
    steps: Sequence[Step],
    running: Sequence[int],
    sources: Mapping[int, str],
    written: Mapping[int, Iterable[str]],
    begun: Iterable[str],
    name_of: Namer,
    fates: Mapping[str, Fate],
) -> dict[str, list[str]]:
    """Tell which cells may see files that the run before has left: in words, with the files' names.

    Args:
        steps: both notebooks, in order.
        running: the steps that are executed, in order.
        sources: the source of each step's cell in the fixed notebook.
        written: the files that the cell of each step was seen to write, in the run before.
        begun: files that cells which had not finished may have changed.
        name_of: names a step in messages.
        fates: by name what the run before did to a file, where that is known.
    """
    known = _Words(sources.values())
    looks = {place: _Looks(sources[place], known) for place in running}
    caches = not _CACHES.isdisjoint(known.all)
    found: dict[tuple[int, str, int | None, Fate], list[str]] = {}
    for left in _left(steps, set(running), written, begun, fates):
        seen = _seen_by(left, steps, running, looks)
        if seen is None and caches and "/" in left.name:
            seen = _cached_by(left.name, steps, running)
        if seen is not None:
            found.setdefault((*seen, left.place, left.fate), []).append(left.name)
    return {
        _message(
            name_of(place), how, fate, _who(producer, name_of), [name.removeprefix(FILE) for name in names]
        ): names
        for (place, how, producer, fate), names in found.items()
    }


def _message(cell: str, how: str, fate: Fate, producer: str, files: Sequence[str]) -> str:
    """Say that a cell may see files, who left them, and what gives back what a run from the top finds."""
    them, they, were = ("it", "it", "was") if len(files) == 1 else ("them", "they", "were")
    back = f"put {them} back as {they} {were} before that"
    fix = {
        Fate.MADE: f"remove {them} first",
        Fate.LEFT: f"first {back}, or remove {them} if {they} {were} not there,",
    }.get(fate, f"first {back}")
    return (
        f"{cell} {how.format(_some(files))}, and {producer} {fate.did} {them} in the run before; no cell "
        f"above makes {them} again: {fix} to have the result of a run from the top"
    )


def _left(
    steps: Sequence[Step],
    running: set[int],
    written: Mapping[int, Iterable[str]],
    begun: Iterable[str],
    fates: Mapping[str, Fate],
) -> Iterator[_Left]:
    """Return the files that cells left which are gone, edited, or run again; directories go with theirs."""
    found: dict[str, int | None] = {}
    for place, step in enumerate(steps):
        for name in written.get(place, ()) if step.new is None or place in running else ():
            found.setdefault(name, place)
    for name in begun:
        found.setdefault(name, None)
    found.pop(FILES, None)
    for name in sorted(found):
        fate = fates.get(name, Fate.LEFT)
        if fate is not Fate.NONE and not any(other.startswith(f"{name}/") for other in found):
            yield _Left(name, found[name], fate)


def _seen_by(
    left: _Left, steps: Sequence[Step], running: Sequence[int], looks: Mapping[int, _Looks]
) -> tuple[int, str] | None:
    """Return the first step that may see a file before it is made anew, and how it does."""
    written = False
    for place in running:
        step, look, name = steps[place].runs, looks[place], left.name
        by_command = look.by_command(name)
        if look.says_whether(name) and left.fate in (Fate.MADE, Fate.LEFT):
            return place, "says whether {} was there"
        if look.asks_first and step.may_read(name) and left.fate in (Fate.MADE, Fate.LEFT):
            return place, "may look whether {} is there"
        if makes_anew(step, name) or by_command is _Use.MAKES:
            return None
        if look.lists and step.may_read(name):
            return place, "may list {}"
        inside = any(one != name and name.startswith(f"{one}/") for one in step.reads if is_file(one))
        if inside and not look.makes_directories:
            return place, "may list {}"
        if look.tests and step.may_read(name):
            return place, "may look whether {} is there"
        if name in step.reads and not written:
            return place, "reads {}"
        if by_command is not None and not written and _matters(by_command, left, place):
            return place, f"{by_command.value} {{}} in a command"
        if place == left.place and not written and _goes_on(steps[place], name):
            return place, "may continue from {}, which its commands changed"
        written = written or _may_make(steps[place], name)
    return None


def _may_make(step: Step, name: str) -> bool:
    """Return whether a cell may make a file under a name that is put together; what it did before tells."""
    if step.old is None or not step.runs.may_write(name):
        return step.runs.may_write(name)
    both = step.both
    if any(one.opaque is not None for one in both) or (step.changed is None and not step.old.files_seen):
        return True
    return any(overlap(name, other) for one in both for other in one.writes if other != FILES)


def _matters(use: _Use, left: _Left, place: int) -> bool:
    """Return whether it matters to a command that a file is not as it was: its own it makes again."""
    return use is not _Use.NAMES or place != left.place or left.fate in (Fate.CHANGED, Fate.REMOVED)


def _goes_on(step: Step, name: str) -> bool:
    """Return whether an edited cell may do with a file what its commands did: its new ones are unknown."""
    before = step.old
    return (
        step.changed is not None
        and before is not None
        and name in before.reads & before.writes
        and FILES in step.runs.reads & step.runs.writes
    )


def _cached_by(name: str, steps: Sequence[Step], running: Sequence[int]) -> tuple[int, str] | None:
    """Return the first step that may find a result in a cache of files, which no cell names."""
    place = next((place for place in running if steps[place].runs.may_read(name)), None)
    return (place, "may find results in {}") if place is not None else None


class _Use(Enum):
    """What a command does with a file that it names."""

    MAKES = "makes"
    LISTS = "may list"
    GOES_ON = "continues from"
    NAMES = "uses"


class _Looks:
    """How the source of a cell tells that it looks at files."""

    def __init__(self, source: str, known: _Words) -> None:
        words = known.of(source)
        self.lists = not words.isdisjoint(_LISTS)
        self.tests = not words.isdisjoint(_TESTS)
        self.asks_first = self.tests and known.asks_first(source)
        """Whether it looks what is there before it writes: for a name that is free, say."""
        self.makes_directories = not words.isdisjoint(_MAKES_DIRECTORIES)
        self._commands = commands_of(source)
        written = _WRITEFILE.match(source)
        self._says = written[1].strip("'\"") if written is not None else ""

    def says_whether(self, name: str) -> bool:
        """Return whether the cell says in its output whether a file was there."""
        return bool(self._says) and file_state(self._says) == name

    def by_command(self, name: str) -> _Use | None:
        """Return what a command of the cell does with a file; None where none names it."""
        commands, path = self._commands, name.removeprefix(FILE)
        if _named(path, commands.goes_on):
            return _Use.GOES_ON
        if _named(path, commands.names):
            return _Use.NAMES
        if _named(path, commands.makes):
            return _Use.MAKES
        return _Use.LISTS if _listed(path, commands.lists) else None


def _named(path: str, words: Iterable[str]) -> bool:
    return any(normal_path(posixpath.expanduser(word)) == path for word in words)


def _listed(path: str, words: Iterable[str]) -> bool:
    places = [normal_path(posixpath.expanduser(word)) for word in words]
    directory = posixpath.dirname(path) or "."
    return any(
        fnmatchcase(path, place)
        if _PATTERN.search(place)
        else directory == place or path.startswith(f"{place}/")
        for place in places
    )


class _Words:
    """The names that cells use, with those of the notebook's functions that they call."""

    def __init__(self, sources: Iterable[str]) -> None:
        self._functions: dict[str, set[str]] = {}
        self._bodies: dict[str, list[ast.stmt]] = {}
        self.all: set[str] = set()
        """Of all cells, keywords of calls among them."""
        for source in sources:
            tree = _parsed(source)
            self.all |= _names(tree)
            self.all |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg}
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    self._functions.setdefault(node.name, set()).update(_names(node))
                    self._bodies[node.name] = node.body

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

    def asks_first(self, source: str) -> bool:
        """Return whether a cell names a test for files before what writes one, in the order of its text."""
        waiting, seen = list(reversed(_in_order(_direct(_parsed(source))))), set[str]()
        while waiting:
            name = waiting.pop()
            if name in _TESTS:
                return True
            if _WRITES.fullmatch(name):
                return False
            if name in self._bodies and name not in seen:
                seen.add(name)
                waiting += reversed(_in_order(self._bodies[name]))
        return False


def _direct(tree: ast.Module) -> list[ast.stmt]:
    """Return what a cell executes itself: a definition alone calls nothing."""
    return [one for one in tree.body if not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]


def _in_order(body: Iterable[ast.stmt]) -> list[str]:
    """Return the names in statements; that of a function where its call ends, after its arguments."""
    nodes = [node for one in body for node in ast.walk(one)]
    ends = {id(node.func): node for node in nodes if isinstance(node, ast.Call)}
    named = [node for node in nodes if isinstance(node, ast.Name | ast.Attribute)]

    def end(node: ast.expr) -> tuple[int, int]:
        last = ends.get(id(node), node)
        return last.end_lineno or 0, last.end_col_offset or 0

    named.sort(key=end)
    return [node.id if isinstance(node, ast.Name) else node.attr for node in named]


def _executed(tree: ast.Module) -> set[str]:
    return {name for node in _direct(tree) for name in _names(node)}


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
    named = ", ".join(files[:_MAX_NAMED])
    return named if len(files) <= _MAX_NAMED else f"{named} and {len(files) - _MAX_NAMED} more"


def _who(place: int | None, name_of: Namer) -> str:
    return "the cell that failed" if place is None else name_of(place)
