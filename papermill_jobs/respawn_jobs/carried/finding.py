"""What a notebook needs of the files beside it: found in its code before it becomes a job.

Modules that it imports are found by their names, other files by the texts in its code that name one that is
there. What nobody can see from the code (a path that is put together, a file that a library looks for) a
person adds by a pattern.
"""

from __future__ import annotations

import ast
import glob
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from respawn_jobs.api.carried_files import MAX_BYTES, MAX_FILE_BYTES, MAX_FILES, NewFile
from respawn_jobs.carried.archive import check_paths, read_file
from respawn_jobs.carried.local_modules import ModuleCode, local_modules, parsed
from respawn_jobs.errors import InvalidInput
from respawn_jobs.notebook.document import code_cells
from respawn_kernels.cell_code.syntax import (
    called_name,
    command_lines,
    tree_of,
    without_magics,
    words_of,
)
from respawn_kernels.secret_patterns import NAMES
from respawn_kernels.sizes import how_large

if TYPE_CHECKING:
    from nbformat import NotebookNode

_MAX_TEXT = 300
_MAX_MATCHES = MAX_FILES + 1
_SYSTEM = re.compile(r"/(bin|boot|dev|etc|lib|lib64|opt|proc|run|sbin|srv|sys|tmp|usr|var)(/|$)")
"""What belongs to the machine; a path below it that a notebook names is no slip."""
_NOT_OF_A_RUN = frozenset(["__pycache__", "node_modules", "respawn-debug", "respawn-runs", "respawn-work"])
_NOTEBOOK = ".ipynb"
_EXTENSION = re.compile(r"^\s*%(?:re)?load_ext\s+([\w.]+)\s*$", re.MULTILINE)
_MAX_SCRIPT = 100_000
"""Characters of a script of a shell that are looked at."""
_MODE = re.compile(r"[bt]*[wx][bt+]*")
_WRITER = re.compile(
    r"to_(csv|parquet|json|pickle|excel|feather|html|hdf|xml|stata|orc|latex|markdown|netcdf|zarr|file|sql)"
    r"|write\w*|sink_\w+|save\w*|imwrite|imsave|touch|mkdir|makedirs|unlink|rmdir|rmtree|tofile|urlretrieve"
)
"""Names of what writes files, as libraries have them: a file that code only writes is none that it needs."""


@dataclass
class LocalFiles:
    """What a notebook needs beside itself."""

    files: list[NewFile] = field(default_factory=list)
    """What its job can carry, by path."""
    outside: list[str] = field(default_factory=list)
    """What its runs will not have, unless it lies where they execute: a sentence for each."""


@dataclass(frozen=True)
class FileChoice:
    """What a person says of the files that a job is to carry."""

    more: Sequence[str] = ()
    """Patterns, from the notebook's directory, of files that it carries beside those that were found."""
    without: Sequence[str] = ()
    """Patterns of files that it does not carry."""


def find_files(notebook: NotebookNode, directory: Path, wanted: FileChoice | None = None) -> LocalFiles:
    """Return what a notebook needs of the files in its directory, and what it needs besides.

    Args:
        notebook: the notebook.
        directory: where it lies.
        wanted: what a person says; None for nothing.

    Raises:
        InvalidInput: a pattern of `wanted.more` leads nowhere, or to a file that cannot be carried.
    """
    wanted, place = wanted or FileChoice(), directory.resolve()
    search = _Search(place)
    sources = [str(cell.source) for _, cell in code_cells(notebook)]
    search.look_at([tree for source in sources if (tree := _tree(source)) is not None], sources)
    chosen = {name: path for name, path in search.files.items() if not _fits(name, wanted.without)}
    for pattern in wanted.more:
        chosen |= _matches(pattern, place, wanted.without)
    left = {name: one for name, one in search.outside.items() if name not in chosen}
    found = LocalFiles(outside=[one for name, one in left.items() if not _is_whole(place, name, chosen)])
    total = 0
    for name, path in sorted(chosen.items()):
        size = path.stat().st_size if path.exists() else 0
        if name not in search.files or size <= MAX_FILE_BYTES:
            total += size
            if total > MAX_BYTES:
                raise InvalidInput(
                    f"the files that the job is to carry have more than {how_large(MAX_BYTES)} up to {name}: "
                    "leave some out (--without of the command)",
                    path=name,
                )
            found.files.append(read_file(path, name))
        else:
            found.outside.append(f"{name}, which has {how_large(size)}: too large to be carried")
    check_paths([one.path for one in found.files])
    return found


def _is_whole(place: Path, name: str, chosen: Collection[str]) -> bool:
    """Return whether a name is that of a directory of which all files are chosen."""
    directory = place / name
    if not directory.is_dir():
        return False
    return all(f"{name}/{one.name}" in chosen for one in directory.iterdir() if one.is_file())


def matching_files(directory: Path, patterns: Sequence[str]) -> list[NewFile]:
    """Return the files that patterns lead to. Raises `InvalidInput` for one that leads nowhere.

    Args:
        directory: where the patterns start from.
        patterns: such as `data/*.csv`, or the name of a directory for all that is in it.
    """
    place, found = directory.resolve(), dict[str, Path]()
    for pattern in patterns:
        found |= _matches(pattern, place, ())
    return [read_file(path, name) for name, path in sorted(found.items())]


class _Search:
    """Looks for files below one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.files: dict[str, Path] = {}
        self.outside: dict[str, str] = {}

    def look_at(self, trees: Sequence[ast.AST], sources: Sequence[str]) -> None:
        """Find what cells need, and what the modules that they import need."""
        texts = {text for tree in trees for text in _texts(tree)}
        words = {word for source in sources for line in command_lines(source) for word in words_of(line)}
        roots = [self.directory, *self._roots(texts, sources)]
        extensions = [tree_of(f"import {name}") for source in sources for name in _EXTENSION.findall(source)]
        code = [ModuleCode(tree) for tree in [*trees, *extensions] if tree is not None]
        for text in texts | words:
            self._look_for(text, [self.directory])
        code += [ModuleCode(tree, file.parent) for file in self._scripts() if (tree := parsed(file))]
        modules = local_modules(code, roots)
        for tree in [one.tree for one in code if one.package is not None]:
            self._look_into(tree, [self.directory])
        for file, module in modules.items():
            self._add(file)
            if module is not None:
                self._look_into(module, [file.parent, self.directory])
        self._name_modules_above(code, texts, sources)

    def _scripts(self) -> list[Path]:
        """Return scripts of Python that commands start; look at the words of scripts of a shell."""
        for path in [self.directory / name for name in self.files if name.endswith((".sh", ".bash"))]:
            with suppress(OSError):
                for word in words_of(path.read_text(encoding="utf-8", errors="replace")[:_MAX_SCRIPT]):
                    self._look_for(word, [self.directory], quietly=True)
        return [path for name, path in self.files.items() if name.endswith(".py")]

    def _look_into(self, tree: ast.AST, places: Sequence[Path]) -> None:
        for text in _texts(tree):
            self._look_for(text, places, quietly=True)

    def _name_modules_above(
        self, code: Sequence[ModuleCode], texts: set[str], sources: Sequence[str]
    ) -> None:
        """Name modules that code finds by a path of modules which leads out of the notebook's directory."""
        if not any("sys.path" in source for source in sources):
            return
        above = [
            Path(os.path.normpath(self.directory / Path(text).expanduser()))
            for text in texts
            if _leads_out(text)
        ]
        places = [path for path in above if path.is_dir() and not path.is_relative_to(self.directory)]
        cells = [ModuleCode(one.tree) for one in code if one.package is None]
        for file in local_modules(cells, places) if places else ():
            self.outside[str(file)] = f"{file}, a module that lies outside of the notebook's directory"

    def _roots(self, texts: Iterable[str], sources: Sequence[str]) -> list[Path]:
        """Return directories below, which cells put on the path of modules."""
        if not any("sys.path" in source for source in sources):
            return []
        found = [
            path for text in sorted(texts) if (path := self._below(text, self.directory)) and path.is_dir()
        ]
        return [path for path in found if path != self.directory]

    def _look_for(self, text: str, places: Sequence[Path], *, quietly: bool = False) -> None:
        if not _may_be_path(text):
            return
        if text.startswith(("/", "~")):
            self._name_outside(text)
            return
        for place in places:
            if glob.has_magic(text) and any(sign in text for sign in "/."):
                if "**" in text and glob.has_magic(text.partition("/")[0]):
                    continue  # all of the directory, which may be a whole home
                for name in _globbed(text, place):
                    self._add(place / name)
                continue
            path = self._below(text, place)
            if path is None:
                if not quietly and ".." in text.split("/") and (place / text).exists():
                    self.outside[text] = f"{text}, which lies above the notebook's directory"
            elif path.is_file():
                self._add(path)
            elif not quietly and path.is_dir() and path != self.directory and "/" not in text.strip("/"):
                self._name_directory(path)

    def _below(self, text: str, place: Path) -> Path | None:
        """Return the path that a text names from a directory, where it stays below the notebook's."""
        try:
            path = Path(os.path.normpath(place / text))
            return path if path.is_relative_to(self.directory) else None
        except (OSError, ValueError):
            return None

    def _add(self, path: Path) -> None:
        name = path.relative_to(self.directory).as_posix()
        parts = name.split("/")
        if path.suffix == _NOTEBOOK or not _NOT_OF_A_RUN.isdisjoint(parts):
            return
        if path.suffix != ".py" and _may_be_secret(name):
            self.outside[name] = (
                f"{name}, which may hold a secret: the job does not carry it unless it is told to"
            )
            return
        if path.resolve().is_relative_to(self.directory):
            self.files[name] = path
        else:
            self.outside[name] = f"{name}, which is a link that leads out of the notebook's directory"

    def _name_outside(self, text: str) -> None:
        path = Path(text).expanduser()
        if _SYSTEM.match(text) and not path.is_relative_to(self.directory):
            return
        if not path.exists() or len(path.parts) <= 1:
            return
        if path.is_relative_to(self.directory) and path != self.directory:
            inside = path.relative_to(self.directory).as_posix()
            self.outside[text] = f"{text}, by its full path: write {inside}, and the job can carry it"
        elif path.is_file() or path.is_dir():
            self.outside[text] = f"{text}, which lies outside of the notebook's directory"

    def _name_directory(self, path: Path) -> None:
        name = path.relative_to(self.directory).as_posix()
        if name.split("/")[0] in _NOT_OF_A_RUN or (path / "__init__.py").exists():
            return
        if any(one.is_file() for one in path.iterdir()):
            self.outside[name] = f"{name}/, of which the code names no single file: add those that it needs"


def _tree(source: str) -> ast.AST | None:
    return tree_of(source) or tree_of(without_magics(source))


def written_names(notebook: NotebookNode) -> set[str]:
    """Return the paths of files that the code of a notebook names as what it writes."""
    found: set[str] = set()
    for _, cell in code_cells(notebook):
        tree = _tree(str(cell.source))
        for node in ast.walk(tree) if tree is not None else ():
            if isinstance(node, ast.Call) and _writes(node):
                within = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
                found |= {os.path.normpath(text) for text in within if isinstance(text, str)}
    return found


def _texts(tree: ast.AST) -> set[str]:
    """Return the texts in code but those that only name what it writes."""
    found, waiting = set[str](), [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
        elif isinstance(node, ast.Call) and _writes(node):
            parts = [node.func, *node.args, *(one.value for one in node.keywords)]
            parts += [node.func.value] if isinstance(node.func, ast.Attribute) else []
            waiting.extend(part for part in parts[1:] if not _is_path(part))
        else:
            waiting.extend(ast.iter_child_nodes(node))
    return found


def _is_path(node: ast.expr) -> bool:
    """Return whether an expression is a text, or `Path` of some."""
    if isinstance(node, ast.Call) and called_name(node) in ("Path", "PurePath", "join"):
        return all(_is_path(one) for one in node.args)
    return isinstance(node, ast.Constant)


def _writes(call: ast.Call) -> bool:
    name = called_name(call)
    if name == "open":
        given = [*call.args, *(one.value for one in call.keywords if one.arg == "mode")]
        modes = [one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        return any(_MODE.fullmatch(mode) for mode in modes)
    return _WRITER.fullmatch(name) is not None


def _leads_out(text: str) -> bool:
    return 0 < len(text) <= _MAX_TEXT and text.isprintable() and text.startswith(("..", "/", "~"))


def _may_be_path(text: str) -> bool:
    return 0 < len(text) <= _MAX_TEXT and text.isprintable() and "://" not in text and text.strip("./") != ""


def _globbed(pattern: str, place: Path) -> Iterator[str]:
    for count, name in enumerate(glob.iglob(pattern, root_dir=place, recursive=True)):  # noqa: PTH207
        if count >= _MAX_MATCHES:
            return
        if (place / name).is_file():
            yield os.path.normpath(name)


def _fits(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a path fits a pattern, or lies in a directory that does."""
    parts = name.split("/")
    above = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    return any(fnmatchcase(one, pattern.rstrip("/")) for one in above for pattern in patterns)


def _matches(pattern: str, place: Path, without: Sequence[str]) -> dict[str, Path]:
    """Return the files that a person's pattern leads to. Raises `InvalidInput` where there are none."""
    wide = f"{pattern.rstrip('/')}/**" if (place / pattern).is_dir() else pattern
    names = [name for name in _globbed(wide, place) if not name.startswith(("/", ".."))]
    if not names:
        raise InvalidInput(f"{pattern!r} fits no file in {place} that the job could carry", pattern=pattern)
    asked_for = (place / pattern).is_file()
    return {
        name: place / name
        for name in names
        if not _fits(name, without)
        and _NOT_OF_A_RUN.isdisjoint(name.split("/"))
        and not name.endswith(_NOTEBOOK)
        and (asked_for or not _may_be_secret(name))
    }


def _may_be_secret(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/")) or bool(NAMES.search(Path(name).stem))
