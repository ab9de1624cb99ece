"""Whether the classes of a notebook run code when an attribute is read, set or deleted."""

from __future__ import annotations

import ast
from collections.abc import Sequence


def mentioned_anywhere(nodes: Sequence[ast.AST]) -> set[str]:
    """Return all names and attributes."""
    return {node.id for node in nodes if isinstance(node, ast.Name)} | {
        node.attr if isinstance(node, ast.Attribute) else node.name
        for node in nodes
        if isinstance(node, ast.Attribute | ast.alias)
    }


_PLAIN_DECORATORS = frozenset({"staticmethod", "classmethod", "dataclass", "abstractmethod", "override"})
_PLAIN_BASES = frozenset(
    {
        "object",
        "ABC",
        "Protocol",
        "Generic",
        "NamedTuple",
        "TypedDict",
        "Enum",
        "IntEnum",
        "StrEnum",
        "Exception",
    }
    | {"ValueError", "RuntimeError", "list", "dict", "set", "tuple", "str", "int", "float", "type"}
)


def computes_attributes(nodes: Sequence[ast.AST]) -> bool:
    """Return whether reading or setting an attribute of a class of the notebook may run code.

    A property does, a decorator or a base class that nobody knows may, and so may whatever stands in for one.
    """
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    own = {node.name for node in classes}
    methods = [
        part
        for node in classes
        for part in node.body
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    decorators = [decorator for method in methods for decorator in method.decorator_list]
    bases = [
        base.value if isinstance(base, ast.Subscript) else base for node in classes for base in node.bases
    ]
    return (
        any(_last_name(decorator) not in _PLAIN_DECORATORS for decorator in decorators)
        or any(_last_name(base) not in _PLAIN_BASES | own for base in bases)
        or (
            bool(classes)
            and bool({"property", "cached_property", "partialmethod"} & mentioned_anywhere(nodes))
        )
    )


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
