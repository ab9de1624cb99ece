"""Many kinds in one notebook: each kind's variables get a prefix of their own."""

from __future__ import annotations

import ast

from support.classes.kinds import Kind, kinds

_BY_TEXT = {
    "closures": "it sets a variable by its text",
    "type parameters": "its code is a text",
    "a parser with suppressed defaults": "its help names the program",
    "interned strings": "what the last cell asks for is made by its own code",
    "tracebacks as text": "it names the cell's file, which is another one in each kernel",
    "memmap": "it is a file",
    "dataclass fields": "it asks for a field by its name",
    "metaclass hooks are not run again": "it asks for a class by its name",
    "decimal": "its repr tells of signals in an order of addresses",
}
"""Kinds that bear no prefix, and why."""


class _Prefixed(ast.NodeTransformer):
    def __init__(self, prefix: str, names: set[str]) -> None:
        self._prefix, self._names = prefix, names

    def _new(self, name: str) -> str:
        return f"{self._prefix}{name}" if name in self._names else name

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._new(node.id)
        return node

    def visit_Global(self, node: ast.Global) -> ast.AST:
        node.names = [self._new(name) for name in node.names]
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        node.name = self._new(node.name) if node.name else None
        return self.generic_visit(node)


class _Definitions(ast.NodeTransformer):
    """Renames what the module itself defines; what is inside keeps its name."""

    def __init__(self, prefixed: _Prefixed) -> None:
        self._prefixed = prefixed

    def visit_Module(self, node: ast.Module) -> ast.AST:
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
                statement.name = self._prefixed._new(statement.name)
        return node


def _bound(tree: ast.Module) -> set[str]:
    """Return the names that a module binds, but for what it imports."""
    found: set[str] = set()
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            found.add(node.name)
            continue
        if isinstance(node, ast.Lambda | ast.GeneratorExp | ast.ListComp | ast.DictComp | ast.SetComp):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            found.add(node.id)
        if isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
        waiting += ast.iter_child_nodes(node)
    return found


def _is_clear(tree: ast.Module, names: set[str]) -> bool:
    """Return whether no argument and no inner definition has a name that the module binds."""
    inner = [node for statement in tree.body for node in ast.walk(statement) if node is not statement]
    taken = {node.arg for node in inner if isinstance(node, ast.arg)}
    taken |= {node.name for node in inner if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return not taken & names


def cells() -> tuple[list[str], list[str], list[str]]:
    """Return cells that make the kinds, expressions that see them, and the kinds' names."""
    makes, sees, names = [], [], []
    for number, kind in enumerate(kinds()):
        parts = _parts(kind, f"k{number}_")
        if parts is not None:
            makes.append(parts[0])
            sees.append(parts[1])
            names.append(kind.name)
    return makes, sees, names


def _parts(kind: Kind, prefix: str) -> tuple[str, str] | None:
    if kind.name in _BY_TEXT or kind.named:
        return None
    make, see = ast.parse(kind.make), ast.parse(kind.see)
    names = _bound(make)
    if not (_is_clear(make, names) and _is_clear(see, names)):
        return None
    prefixed = _Prefixed(prefix, names)
    for tree in (make, see):
        prefixed.visit(tree)
    _Definitions(prefixed).visit(make)
    return ast.unparse(make), ast.unparse(see)
