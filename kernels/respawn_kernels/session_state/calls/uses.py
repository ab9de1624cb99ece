"""What a cell's code sets by name: calls, assignments to attributes, changes of containers.

The bodies of the notebook's functions count for the cells that call them by name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from respawn_kernels.cell_code.syntax import tree_of
from respawn_kernels.session_state.calls import setting_verbs

CALL, ASSIGN, PUT = "call", "assign", "put"
CALLED = "()"
"""In a path: what the call of the function so far returned."""
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Imported = dict[str, tuple[str, str | None]]
"""By a variable's name: the module that was imported, and the name in it."""


@dataclass(frozen=True)
class Use:
    """Something that code sets, as the code names it."""

    kind: str
    path: tuple[str, ...]
    """Names from the variable on; the last is the function, the attribute or the container's method."""
    argument: str | None = None
    """The variable with which a call's first argument of several begins."""
    imported: tuple[str, str | None] | None = None
    """What the first name was imported as: a module, and a name in it."""
    given: frozenset[str] = frozenset()
    """Names that a call gives to the library, which may call what they stand for at any time."""


class Uses:
    """Reads the cells of a session, in their order."""

    def __init__(self) -> None:
        self.imported: Imported = {}
        self._functions: dict[str, tuple[list[Use], set[str]]] = {}
        """What functions of the notebook set themselves, and the names that they call."""

    def read(self, source: str) -> tuple[list[Use], set[str]]:
        """Return what a cell sets, each once, and the variables that it names then."""
        tree = tree_of(source)
        if tree is None:
            return [], set()
        nodes = list(_outside_functions(tree.body))
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                self.imported |= _imports(node)
        if "def " in source:
            self._note_functions(tree)
        found = dict.fromkeys(_of_block(nodes, self.imported))
        found |= dict.fromkeys(self._of_functions(_called(nodes)))
        uses = [
            use if use.imported else replace(use, imported=self.imported.get(use.path[0])) for use in found
        ]
        names = (node.id for node in ast.walk(tree) if isinstance(node, ast.Name)) if uses else ()
        return uses, set(names)

    def _note_functions(self, tree: ast.Module) -> None:
        for node in ast.walk(tree):
            if isinstance(node, _FUNCTIONS):
                nodes = list(_outside_functions(node.body))
                self._functions[node.name] = (
                    list(_of_function(node, nodes, self.imported)),
                    set(_called(nodes)),
                )

    def _of_functions(self, names: Iterable[str]) -> Iterator[Use]:
        """Return what functions of the notebook set, and those that they call."""
        waiting, seen = list(names), set[str]()
        while waiting:
            name = waiting.pop()
            if name not in seen and name in self._functions:
                seen.add(name)
                uses, calls = self._functions[name]
                yield from uses
                waiting += sorted(calls)


def _of_function(
    function: ast.FunctionDef | ast.AsyncFunctionDef, nodes: list[ast.AST], around: Imported
) -> Iterator[Use]:
    """Return what a function's body sets through names that are not its own, or that it imports."""
    imported: Imported = {}
    arguments = function.args
    own = {one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    own |= {one.arg for one in (arguments.vararg, arguments.kwarg) if one is not None}
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            imported |= _imports(node)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            own.add(node.id)
    for use in _of_block(nodes, {**around, **imported}):
        if use.path[0] in imported:
            yield replace(use, imported=imported[use.path[0]])
        elif use.path[0] not in own:
            yield use


def _of_block(nodes: list[ast.AST], imported: Imported) -> Iterator[Use]:
    for node in nodes:
        match node:
            case ast.Expr(value=ast.Call() as call) | ast.Expr(value=ast.Await(value=ast.Call() as call)):
                yield from _of_call(call, imported)
            case ast.Assign(targets=[ast.Name()], value=ast.Call() as call):
                yield from (
                    one
                    for one in _of_call(call, imported)
                    if setting_verbs.sets_and_returns(_name(one.path, imported))
                )
            case ast.FunctionDef() | ast.ClassDef() | ast.AsyncFunctionDef():
                yield from _of_decorators(node, imported)
            case ast.Attribute(ctx=ast.Store()):
                path = _path(node)
                if len(path) > 1:
                    yield Use(ASSIGN, path)


def _of_call(call: ast.Call, imported: Imported) -> Iterator[Use]:
    path = _path(call.func)
    if not path or path[-1] == CALLED:
        return
    name, owner = _name(path, imported), path[-2] if len(path) > 1 else ""
    if setting_verbs.puts(path[-1]) and owner not in setting_verbs.CONFIGURATIONS and len(path) > 1:
        yield Use(PUT, path)
    elif setting_verbs.sets(name, owner):
        several = len(call.args) + len(call.keywords) > 1
        first = _path(call.args[0])[:1] if call.args and several else ()
        yield Use(CALL, path, first[0] if first else None, given=_names(*call.args, *call.keywords))


def _name(path: tuple[str, ...], imported: Imported) -> str:
    """Return what a function is called in its library, whatever it was imported as."""
    inside = imported[path[0]][1] if len(path) == 1 and path[0] in imported else None
    return inside or path[-1]


def _of_decorators(
    defined: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, imported: Imported
) -> Iterator[Use]:
    for one in defined.decorator_list:
        path = _path(one.func if isinstance(one, ast.Call) else one)
        if path and setting_verbs.decorates(_name(path, imported)):
            yield Use(CALL, path, given=_names(one) | {defined.name})


def _names(*nodes: ast.AST) -> frozenset[str]:
    return frozenset(one.id for node in nodes for one in ast.walk(node) if isinstance(one, ast.Name))


def _path(node: ast.expr) -> tuple[str, ...]:
    """Return the names of `a.b().c`; nothing when it begins with something else than a name."""
    names: list[str] = []
    while True:
        match node:
            case ast.Attribute(value=inner, attr=name):
                names.append(name)
                node = inner
            case ast.Call(func=inner):
                names.append(CALLED)
                node = inner
            case ast.Name(id=name):
                return (name, *reversed(names))
            case _:
                return ()


def _called(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


def _imports(node: ast.Import | ast.ImportFrom) -> Imported:
    if isinstance(node, ast.ImportFrom):
        module = node.module if not node.level else None
        return {one.asname or one.name: (module, one.name) for one in node.names} if module else {}
    return {
        one.asname or one.name.partition(".")[0]: (
            one.name if one.asname else one.name.partition(".")[0],
            None,
        )
        for one in node.names
    }


def _outside_functions(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Walk over what runs when a block does: bodies of functions and lambdas do not."""
    waiting: list[ast.AST] = list(reversed(body))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (*_FUNCTIONS, ast.Lambda)):
            waiting += reversed(list(ast.iter_child_nodes(node)))
