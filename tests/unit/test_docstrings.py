"""Public functions with many parameters say what each of them is, and public functions what they raise."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import cleandoc

import pytest

from support.sources import PARTS, Module, modules

DOCUMENTED = (
    "hub_ext",
    "kernels",
    "papermill_jobs",
    "widgets",
)
"""The source roots whose public functions keep to this; one more is one more line."""
MANY_PARAMETERS = 3
_OF_CLICK = ("command", "group")
"""Decorators of commands: click describes their options, prints their docstring as help and their errors."""
_OF_ROUTES = ("serves",)
"""Decorator of a function that answers an operation: the operation is described where it is declared."""
_ENTRY = re.compile(r"(\*{0,2}\w+(?:, \*{0,2}\w+)*): \S")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class PublicFunction:
    """A function or method that others may call, with the docstrings that describe it."""

    place: str
    node: _Function
    owner: ast.ClassDef | None

    @property
    def docstrings(self) -> list[str]:
        """Its docstring; of `__init__` that of the class, too."""
        owners = [self.owner] if self.owner is not None and self.node.name == "__init__" else []
        return [ast.get_docstring(one) or "" for one in (self.node, *owners)]

    @property
    def parameters(self) -> list[str]:
        """Its parameters but self and cls, and but those that are not used, which begin with `_`."""
        given = self.node.args
        placed = [one.arg for one in (*given.posonlyargs, *given.args)]
        if self.owner is not None and not _has_decorator(self.node, "staticmethod"):
            placed = placed[1:]
        rest = [one.arg for one in (given.vararg, *given.kwonlyargs, given.kwarg) if one is not None]
        return [name for name in (*placed, *rest) if not name.startswith("_")]

    @property
    def undocumented(self) -> list[str]:
        """The parameters that no section `Args:` describes, of a function that has many."""
        if len(self.parameters) < MANY_PARAMETERS:
            return []
        described = {name for text in self.docstrings for name in _arguments_in(text)}
        return [name for name in self.parameters if name not in described]

    @property
    def unmentioned(self) -> list[str]:
        """The exceptions that it raises itself and that its docstring does not name."""
        text = "\n".join(self.docstrings)
        raised = [
            one.exc for one in ast.walk(self.node) if isinstance(one, ast.Raise) and one.exc is not None
        ]
        chosen = [each for one in raised for each in _alternatives(one)]
        names = {ast.unparse(one.func if isinstance(one, ast.Call) else one) for one in chosen}
        classes = {name.rpartition(".")[2] for name in names}
        return sorted(name for name in classes if name[:1].isupper() and name not in text)


def _alternatives(raised: ast.expr) -> list[ast.expr]:
    """Return both of `raise This if condition else That`, and any other expression alone."""
    if isinstance(raised, ast.IfExp):
        return [*_alternatives(raised.body), *_alternatives(raised.orelse)]
    return [raised]


def _has_decorator(function: _Function, *names: str) -> bool:
    """Return whether a function has a decorator of one of these names, called or not: `click.command()`."""
    decorators = [one.func if isinstance(one, ast.Call) else one for one in function.decorator_list]
    return any(ast.unparse(one).rpartition(".")[2] in names for one in decorators)


def _arguments_in(docstring: str) -> Iterator[str]:
    """Yield the names that a section `Args:` describes, each with words behind it."""
    section = re.search(r"^Args:\n((?:[ ]+.*\n?|\n)+)", cleandoc(docstring), re.MULTILINE)
    for line in cleandoc(section[1]).splitlines() if section is not None else ():
        if entry := _ENTRY.match(line):
            yield from (name.strip("* ") for name in entry[1].split(","))


def public_functions(tree: ast.Module, where: str) -> Iterator[PublicFunction]:
    """Yield the public functions of a module and of its public classes.

    Left out are those inside of functions, overloads, commands of click, and answers to declared operations.
    """
    waiting: list[tuple[str, ast.AST, ast.ClassDef | None]] = [(where, tree, None)]
    while waiting:
        place, outer, owner = waiting.pop()
        for node in ast.iter_child_nodes(outer):
            if isinstance(node, _Function):
                private = node.name.startswith("_") and (owner is None or node.name != "__init__")
                if not private and not _has_decorator(node, "overload", *_OF_CLICK, *_OF_ROUTES):
                    yield PublicFunction(f"{place}.{node.name}", node, owner)
            elif isinstance(node, ast.ClassDef):
                if not node.name.startswith("_"):
                    waiting.append((f"{place}.{node.name}", node, node))
            elif isinstance(node, ast.stmt | ast.ExceptHandler):  # such as `if sys.platform == "linux":`
                waiting.append((place, node, owner))


def _modules(root: str) -> list[Module]:
    return [module for part, home in PARTS.items() if home == root for module in modules(part)]


def _functions(root: str) -> list[PublicFunction]:
    found = [one for module in _modules(root) for one in public_functions(module.tree, module.name)]
    assert found, root
    return found


@pytest.mark.parametrize("root", DOCUMENTED)
def test_each_of_many_parameters_is_described(root: str) -> None:
    wrong = [f"{one.place}: {', '.join(one.undocumented)}" for one in _functions(root) if one.undocumented]
    assert not wrong, "describe them in a section `Args:`, with unit or shape, and what None means"


@pytest.mark.parametrize("root", DOCUMENTED)
def test_what_a_function_raises_is_in_its_docstring(root: str) -> None:
    wrong = [f"{one.place}: {', '.join(one.unmentioned)}" for one in _functions(root) if one.unmentioned]
    assert not wrong, "name them in a section `Raises:`, or in a sentence with `Raises`"


SAMPLE = '''
def full(size, name, *more, **options):
    """Do.

    Args:
        size, name: both.
        *more: others,
            in two lines.
        **options: any.

    Raises:
        ValueError: never.
    """
    raise ValueError(size)

def lacking(size, name, other):
    """Do.

    Args:
        size: bytes.
        name:

    other: this is no section of arguments.
    """
    raise errors.Refused("no") from None

def choosing(size):
    """Raise Late or another."""
    raise Late if size else errors.Lost("it")

@click.command("run")
@click.argument("size")
def command(size, name, other):
    raise click.UsageError("no")

@admin.command()
@json_option
def command_of_group(size, name, other): ...

@click.group
def group(size, name, other): ...

@click.option("--command")
def no_command(size, name, other): ...

def short(size, name): ...

class Box:
    """A box.

    Args:
        size: bytes.
    """

    def __init__(self, size, name, *, other): ...

    def _private(self, size, name, other): ...

    @staticmethod
    def made(size, name, other): ...

if True:
    def conditional(size, name, _unused): ...
    def many(size, name, other): ...
'''


def test_the_check_finds_what_is_lacking_and_nothing_else() -> None:
    found = {one.place: one for one in public_functions(ast.parse(SAMPLE), "m")}
    assert {place: one.undocumented for place, one in found.items() if one.undocumented} == {
        "m.lacking": ["name", "other"],
        "m.no_command": ["size", "name", "other"],
        "m.Box.__init__": ["name", "other"],
        "m.Box.made": ["size", "name", "other"],
        "m.many": ["size", "name", "other"],
    }
    assert {place: one.unmentioned for place, one in found.items() if one.unmentioned} == {
        "m.lacking": ["Refused"],
        "m.choosing": ["Lost"],
    }
