"""Functions and classes of a notebook, and where their names live."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from respawn_jobs.dataflow.interpreter.values import Value

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_MAX_SHAPES = 10_000
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(eq=False)
class Scope:
    """The names of one call of a function, of a class's body or of a comprehension."""

    local: frozenset[str]
    parent: Scope | None
    region: int
    """What functions defined in here may keep of it."""
    globals: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    """Names that functions defined in here mention."""
    is_class: bool = False
    is_comprehension: bool = False
    names: dict[str, Value] = field(default_factory=dict)
    returned: Value | None = None


@dataclass(eq=False)
class Function:
    """A function, lambda or generator expression of the notebook."""

    node: FunctionNode | ast.GeneratorExp
    parent: Scope | None
    region: int
    """Its defaults, attributes, and what it keeps of the scopes around it."""
    method_of: ClassInfo | None = None
    defaults: dict[str, Value] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name it was defined with; empty for a lambda."""
        return getattr(self.node, "name", "")

    @property
    def special(self) -> bool:
        """Whether Python itself calls it: for an operator, a loop, a length."""
        return self.name.startswith("__") and self.name.endswith("__")


@dataclass(eq=False)
class ClassInfo:
    """A class of the notebook."""

    name: str
    region: int
    methods: dict[str, Function] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    """What its body binds."""
    own: set[str] = field(default_factory=set)
    """Attributes that its instances are seen to get."""
    exact: bool = True
    """Whether all that its instances can do is seen: no bases, decorators or metaclass from elsewhere."""


def parts(node: ast.AST) -> Iterator[ast.AST]:
    """Walk what belongs to the scope of a node: not into functions, classes, comprehensions inside it."""
    waiting = [] if isinstance(node, (*_DEFINITIONS, ast.Lambda)) else list(ast.iter_child_nodes(node))
    while waiting:
        part = waiting.pop()
        yield part
        if isinstance(part, _COMPREHENSIONS):
            waiting += [inner for inner in ast.walk(part) if isinstance(inner, ast.NamedExpr)]
        elif not isinstance(part, (*_DEFINITIONS, ast.Lambda)):
            waiting += ast.iter_child_nodes(part)


def bound(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names that nodes of one scope bind or delete."""
    names: set[str] = set()
    for top in nodes:
        for node in (top, *parts(top)):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                names.add(node.id)
            elif isinstance(node, _DEFINITIONS):
                names.add(node.name)
            elif isinstance(node, ast.alias):
                names.add(node.asname or node.name.partition(".")[0])
            elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
                names.add(node.name)
            elif isinstance(node, ast.MatchMapping) and node.rest:
                names.add(node.rest)
    return names


@lru_cache(_MAX_SHAPES)
def as_list(node: ast.GeneratorExp) -> ast.ListComp:
    """Return what goes through all that a generator expression gives: the same node each time."""
    return ast.ListComp(node.elt, node.generators)


@dataclass(frozen=True)
class Shape:
    """What the code of a function tells of its names."""

    local: frozenset[str]
    globals: frozenset[str]
    """Names that it declares to be global."""
    kept: frozenset[str]
    """Names that functions and classes inside of it mention."""
    lazy: bool
    """Whether a call does not run the body but gives something that will."""


@lru_cache(_MAX_SHAPES)
def shape_of(node: FunctionNode | ast.GeneratorExp) -> Shape:
    """Return what the code of a function tells of its names."""
    code = body(node)
    everywhere = declared(code, ast.Global)
    names: set[str] = set()
    lazy = isinstance(node, ast.AsyncFunctionDef)
    if not isinstance(node, ast.GeneratorExp):
        names = bound(code) | {one.arg for one in arguments(node.args)}
        lazy = lazy or any(
            isinstance(part, ast.Yield | ast.YieldFrom) for one in code for part in (one, *parts(one))
        )
    local = names - everywhere - declared(code, ast.Nonlocal)
    return Shape(frozenset(local), frozenset(everywhere), kept(code), lazy)


def kept(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """Return the names that functions and classes inside the code of one scope mention."""
    inner = (*_DEFINITIONS, ast.Lambda, ast.GeneratorExp)
    found = [part for node in nodes for part in ast.walk(node) if isinstance(part, inner)]
    return frozenset(name for part in found for name in mentioned(part))


def arguments(node: ast.arguments) -> list[ast.arg]:
    """Return all parameters of a function."""
    more = [one for one in (node.vararg, node.kwarg) if one is not None]
    return [*node.posonlyargs, *node.args, *node.kwonlyargs, *more]


def body(node: FunctionNode | ast.GeneratorExp) -> list[ast.AST]:
    """Return what runs when a function is called."""
    if isinstance(node, ast.Lambda):
        return [node.body]
    return [node] if isinstance(node, ast.GeneratorExp) else list(node.body)


def declared(nodes: Iterable[ast.AST], kind: type[ast.Global] | type[ast.Nonlocal]) -> set[str]:
    """Return the names that a function declares to be global, or of a function around it."""
    found = [part for node in nodes for part in (node, *parts(node)) if isinstance(part, kind)]
    return {name for part in found for name in part.names}


@lru_cache(_MAX_SHAPES)
def mentioned(node: ast.AST) -> frozenset[str]:
    """Return every name in a piece of code, whatever it is."""
    return frozenset(part.id for part in ast.walk(node) if isinstance(part, ast.Name))
