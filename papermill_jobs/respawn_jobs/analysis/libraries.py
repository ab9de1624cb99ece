"""The abstract execution of what Python and well-known libraries bring."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from respawn_jobs.analysis import library
from respawn_jobs.analysis.hidden import NUMPY_RANDOM
from respawn_jobs.analysis.machine import Opaque, known
from respawn_jobs.analysis.values import PLAIN, WORLD, Kind, Value, join

if TYPE_CHECKING:
    from respawn_jobs.analysis.calls import Calls, Given

_QUIET = (Kind.PLAIN, Kind.BOX, Kind.DATA)
_CALLABLE = (Kind.FUNCTION, Kind.CLASS)


def call_library(calls: Calls, node: ast.AST, path: str, given: Given) -> Value:
    """Return what calling something of a library may give."""
    machine = calls.machine
    root = path.partition(".")[0]
    if root == "builtins":
        return _builtin(calls, node, path.removeprefix("builtins."), given)
    if root in library.OPAQUE_MODULES or path in ("pandas.eval", "polars.sql") or "formula" in path:
        raise Opaque(f"it calls {path}")
    if path in library.STATE_SETTERS:
        state, anew = library.STATE_SETTERS[path]
        # `seed()` without a number gives another stream each time.
        machine.change_state(state, anew=anew and bool(given.values) and not given.more)
        machine.mutate(*(value for value in given.values if value.kind is not Kind.LIBRARY))
        return PLAIN
    if path in library.PROCESS_READERS or (root == "pandas" and ".read_" in path):
        machine.read_process()
    for thing, state in library.STATEFUL_THINGS.items():
        if path.startswith(thing + ".") and path not in library.PROCESS_READERS:
            machine.change_state(state)
            return PLAIN
    if library.pure(path) and "out" not in given.named:
        return _pure(calls, node, path, given)
    if path in ("json.loads", "json.load"):
        _consume(calls, given)
        return _boxes(calls, node)
    calls.look_up(given)
    if not known(path):
        return calls.anything([Value(Kind.ANY, frozenset({WORLD})), *given.values])
    if library.sets_options(path):
        machine.change_state(library.OPTIONS)
    if root in ("matplotlib", "seaborn", "pandas", "numpy", "sklearn"):
        machine.read_state(library.OPTIONS)
    if not given.constants & {"random_state", "seed"}:
        machine.draw(library.draws(path))
    if library.drawn(path) and "out" not in given.named:
        _consume(calls, given)
        return PLAIN if root == "random" else Value(Kind.DATA, frozenset({machine.fresh(node)}))
    if root == "matplotlib" and path.rpartition(".")[2] in library.PLOTTING:
        return _draw(calls, Value(Kind.DRAWING, frozenset({machine.fresh(node)})), given)
    made = _anything_known(calls, node, given)
    if library.draws(path) and not given.constants & {"random_state", "seed"}:
        machine.regions.let_draw(made.regions)
    return made


def _pure(calls: Calls, node: ast.AST, path: str, given: Given) -> Value:
    machine = calls.machine
    _consume(calls, given)
    last = path.rpartition(".")[2]
    operands = 1 if last in library.ONE_OPERAND else 2
    if path.startswith("numpy.") and last not in library.MANY_OPERANDS:
        machine.mutate(*(v for v in given.positional[operands:] if v.kind not in (Kind.PLAIN, Kind.LIBRARY)))
    gives = library.gives(path)
    if gives == "plain":
        return PLAIN
    if gives == "copy":
        copied = machine.regions.functions({r for value in given.values for r in machine.holding(value)})
        if copied:
            return calls.anything(given.values)
        kinds = {value.kind for value in given.values}
        kind = kinds.pop() if len(kinds) == 1 else Kind.ANY
        region = machine.fresh(node)
        made = Value(kind if kind in _QUIET else Kind.ANY, frozenset({region}))
        if any(machine.worldly(value) for value in given.values):
            return machine.pool([made], WORLD)
        for value in given.values:
            held = machine.regions.holds(value)
            if held is not Kind.PLAIN:
                machine.regions.put(made, Value(held, frozenset({region})))
        return made
    made = Value(Kind.ANY if gives == "any" else Kind.DATA, frozenset({machine.fresh(node)}))
    if gives != "fresh":
        for value in given.values:
            if value.kind is Kind.DATA or machine.regions.holds(value) is not Kind.PLAIN or gives == "any":
                machine.regions.put(made, value if value.kind is not Kind.LIBRARY else PLAIN)
    return made


def _draw(calls: Calls, drawing: Value, given: Given) -> Value:
    """Draw something; what is drawn stays as it is, and is not given back."""
    _consume(calls, given)
    for value in given.values:
        if value.kind not in (*_QUIET, Kind.DRAWING, Kind.LIBRARY):
            drawing = Value(Kind.ANY, calls.machine.pool([drawing, value]).regions)
    calls.machine.mutate(drawing)
    return drawing


def _consume(calls: Calls, given: Given) -> None:
    """Go through what is given: iterators are used up, functions may be called."""
    for value in given.values:
        if value.kind in _CALLABLE:
            calls.called(ast.Pass(), value, _with(calls, given))
        elif value.kind is not Kind.LIBRARY:
            calls.special(value)
            if value.kind not in _QUIET:
                calls.parts(value)


def _with(calls: Calls, given: Given) -> Given:
    """Return arguments that may be anything out of what is given."""
    from respawn_jobs.analysis.calls import Given

    others = [value for value in given.values if value.kind not in (*_CALLABLE, Kind.LIBRARY)]
    if all(value.kind is Kind.PLAIN for value in others):
        return Given(more=PLAIN)
    if all(value.kind in (Kind.PLAIN, Kind.DATA) for value in others):
        found = others[0]
        for value in others[1:]:
            found = join(found, value)
        return Given(more=found)
    return Given(more=calls.machine.pool(others))


def _anything_known(calls: Calls, node: ast.AST, given: Given) -> Value:
    """Call something of a library that keeps nothing but in what it returns and what it is given."""
    machine = calls.machine
    values = [value for value in given.values if value.kind is not Kind.LIBRARY or not known(str(value.what))]
    pooled = machine.pool(values, machine.fresh(node))
    machine.mutate(pooled)
    found = machine.regions.functions(pooled.regions)
    if found:
        pooled = machine.pool([pooled, calls.run_all(found, pooled)])
    if machine.worldly(pooled):
        machine.call_world()
    return pooled


def _boxes(calls: Calls, node: ast.AST) -> Value:
    """Return lists and dicts all the way down."""
    made = Value(Kind.BOX, frozenset({calls.machine.fresh(node)}))
    calls.machine.regions.put(made, made)
    return made


def _builtin(calls: Calls, node: ast.AST, name: str, given: Given) -> Value:
    machine = calls.machine
    if name in library.OPAQUE_NAMES:
        raise Opaque(f"it calls {name}")
    if name in library.SCALAR_BUILTINS:
        calls.special(*given.values)
        if name in ("abs", "divmod", "pow", "round") and any(v.kind is not Kind.PLAIN for v in given.values):
            made = Value(Kind.DATA if all(v.kind in _QUIET for v in given.values) else Kind.ANY)
            return Value(made.kind, machine.pool(given.values, machine.fresh(node)).regions)
        if name in ("str", "bytes", "print", "int", "float", "slice"):
            machine.mutate(*(v for v in given.named.values() if v.kind is not Kind.LIBRARY))
        return PLAIN
    if name in library.COLLECTING_BUILTINS:
        return _collected(calls, node, given)
    if name in library.CHOOSING_BUILTINS | library.TESTING_BUILTINS:
        found = _elements(calls, given)
        return PLAIN if name in library.TESTING_BUILTINS else found
    if name == "object":
        return Value(Kind.ANY, frozenset({machine.fresh(node)}))
    if name in ("Exception", "ValueError", "KeyError", "TypeError", "RuntimeError", "NameError"):
        return _anything_known(calls, node, given)
    if name == "type" and len(given.values) == 1:
        return Value(Kind.ANY, machine.holding(given.values[0]))
    if name == "open":
        machine.read_process()
    if name in ("getattr", "hasattr") and given.positional and machine.properties:
        return calls.anything(given.values)
    if name == "getattr" and given.positional:
        owner = given.positional[0]
        if owner.kind is Kind.LIBRARY:
            raise Opaque(f"it looks into {owner.what} by name")
        return Value(Kind.ANY, machine.pool([owner, *given.positional[2:]]).regions)
    if name == "delattr" and given.positional and given.positional[0].kind is Kind.LIBRARY:
        machine.change_library(f"{given.positional[0].what}.{name}")
    if name == "setattr":
        raise Opaque("it uses setattr")
    if name == "super":
        scope = machine.scope
        found = machine.pool(list(scope.names.values())) if scope else PLAIN
        return Value(Kind.ANY, found.regions)
    return _anything_known(calls, node, given)


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
        from respawn_jobs.analysis.calls import Given

        calls.called(ast.Pass(), key, Given([found]))
    if "default" in given.named:
        found = join(found, given.named["default"])
    return found


def call_method(calls: Calls, node: ast.AST, owner: Value, name: str, given: Given) -> Value:
    """Return what calling a method of a value may give."""
    machine = calls.machine
    if owner.kind is Kind.PLAIN:
        for value in given.values:
            calls.special(value)
            if value.kind not in _QUIET:
                calls.parts(value)
        if name in library.PLAIN_LISTS:
            return Value(Kind.BOX, frozenset({machine.fresh(node)}))
        return PLAIN
    if owner.kind is Kind.BOX and name in library.BOX_READERS:
        calls.special(*given.values)
        found = owner
        for value in given.values:
            calls.parts(value) if value.kind not in (*_QUIET, Kind.LIBRARY) else None
            found = join(found, value) if value.kind is not Kind.LIBRARY else Value(Kind.ANY, found.regions)
        if name in ("index", "count", "issubset", "issuperset", "isdisjoint"):
            return PLAIN
        if name == "get":
            return join(calls.part(owner), found if len(given.values) > 1 else PLAIN)
        return found if found.kind is Kind.BOX else Value(Kind.ANY, machine.pool([found]).regions)
    if owner.kind is Kind.BOX:
        machine.mutate(owner)
        key = given.named.get("key")
        if key is not None:
            from respawn_jobs.analysis.calls import Given

            calls.called(node, key, Given([calls.part(owner)]))
        for value in given.values:
            calls.special(value)
            item = (
                calls.parts(value)
                if value.kind not in (*_QUIET, Kind.LIBRARY) and name in _GOING_THROUGH
                else value
            )
            machine.regions.put(owner, item if item.kind is not Kind.LIBRARY else machine.pool([item]))
        return calls.part(owner)
    if owner.kind is Kind.DRAWING:
        if name.startswith("get_") and name.endswith(("data", "array", "offsets")):
            raise Opaque(f"it asks a drawing for its data with {name}")
        return _draw(calls, owner, given)
    if owner.kind is Kind.DATA:
        return _data_method(calls, node, owner, name, given)
    calls.look_up(given)
    return calls.anything([owner, *given.values])


_GOING_THROUGH = (
    "extend",
    "update",
    "intersection_update",
    "difference_update",
    "symmetric_difference_update",
)


def _data_method(calls: Calls, node: ast.AST, owner: Value, name: str, given: Given) -> Value:
    machine = calls.machine
    if library.writes_files(name):
        machine.read_process()
        return PLAIN
    if name in ("query", "eval"):
        if any(value.kind is not Kind.PLAIN for value in given.values) or not given.words:
            raise Opaque(f"it calls {name} with a text that is not written there")
        calls.look_up(given)
    quiet = name in library.PURE_DATA_METHODS and not {"inplace", "out"} & given.named.keys()
    # Some take `inplace` or `out` by its place.
    places = given.positional if name in library.TWO_TABLES else given.positional[:1]
    many = len(given.positional) > (1 if name in ("query", "eval") else 2)
    if not quiet or many or any(value.kind is not Kind.PLAIN for value in given.positional[len(places) :]):
        calls.look_up(given)
        return calls.anything([owner, *given.values])
    if name in library.RANDOM_DATA_METHODS and "random_state" not in given.constants:
        machine.draw((NUMPY_RANDOM,))
    found = owner
    for value in given.values:
        if value.kind is Kind.LIBRARY:
            if not known(str(value.what)):
                return calls.anything([owner, *given.values])
        elif value.kind in _QUIET:
            if value.kind is not Kind.PLAIN and machine.regions.holds(value) is not Kind.PLAIN:
                machine.regions.put(found, value)
            elif value.kind is Kind.DATA:
                found = join(found, value)
        elif value.kind is Kind.FUNCTION:
            from respawn_jobs.analysis.calls import Given

            found = join(found, calls.call(value.what, Given([owner], more=owner)))
        else:
            return calls.anything([owner, *given.values])
    if name in library.FRESH_DATA_METHODS or (name == "copy" and not given.values):
        made = Value(Kind.DATA, frozenset({machine.fresh(node)}))
        if machine.regions.holds(owner) is not Kind.PLAIN:
            machine.regions.put(made, owner)
        return made
    return found if found.kind is Kind.DATA else Value(Kind.ANY, found.regions)
