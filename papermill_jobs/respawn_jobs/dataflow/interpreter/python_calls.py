"""The abstract execution of Python's own functions."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from respawn_jobs.dataflow.interpreter.call_arguments import Given
from respawn_jobs.dataflow.interpreter.open_files import opened
from respawn_jobs.dataflow.interpreter.trace import Opaque
from respawn_jobs.dataflow.interpreter.values import DRAWS, PLAIN, Kind, Value, join, text_of
from respawn_jobs.dataflow.libraries import library_facts

if TYPE_CHECKING:
    from respawn_jobs.dataflow.interpreter.calls import Calls

_QUIET = (Kind.PLAIN, Kind.BOX, Kind.DATA)


def call_builtin(calls: Calls, node: ast.AST, name: str, given: Given) -> Value:
    """Return what calling one of Python's own functions may give.

    Args:
        calls: what evaluates, with the abstract namespace.
        node: the call in the source; this place identifies what it makes.
        name: of the function, without `builtins.`.
        given: the arguments.

    Raises:
        Opaque: it is a function that may do anything, or one that looks into a library by name.
    """
    from respawn_jobs.dataflow.interpreter.library_calls import anything_known

    machine = calls.machine
    if name in library_facts.OPAQUE_NAMES:
        raise Opaque(f"it calls {name}")
    if name in ("getattr", "hasattr") and given.positional and machine.properties:
        return calls.anything(given.values)
    if name in library_facts.SCALAR_BUILTINS:
        calls.special(*given.values)
        if name in ("abs", "divmod", "pow", "round") and any(v.kind is not Kind.PLAIN for v in given.values):
            made = Value(Kind.DATA if all(v.kind in _QUIET for v in given.values) else Kind.ANY)
            return Value(made.kind, machine.pool(given.values, machine.fresh(node)).regions)
        if name in ("str", "bytes", "print", "int", "float", "slice"):
            machine.mutate(*(v for v in given.named.values() if v.kind is not Kind.LIBRARY))
        return PLAIN
    if name in library_facts.COLLECTING_BUILTINS:
        return _collected(calls, node, given)
    if name in library_facts.CHOOSING_BUILTINS | library_facts.TESTING_BUILTINS:
        found = _elements(calls, given)
        return PLAIN if name in library_facts.TESTING_BUILTINS else found
    if name == "object":
        return Value(Kind.ANY, frozenset({machine.fresh(node)}))
    if name in ("Exception", "ValueError", "KeyError", "TypeError", "RuntimeError", "NameError"):
        return anything_known(calls, node, given)
    if name == "type" and len(given.values) == 1:
        return Value(Kind.ANY, machine.holding(given.values[0]))
    if name == "open":
        return opened(calls, node, given)
    if name == "getattr" and given.positional:
        owner = given.positional[0]
        if owner.kind is Kind.LIBRARY:
            raise Opaque(f"it looks into {owner.what} by name")
        name_given = text_of(given.positional[1]) if len(given.positional) > 1 else None
        if owner.kind is Kind.DATA and (
            name_given is None or name_given in library_facts.RANDOM_DATA_METHODS
        ):
            machine.regions.note(owner.regions, DRAWS)
        return Value(Kind.ANY, machine.pool([owner, *given.positional[2:]]).regions)
    if name == "delattr" and given.positional and given.positional[0].kind is Kind.LIBRARY:
        machine.change_library(f"{given.positional[0].what}.{name}")
    if name == "setattr":
        raise Opaque("it uses setattr")
    if name == "super":
        scope = machine.scope
        found = machine.pool(list(scope.names.values())) if scope else PLAIN
        return Value(Kind.ANY, found.regions)
    return anything_known(calls, node, given)


def _collected(calls: Calls, node: ast.AST, given: Given) -> Value:
    machine = calls.machine
    made = Value(Kind.BOX, frozenset({machine.fresh(node)}))
    machine.regions.put(made, _elements(calls, given))
    for name, value in given.named.items():
        if name not in ("key", "reverse"):
            machine.regions.put(made, value)
    return made


def _elements(calls: Calls, given: Given) -> Value:
    """Go through the arguments; return any of their parts. A `key` is called with them."""
    machine = calls.machine
    found = given.more or PLAIN
    for value in given.positional:
        found = join(found, calls.parts(value))
        if value.kind is Kind.BOX and machine.regions.holds(value) is not Kind.PLAIN:
            # A dict is made of pairs, and `min(a, b)` gives one of them.
            found = join(found, value)
        if len(given.positional) > 1 or value.kind is Kind.DATA:
            found = join(found, value)
    calls.special(found)
    key = given.named.get("key")
    if key is not None:
        calls.called(calls.machine.site("key", id(key.what)), key, Given([found]))
    if "default" in given.named:
        found = join(found, given.named["default"])
    return found
