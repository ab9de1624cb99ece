"""What `type` statements and type parameters evaluate late: their functions are kept, not what they returned.

`type Rows = list[Num]` evaluates `Num` when its value is first asked for (PEP 695), and so do bounds,
constraints and defaults of type parameters (PEP 696). Stored as values they would never be evaluated again,
whatever a fixed cell makes of `Num`. Python has no constructor for such objects but the statement, so the
instruction of the statement makes them here (CALL_INTRINSIC_1 and _2, documentation of `dis`).

Streams call the functions with a stable name when they are loaded, see `rebuild`.
"""

from __future__ import annotations

import dis
import functools
import gc
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from respawn_kernels.rebuild import stable_name

_SAMPLE = "type A[T, U: x, V: (x, y), **P, *Ts] = x\n"
_SAMPLE_OF_DEFAULT = "type A[T = x] = x\n"  # since Python 3.13
_TUPLES = ("BUILD_TUPLE", "INTRINSIC_LIST_TO_TUPLE")


def reduce_late_alias(one: Any) -> Any:
    """Return how an alias is made again that has not evaluated its value for good; None for another one."""
    functions, values = _inside(one)
    if len(functions) != 1 or functions[0].__kwdefaults__ or not _gives(functions[0], values[:1]):
        return None
    return make_late_alias, (one.__name__, one.__type_params__, functions[0])


@stable_name
def make_late_alias(name: str, parameters: tuple[Any, ...], function: Any) -> Any:
    """Return an alias of what a function will return.

    Args:
        name: of the alias.
        parameters: its type parameters; empty for none.
        function: returns the value; Python calls it when somebody asks for the value first.
    """
    return _instruction("INTRINSIC_TYPEALIAS")((name, parameters or None, function))


def reduce_asked_alias(one: Any) -> Any:
    """Return how an alias is made again that has its value; None for one that no statement made.

    The value may lead to the alias itself, so it is set once the alias is there.
    """
    functions, values = _inside(one)
    if len(functions) != 1 or not values:
        return None
    return make_asked_alias, (one.__name__, one.__type_params__), values[0], None, None, fill_asked_alias


@stable_name
def make_asked_alias(name: str, parameters: tuple[Any, ...]) -> Any:
    """Return an alias whose value `fill_asked_alias` sets."""
    function = FunctionType(_answer.__code__, {"__name__": "__main__"}, name)
    return make_late_alias(name, parameters, function)


@stable_name
def fill_asked_alias(one: Any, value: Any) -> None:
    """Set the value of an alias, and evaluate it."""
    (function,), _ = _inside(one)
    function.__kwdefaults__ = {"given": value}
    assert one.__value__ is value  # noqa: S101  this evaluates it


def _answer(*_format: Any, given: Any) -> Any:
    return given


def reduce_late_variable(one: Any) -> Any:
    """Return how a type parameter of a statement is made again; None for one of `typing`."""
    functions, values = _inside(one)
    default = functions.pop() if functions and getattr(one, "has_default", bool)() else None
    made_by_statement = functions or default or one.__module__ == type(one).__module__
    if len(functions) > 1 or not made_by_statement:
        return None
    if not all(any(_gives(f, [value]) for f in (*functions, default) if f is not None) for value in values):
        return None
    kind = type(one).__name__.upper()
    if functions:
        kind = f"{kind}_WITH_{'CONSTRAINTS' if _is_tuple(functions[0].__code__) else 'BOUND'}"
    return make_late_variable, (kind, one.__name__, *(functions or [None]), default)


@stable_name
def make_late_variable(kind: str, name: str, bound: Any, default: Any) -> Any:
    """Return a type parameter whose bound or constraints, and default, are what functions will return.

    Args:
        kind: end of the instruction's name: TYPEVAR, PARAMSPEC or TYPEVARTUPLE, for a TYPEVAR with its bound
            or its constraints followed by _WITH_BOUND or _WITH_CONSTRAINTS.
        name: of the parameter.
        bound: returns the bound or the tuple of constraints; None for neither.
        default: returns the default; None for none.
    """
    arguments = (name,) if bound is None else (name, bound)
    made = _instruction(f"INTRINSIC_{kind}")(*arguments)
    return made if default is None else _instruction("INTRINSIC_SET_TYPEPARAM_DEFAULT")(made, default)


def _inside(one: Any) -> tuple[list[Any], list[Any]]:
    """Return the functions that an alias or a parameter evaluates, and the values that it has already.

    It has no attribute for them, but the garbage collector visits them.
    """
    functions, values = [], []
    parameters = getattr(one, "__type_params__", ())
    for other in gc.get_referents(one):
        if type(other) is FunctionType and other.__name__ == one.__name__:
            functions.append(other)
        elif other is not type(one) and other is not parameters and type(other) is not dict:
            values.append(other)
    return functions, values


def _gives(function: Any, values: list[Any]) -> bool:
    """Return whether a function returns now what it returned: calling it again makes no difference then."""
    try:
        return all(bool(function() == value) for value in values)
    except Exception:  # noqa: BLE001  a name of it may be gone, and `==` is anybody's
        return False


def _is_tuple(code: CodeType) -> bool:
    """Return whether the code of a bound makes a tuple: then these are constraints."""
    before, _ = list(dis.get_instructions(code))[-2:]
    return before.opname in _TUPLES or before.argrepr in _TUPLES


@functools.cache
def _instruction(name: str) -> Any:
    """Return a function that does what one instruction of type statements does.

    Its code is that of an operator with one or two operands, in which the instruction stands in the
    operator's place: instruction and number are taken from a compiled sample, for they differ by version of
    Python.
    """
    sample = _SAMPLE_OF_DEFAULT if name == "INTRINSIC_SET_TYPEPARAM_DEFAULT" else _SAMPLE
    found = next(i for i in _instructions(compile(sample, "", "exec")) if i.argrepr == name)
    assert found.arg is not None  # noqa: S101  its argument says which intrinsic it is
    two = found.opname == "CALL_INTRINSIC_2"
    template: Any = (lambda one, other: one + other) if two else (lambda one: -one)
    replaced = "BINARY_OP" if two else "UNARY_NEGATIVE"
    places = list(dis.get_instructions(template.__code__))
    place = next(n for n, one in enumerate(places) if one.opname == replaced)
    start, end = places[place].offset, places[place + 1].offset
    # The operator may have inline caches behind it, which the other instruction has not.
    nothing = bytes([dis.opmap["NOP"], 0]) * ((end - start) // 2 - 1)
    code = template.__code__.co_code
    code = code[:start] + bytes([found.opcode, found.arg]) + nothing + code[end:]
    return FunctionType(template.__code__.replace(co_code=code, co_name=name), {})


def _instructions(code: CodeType) -> Iterator[dis.Instruction]:
    yield from dis.get_instructions(code)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _instructions(constant)
