"""The abstract execution of calls of libraries."""

from __future__ import annotations

import ast
import posixpath
from typing import TYPE_CHECKING

from respawn_jobs.dataflow.interpreter.call_arguments import Given
from respawn_jobs.dataflow.interpreter.callbacks import CALLABLE, leads_to_code, run_given, run_path
from respawn_jobs.dataflow.interpreter.magics import call_magic
from respawn_jobs.dataflow.interpreter.mutating_arguments import all_harmless
from respawn_jobs.dataflow.interpreter.open_files import is_alone, use_file
from respawn_jobs.dataflow.interpreter.python_calls import call_builtin
from respawn_jobs.dataflow.interpreter.state import known
from respawn_jobs.dataflow.interpreter.trace import Opaque
from respawn_jobs.dataflow.interpreter.values import (
    DRAWS,
    PLAIN,
    UNKNOWN,
    WORLD,
    Kind,
    Note,
    Value,
    constant,
    join,
    may_be_text,
    text_of,
)
from respawn_jobs.dataflow.libraries import file_effects, library_facts, state_effects
from respawn_jobs.dataflow.libraries.state_effects import FIGURES
from respawn_jobs.model.hidden_state import NETWORK

if TYPE_CHECKING:
    from respawn_jobs.dataflow.interpreter.calls import Calls

_QUIET = (Kind.PLAIN, Kind.BOX, Kind.DATA)
_PATHS = ("pathlib.Path", "pathlib.PurePath", "os.path.join", "os.fspath")
_LOADING = ("numpy.load", "numpy.loadtxt", "numpy.genfromtxt", "numpy.fromfile")


def call_library(calls: Calls, node: ast.AST, path: str, given: Given) -> Value:
    """Return what calling something of a library may give.

    Args:
        calls: what evaluates, with the abstract namespace.
        node: the call in the source; this place identifies what it makes.
        path: dotted name of what is called; `builtins.` begins one of Python's own, and `%` a magic of
            IPython.
        given: the arguments.
    """
    machine = calls.machine
    if path.startswith("builtins."):
        return call_builtin(calls, node, path.removeprefix("builtins."), given)
    if path.startswith("%"):
        return call_magic(calls, node, path.removeprefix("%"), given)
    machine.use(path)
    for value in given.values:
        machine.use_value(value)
    found = _called(calls, node, path, given)
    if found.kind not in (Kind.PLAIN, Kind.LIBRARY):
        paths = [path, *(str(value.what) for value in given.values if value.kind is Kind.LIBRARY)]
        machine.regions.note(
            found.regions, *(Note("tag", tag) for p in paths for tag in library_facts.tags_of(p))
        )
    return found


def _called(calls: Calls, node: ast.AST, path: str, given: Given) -> Value:
    machine = calls.machine
    top, last = path.partition(".")[0], path.rpartition(".")[2]
    if library_facts.opaque(path) or path == "polars.sql" or "formula" in path:
        raise Opaque(f"it calls {path}")
    state = _state_called(calls, node, path, given)
    if state is not None:
        return state
    if path in library_facts.UNPICKLING or (not known(path) and "load" in last):
        return _unpickled(calls, given)
    if path == "logging.getLogger" and all(value.kind is Kind.PLAIN for value in given.values):
        return Value(Kind.LIBRARY, what=library_facts.LOGGER)
    if path in library_facts.LOGGING:
        if machine.regions.functions([WORLD]):  # handlers of the notebook may be among them
            return calls.anything([UNKNOWN, *given.values])
        _consume(calls, given)
        return PLAIN
    if path in file_effects.CALLS or (top == "pandas" and last.startswith("read_")):
        _use_files(calls, path, given)
    if path in library_facts.PROCESS_READERS:
        machine.read_process()
    if path in _PATHS:
        calls.special(*given.values)
        return _joined(given)
    if path in file_effects.CALLS and path not in _LOADING:
        return _filed(calls, node, path, given)
    if library_facts.pure(path):
        return _pure(calls, node, path, given)
    if path in ("json.loads", "json.load") and not any(leads_to_code(machine, v) for v in given.values):
        _consume(calls, given)
        return _boxes(calls, node)
    if path.startswith(library_facts.SHOWING):
        _consume(calls, given)
        if file_effects.suggests_files(" ".join(given.named)):
            machine.use_file(None, file_effects.READ)
        held = [value for value in given.values if value.kind is not Kind.LIBRARY and last != "display"]
        return machine.pool(held, machine.fresh(node))
    if path in library_facts.UNPICKLING or (not known(path) and "load" in last):
        return _unpickled(calls, given)
    if path in ("json.dump", "pickle.dump"):
        _consume(calls, given)
        machine.mutate(*(value for value in given.values[1:2] if value.kind is not Kind.LIBRARY))
        return PLAIN
    if path.startswith(library_facts.LOOKING) or path == "pandas.eval":
        calls.read_texts(path, given)
    calls.look_up(given)
    if not known(path):
        return calls.anything([Value(Kind.ANY, frozenset({WORLD})), *given.values])
    return _known(calls, node, path, given)


def _unpickled(calls: Calls, given: Given) -> Value:
    """Return what may be an instance of any class that the notebook has."""
    machine = calls.machine
    every = [value for value in machine.globals.values() if value.kind is not Kind.LIBRARY]
    having = [value for value in every if leads_to_code(machine, value)]
    machine.use_file(_text_argument(given), file_effects.READ)
    machine.call_world()
    return calls.anything([UNKNOWN, *given.values, *having])


def _known(calls: Calls, node: ast.AST, path: str, given: Given) -> Value:
    """Call something of a known library that may change what it is given."""
    machine = calls.machine
    top, last = path.partition(".")[0], path.rpartition(".")[2]
    keeping = False
    plotting = top in ("matplotlib", "seaborn") or path.startswith("pandas.plotting.")
    if plotting and not state_effects.sets(path):
        machine.change_state(FIGURES)
        run_given(calls, [machine.of_state(FIGURES)], PLAIN)  # formatters, and what else is called to draw
    elif state_effects.keeps(path, statement=node is machine.statement):
        machine.change_state(state_effects.options_of(path))
        keeping = True
    if file_effects.suggests_files(last) and path not in file_effects.CALLS:
        streams = [value for value in given.values if is_alone(machine, value)]
        use_file(machine, streams[0] if len(streams) == 1 else _text_argument(given), file_effects.BOTH)
    drawn_from = () if given.constants & {"random_state", "seed"} else library_facts.draws(path)
    machine.draw(drawn_from)
    if library_facts.drawn(path) and all_harmless(path, given.positional, given.named, given.more):
        _consume(calls, given)
        return PLAIN if top == "random" else Value(Kind.DATA, frozenset({machine.fresh(node)}))
    if top == "matplotlib" and last in library_facts.PLOTTING:
        return draw(calls, Value(Kind.DRAWING, frozenset({machine.fresh(node)})), given)
    made = anything_known(calls, node, given)
    if keeping and (state_effects.sets(path) or leads_to_code(calls.machine, made)):
        # What is called with the result, such as a decorator, hands over as well.
        machine.keep(machine.kept_by(path), made)
    if drawn_from:
        machine.regions.note(made.regions, DRAWS)
    return made


def _state_called(calls: Calls, node: ast.AST, path: str, given: Given) -> Value | None:
    """Call what sets or gives a part of the session's state; None for anything else."""
    machine = calls.machine
    if path in state_effects.SETTERS:
        state, anew = state_effects.SETTERS[path]
        # `seed()` without a number gives another stream each time.
        machine.change_state(state, anew=anew and bool(given.values) and not given.more)
        objects = [value for value in given.values if value.kind not in (Kind.PLAIN, Kind.LIBRARY)]
        machine.mutate(*objects)
        for value in objects:
            machine.handle(value, state)
            machine.keep(machine.kept_by(state), value)
        return PLAIN
    for thing, state in state_effects.THINGS.items():
        if path.startswith(thing + ".") and path not in library_facts.PROCESS_READERS:
            machine.change_state(state)
            return PLAIN
    if path in state_effects.HANDLES:
        state = state_effects.HANDLES[path]
        _consume(calls, given)
        if path == "decimal.localcontext" or state == FIGURES:
            machine.change_state(state)
        kind = Kind.DRAWING if state == FIGURES else Kind.ANY
        return machine.handle(Value(kind, frozenset({machine.fresh(node)})), state)
    return None


# Files


def _use_files(calls: Calls, path: str, given: Given) -> None:
    """Read and write the files that the arguments of a call name."""
    if path.startswith("pandas.read_sql"):
        calls.machine.use_file(None, file_effects.READ)
        calls.machine.read_state(NETWORK)
        return
    for place, name, how in file_effects.CALLS.get(path, ((0, "", file_effects.READ),)):
        found = given.named.get(name)
        if found is None and place < len(given.positional):
            found = given.positional[place]
        if found is None and path in ("os.listdir", "os.scandir") and given.more is None:
            found = constant(".")
        use_file(calls.machine, found, how)


def _filed(calls: Calls, node: ast.AST, path: str, given: Given) -> Value:
    """Return what a function gives that does nothing but with files."""
    machine = calls.machine
    _consume(calls, given)
    if path.startswith("matplotlib."):
        run_given(calls, [machine.of_state(FIGURES)], PLAIN)
    machine.mutate(*(v for v in given.positional[:1] if v.kind not in (*_QUIET, Kind.LIBRARY)))
    ways = {how for _, _, how in file_effects.CALLS[path]}
    if path in ("os.listdir", "glob.glob"):
        return Value(Kind.BOX, frozenset({machine.fresh(node)}))
    if path.startswith(("os.", "shutil.")) and path not in ("os.walk", "os.scandir"):
        return PLAIN
    if ways == {file_effects.WRITE}:
        return PLAIN
    made = Value(Kind.ANY, frozenset({machine.fresh(node)}))
    if ways == {file_effects.BOTH}:
        machine.handle(made, machine.use_file(_text_argument(given), file_effects.BOTH))
    return made


def _text_argument(given: Given) -> Value | None:
    """Return the argument that is a text, if just one may be."""
    found = [value for value in given.values if may_be_text(value)]
    return found[0] if len(found) == 1 and given.more is None else None


def _joined(given: Given) -> Value:
    """Return the path that several parts make."""
    texts = [text_of(value) for value in given.positional]
    if given.more is not None or None in texts:
        return PLAIN
    return constant(posixpath.join(*(text for text in texts if text is not None)) if texts else ".")


# What is done with the arguments


def _pure(calls: Calls, node: ast.AST, path: str, given: Given) -> Value:
    machine = calls.machine
    come_back = _consume(calls, given)
    last = path.rpartition(".")[2]
    operands = 1 if last in library_facts.ONE_OPERAND else 2
    if path.startswith("numpy.") and last not in library_facts.MANY_OPERANDS:
        machine.mutate(*(v for v in given.positional[operands:] if v.kind not in (Kind.PLAIN, Kind.LIBRARY)))
    if not all_harmless(path, given.positional, given.named, given.more):
        return anything_known(calls, node, given)
    gives = library_facts.gives(path)
    if gives == "plain":
        return PLAIN
    if gives == "copy":
        return _copied(calls, node, given)
    made = Value(Kind.ANY if gives == "any" else Kind.DATA, frozenset({machine.fresh(node)}))
    if gives != "fresh":
        for value in (*given.values, come_back):
            if value.kind is Kind.DATA or machine.regions.holds(value) is not Kind.PLAIN or gives == "any":
                machine.regions.put(made, value if value.kind is not Kind.LIBRARY else PLAIN)
    return made


def _copied(calls: Calls, node: ast.AST, given: Given) -> Value:
    machine = calls.machine
    if any(leads_to_code(calls.machine, value) for value in given.values):
        return calls.anything(given.values)
    kinds = {value.kind for value in given.values}
    kind = kinds.pop() if len(kinds) == 1 else Kind.ANY
    region = machine.fresh(node)
    made = Value(kind if kind in _QUIET else Kind.ANY, frozenset({region}))
    if any(machine.worldly(value) for value in given.values):
        return machine.pool([made], WORLD)
    for value in given.values:
        machine.copy_tags(value, made)
        held = machine.regions.holds(value)
        if held is not Kind.PLAIN:
            machine.regions.put(made, Value(held, frozenset({region})))
    return made


def draw(calls: Calls, drawing: Value, given: Given) -> Value:
    """Draw something; what is drawn stays as it is, and is not given back.

    Args:
        calls: what evaluates, with the abstract namespace.
        drawing: the figure, or the part of one, that changes.
        given: the arguments; one that may lead to code is held by the drawing from then on.
    """
    _consume(calls, given)
    run_given(calls, [drawing], PLAIN)
    for value in given.values:
        if value.kind not in (*_QUIET, Kind.DRAWING, Kind.LIBRARY) or leads_to_code(calls.machine, value):
            drawing = Value(Kind.ANY, calls.machine.pool([drawing, value]).regions)
    calls.machine.mutate(drawing)
    return drawing


def _consume(calls: Calls, given: Given) -> Value:
    """Go through what is given: iterators are used up, and callables are called; return what these give."""
    for value in given.values:
        if value.kind not in (*CALLABLE, Kind.LIBRARY):
            calls.special(value)
            if value.kind not in _QUIET:
                calls.parts(value)
    if not any(leads_to_code(calls.machine, value) for value in given.values):
        return PLAIN
    others = [value for value in given.values if value.kind not in (*CALLABLE, Kind.LIBRARY)]
    if any(value.kind not in (Kind.PLAIN, Kind.DATA) for value in others):
        return run_given(calls, given.values, calls.machine.pool(others))
    found = PLAIN
    for value in others:
        found = join(found, value)
    return run_given(calls, given.values, found)


def anything_known(calls: Calls, node: ast.AST, given: Given) -> Value:
    """Call something of a library that keeps nothing but in what it returns and what it is given.

    Args:
        calls: what evaluates, with the abstract namespace.
        node: the call in the source; this place identifies what it makes.
        given: the arguments.
    """
    machine = calls.machine
    pooled = machine.pool(given.values, machine.fresh(node))
    machine.mutate(pooled)
    found = machine.regions.functions(pooled.regions)
    if found:
        pooled = machine.pool([pooled, calls.run_all(found, pooled)])
    for path in sorted(machine.regions.notes(pooled.regions, "path")):
        pooled = machine.pool([pooled, run_path(calls, path, pooled)])
    if machine.worldly(pooled):
        machine.call_world()
    return pooled


def _boxes(calls: Calls, node: ast.AST) -> Value:
    """Return lists and dicts all the way down."""
    made = Value(Kind.BOX, frozenset({calls.machine.fresh(node)}))
    calls.machine.regions.put(made, made)
    return made
