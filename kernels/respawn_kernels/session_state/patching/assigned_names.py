"""Which names the cells of this session assign to: `settings.URL = …`, `setattr(settings, "URL", …)`.

What a library does to itself while it runs looks like what a cell does to the library. The cells' own code
shows which of both it is.
"""

from __future__ import annotations

import ast
from typing import Any

from respawn_kernels.cell_code.syntax import tree_of
from respawn_kernels.namespace import live_shell


class _AssignedNames:
    """The words of the inputs that were read so far."""

    def __init__(self) -> None:
        self._inputs: Any = None
        self._count = 0
        self.set: set[str] = set()
        self.written: set[str] = set()
        self.mentioned: set[str] = set()
        self.pairs: set[tuple[str, str]] = set()
        self.computed = False
        self._called: dict[str, str] = {}

    def read(self) -> _AssignedNames:
        """Read the inputs that are new."""
        inputs: list[str] = getattr(getattr(live_shell(), "history_manager", None), "input_hist_parsed", [])
        if self._inputs is not inputs or len(inputs) < self._count:
            self.__init__()  # type: ignore[misc]
            self._inputs = inputs
        for source in inputs[self._count :]:
            self._add(source)
        self._count = len(inputs)
        return self

    def _add(self, source: str) -> None:
        tree = tree_of(source)
        if tree is None:
            return
        for node in ast.walk(tree):
            self._add_pair(node)
            match node:
                case ast.Attribute(attr=name, ctx=ast.Store() | ast.Del()):
                    self.set.add(name)
                    self.mentioned.add(name)
                case ast.keyword(arg=str(name)):
                    self.written.add(name)
                case ast.Constant(value=str(text)) if len(text) < _LONGEST:
                    self.written.add(text)
                    if text.replace(".", "a").isidentifier():
                        self.written.add(text.rpartition(".")[2])
                case ast.Name(id=name) | ast.alias(name=name) | ast.Attribute(attr=name):
                    self.mentioned.add(name)
        self.written |= self.set

    def _add_pair(self, node: ast.AST) -> None:
        match node:
            case ast.Import(names=names):
                self._called |= {one.asname: one.name.rpartition(".")[2] for one in names if one.asname}
            case ast.ImportFrom(module=str(module), names=names):
                self._called |= {one.asname: one.name for one in names if one.asname}
                self.pairs |= {(module.rpartition(".")[2], one.name) for one in names}
            case ast.Attribute(value=ast.Name(id=name) | ast.Attribute(attr=name), attr=attribute):
                self.pairs.add((self._called.get(name, name), attribute))
            case ast.Call(func=ast.Name(id="setattr" | "delattr"), args=[_, name, *_]):
                self.computed |= not isinstance(name, ast.Constant)


_LONGEST = 200
_words = _AssignedNames()


def set_attributes() -> set[str]:
    """Return the names of attributes that cells set or delete."""
    return _words.read().set


def written_words() -> set[str]:
    """Return them with the names of keywords and all text that is a name.

    Text counts, since `setattr`, `mock.patch` and decorators of libraries take names as text. For
    `mock.patch("settings.URL")` that is `URL`, and the whole.
    """
    return _words.read().written


def mentioned_words() -> set[str]:
    """Return the names that cells use, attributes included, and the modules that they import."""
    return _words.read().mentioned


def named_pairs() -> set[tuple[str, str]]:
    """Return neighbours in dotted names that cells use: of `pd.io.x` (`pandas`, `io`) and (`io`, `x`)."""
    return _words.read().pairs


def sets_computed_names() -> bool:
    """Return whether a cell sets attributes whose names are not in it: `setattr(module, name, value)`."""
    return _words.read().computed
