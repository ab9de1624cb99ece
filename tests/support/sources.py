"""The repository's own Python modules and what they import, read without importing them."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]

PARTS = {
    "respawn_hub": "hub_ext",
    "respawn_server": "hub_ext",
    "respawn_jobs": "papermill_jobs",
    "respawn_environments": "kernels",
    "respawn_kernels": "kernels",
    "respawn": "kernels",
    "respawn_widgets": "widgets",
}
"""Each package and the source root it lies in."""


@dataclass(frozen=True)
class Module:
    """One Python file of one part."""

    part: str
    name: str
    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        """The file, parsed."""
        return ast.parse(self.path.read_text(), str(self.path))

    def imports(self, *, when_loaded: bool = False) -> set[str]:
        """Return the dotted names it imports, absolute ones and relative ones resolved.

        `from a import b` gives both `a` and `a.b`: only the reader of the answer knows whether b is a module.
        With `when_loaded`, only what loading the module imports: not what functions import when called, nor
        what is there for type checkers only.
        """
        found: set[str] = set()
        for node in _statements(self.tree, when_loaded):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._absolute(node)
                found.add(base)
                found.update(f"{base}.{alias.name}" for alias in node.names)
        return found

    def imported_modules(self, known: Collection[str], *, when_loaded: bool = False) -> set[str]:
        """Return which of some modules it imports: of `from a import b` it is a.b, where that is a module."""
        found: set[str] = set()
        for node in _statements(self.tree, when_loaded):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._absolute(node)
                names = (f"{base}.{alias.name}" for alias in node.names)
                found.update(name if name in known else base for name in names)
        return (found - {self.name}).intersection(known)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
        for _ in range(node.level - 1):
            package = package.rpartition(".")[0]
        return f"{package}.{node.module}" if node.module else package


def _statements(tree: ast.AST, when_loaded: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if when_loaded:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                continue
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                continue
        yield node
        yield from _statements(node, when_loaded)


@cache
def modules(part: str) -> list[Module]:
    """Return the modules of a part."""
    root = ROOT / PARTS[part]
    found = []
    for path in sorted((root / part).rglob("*.py")):
        dotted = path.relative_to(root).with_suffix("").parts
        name = ".".join(dotted[:-1] if dotted[-1] == "__init__" else dotted)
        found.append(Module(part, name, path))
    return found
