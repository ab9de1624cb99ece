"""What a parameter's annotation, or its default, says of its type: read from the syntax tree, never executed.

Names are looked up among the imports and classes of the cells down to the `parameters` cell. A name that
nothing binds there (`from somewhere import *`) is taken for what it is usually called.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

from respawn_kernels.cell_code.syntax import tree_of

_MAX_DEPTH = 8
"""Levels of a nested annotation that are read."""
_PLAIN = {
    "int": "int", "integer": "int",
    "float": "float", "double": "float",
    "str": "str", "string": "str",
    "bool": "bool", "boolean": "bool",
    "list": "list", "tuple": "list", "set": "list", "frozenset": "list", "sequence": "list",
    "iterable": "list", "collection": "list",
    "dict": "dict", "mapping": "dict",
}  # fmt: skip
_MADE = {
    "datetime.date": "date",
    "datetime.datetime": "datetime",
    "datetime.time": "time",
    "decimal.Decimal": "decimal",
    "pathlib.Path": "path",
    "pathlib.PurePath": "path",
    "pathlib.PosixPath": "path",
}
"""Types that JSON does not have: their values are text, and the injected cell makes them."""
_USUAL = {name.rpartition(".")[2]: name for name in reversed(_MADE)}
_ENUMS = {"enum.Enum", "enum.IntEnum", "enum.StrEnum", "Enum", "IntEnum", "StrEnum"}
_CLASSES: dict[str, Callable[..., Any]] = {
    "date": date, "datetime": datetime, "time": time, "decimal": Decimal, "path": PurePosixPath,
}  # fmt: skip
_RETURN_THEIR_OWN = {"fromisoformat", "today", "now", "fromtimestamp", "strptime", "combine", "cwd", "home"}
"""Class methods of these types that return an instance."""


@dataclass(frozen=True)
class ParameterKind:
    """What a parameter takes."""

    type: str | None = None
    """int, float, str, bool, list, dict, date, datetime, time, decimal, path; None for anything."""
    nullable: bool = False
    choices: tuple[Any, ...] = ()
    """The only values that it takes, as JSON; empty for any."""
    items: ParameterKind | None = None
    """What a list holds, where the type says it."""
    maker: str = ""
    """Expression that makes the value from its text, such as `date.fromisoformat`; empty for plain JSON."""
    container: str = "list"
    """list, tuple or set: what a JSON list becomes."""
    to_float: bool = False
    """Whether whole numbers become floats."""


ANYTHING = ParameterKind()


@dataclass
class Names:
    """What the names of a notebook stand for, as far as its cells say so."""

    imported: dict[str, str] = field(default_factory=dict)
    enums: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Members of enumerations, as far as all of their values are written out."""
    other: set[str] = field(default_factory=set)
    """Names of functions and classes that are none of these."""

    def add(self, tree: ast.Module) -> None:
        """Take note of a cell's imports and classes."""
        for node in tree.body:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    full = alias.name if alias.asname else alias.name.partition(".")[0]
                    self.imported[alias.asname or full] = full
            elif isinstance(node, ast.ImportFrom) and not node.level:
                for alias in node.names:
                    self.imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            elif isinstance(node, ast.ClassDef | ast.FunctionDef):
                self._define(node)

    def full(self, node: ast.expr) -> str | None:
        """Return the full name of what a dotted name stands for; None for any other expression."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id in self.other:
            return None
        return ".".join([self.imported.get(node.id, node.id), *reversed(parts)])

    def known(self, node: ast.expr) -> str | None:
        """Return what `full` does, where nothing binds the name that of the type it is usually called."""
        full = self.full(node)
        if full is None or full in _MADE:
            return full
        while isinstance(node, ast.Attribute):
            node = node.value
        bound = isinstance(node, ast.Name) and node.id in self.imported
        return full if bound else _USUAL.get(full.rpartition(".")[2])

    def _define(self, node: ast.ClassDef | ast.FunctionDef) -> None:
        self.imported.pop(node.name, None)
        bases = {self.full(base) for base in node.bases} if isinstance(node, ast.ClassDef) else set()
        members = _members(node) if bases & _ENUMS else {}
        if members:
            self.enums[node.name] = members
        else:
            self.other.add(node.name)


def names_of(sources: Sequence[str]) -> Names:
    """Return what names stand for after these cells; cells that do not parse say nothing."""
    names = Names()
    for source in sources:
        if (tree := tree_of(source)) is not None:
            names.add(tree)
    return names


def annotated(annotation: ast.expr, names: Names, depth: int = 0) -> ParameterKind:
    """Return what an annotation says; anything, where it is not known or nested too deeply.

    Args:
        annotation: the expression, as in `name: annotation = default`.
        names: what the names in it stand for.
        depth: how many annotations this one lies in; 0 for a whole one.
    """
    if depth > _MAX_DEPTH:
        return ANYTHING
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return spelled(annotation.value, names, depth + 1)
    if isinstance(annotation, ast.Constant) and annotation.value is None:
        return ParameterKind(nullable=True)
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return _union(_alternatives(annotation), names, depth)
    if isinstance(annotation, ast.Subscript):
        return _subscripted(annotation, names, depth)
    return _named(annotation, names)


def spelled(text: str, names: Names, depth: int = 0) -> ParameterKind:
    """Return what an annotation says that is written as text; anything, where the text is no expression.

    Args:
        text: the source of the annotation.
        names: what the names in it stand for.
        depth: how many annotations this one lies in; 0 for a whole one.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ANYTHING
    return annotated(tree.body, names, depth)


def inferred(default: ast.expr, names: Names) -> ParameterKind:
    """Return what a default without annotation says: only a date and its like."""
    if not isinstance(default, ast.Call):
        return ANYTHING
    kind = _named(default.func, names)
    if not kind.maker and isinstance(default.func, ast.Attribute) and default.func.attr in _RETURN_THEIR_OWN:
        kind = _named(default.func.value, names)
    return kind if kind.type in _CLASSES else ANYTHING


def default_value(default: ast.expr, kind: ParameterKind, names: Names) -> Any:
    """Return the JSON value of a default of one of these types; None where it is computed.

    Args:
        default: the expression that makes the value, such as `date(2024, 1, 31)` or `Color.RED`.
        kind: the type that the parameter has.
        names: what the names in the expression stand for.
    """
    if isinstance(default, ast.Attribute):
        return names.enums.get(names.full(default.value) or "", {}).get(default.attr)
    if not isinstance(default, ast.Call) or default.keywords or kind.type not in _CLASSES:
        return None
    make = _CLASSES[kind.type]
    if isinstance(default.func, ast.Attribute) and default.func.attr == "fromisoformat":
        make = getattr(make, "fromisoformat", make)
    elif _MADE.get(names.known(default.func) or "") != kind.type:
        return None
    try:
        return written(make(*[ast.literal_eval(argument) for argument in default.args]))
    except (ValueError, TypeError, ArithmeticError):
        return None


def read(kind: str, value: Any) -> Any:
    """Return the canonical text of a value of one of these types.

    Raises:
        ValueError: It is none.
        TypeError: It is no text, nor a number where that will do.
    """
    if kind == "decimal" and isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise TypeError(f"not text: {value!r}")
    try:
        if kind in ("date", "datetime", "time"):
            return written(_CLASSES[kind].fromisoformat(value.strip()))  # type: ignore[attr-defined]
        if kind == "decimal":
            return str(Decimal(value.strip()))
    except ArithmeticError as error:
        raise ValueError(f"not a number: {value!r}") from error
    if "\0" in value or not value:
        raise ValueError("not a path")
    return value


def written(value: Any) -> str:
    """Return a value of one of these types as text."""
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _named(node: ast.expr, names: Names) -> ParameterKind:
    full = names.full(node)
    if full is None:
        return ANYTHING
    if full in names.enums:
        values = tuple(names.enums[full].values())
        return ParameterKind(type=_common_type(values), choices=values, maker=ast.unparse(node))
    made = names.known(node)
    if made in _MADE:
        text = ast.unparse(node)
        kind = _MADE[made]
        return ParameterKind(
            type=kind, maker=f"{text}.fromisoformat" if kind in ("date", "datetime", "time") else text
        )
    last = full.rpartition(".")[2]
    if last == "Any":
        return ParameterKind(nullable=True)
    plain = _PLAIN.get(last.lower())
    container = last.lower() if last.lower() in ("tuple", "set") else "list"
    return ParameterKind(type=plain, container=container, to_float=plain == "float")


def _subscripted(node: ast.Subscript, names: Names, depth: int) -> ParameterKind:
    outer = (names.full(node.value) or "").rpartition(".")[2]
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if outer == "Optional":
        return replace(annotated(node.slice, names, depth + 1), nullable=True)
    if outer == "Union":
        return _union(inner, names, depth)
    if outer in ("Annotated", "Final"):
        return annotated(inner[0], names, depth + 1)
    if outer == "Literal":
        return _literal(inner)
    kind = _named(node.value, names)
    if kind.type != "list":
        return kind
    same = inner[:1] if len(inner) == 1 or ast.unparse(inner[-1]) in ("...", "Ellipsis") else []
    return replace(kind, items=annotated(same[0], names, depth + 1) if same else None)


def _union(parts: Sequence[ast.expr], names: Names, depth: int) -> ParameterKind:
    kinds = [annotated(part, names, depth + 1) for part in parts]
    nullable = any(kind.nullable for kind in kinds)
    kinds = [
        kind
        for kind, part in zip(kinds, parts, strict=True)
        if not (isinstance(part, ast.Constant) and part.value is None)
    ]
    if len(kinds) == 1:
        return replace(kinds[0], nullable=nullable)
    if kinds and all(kind.choices and not kind.maker for kind in kinds):
        return replace(_chosen([choice for kind in kinds for choice in kind.choices]), nullable=nullable)
    if {kind.type for kind in kinds} == {"int", "float"}:
        return ParameterKind(type="float", nullable=nullable)
    return ParameterKind(nullable=nullable)


def _alternatives(node: ast.expr) -> list[ast.expr]:
    found = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        found.append(node.right)
        node = node.left
    return [node, *reversed(found)]


def _literal(nodes: Sequence[ast.expr]) -> ParameterKind:
    values = []
    for node in nodes:
        try:
            values.append(ast.literal_eval(node))
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            return ANYTHING  # a member of an enumeration, or what is no literal
    nullable = None in values
    chosen = [value for value in values if isinstance(value, str | int)]
    if len(chosen) + nullable < len(values):
        return ANYTHING
    return replace(_chosen(chosen), nullable=nullable)


def _chosen(values: Sequence[Any]) -> ParameterKind:
    distinct = {json.dumps(value): value for value in values}
    return ParameterKind(type=_common_type(tuple(distinct.values())), choices=tuple(distinct.values()))


def _common_type(values: Sequence[Any]) -> str | None:
    types = {type(value).__name__ for value in values}
    return types.pop() if len(types) == 1 else None


def _members(node: ast.ClassDef | ast.FunctionDef) -> dict[str, Any]:
    """Return the members of an enumeration with their values; none when one of them is not written out."""
    found: dict[str, Any] = {}
    for statement in node.body:
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
            continue
        value = statement.value.value if isinstance(statement.value, ast.Constant) else None
        if not isinstance(value, str | int | float):
            return {}
        found[statement.targets[0].id] = value
    return found
