"""An operation: what a method of an interface is over HTTP, declared once, beside its typed signature.

The client makes its calls and the service its routes from the same declaration. An argument travels in the
path where the path names it in braces, as the body where it is a model or a dictionary, as a field of the
body where the declaration names the body's model, and in the query otherwise.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from respawn_jobs.model.base import Model

_DECLARED = "__operation__"
_IN_PATH = re.compile(r"{(\w+)(?::(\w+))?}")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Argument:
    """One argument of an operation, and where it travels."""

    name: str
    kind: Any
    """Its annotation, with what `Annotated` adds to it."""
    default: Any
    """`inspect.Parameter.empty` for an argument that must be given."""
    place: Literal["path", "query", "body", "field"]
    sent_as: str
    """Its name in the query."""


@dataclass(frozen=True, eq=False)
class Operation:
    """What is declared of a method; the rest is read from its signature when it is first needed."""

    promise: Callable[..., Any]
    """The interface's method."""
    method: str
    path: str
    """Below the API's address, without a leading slash; `{name:path}` may hold slashes."""
    status: int
    wakes: bool
    """Whether a run may start by it: the service looks for one at once."""
    fields: type[Model] | None
    """The body's model where single arguments are its fields."""
    renamed: Mapping[str, str]
    seconds: float | None
    """How long an answer may take that takes longer than others; None for as long as any."""

    @property
    def name(self) -> str:
        """The method's name."""
        return self.promise.__name__

    @cached_property
    def signature(self) -> inspect.Signature:
        """The method's signature; its annotations are texts."""
        return inspect.signature(self.promise)

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.promise, include_extras=True)

    @property
    def answer(self) -> Any:
        """The type of the answer; `NoneType` where there is none."""
        return self._hints["return"]

    @cached_property
    def convertors(self) -> dict[str, str]:
        """The names in the path, each with what stands behind its colon: `path`, or another convertor."""
        return {name: convertor or "" for name, convertor in _IN_PATH.findall(self.path)}

    @cached_property
    def arguments(self) -> dict[str, Argument]:
        """The arguments by their names, without `self`."""
        given = list(self.signature.parameters.values())[1:]
        return {one.name: self._argument(one) for one in given}

    def _argument(self, parameter: inspect.Parameter) -> Argument:
        name, kind = parameter.name, self._hints[parameter.name]
        place: Literal["path", "query", "body", "field"] = "query"
        if name in self.convertors:
            place = "path"
        elif self.fields is not None and name in self.fields.model_fields:
            place = "field"
        elif _is_document(kind):
            place = "body"
        return Argument(name, kind, parameter.default, place, self.renamed.get(name, name))

    def address(self, quoted: Callable[[str, str], str]) -> str:
        """Return the path with values in it.

        Args:
            quoted: returns the value for a name in the path, given the name and its convertor.
        """
        return _IN_PATH.sub(lambda found: quoted(found[1], found[2] or ""), self.path)


def operation(
    method: str,
    path: str,
    *,
    status: int | None = None,
    wakes: bool = False,
    fields: type[Model] | None = None,
    renamed: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> Callable[[F], F]:
    """Declare what a method of an interface is over HTTP; the method stays what it is.

    Args:
        method: the method of HTTP.
        path: below the API's address, with arguments in braces, as FastAPI takes it.
        status: of an answer; None for 204 where the method returns None, and 200 elsewhere.
        wakes: whether a run may start by it.
        fields: the body's model, where single arguments of the method are its fields.
        renamed: names in the query of arguments that have other names in Python.
        seconds: how long the answer may take; None for as long as any.
    """

    def declare(promise: F) -> F:
        usual = 204 if promise.__annotations__["return"] in (None, "None") else 200
        promise.__dict__[_DECLARED] = Operation(
            promise, method, path, status or usual, wakes, fields, renamed or {}, seconds
        )
        return promise

    return declare


def operation_of(promise: Callable[..., Any]) -> Operation:
    """Return what is declared of a method. Raises `KeyError` for a method that is no operation."""
    found: Operation = promise.__dict__[_DECLARED]
    return found


def operations_of(interface: type) -> dict[str, Operation]:
    """Return the operations of an interface by the names of their methods, in the order of their definition.

    A class has those of its interfaces that it does not implement by hand.
    """
    names = dict.fromkeys(name for base in reversed(interface.__mro__) for name in vars(base))
    found = {name: getattr(interface, name) for name in names if not name.startswith("_")}
    return {
        name: operation_of(promise)
        for name, promise in found.items()
        if _DECLARED in getattr(promise, "__dict__", {})
    }


def is_model(kind: Any) -> bool:
    """Tell whether a type is a `Model`."""
    return isinstance(kind, type) and issubclass(kind, Model)


def _is_document(kind: Any) -> bool:
    """Tell whether an annotation is of a model or a dictionary, or of None besides."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, UnionType):
        kind = next(one for one in get_args(kind) if one is not NoneType)
    return is_model(kind) or get_origin(kind) is dict
