"""Modules that lie beside a notebook: which of them its imports lead to, one through the other."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from respawn_kernels.cell_code.syntax import called_name, tree_of

_MAX_MODULES = 2000
_IMPORTERS = frozenset(["import_module", "__import__", "reload", "run_module"])


@dataclass(frozen=True)
class ModuleCode:
    """Python code, with where it stands."""

    tree: ast.AST
    package: Path | None = None
    """The directory that relative imports in it start from; None for a cell."""


def local_modules(sources: Iterable[ModuleCode], roots: Iterable[Path]) -> dict[Path, ast.AST | None]:
    """Return the files of modules below some directories that code imports, directly or through others.

    A package comes whole, with all its modules: what it imports as it runs is not to be seen.

    Args:
        sources: the code.
        roots: the directories that modules are looked for in, absolute.

    Returns:
        By file its syntax tree; None where it cannot be parsed.
    """
    places = list(roots)
    found: dict[Path, ast.AST | None] = {}
    waiting = list(sources)
    while waiting:
        source = waiting.pop()
        for file in _imported(source, places):
            if file in found or len(found) >= _MAX_MODULES:
                continue
            tree = parsed(file)
            found[file] = tree
            if tree is not None:
                waiting.append(ModuleCode(tree, file.parent))
    return found


def _imported(source: ModuleCode, roots: list[Path]) -> Iterator[Path]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files_of(alias.name, roots)
        elif isinstance(node, ast.ImportFrom):
            yield from _from(node, source, roots)
        elif isinstance(node, ast.Call) and node.args and called_name(node) in _IMPORTERS:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield from _files_of(name.value, roots)


def _from(node: ast.ImportFrom, source: ModuleCode, roots: list[Path]) -> Iterator[Path]:
    places = roots
    if node.level:
        if source.package is None:
            return
        place = source.package
        for _ in range(node.level - 1):
            place = place.parent
        if not any(place == root or place.is_relative_to(root) for root in roots):
            return
        places = [place]
    yield from _files_of(node.module or "", places)
    for alias in node.names:
        if alias.name != "*":
            yield from _files_of(f"{node.module}.{alias.name}" if node.module else alias.name, places)


def _files_of(name: str, roots: list[Path]) -> Iterator[Path]:
    """Yield the files that a dotted name leads to: a module, or all of the package at its beginning."""
    parts = [part for part in name.split(".") if part]
    if not parts or not all(part.isidentifier() for part in parts):
        return
    for root in roots:
        first = root / parts[0]
        if (first / "__init__.py").is_file():
            yield from _package(first)
            return
        if first.with_suffix(".py").is_file():
            yield first.with_suffix(".py")
            return
        if first.is_dir():  # a namespace package: what its own parts lead to
            yield from _files_of(".".join(parts[1:]), [first])


def _package(directory: Path) -> Iterator[Path]:
    for file in sorted(directory.rglob("*.py")):
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(directory).parts):
            yield file


def parsed(file: Path) -> ast.AST | None:
    """Return the syntax tree of a module's file; None where it has none."""
    try:
        return tree_of(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        return None
