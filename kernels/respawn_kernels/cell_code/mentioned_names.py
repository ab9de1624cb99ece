"""Which names a cell, or a function, may read; found from its code without running it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from respawn_kernels.cell_code.syntax import tree_of

_WORD = re.compile(r"[^\W\d]\w*")
_OPAQUE = {
    *("globals", "locals", "vars", "dir", "exec", "eval", "user_ns", "user_global_ns", "__main__"),
    *("Completer", "complete", "all_ns_refs", "ns_table"),
    *("__dict__", "__globals__", "f_globals", "f_locals", "_getframe", "currentframe", "inspect"),
    *("__subclasses__", "get_objects", "get_referrers", "getweakrefs", "getweakrefcount", "getrefcount"),
}
"""Words of code that looks at a namespace itself, or at all objects that there are.

A variable that is not loaded yet is not seen there."""
_OPAQUE_MAGICS = {
    "who",
    "who_ls",
    "whos",
    "reset",
    "reset_selective",
    "xdel",
    "store",
    "run",
    "psearch",
    "macro",
}


def mentioned(source: str) -> set[str] | None:
    """Return the names that a cell reads or deletes, and the words in its strings; None for all there are.

    A name that it only binds is not one of them. Of magics all words of their lines count.

    Args:
        source: Python, as IPython transforms it.
    """
    tree = tree_of(source)
    if tree is None:
        return _unless_opaque(set(_WORD.findall(source)))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _magic(node) in _OPAQUE_MAGICS:
            return None
        names.update(_words(node))
    return _unless_opaque(names)


def named_by(value: Any) -> set[str] | None:
    """Return the names that a function, or the methods of a class or of an object's class, mention.

    None for all there are: it looks at the namespace itself. Only code of the notebook is looked at.
    """
    names: set[str] = set()
    for function in _functions(value):
        for code in _codes(function.__code__):
            names.update(code.co_names)
            for constant in code.co_consts:
                if isinstance(constant, str):
                    names.update(_WORD.findall(constant))
    return _unless_opaque(names)


def _unless_opaque(names: set[str]) -> set[str] | None:
    return None if names & _OPAQUE else names


def _words(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Load() | ast.Del()):
            yield name
        case ast.AugAssign(target=ast.Name(id=name)):
            yield name
        case ast.Attribute(attr=name) if name in _OPAQUE:
            yield name
        case ast.Constant(value=str(text)):
            yield from _WORD.findall(text)
        case ast.ExceptHandler(name=str(name)):
            yield name  # it is deleted when the handler is left
        case ast.alias(name=name) if name in _OPAQUE:
            yield name


def _magic(call: ast.Call) -> str | None:
    """Return the name of the magic that a call stands for."""
    function = call.func
    if not (isinstance(function, ast.Attribute) and function.attr in ("run_line_magic", "run_cell_magic")):
        return None
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def _functions(value: Any) -> Iterator[FunctionType]:
    if isinstance(value, FunctionType):
        yield value
        return
    cls = value if isinstance(value, type) else type(value)
    if type.__dict__["__module__"].__get__(cls) == "__main__":
        for member in list(type.__dict__["__dict__"].__get__(cls).values()):
            inner = getattr(member, "__func__", getattr(member, "fget", member))
            if isinstance(inner, FunctionType):
                yield inner


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
